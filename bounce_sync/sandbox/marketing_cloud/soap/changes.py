"""Create, Update and Delete of data extensions and query definitions
(facts/marketing-cloud.md 6)."""

import sqlite3
from collections.abc import Callable

from lxml import etree

from bounce_sync.sandbox.marketing_cloud import data_extensions
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.queries import activity
from bounce_sync.sandbox.marketing_cloud.saving import TEXT_LIMIT
from bounce_sync.sandbox.marketing_cloud.soap.errors import Refused
from bounce_sync.sandbox.marketing_cloud.soap.reading import (
    child,
    children,
    is_true,
    text,
    type_of,
)
from bounce_sync.sandbox.marketing_cloud.soap.writing import element, message, new_id
from bounce_sync.sandbox.store import DataExtensionField, quoted, server_time

FIELD_TYPES = ("Text", "Number", "Date", "Boolean", "EmailAddress", "Phone", "Decimal", "Locale")
KEY_LENGTH = 36
_SCOPES = {"DataExtension": "data_extensions_write", "QueryDefinition": "automations_write"}


class Rejected(Exception):
    """One object that can't be made or changed; the others can."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def create(call: Call, asked: etree._Element) -> bytes:
    return _each(call, asked, "Create", "CreateResponse", _CREATED)


def update(call: Call, asked: etree._Element) -> bytes:
    return _each(call, asked, "Update", "UpdateResponse", _UPDATED)


def delete(call: Call, asked: etree._Element) -> bytes:
    return _each(call, asked, "Delete", "DeleteResponse", _DELETED)


_Change = Callable[[Call, etree._Element], tuple[str, str | None]]
"""Says what was done, and the new object's id where there is one. Raises Rejected."""


def _each(
    call: Call, asked: etree._Element, operation: str, answer: str, changes: dict[str, _Change]
) -> bytes:
    results, failures = [], 0
    for ordinal, given in enumerate(children(asked, "Objects")):
        kind = type_of(given)
        change = changes.get(kind)
        if change is None:
            raise Refused(
                f"Unable to find a handler for object type: {kind}. Object types are"
                " case-sensitive, check spelling."
            )
        if not call.caller.may(_SCOPES[kind]):
            raise Refused(
                f"API Permission Failed. Operation: {operation}; ObjectType: {kind}", gap=False
            )
        try:
            said, object_id = change(call, given)
            results.append(_result(operation, ordinal, "OK", said, kind, given, object_id))
        except Rejected as rejected:
            failures += 1
            results.append(
                _result(
                    operation, ordinal, "Error", str(rejected), kind, given, None, rejected.code
                )
            )
    status = "OK" if not failures else "Error" if failures == len(results) else "Has Errors"
    return message(
        answer,
        *results,
        element("RequestID", new_id()),
        element("OverallStatus", status),
        action=answer,
    )


def _result(
    operation: str,
    ordinal: int,
    code: str,
    said: str,
    kind: str,
    given: etree._Element,
    object_id: str | None,
    error: int | None = None,
) -> str:
    shown = "".join(
        element(name, text(given, name)) for name in ("CustomerKey", "Name") if text(given, name)
    )
    identity = element("ObjectID", object_id) if object_id else '<ObjectID xsi:nil="true" />'
    return (
        f"<Results>{element('StatusCode', code)}{element('StatusMessage', said)}"
        f"{element('OrdinalID', ordinal)}"
        f"{element('ErrorCode', error) if error is not None else ''}"
        f"{'<NewID>0</NewID>' if operation == 'Create' else ''}"
        f"{element('NewObjectID', object_id) if operation == 'Create' and object_id else ''}"
        f'<Object xsi:type="{kind}"><PartnerKey xsi:nil="true" />'
        f"{identity}{shown}</Object></Results>"
    )


# -- data extensions --------------------------------------------------------------------------


