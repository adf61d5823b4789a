"""Updating records: the one place through which every API of the org writes.

What a row can meet: a malformed or unknown id, a deleted or merged record, a converted lead, the
Contact of a Person Account, a locked Account, a field it may not edit, a validation rule, a record
that something of the org's own refuses (table ``crm_refusal``). What a write does beside its own
fields: last-modified stamps, lead assignment, a row of ``crm_write`` for each field.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bounce_sync.sandbox.salesforce.entities import Entity, Field
from bounce_sync.sandbox.salesforce.errors import RowError
from bounce_sync.sandbox.salesforce.ids import canonical
from bounce_sync.sandbox.salesforce.obstacles import STATE, obstacles
from bounce_sync.sandbox.salesforce.rules import assignee, broken_rules
from bounce_sync.sandbox.store import crm_time, quoted

if TYPE_CHECKING:
    import sqlite3

    from bounce_sync.sandbox.salesforce.service import Service

LOCKED = RowError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
ROLLED_BACK = RowError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone "
    "header",
)


@dataclass(slots=True)
class Change:
    """What one row wants: ``values`` by canonical field name, as the store keeps them."""

    record_id: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Manner:
    """How a write arrived: by whom, over which API, with which ``Sforce-Auto-Assign`` header.

    ``assigns`` is the lead assignment rule to run, None for none; ``allow_save`` passes duplicate
    rules that only alert; ``lock_fault`` finds the records of the first Account locked (outside
    Collections: every record).
    """

    user_id: str
    api: str
    header: str | None = None
    assigns: str | None = None
    allow_save: bool = False
    lock_fault: bool = False


@dataclass
class _Chunk:
    """The rows of one object on their way: what is there, what is wanted, what went wrong."""

    entity: Entity
    manner: Manner
    changes: Sequence[Change | RowError]
    errors: list[RowError | None] = field(default_factory=list)
    found: dict[str, sqlite3.Row] = field(default_factory=dict)

    def good(self) -> list[tuple[int, Change]]:
        return [
            (number, change)
            for number, change in enumerate(self.changes)
            if self.errors[number] is None and isinstance(change, Change)
        ]

    def wanted(self) -> list[Change]:
        return [change for _, change in self.good()]


def identify(entity: Entity, given: object) -> str | RowError:
    """The id a row is for."""
    found = canonical(given)
    if found is None or not found.startswith(entity.prefix):
        return RowError(
            "MALFORMED_ID", f"{entity.name} ID: id value of incorrect type: {given}", ("Id",)
        )
    return found


def update(
    service: Service,
    entity: Entity,
    changes: Sequence[Change | RowError],
    manner: Manner,
    settled: Callable[[list[RowError | None]], None] | None = None,
) -> list[RowError | None]:
    """Writes what can be written, one answer for each row in its order; None is success.

    Rows that came as errors stay errors. ``settled`` gets the answers inside the transaction that
    writes the rows, to keep them with it.
    """
    chunk = _Chunk(entity, manner, changes)
    chunk.errors = [change if isinstance(change, RowError) else None for change in changes]
    _refuse_repeats(chunk)
    with _locked(service, chunk), service.writing, service.store.transaction() as connection:
        if not all(chunk.errors):
            chunk.found = _current(connection, entity, chunk.wanted())
            in_the_way = obstacles(service, entity, manner, chunk.wanted(), chunk.found)
            for number, change in chunk.good():
                chunk.errors[number] = in_the_way.get(change.record_id)
        if not all(chunk.errors):
            _write(service, connection, chunk)
        if settled is not None:
            settled(chunk.errors)
    return chunk.errors


def _refuse_repeats(chunk: _Chunk) -> None:
    seen: set[str] = set()
    for number, change in chunk.good():
        if change.record_id in seen:
            chunk.errors[number] = RowError(
                "DUPLICATE_VALUE", f"duplicate id specified: {change.record_id}", ("Id",)
            )
        seen.add(change.record_id)


def _current(
    connection: sqlite3.Connection, entity: Entity, changes: Sequence[Change]
) -> dict[str, sqlite3.Row]:
    names = {name: None for change in changes for name in change.values}
    columns = ['t."Id"']
    columns += [entity.fields[name.lower()].sql + f" AS {quoted(name)}" for name in names]
    columns += [f"t.{quoted(name)}" for name in STATE.get(entity.name, ()) if name not in names]
    ids = [change.record_id for change in changes]
    rows = connection.execute(
        f"SELECT {', '.join(columns)} FROM {quoted(entity.name)} t"
        f' WHERE t."Id" IN ({", ".join("?" * len(ids))})',
        ids,
    )
    return {row["Id"]: row for row in rows}


# Locks


@contextmanager
def _locked(service: Service, chunk: _Chunk) -> Iterator[None]:
    """Holds the rows' locks while they are written; rows whose lock is taken fail."""
    store = service.store
    on = store.setting("lock_accounts", "false") in ("true", "on", "1")
    if not on and not chunk.manner.lock_fault:
        yield
        return
    keys = _lock_keys(store.connection, chunk)
    if chunk.manner.lock_fault and keys:
        first = next(iter(keys.values()))
        for number, own in keys.items():
            if own[-1] == first[-1] or chunk.manner.api != "collections":
                chunk.errors[number] = LOCKED
    wait = int(store.setting("lock_wait_ms", "0")) / 1000
    wanted = [key for own in keys.values() for key in own] if on else []
    with service.locks.hold(wanted, wait) as missed:
        for number, own in keys.items():
            if missed.intersection(own):
                chunk.errors[number] = LOCKED
        time.sleep(int(store.setting("write_ms", "0")) / 1000)
        yield


