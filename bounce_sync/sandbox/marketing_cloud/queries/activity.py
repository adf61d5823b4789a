"""Running a query activity: the result into its target, or the whole run for nothing
(facts/marketing-cloud.md 7).

What the API shows of a failed run is nothing; its error stands in `query_run`. What is left in
the target after a failure differs by report, so it is the tenant's setting `query_failure`:
`rolled_back` (as before the run; also `stale`), `emptied`, or `partial`.
"""

import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass

from bounce_sync.sandbox.marketing_cloud import background, data_extensions, saving
from bounce_sync.sandbox.marketing_cloud.data_extensions import DataExtension
from bounce_sync.sandbox.marketing_cloud.queries.functions import Functions
from bounce_sync.sandbox.marketing_cloud.queries.relations import relation
from bounce_sync.sandbox.marketing_cloud.queries.statement import compile_query
from bounce_sync.sandbox.marketing_cloud.queries.values import (
    QueryError,
    Relation,
    Value,
    as_text,
    identifier,
)
from bounce_sync.sandbox.store import DataExtensionField, Store, quoted, server_time

AUTO_KILL = 30 * 60
"""Seconds after which a run is killed; the setting `query_limit_seconds` shortens it."""
UPDATE_TYPES = ("Overwrite", "Update", "Append")

_KINDS = {
    "Number": "ts_int({}, 0)",
    "Decimal": "ts_decimal({}, 0)",
    "Boolean": "ts_bit({}, 0)",
    "Date": "ts_datetime({})",
}
_PROGRESS_STEPS = 100_000


class Failure(Exception):
    """A row that the target can't take; `row` is its place in the result."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class Query:
    """A query definition with its target."""

    mid: int
    text: str
    target: DataExtension
    update_type: str


def compiled(store: Store, mid: int, text: str) -> Relation:
    """The statement for SQLite, at this moment. Raises QueryError."""
    now = server_time(store.now())
    now_utc = server_time(store.now() - store.utc_offset)
    return compile_query(
        text, lambda name, shared: relation(store, mid, name, shared=shared), now, now_utc
    )


def complaints(
    store: Store, mid: int, text: str, target: DataExtension | None, update_type: str
) -> list[str]:
    """What validation says before a query is saved; empty if nothing."""
    try:
        found = compiled(store, mid, text)
    except QueryError as error:
        return [str(error)]
    if target is None:
        return []
    said = [
        f"Field '{field.name}' is required for the Target Data Extension"
        for field in target.fields
        if (field.is_primary_key or (field.is_required and not field.default_value))
        and field.name.lower() not in found.columns
    ]
    if update_type == "Update" and not target.keys:
        said.append("The Target Data Extension needs a primary key to be updated.")
    if not any(field.name.lower() in found.columns for field in target.fields):
        said.append("None of the columns of the query is a field of the Target Data Extension")
    return said


def run(store: Store, query: Query, *, doomed: str | None = None) -> str | None:
    """Carries the query out; returns what went wrong, None if nothing did.

    With `doomed` it fails with that message before its first row.
    """
    connection = store.connection
    functions = Functions(connection, store.utc_offset)
    limit = time.monotonic() + float(store.setting("query_limit_seconds", str(AUTO_KILL)))
    ending = background.of(store)
    connection.set_progress_handler(
        lambda: ending.ending or time.monotonic() > limit, _PROGRESS_STEPS
    )
    try:
        if doomed is not None:
            raise QueryError(doomed)
        columns = _select(store, query, connection)
        connection.set_progress_handler(None, 0)
        _check(query, connection)
        _write(store, query, columns)
    except QueryError as error:
        return _failed(store, query, str(error), 0)
    except sqlite3.OperationalError as error:
        said = functions.error or ("AutoKill" if "interrupted" in str(error) else str(error))
        return _failed(store, query, said, 0)
    except Failure as failure:
        return _failed(store, query, str(failure), failure.row)
    finally:
        connection.set_progress_handler(None, 0)
        with suppress(sqlite3.OperationalError):
            connection.execute("DROP TABLE IF EXISTS temp.result")
    return None


def _select(store: Store, query: Query, connection: sqlite3.Connection) -> list[str]:
    """The result into `temp.result`, each column in its field's type; returns the fields."""
    found = compiled(store, query.mid, query.text)
    fields = [f for f in query.target.fields if f.name.lower() in found.columns]
    shown = ", ".join(
        f"{_converted(f, Value(identifier(f.name), found.columns[f.name.lower()]))}"
        f" AS {quoted(f.name)}"
        for f in fields
    )
    collated = (
        f"{quoted(f.name)}{'' if f.field_type in _KINDS else ' TEXT COLLATE NOCASE'}"
        for f in fields
    )
    connection.execute("DROP TABLE IF EXISTS temp.result")
    connection.execute(f"CREATE TEMP TABLE result (_n INTEGER PRIMARY KEY, {', '.join(collated)})")
    names = ", ".join(quoted(f.name) for f in fields)
    connection.execute(f"INSERT INTO temp.result ({names}) SELECT {shown} FROM ({found.sql})")
    return [f.name for f in fields]