def _create_data_extension(call: Call, given: etree._Element) -> tuple[str, str | None]:
    key = (text(given, "CustomerKey") or "").strip() or new_id()
    name = (text(given, "Name") or "").strip() or key
    if len(key) > KEY_LENGTH:
        raise Rejected(f"The CustomerKey is longer than {KEY_LENGTH} characters.", 310000)
    fields = _fields(given)
    if not fields:
        raise Rejected("A Data Extension needs at least one field.", 310000)
    sendable = text(given, "SendableDataExtensionField", "Name")
    if is_true(text(given, "IsSendable")):
        _check_sendable(given, fields, sendable)
    if data_extensions.find_by_name(call.store, call.mid, name) is not None:
        raise Rejected(f"The Data Extension name '{name}' is already in use.", 310007)
    try:
        object_id = call.store.create_data_extension(
            key,
            fields,
            name=name,
            mid=call.mid,
            description=text(given, "Description"),
            sendable_field=sendable if is_true(text(given, "IsSendable")) else None,
            category_id=int(text(given, "CategoryID") or 0),
        )
    except sqlite3.IntegrityError as error:
        raise Rejected(
            "Updating an existing Data Extension definition is not allowed when doing an add-only"
            " operation. ",
            310007,
        ) from error
    return "Data Extension created.", object_id


def _check_sendable(
    given: etree._Element, fields: list[DataExtensionField], sendable: str | None
) -> None:
    relation = (text(given, "SendableSubscriberField", "Name") or "").strip()
    if sendable is None or sendable.lower() not in {f.name.lower() for f in fields}:
        raise Rejected("SendableDataExtensionField isn't a field of the Data Extension.", 310000)
    if relation.lower() not in {"subscriber key", "_subscriberkey", "email address"}:
        raise Rejected(f"SendableSubscriberField '{relation}' is not valid.", 310000)


def _update_data_extension(call: Call, given: etree._Element) -> tuple[str, str | None]:
    """Adds fields; those that are there keep their type."""
    target = data_extensions.find(call.store, call.mid, text(given, "CustomerKey") or "")
    if target is None:
        raise Rejected("Unable to find the Data Extension.", 310007)
    with call.store.transaction() as connection:
        for number, field in enumerate(_fields(given)):
            if target.field(field.name) is not None:
                continue
            if field.is_primary_key or field.is_required:
                raise Rejected("A field that is added must be nullable.", 310000)
            connection.execute(
                "INSERT INTO data_extension_field VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?)",
                (
                    target.object_id,
                    len(target.fields) + number,
                    new_id(),
                    field.name,
                    field.field_type,
                    field.max_length,
                    field.scale,
                    field.default_value,
                ),
            )
            connection.execute(
                f"ALTER TABLE {target.rows} ADD COLUMN {quoted(field.name)} TEXT COLLATE NOCASE"
            )
        connection.execute(
            "UPDATE data_extension SET modified_date = ? WHERE object_id = ?",
            (server_time(call.store.now()), target.object_id),
        )
    return "Data Extension updated.", target.object_id


def _delete_data_extension(call: Call, given: etree._Element) -> tuple[str, str | None]:
    target = data_extensions.find(call.store, call.mid, text(given, "CustomerKey") or "")
    if target is None:
        raise Rejected("Unable to find the Data Extension.", 310007)
    with call.store.transaction() as connection:
        connection.execute(f"DROP TABLE {target.rows}")
        for table in ("data_extension", "data_extension_field", "data_extension_version"):
            connection.execute(f"DELETE FROM {table} WHERE object_id = ?", (target.object_id,))
    return "Data Extension deleted. ", None


def _fields(given: etree._Element) -> list[DataExtensionField]:
    """Raises Rejected."""
    holder = child(given, "Fields")
    found = []
    for each in [] if holder is None else children(holder, "Field"):
        name, kind = (text(each, "Name") or "").strip(), text(each, "FieldType") or "Text"
        length = (text(each, "MaxLength") or "").strip()
        is_key = is_true(text(each, "IsPrimaryKey"))
        if not name or kind not in FIELD_TYPES:
            raise Rejected(f"The field '{name}' of type '{kind}' is not valid.", 310000)
        if is_key and kind == "Date":
            raise Rejected(f"The Date field '{name}' can't be a primary key.", 310000)
        if length and not (length.isdecimal() and 0 < int(length) <= TEXT_LIMIT):
            raise Rejected(f"The MaxLength of the field '{name}' is not valid.", 310000)
        found.append(
            DataExtensionField(
                name,
                kind,
                int(length) if length else 254 if kind == "EmailAddress" else None,
                is_key,
                is_key or is_true(text(each, "IsRequired")),
                text(each, "DefaultValue") or None,
                int(text(each, "Scale") or 0) or None,
            )
        )
    if len({field.name.lower() for field in found}) < len(found):
        raise Rejected("Field names must be unique.", 310000)
    return found


