"""Data extensions: found by key, their values as the APIs show them, and what a row may hold."""

import sqlite3
from dataclasses import dataclass

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
    seconds, booleans `True` and `False` (facts/marketing-cloud.md 4.7, 5.1)."""
    column = quoted(field.name)
    if field.field_type == "Boolean":
        return f"CASE {column} WHEN 1 THEN 'True' WHEN 0 THEN 'False' END"
    if field.field_type == "Date":
        hour = f"CAST(substr({column}, 12, 2) AS INTEGER)"
        return (
            f"CASE WHEN {column} <> '' THEN"
            f" CAST(substr({column}, 6, 2) AS INTEGER) || '/'"
            f" || CAST(substr({column}, 9, 2) AS INTEGER) || '/' || substr({column}, 1, 4) || ' '"
            f" || (({hour} + 11) % 12 + 1) || substr({column}, 14, 6)"
            f" || CASE WHEN {hour} < 12 THEN ' AM' ELSE ' PM' END END"
        )
    if field.field_type in {"Number", "Decimal"}:
        return f"CAST({column} AS TEXT)"
    return column