def _lock_keys(connection: sqlite3.Connection, chunk: _Chunk) -> dict[int, tuple[str, ...]]:
    """The record of each row and, of a Contact, its Account."""
    wanted = {change.record_id: number for number, change in chunk.good()}
    keys: dict[int, tuple[str, ...]] = {number: (key,) for key, number in wanted.items()}
    if chunk.entity.name == "Contact":
        rows = connection.execute(
            'SELECT "Id", "AccountId" FROM "Contact" WHERE "AccountId" IS NOT NULL'
            f' AND "Id" IN ({", ".join("?" * len(wanted))})',
            list(wanted),
        )
        keys.update({wanted[key]: (key, account) for key, account in rows})
    return keys


# Writing


def _write(service: Service, connection: sqlite3.Connection, chunk: _Chunk) -> None:
    at = crm_time(datetime.now(UTC))
    connection.execute("SAVEPOINT rows")
    _apply(connection, chunk, at)
    broken = broken_rules(
        service,
        chunk.entity,
        chunk.manner.user_id,
        [change.record_id for change in chunk.wanted()],
    )
    if broken:  # the platform writes the good rows once more without the bad ones
        connection.execute("ROLLBACK TO rows")
        for number, change in chunk.good():
            chunk.errors[number] = broken.get(change.record_id)
        _apply(connection, chunk, at)
    connection.execute("RELEASE rows")
    _assign_leads(service, connection, chunk, at)


def _apply(connection: sqlite3.Connection, chunk: _Chunk, at: str) -> None:
    shapes: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for _, change in chunk.good():
        shapes[tuple(change.values)].append(change)
    entity, manner = chunk.entity, chunk.manner
    for names, changes in shapes.items():
        fields = [entity.fields[name.lower()] for name in names]
        own = [one for one in fields if one.on_contact is None]
        shown = [one for one in fields if one.on_contact is not None]
        _set(connection, entity, own, [(c.record_id, c) for c in changes], at, manner.user_id)
        if shown:
            people = [(chunk.found[c.record_id]["PersonContactId"], c) for c in changes]
            _set(connection, "Contact", shown, people, at, manner.user_id)
    connection.executemany(
        "INSERT INTO crm_write (at, object, record_id, field, before, after, header_auto_assign,"
        " api) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                at,
                entity.name,
                change.record_id,
                name,
                chunk.found[change.record_id][name],
                value,
                manner.header,
                manner.api,
            )
            for _, change in chunk.good()
            for name, value in change.values.items()
        ],
    )


def _set(
    connection: sqlite3.Connection,
    entity: Entity | str,
    fields: Sequence[Field],
    rows: Sequence[tuple[str, Change]],
    at: str,
    user_id: str,
) -> None:
    name = entity if isinstance(entity, str) else entity.name
    columns = [one.on_contact or one.name for one in fields]
    stamps = [("LastModifiedDate", at), ("SystemModstamp", at)]
    if isinstance(entity, str) or entity.has("LastModifiedById"):
        stamps.append(("LastModifiedById", user_id))
    columns += [column for column, _ in stamps]
    last = tuple(value for _, value in stamps)
    connection.executemany(
        f"UPDATE {quoted(name)} SET {', '.join(f'{quoted(one)} = ?' for one in columns)}"
        ' WHERE "Id" = ?',
        [(*(c.values[one.name] for one in fields), *last, key) for key, c in rows],
    )


def _assign_leads(service: Service, connection: sqlite3.Connection, chunk: _Chunk, at: str) -> None:
    """Lead assignment: runs on every update that doesn't say ``Sforce-Auto-Assign: FALSE``."""
    manner = chunk.manner
    if chunk.entity.name != "Lead" or manner.assigns is None:
        return
    owner = assignee(service, manner.assigns)
    if owner is None:
        return
    moved = [
        (change.record_id, chunk.found[change.record_id]["OwnerId"])
        for _, change in chunk.good()
        if chunk.found[change.record_id]["OwnerId"] != owner
    ]
    connection.executemany(
        'UPDATE "Lead" SET "OwnerId" = ? WHERE "Id" = ?', [(owner, key) for key, _ in moved]
    )
    connection.executemany(
        "INSERT INTO crm_write (at, object, record_id, field, before, after, header_auto_assign,"
        " api) VALUES (?, 'Lead', ?, 'OwnerId', ?, ?, ?, 'rule')",
        [(at, key, before, owner, manner.header) for key, before in moved],
    )