# -- query definitions ------------------------------------------------------------------------


def _create_query(call: Call, given: etree._Element) -> tuple[str, str | None]:
    key = (text(given, "CustomerKey") or "").strip() or new_id()
    said, target, update_type = _query_parts(call, given, {})
    at, object_id = server_time(call.store.now()), new_id()
    try:
        call.store.execute(
            "INSERT INTO query_definition VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                object_id,
                key,
                text(given, "Name") or key,
                call.mid,
                text(given, "Description"),
                said,
                target,
                update_type,
                int(text(given, "CategoryID") or 0),
                at,
                at,
            ),
        )
    except sqlite3.IntegrityError as error:
        raise Rejected(f"A QueryDefinition with the key '{key}' already exists.", 2) from error
    return "QueryDefinition created", object_id


def _update_query(call: Call, given: etree._Element) -> tuple[str, str | None]:
    row = _query(call, given)
    said, target, update_type = _query_parts(call, given, dict(row))
    call.store.execute(
        "UPDATE query_definition SET query_text = ?, target_customer_key = ?,"
        " target_update_type = ?, name = ?, description = ?, modified_date = ?"
        " WHERE object_id = ?",
        (
            said,
            target,
            update_type,
            text(given, "Name") or row["name"],
            text(given, "Description") or row["description"],
            server_time(call.store.now()),
            row["object_id"],
        ),
    )
    return "QueryDefinition updated", row["object_id"]


def _delete_query(call: Call, given: etree._Element) -> tuple[str, str | None]:
    row = _query(call, given)
    call.store.execute("DELETE FROM query_definition WHERE object_id = ?", (row["object_id"],))
    return "QueryDefinition deleted", None


def _query(call: Call, given: etree._Element) -> sqlite3.Row:
    row: sqlite3.Row | None = call.store.execute(
        "SELECT * FROM query_definition WHERE mid = ? AND (object_id = ? OR customer_key = ?)",
        (
            call.mid,
            (text(given, "ObjectID") or "").strip().lower(),
            (text(given, "CustomerKey") or "").strip(),
        ),
    ).fetchone()
    if row is None:
        raise Rejected("QueryDefinition not found.", 2)
    return row


def _query_parts(call: Call, given: etree._Element, before: dict[str, str]) -> tuple[str, str, str]:
    """Text, target and update type, new or as before, validated. Raises Rejected."""
    said = text(given, "QueryText") or before.get("query_text", "")
    key = text(given, "DataExtensionTarget", "CustomerKey") or before.get("target_customer_key", "")
    update_type = text(given, "TargetUpdateType") or before.get("target_update_type", "Overwrite")
    target = data_extensions.find(call.store, call.mid, key or "")
    if target is None:
        raise Rejected(f"The target Data Extension '{key}' does not exist.", 2)
    if update_type not in activity.UPDATE_TYPES:
        raise Rejected(f"'{update_type}' is not a valid TargetUpdateType.", 2)
    found = activity.complaints(call.store, call.mid, said, target, update_type)
    if found:
        raise Rejected(" ".join(found), 2)
    return said, target.customer_key, update_type


_CREATED: dict[str, _Change] = {
    "DataExtension": _create_data_extension,
    "QueryDefinition": _create_query,
}
_UPDATED: dict[str, _Change] = {
    "DataExtension": _update_data_extension,
    "QueryDefinition": _update_query,
}
_DELETED: dict[str, _Change] = {
    "DataExtension": _delete_data_extension,
    "QueryDefinition": _delete_query,
}
