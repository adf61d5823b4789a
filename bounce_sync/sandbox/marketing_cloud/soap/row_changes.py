"""Rows of a data extension written by SOAP, one object each (as FuelSDK writes them)."""

from collections.abc import Iterable

from lxml import etree

from bounce_sync.sandbox.marketing_cloud import data_extensions, saving
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.data_extensions import DataExtension
from bounce_sync.sandbox.marketing_cloud.soap.errors import Rejected
from bounce_sync.sandbox.marketing_cloud.soap.reading import child, children, text
from bounce_sync.sandbox.store import quoted

_UNFIT, _NOT_THERE = 69011, 310007


def created(call: Call, given: etree._Element) -> tuple[str, str | None]:
    target = _target(call, given)
    try:
        row = saving.fitted(call.store, target, _properties(given))
        saving.save(call.store, target, [row], replacing=False)
    except (saving.Unfit, saving.DuplicateKey) as error:
        raise Rejected(str(error), _UNFIT) from error
    return "Created DataExtensionObject", None


def updated(call: Call, given: etree._Element) -> tuple[str, str | None]:
    """Changes the given fields of a row that is there."""
    target = _target(call, given)
    with call.store.transaction():
        try:
            row = saving.fitted(call.store, target, _properties(given))
        except saving.Unfit as error:
            raise Rejected(str(error), _UNFIT) from error
        where, values = _same_key(target, row)
        found = call.store.execute(f"SELECT 1 FROM {target.rows} WHERE {where}", values).fetchone()
        if found is None:
            raise Rejected("No row was found for the given primary key.", _UNFIT)
        saving.save(call.store, target, [row])
    return "Updated DataExtensionObject", None


def deleted(call: Call, given: etree._Element) -> tuple[str, str | None]:
    target = _target(call, given)
    keys = _pairs(children(listed) if (listed := child(given, "Keys")) is not None else ())
    with call.store.transaction() as connection:
        where, values = _same_key(target, dict(keys))
        if not connection.execute(f"DELETE FROM {target.rows} WHERE {where}", values).rowcount:
            raise Rejected("No row was found for the given primary key.", _UNFIT)
        saving.changed_rows(call.store, target)
    return "Deleted DataExtensionObject", None


def _target(call: Call, given: etree._Element) -> DataExtension:
    found = data_extensions.find(call.store, call.mid, text(given, "CustomerKey") or "")
    if found is None:
        raise Rejected("Unable to find the Data Extension.", _NOT_THERE)
    return found


def _properties(given: etree._Element) -> dict[str, object]:
    listed = child(given, "Properties")
    return _pairs(children(listed, "Property") if listed is not None else ())


def _pairs(elements: Iterable[etree._Element]) -> dict[str, object]:
    return {text(each, "Name") or "": text(each, "Value") for each in elements}


def _same_key(target: DataExtension, row: dict[str, object]) -> tuple[str, list[object]]:
    """A condition that finds the row, and its values. Raises Rejected."""
    names = {name.lower(): value for name, value in row.items()}
    keys = [field.name for field in target.keys]
    if not keys or not all(key.lower() in names for key in keys):
        raise Rejected("A value is needed for each primary key of the Data Extension.", _UNFIT)
    return " AND ".join(f"{quoted(key)} = ?" for key in keys), [names[key.lower()] for key in keys]
