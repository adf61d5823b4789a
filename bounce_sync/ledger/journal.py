"""The journal of one run: what its writer notes before it sends and after it is answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import pandas as pd
from sqlalchemy import Column, Connection, Engine, func, select

from bounce_sync.ledger import database, schema
from bounce_sync.tables import PENDING, UNKNOWN

_COPIED = [
    "subscriber_key",
    "object",
    "record_id",
    "action",
    "reason",
    "flag_before",
    "flag_after",
    "date_before",
    "date_after",
    "bounced_at",
    "status",
    "domain",
    "email_hash",
    "account_id",
    "person_account_id",
]
_RECORD = ["object", "record_id"]
_UNDO = ["undo_of", "undo_root", "undo_depth"]
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")


class Outcome(Protocol):
    """What the CRM said of one row (`salesforce.writing.RowOutcome`)."""

    @property
    def outcome(self) -> str: ...
    @property
    def error_code(self) -> str | None: ...
    @property
    def message(self) -> str | None: ...


class RunJournal:
    """Notes the writes of one run."""

    def __init__(
        self,
        engine: Engine,
        run_number: int,
        still_writer: Callable[[], None],
        undoes: pd.DataFrame | None = None,
    ) -> None:
        """`undoes`: object, record_id, undo_of, undo_root, undo_depth, where this run undoes."""
        self._engine = engine
        self._run = run_number
        self._still_writer = still_writer
        self._undoes = undoes

    def intend(self, rows: pd.DataFrame) -> list[int]:
        """Commits the intents of `rows` (columns of `CrmFlagChanges`) and returns their ids.

        Raises `NotTheWriter` where the writer's lock isn't held: nothing may be sent then.
        """
        self._still_writer()
        if rows.empty:
            return []
        noted = rows[_COPIED].reset_index(drop=True)
        if self._undoes is None:
            noted = noted.assign(undo_of=None, undo_root=None, undo_depth=0)
        else:
            noted = noted.merge(self._undoes, on=_RECORD, how="left", validate="many_to_one")
        noted["run_number"] = self._run
        noted["created_at"] = now(noted.index)
        with database.writing(self._engine) as connection:
            noted["id"] = next_ids(connection, schema.intent.c.id, len(noted))
            database.add(connection, schema.intent, noted)
        return noted["id"].tolist()

    def settle(self, ids: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        """Commits what became of the intents `ids`, in the same order.

        A pending write, and one whose answer was lost, stay open for the next run to look at.
        """
        self.note(
            pd.DataFrame(
                {
                    "intent_id": list(ids),
                    "outcome": [each.outcome for each in outcomes],
                    "error_code": [each.error_code for each in outcomes],
                    "message": [each.message for each in outcomes],
                    "final": [each.outcome not in (PENDING, UNKNOWN) for each in outcomes],
                }
            )
        )

    def note(self, outcomes: pd.DataFrame) -> None:
        """Commits `outcomes`: intent_id, outcome, error_code, message, final."""
        if outcomes.empty:
            return
        noted = outcomes.assign(
            message=outcomes["message"].map(without_addresses, na_action="ignore"),
            at=now(outcomes.index),
        )
        with database.writing(self._engine) as connection:
            noted["id"] = next_ids(connection, schema.outcome.c.id, len(noted))
            database.add(connection, schema.outcome, noted)

    def job_sent(self, ids: Sequence[int], job_id: str) -> None:
        """Commits that the intents `ids` travel in the Bulk job `job_id`.

        To be called once the job exists and before its data is uploaded: so a job whose upload a
        crash interrupted is known, and isn't uploaded twice.
        """
        with database.writing(self._engine) as connection:
            of = select(schema.intent.c.object).where(schema.intent.c.id == ids[0])
            connection.execute(
                schema.bulk_job.insert().values(
                    job_id=job_id,
                    object=connection.execute(of).scalar_one(),
                    at=datetime.now(UTC),
                )
            )
            database.add(
                connection,
                schema.bulk_job_intent,
                pd.DataFrame({"intent_id": list(ids), "job_id": job_id}),
            )


def next_ids(connection: Connection, column: Column[int], count: int) -> range:
    """The next `count` ids; only inside a writing transaction, of which there is one at a time."""
    last = connection.execute(select(func.max(column))).scalar_one() or 0
    return range(last + 1, last + 1 + count)


def now(index: pd.Index) -> pd.Series:
    """This moment, for each row of `index`."""
    return pd.Series(datetime.now(UTC), index=index, dtype="datetime64[us, UTC]")


def without_addresses(message: str) -> str:
    """`message` with every e-mail address in it replaced: the ledger holds none."""
    return _ADDRESS.sub("(address)", message)