def _converted(field: DataExtensionField, value: Value) -> str:
    if field.field_type in _KINDS:
        return _KINDS[field.field_type].format(value.sql)
    return as_text(value)


def _check(query: Query, connection: sqlite3.Connection) -> None:
    """Raises Failure for the first row that the target can't take."""
    have = {row["name"] for row in connection.execute("PRAGMA temp.table_info(result)")}
    failures = []
    for field in query.target.fields:
        name = quoted(field.name)
        if field.name not in have:
            continue
        if field.is_primary_key or field.is_required:
            failures.append((f"{name} IS NULL", _null(field)))
        if field.field_type not in _KINDS:
            longest = field.max_length or saving.TEXT_LIMIT
            failures.append(
                (f"length({name}) > {longest}", "String or binary data would be truncated.")
            )
    found = []
    for condition, message in failures:
        row = connection.execute(f"SELECT min(_n) FROM temp.result WHERE {condition}").fetchone()
        if row[0] is not None:
            found.append((row[0], message))
    if (twice := _twice(query, connection)) is not None:
        found.append(twice)
    if found:
        row_number, message = min(found)
        raise Failure(message, row_number)


def _null(field: DataExtensionField) -> str:
    return (
        f"Cannot insert a NULL value into a non-nullable column: '{field.name}'."
        " The statement has been terminated."
    )


def _twice(query: Query, connection: sqlite3.Connection) -> tuple[int, str] | None:
    """The first row whose key came before, in the result or (Append) in the target."""
    if not query.target.keys:
        return None
    keys = ", ".join(quoted(field.name) for field in query.target.keys)
    again = (
        f"SELECT _n FROM (SELECT _n, row_number() OVER (PARTITION BY {keys} ORDER BY _n) AS nth"
        " FROM temp.result) WHERE nth > 1"
    )
    if query.update_type == "Append":
        same = " AND ".join(f"t.{quoted(f.name)} = r.{quoted(f.name)}" for f in query.target.keys)
        again += f" UNION SELECT r._n FROM temp.result r JOIN {query.target.rows} t ON {same}"
    first = connection.execute(f"SELECT min(_n) FROM ({again})").fetchone()[0]
    if first is None:
        return None
    row = connection.execute(f"SELECT {keys} FROM temp.result WHERE _n = ?", (first,)).fetchone()
    return first, saving.duplicate_key(query.target, ", ".join(map(str, row)))


def _write(store: Store, query: Query, columns: list[str], before: int | None = None) -> None:
    """The result into the target; only the rows before one, where the rest failed."""
    names = [quoted(name) for name in columns]
    defaults = [
        f for f in query.target.fields if f.default_value is not None and f.name not in columns
    ]
    into = ", ".join([*names, *(quoted(f.name) for f in defaults)])
    offset = store.utc_offset
    values = tuple(saving.fit(f, None, offset) for f in defaults)
    chosen = ", ".join([*names, *("?" for _ in defaults)])
    rows = "" if before is None else f"_n < {before}"
    conflict = ""
    if query.update_type == "Update":
        keys = [quoted(f.name) for f in query.target.keys]
        changed = [f"{name} = excluded.{name}" for name in names if name not in keys]
        conflict = f" ON CONFLICT ({', '.join(keys)}) DO " + (
            f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
        )
    with store.transaction() as connection:
        if query.update_type == "Overwrite":
            connection.execute(f"DELETE FROM {query.target.rows}")
        connection.execute(
            f"INSERT INTO {query.target.rows} ({into}) SELECT {chosen} FROM temp.result"
            f" WHERE {rows or '1'} ORDER BY _n{conflict}",
            values,
        )
        lag = float(store.setting("rowset_lag_seconds", "0"))
        saving.changed_rows(store, query.target, time.time() + lag if lag else 0)


def _failed(store: Store, query: Query, message: str, row: int) -> str:
    """Leaves the target as the tenant's setting says; returns the message."""
    left = store.setting("query_failure", "rolled_back")
    if left == "partial" and row:
        columns = store.execute("PRAGMA temp.table_info(result)").fetchall()
        _write(store, query, [c["name"] for c in columns if c["name"] != "_n"], before=row)
    elif left in {"emptied", "partial"} and query.update_type == "Overwrite":
        saving.clear(store, query.target)
    return message


def query_of(store: Store, row: sqlite3.Row) -> Query:
    """A stored definition. Raises QueryError where its target is gone."""
    target = data_extensions.find(store, row["mid"], row["target_customer_key"] or "")
    if target is None:
        raise QueryError(f"Invalid object name '{row['target_customer_key']}'.")
    return Query(row["mid"], row["query_text"], target, row["target_update_type"])
