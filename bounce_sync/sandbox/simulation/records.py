"""Rows of the CRM's tables, as the simulation makes and edits them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bounce_sync.sandbox.simulation.clock import crm_text, server_text
from bounce_sync.sandbox.simulation.world import LOG_COLUMNS
from bounce_sync.sandbox.store import Store, quoted


def insert(store: Store, sobject: str, columns: dict[str, list[Any]]) -> None:
    """New records, one list per field; the last change of each is its making."""
    stamped = columns | {
        "LastModifiedDate": columns["CreatedDate"],
        "LastModifiedById": columns["CreatedById"],
        "SystemModstamp": columns["CreatedDate"],
    }
    store.insert(sobject, list(stamped), zip(*stamped.values(), strict=True))


class Hands:
    """People at work in the CRM: every edit stamped, audited (as ``rep``) and logged."""

    def __init__(self, store: Store, users: Sequence[str]) -> None:
        self._store = store
        self._users = users
        self._offset: timedelta = store.utc_offset

    def time(self, at: int) -> str:
        """A moment of server time as the CRM writes it."""
        return crm_text(at, self._offset)

    def edit(self, sobject: str, record_id: str, at: int, **fields: Any) -> dict[str, Any]:
        """Changes fields of one record; returns what they were before."""
        table = quoted(sobject)
        names = list(fields)
        listed = ", ".join(map(quoted, names))
        row = self._store.execute(
            f"SELECT {listed} FROM {table} WHERE Id = ?",
            (record_id,),
        ).fetchone()
        before = dict(zip(names, row, strict=True))
        moment = self.time(at)
        assignments = ", ".join(f"{quoted(name)} = ?" for name in names)
        self._store.execute(
            f"UPDATE {table} SET {assignments}, LastModifiedDate = ?, LastModifiedById = ?,"
            " SystemModstamp = ? WHERE Id = ?",
            (*fields.values(), moment, self._users[at % len(self._users)], moment, record_id),
        )
        self._store.insert(
            "crm_write",
            ("at", "object", "record_id", "field", "before", "after", "api"),
            [
                (moment, sobject, record_id, name, before[name], fields[name], "rep")
                for name in names
                if before[name] != fields[name]
            ],
        )
        return before

    def log(
        self,
        at: int,
        action: str,
        *,
        subscriber_id: int | None = None,
        record_id: str | None = None,
        before: object = None,
        after: object = None,
    ) -> None:
        """Remembers what somebody did, for whoever has to explain the tenant."""
        moment = server_text([at])[0]
        self._store.insert(
            "simulation_log",
            LOG_COLUMNS,
            [(moment, action, subscriber_id, record_id, before, after)],
        )
