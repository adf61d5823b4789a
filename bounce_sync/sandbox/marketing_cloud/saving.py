"""Rows on their way into a data extension: types, lengths, required fields, keys.

The service saves all rows of a request or none (facts/marketing-cloud.md 5.2, 6).
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from bounce_sync.sandbox.marketing_cloud.clock import read_date
from bounce_sync.sandbox.marketing_cloud.data_extensions import DataExtension
from bounce_sync.sandbox.store import DataExtensionField, Store, quoted, server_time

TEXT_LIMIT = 4000
"""Of a Text field without a length; the longest that a field can have."""

_EMAIL = re.compile(r"[^@\s<>(),;:\"\\\[\]]+@[^@\s.]+(\.[^@\s.]+)+")
_EN_US = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%Y")
_TRUTH = {"true": 1, "1": 1, "yes": 1, "y": 1, "false": 0, "0": 0, "no": 0, "n": 0}


class Unfit(ValueError):
    """One value that its field can't hold; the message is what the service says."""


class DuplicateKey(Exception):
    """A row whose primary key is there already."""


def fit(field: DataExtensionField, value: object, offset: timedelta) -> object:
    """The value as the store keeps it, None for a missing one. Raises Unfit."""
    if value is None or value == "":
        if field.default_value not in (None, ""):
            value = field.default_value
        elif field.is_required or field.is_primary_key:
            raise Unfit(f"{field.name}: A value is required for column [{field.name}].")
        else:
            return None
    try:
        return _FITS.get(field.field_type, _text)(field, value, offset)
    except Unfit:
        raise
    except (ValueError, OverflowError, KeyError) as error:
        raise Unfit(
            f"{field.name}: The value for column [{field.name}] is not a valid {field.field_type}."
        ) from error


def fitted(store: Store, target: DataExtension, row: Mapping[str, object]) -> dict[str, object]:
    """A given row by field name, its values as the store keeps them. Raises Unfit."""
    fields = named(target, row)
    found = {name: fit(field, row[name], store.utc_offset) for name, field in fields.items()}
    return completed(store, target, {fields[name].name: value for name, value in found.items()})


def completed(store: Store, target: DataExtension, row: dict[str, object]) -> dict[str, object]:
    """The row with the defaults of fields that it doesn't give, unless it is there already.

    Raises Unfit where a field that it doesn't give is required.
    """
    absent = [
        field
        for field in target.fields
        if field.name not in row
        and (field.is_required or field.is_primary_key or field.default_value is not None)
    ]
    if not absent or _exists(store, target, row):
        return row
    return row | {field.name: fit(field, None, store.utc_offset) for field in absent}


def _exists(store: Store, target: DataExtension, row: Mapping[str, object]) -> bool:
    keys = [field.name for field in target.keys]
    if not keys or not set(keys) <= set(row):
        return False
    same = " AND ".join(f"{quoted(key)} = ?" for key in keys)
    found = store.execute(
        f"SELECT 1 FROM {target.rows} WHERE {same}", tuple(row[key] for key in keys)
    )
    return found.fetchone() is not None


def save(
    store: Store,
    target: DataExtension,
    rows: Sequence[Mapping[str, object]],
    *,
    replacing: bool = True,
) -> None:
    """Writes fitted rows (field name → value), all or none.

    With a primary key and `replacing`, a row that is there has its given fields changed. Raises
    DuplicateKey where a key is there and mustn't be.
    """
    keys = {field.name for field in target.keys}
    with store.transaction() as connection:
        for row in rows:
            columns = ", ".join(quoted(name) for name in row)
            conflict = ""
            if keys and replacing:
                changed = [f"{quoted(n)} = excluded.{quoted(n)}" for n in row if n not in keys]
                conflict = f" ON CONFLICT ({', '.join(quoted(key) for key in keys)}) DO " + (
                    f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
                )
            try:
                connection.execute(
                    f"INSERT INTO {target.rows} ({columns})"
                    f" VALUES ({', '.join('?' * len(row))}){conflict}",
                    tuple(row.values()),
                )
            except sqlite3.IntegrityError as error:
                value = ", ".join(str(row.get(field.name)) for field in target.keys)
                raise DuplicateKey(duplicate_key(target, value)) from error
        changed_rows(store, target)


def clear(store: Store, target: DataExtension) -> None:
    with store.transaction() as connection:
        connection.execute(f"DELETE FROM {target.rows}")
        changed_rows(store, target)


def duplicate_key(target: DataExtension, value: str) -> str:
    """As SQL Server puts it, and the service passes on."""
    return (
        f"Violation of PRIMARY KEY constraint 'PK_C{target.mid}_{target.object_id}'. Cannot insert"
        f" duplicate key in object 'C{target.mid}.{target.name}'. The duplicate key value is"
        f" ({value}).\r\nThe statement has been terminated."
    )


def changed_rows(store: Store, target: DataExtension, readable_at: float = 0) -> None:
    """Notes that the rows are no longer those that somebody may have counted."""
    store.execute(
        "INSERT INTO data_extension_version VALUES (?, 1, ?) ON CONFLICT (object_id) DO UPDATE"
        " SET version = version + 1, readable_at = excluded.readable_at",
        (target.object_id, readable_at),
    )


def named(target: DataExtension, given: Iterable[str]) -> dict[str, DataExtensionField]:
    """The fields that given names mean, without case. Raises Unfit for one that isn't there."""
    found = {}
    for name in given:
        field = target.field(name)
        if field is None:
            raise Unfit(f"{name}: The column [{name}] does not exist in the data extension.")
        found[name] = field
    return found


def _text(field: DataExtensionField, value: object, _: timedelta) -> str:
    if isinstance(value, (dict, list)):
        raise ValueError("a text is needed")
    text = str(value) if not isinstance(value, bool) else str(value).capitalize()
    units = len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
    if units > (field.max_length or TEXT_LIMIT):  # nvarchar counts UTF-16 units
        raise Unfit(
            f"{field.name}: The value for column [{field.name}] exceeds the column's maximum"
            " length."
        )
    return text


def _email(field: DataExtensionField, value: object, offset: timedelta) -> str:
    text = _text(field, value, offset)
    if not _EMAIL.fullmatch(text):
        raise Unfit(
            f"{field.name}: InvalidEmailAddress: The value for column [{field.name}] is not a"
            " valid email address."
        )
    return text


def _number(_: DataExtensionField, value: object, __: timedelta) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("a whole number is needed")
    number = int(value if not isinstance(value, str) else value.strip())  # type: ignore[call-overload]
    if not -(2**31) <= number < 2**31:
        raise ValueError("beyond an int")
    return int(number)


def _decimal(_: DataExtensionField, value: object, __: timedelta) -> float:
    return float(str(value).strip())


def _boolean(_: DataExtensionField, value: object, __: timedelta) -> int:
    return _TRUTH[str(value).strip().lower()]


def _date(_: DataExtensionField, value: object, offset: timedelta) -> str:
    text = str(value).strip()
    for form in _EN_US:
        try:
            return server_time(datetime.strptime(text, form))  # noqa: DTZ007 (server time is naive)
        except ValueError:
            continue
    return read_date(text, offset)


_FITS: dict[str, Callable[[DataExtensionField, object, timedelta], object]] = {
    "Number": _number,
    "Decimal": _decimal,
    "Boolean": _boolean,
    "Date": _date,
    "EmailAddress": _email,
}
