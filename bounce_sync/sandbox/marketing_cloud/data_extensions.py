"""Data extensions: found by key, their values as the APIs show them, and what a row may hold."""

import sqlite3
import threading
from dataclasses import dataclass
from functools import lru_cache

from bounce_sync.sandbox.store import DataExtensionField, Store, quoted


@dataclass(frozen=True)
class DataExtension:
    """A data extension with its fields; `rows` is the quoted name of the table they lie in."""

    object_id: str
    customer_key: str
    name: str
    mid: int
    rows: str
    fields: tuple[DataExtensionField, ...]

    @property
    def keys(self) -> tuple[DataExtensionField, ...]:
        return tuple(field for field in self.fields if field.is_primary_key)

    def field(self, name: str) -> DataExtensionField | None:
        """By name, without case."""
        return next((f for f in self.fields if f.name.lower() == name.lower()), None)


def find(store: Store, mid: int, customer_key: str) -> DataExtension | None:
    """The account's own data extension, or one that the enterprise shares (`ENT.key`)."""
    if customer_key.upper().startswith("ENT."):
        return find(store, store.account_id, customer_key[4:])
    return _made(store, store.data_extension(customer_key, mid))


def find_by_name(store: Store, mid: int, name: str) -> DataExtension | None:
    if name.upper().startswith("ENT."):
        return find_by_name(store, store.account_id, name[4:])
    rows = store.execute("SELECT * FROM data_extension WHERE name = ? AND mid = ?", (name, mid))
    return _made(store, rows.fetchone())


def find_by_id(store: Store, object_id: str) -> DataExtension | None:
    rows = store.execute("SELECT * FROM data_extension WHERE object_id = ?", (object_id.lower(),))
    return _made(store, rows.fetchone())


def _made(store: Store, row: sqlite3.Row | None) -> DataExtension | None:
    if row is None:
        return None
    return DataExtension(
        row["object_id"],
        row["customer_key"],
        row["name"],
        row["mid"],
        quoted(row["row_table"]),
        tuple(store.data_extension_fields(row["object_id"])),
    )


def shown(field: DataExtensionField) -> str:
    """The SQL expression of a value as SOAP and REST show it: all text, dates in en-US with whole
    seconds, booleans `True` and `False` (facts/marketing-cloud.md 4.7, 5.1). For `page_cursor`."""
    column = quoted(field.name)
    if field.field_type == "Boolean":
        return f"CASE {column} WHEN 1 THEN 'True' WHEN 0 THEN 'False' END"
    if field.field_type == "Date":
        return f"sfmc_en_us({column})"
    return column


def page_cursor(store: Store) -> sqlite3.Cursor:
    """A cursor of plain tuples, on a connection that has the functions of `shown`."""
    connection = store.connection
    if getattr(_known, "connection", None) is not connection:
        connection.create_function("sfmc_en_us", 1, _en_us, deterministic=True)
        _known.connection = connection
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


_known = threading.local()
"""This thread's connection that has the functions: to make them again would cost each page the
preparation of its statement."""


def _en_us(stored: str | None) -> str | None:
    """7/10/2021 2:28:20 PM"""
    if not stored:
        return None
    day_and_hour, half = _hour(stored[:13])
    return f"{day_and_hour}{stored[13:19]} {half}"


@lru_cache(maxsize=4096)
def _hour(stored: str) -> tuple[str, str]:
    hour = int(stored[11:13])
    day = f"{int(stored[5:7])}/{int(stored[8:10])}/{stored[:4]}"
    return f"{day} {(hour + 11) % 12 + 1}", "AM" if hour < 12 else "PM"
