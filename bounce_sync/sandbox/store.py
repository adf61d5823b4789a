"""The state of a sandbox: the tenant, its data extensions, and the CRM's objects.

It is one SQLite file, shared by any number of processes and threads (``database.py``).
"""

from __future__ import annotations

import importlib
import secrets
import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bounce_sync.sandbox import founding, schema
from bounce_sync.sandbox.database import PRAGMAS, PRAGMAS_WHEN_MAKING, Database, quoted

FILE = "sandbox.db"
ACCOUNT_ID = 7281698
"""MID of an enterprise that isn't given one."""

SERVER_TIME = "%Y-%m-%d %H:%M:%S.%f"

PLUG_INS = ("bounce_sync.sandbox.marketing_cloud", "bounce_sync.sandbox.salesforce")
"""Packages whose ``SCHEMA`` text, where they have one, belongs to the store as well."""

SQL_TYPES = {
    "boolean": "INTEGER",
    "int": "INTEGER",
    "double": "REAL",
    "currency": "REAL",
    "percent": "REAL",
    "id": "TEXT",
    "reference": "TEXT",
    "date": "TEXT",
    "datetime": "TEXT",
}
"""Column types of CRM fields; every other type is text that compares without case, as in SOQL."""


class SandboxError(Exception):
    """What a person can mend: a folder that holds no sandbox, a file that can't be loaded."""


@dataclass(frozen=True)
class DataExtensionField:
    """A column of a data extension; ``field_type`` as SFMC names it (Text, Number, Date, …)."""

    name: str
    field_type: str = "Text"
    max_length: int | None = None
    is_primary_key: bool = False
    is_required: bool = False
    default_value: str | None = None
    scale: int | None = None


class Store(Database):
    """An opened sandbox: a tenant of SFMC and an org of the CRM."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / FILE)
        self.directory = directory

    # -- opening ------------------------------------------------------------------------------

    @classmethod
    def create(cls, directory: Path | str, **tenant: Any) -> Store:
        """Makes an empty tenant and its org; the arguments are those of :meth:`making`."""
        with cls.making(directory, **tenant) as store:
            pass
        return store

    @classmethod
    @contextmanager
    def making(
        cls,
        directory: Path | str,
        *,
        seed: int = 1,
        account_id: int = ACCOUNT_ID,
        business_units: Sequence[tuple[int, str]] = (),
        utc_offset: str = "-06:00",
        today: datetime | None = None,
    ) -> Iterator[Store]:
        """A new tenant to be filled: ``directory`` holds it when the block ends, and whole.

        Until then it is a file of another name, without a journal and never flushed, which is
        removed when the block fails. It has credentials of its own. ``business_units`` are the
        children of ``account_id``; ``today`` is the tenant's present in server time, for a
        simulated one (see :meth:`now`). Raises SandboxError where the folder has a sandbox.
        """
        store = cls(Path(directory))
        final = store.path
        if final.exists():
            raise SandboxError(f"{final} exists already: choose another folder or remove it")
        store.directory.mkdir(parents=True, exist_ok=True)
        store.path = final.with_name(f".{FILE}.{secrets.token_hex(4)}")
        store.pragmas = PRAGMAS_WHEN_MAKING
        try:
            with store.transaction():
                store._make_tables()
                founding.tenant(store, seed, account_id, business_units, utc_offset)
                founding.org(store)
                founding.delivery_extensions(store)
                if today is not None:
                    store.set_setting("today", server_time(today))
            yield store
            store.execute("PRAGMA journal_mode = WAL")
            store.close()
            if final.exists():
                raise SandboxError(f"{final} was made by somebody else in the meantime")
            store.path.rename(final)
        finally:
            store.close()
            store.path.unlink(missing_ok=True)
            store.path = final
            store.pragmas = PRAGMAS

    @classmethod
    def open(cls, directory: Path | str) -> Store:
        """Opens the sandbox in ``directory``; raises SandboxError where there is none."""
        store = cls(Path(directory))
        if not store.path.is_file():
            raise SandboxError(
                f"{directory} holds no sandbox: `bounce-sync sandbox create --dir {directory}`"
                " makes one"
            )
        store._make_tables()
        return store

    # -- the tenant ---------------------------------------------------------------------------

    def setting(self, name: str, default: str | None = None) -> str:
        """A setting of the tenant; raises KeyError where it has no value and no default."""
        row = self.execute("SELECT value FROM tenant WHERE name = ?", (name,)).fetchone()
        if row is not None and row[0] is not None:
            return str(row[0])
        if default is None:
            raise KeyError(name)
        return default

    def set_setting(self, name: str, value: object) -> None:
        """Stores a setting as text."""
        self.execute(
            "INSERT INTO tenant VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, str(value)),
        )

    @property
    def account_id(self) -> int:
        """MID of the enterprise's own account."""
        return int(self.setting("account_id"))

    @property
    def utc_offset(self) -> timedelta:
        """What is added to UTC to get server time: fixed, never daylight saving."""
        offset = self.setting("utc_offset")
        size = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
        return -size if offset.startswith("-") else size

    def now(self) -> datetime:
        """The tenant's present in server time: the setting ``today``, or the clock without one."""
        today = self.setting("today", "")
        if today:
            return datetime.fromisoformat(today)
        return (datetime.now(UTC) + self.utc_offset).replace(tzinfo=None)

    def business_units(self) -> list[int]:
        """MIDs of the enterprise's account (first) and its children."""
        rows = self.execute("SELECT mid FROM business_unit ORDER BY parent IS NOT NULL, mid")
        return [mid for (mid,) in rows]

    def add_business_unit(self, mid: int, name: str) -> None:
        """Makes a child of the enterprise's account."""
        self.execute("INSERT INTO business_unit VALUES (?, ?, ?)", (mid, name, self.account_id))

    # -- data extensions ----------------------------------------------------------------------

    def create_data_extension(
        self,
        customer_key: str,
        fields: Sequence[DataExtensionField],
        *,
        name: str | None = None,
        mid: int | None = None,
        description: str | None = None,
        sendable_field: str | None = None,
        category_id: int = 0,
    ) -> str:
        """Makes a data extension and the table of its rows; returns its object id.

        The rows' table has ``_row`` as its integer key and one column per field, spelled as the
        field is. Text compares without case there, as SFMC's database does; primary-key fields are
        unique together. Nothing checks lengths, types or required fields: that is for who writes.
        Raises sqlite3.IntegrityError where the account has a data extension of this key.
        """
        object_id = str(uuid.uuid4())
        table = "rows_" + object_id.replace("-", "")
        at = server_time(self.now())
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO data_extension VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    object_id,
                    customer_key,
                    name or customer_key,
                    mid or self.account_id,
                    table,
                    description,
                    int(sendable_field is not None),
                    sendable_field,
                    "Subscriber Key" if sendable_field else None,
                    category_id,
                    at,
                    at,
                ),
            )
            connection.executemany(
                "INSERT INTO data_extension_field VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        object_id,
                        ordinal,
                        str(uuid.uuid4()),
                        field.name,
                        field.field_type,
                        field.max_length,
                        field.scale,
                        int(field.is_primary_key),
                        int(field.is_required),
                        field.default_value,
                    )
                    for ordinal, field in enumerate(fields)
                ],
            )
            columns = ["_row INTEGER PRIMARY KEY"]
            columns += [f"{quoted(field.name)} {_row_type(field)}" for field in fields]
            keys = [quoted(field.name) for field in fields if field.is_primary_key]
            if keys:
                columns.append(f"UNIQUE ({', '.join(keys)})")
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        return object_id

    def data_extension(self, customer_key: str, mid: int | None = None) -> sqlite3.Row | None:
        """The row of ``data_extension`` with this key in one account, or None."""
        row: sqlite3.Row | None = self.execute(
            "SELECT * FROM data_extension WHERE customer_key = ? AND mid = ?",
            (customer_key, mid or self.account_id),
        ).fetchone()
        return row

    def data_extension_fields(self, object_id: str) -> list[DataExtensionField]:
        """The fields of a data extension in their order."""
        rows = self.execute(
            "SELECT name, field_type, max_length, is_primary_key, is_required, default_value, scale"
            " FROM data_extension_field WHERE object_id = ? ORDER BY ordinal",
            (object_id,),
        )
        return [
            DataExtensionField(name, kind, length, bool(key), bool(required), default, scale)
            for name, kind, length, key, required, default, scale in rows
        ]

    # -- the CRM ------------------------------------------------------------------------------

    def add_field(
        self,
        object_name: str,
        name: str,
        type_name: str,
        *,
        length: int = 0,
        label: str | None = None,
        read_only: bool = False,
        visible: bool = True,
        external_id: bool = False,
        reference_to: str | None = None,
    ) -> None:
        """Makes a field of a CRM object, and the object's table with its first field.

        ``type_name`` is describe's (``string``, ``email``, ``boolean``, ``datetime``, …). A new
        checkbox is false on every record. A field that exists stays as it is.
        """
        with self.transaction() as connection:
            known = connection.execute(
                "SELECT coalesce(max(ordinal) + 1, 0), coalesce(max(name = ?), 0)"
                " FROM field WHERE object = ?",
                (name, object_name),
            ).fetchone()
            if known[1]:
                return
            if type_name == "id":
                column = f"{quoted(name)} TEXT PRIMARY KEY"
            else:
                column = f"{quoted(name)} {SQL_TYPES.get(type_name, 'TEXT COLLATE NOCASE')}"
            if type_name == "boolean":
                column += " NOT NULL DEFAULT 0"
            statement = f"ALTER TABLE {quoted(object_name)} ADD COLUMN {column}"
            if known[0] == 0:
                statement = f"CREATE TABLE {quoted(object_name)} ({column})"
            connection.execute(statement)
            writable = int(not read_only and type_name != "id")
            connection.execute(
                "INSERT INTO field (object, ordinal, name, label, type, length, nillable,"
                " createable, updateable, custom, visible, external_id, reference_to)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    object_name,
                    known[0],
                    name,
                    label or name.removesuffix("__c").replace("_", " "),
                    type_name,
                    18 if type_name in ("id", "reference") else length,
                    int(type_name not in ("id", "boolean")),
                    writable,
                    writable,
                    int(name.lower().endswith("__c")),
                    int(visible),
                    int(external_id),
                    reference_to,
                ),
            )

    def remove_field(self, object_name: str, name: str) -> None:
        """Takes a field, its values and its indexes away."""
        with self.transaction() as connection:
            for index, sql in connection.execute(
                "SELECT name, sql FROM sqlite_master"
                " WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ? COLLATE NOCASE",
                (object_name,),
            ).fetchall():
                if quoted(name) in sql:
                    connection.execute(f"DROP INDEX {quoted(index)}")
            connection.execute(f"ALTER TABLE {quoted(object_name)} DROP COLUMN {quoted(name)}")
            connection.execute(
                "DELETE FROM field WHERE object = ? AND name = ?", (object_name, name)
            )

    def fields(self, object_name: str) -> list[sqlite3.Row]:
        """The rows of ``field`` of one object in their order; empty for an unknown object."""
        return self.execute(
            "SELECT * FROM field WHERE object = ? ORDER BY ordinal", (object_name,)
        ).fetchall()

    def objects(self) -> list[str]:
        """Names of the CRM's objects."""
        rows = self.execute("SELECT DISTINCT object FROM field ORDER BY object")
        return [name for (name,) in rows]

    # -- making -------------------------------------------------------------------------------

    def _make_tables(self) -> None:
        """Makes what is missing. A file that has seen these very texts is left alone."""
        texts = [schema.TABLES]
        texts += [getattr(importlib.import_module(name), "SCHEMA", "") for name in PLUG_INS]
        version = zlib.crc32("".join(texts).encode()) & 0x7FFFFFFF
        if self.execute("PRAGMA user_version").fetchone()[0] == version:
            return
        with self.transaction() as connection:
            for statement in schema.statements("".join(texts)):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version}")


def _row_type(field: DataExtensionField) -> str:
    if field.field_type in ("Number", "Boolean"):
        return "INTEGER"
    if field.field_type == "Decimal":
        return "NUMERIC"
    return "TEXT COLLATE NOCASE"


def server_time(moment: datetime) -> str:
    """A naive server time as SFMC's tables keep it, milliseconds cut."""
    return moment.strftime(SERVER_TIME)[:-3]


def crm_time(moment: datetime) -> str:
    """An aware time as the CRM's tables keep it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
