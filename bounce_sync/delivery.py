"""From a plan to what the CRM holds: settle, read again, write, read back, remember.

One writer at a time per ledger. Everything that leaves here was recorded as an intent before it was
sent. This module must not know where a plan comes from or who asked; it takes frames and says what
became of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pandas as pd

from bounce_sync import stopping
from bounce_sync.ledger import Ledger
from bounce_sync.rules import changes as change_rules
from bounce_sync.rules.changes import CrmFacts
from bounce_sync.salesforce.bulk import ABORTED, BulkApi
from bounce_sync.salesforce.bulk_writing import finish_job, read_outcomes
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.holding import holds
from bounce_sync.salesforce.payload import targets
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.salesforce.writing import FlagWriter, Journal, Review
from bounce_sync.tables import (
    DRIFT,
    NONE,
    REJECTED,
    UNKNOWN,
    WRITTEN,
    CrmFlagChanges,
    CrmFlagUpdates,
    empty,
    shape,
)

FRESH_FOR = timedelta(minutes=5)
"""A plan older than this is compared with the records again before it is written."""

VALID_FOR = timedelta(days=1)
"""A plan older than this isn't written at all."""

READ_BACK = 2_000
"""Written records are read again up to this many, then a sample of this many."""

WAIT_FOR_WRITER = 3_600.0
"""Seconds to wait for another run that writes to the same CRM."""

CHANGED = "CHANGED_SINCE_PLAN"
"""Our own code, for a record that was no longer as the plan saw it."""

Say = Callable[[str], None]


class Writer(Protocol):
    """What carries changes out: `FlagWriter`, or another delivery's."""

    def write(self, changes: pd.DataFrame, facts: CrmFacts, *, review: Review) -> pd.DataFrame: ...


MakeWriter = Callable[[Journal], Writer]


class StalePlan(Exception):
    """The plan is too old to be written."""


@dataclass(frozen=True)
class Delivered:
    """What became of a plan."""

    updates: pd.DataFrame
    """CrmFlagUpdates of this run."""
    already: int = 0
    """Changes that the CRM held already when it was read again."""
    read_back: dict[str, int] = field(default_factory=lambda: {"compared": 0, "differing": 0})


def settle(ledger: Ledger, connection: Connection, facts: CrmFacts, run_id: str, say: Say) -> int:
    """Finds out what became of writes that a crash left open. Returns how many there were.

    Waits for a live writer: its intents are open because it is still writing.
    """
    if ledger.open_intents().empty:
        return 0
    with ledger.writer(WAIT_FOR_WRITER, say, run_id):
        return _settle_open(ledger, connection, facts, say)


def _settle_open(ledger: Ledger, connection: Connection, facts: CrmFacts, say: Say) -> int:
    open_intents = ledger.open_intents()
    if open_intents.empty:
        return 0
    answers = [
        _late_answers(connection, str(job_id), intents, say)
        for job_id, intents in open_intents.groupby("job_id")
    ]
    records = RecordReader(connection).reread(open_intents[["object", "record_id"]])
    settled = ledger.settle_open(records, facts, pd.concat(answers) if answers else None)
    say(f"Settled {len(settled)} write(s) that an earlier run left open.")
    return len(settled)


def _late_answers(
    connection: Connection, job_id: str, intents: pd.DataFrame, say: Say
) -> pd.DataFrame:
    """What a Bulk job says of `intents` now: id, outcome, error_code, message of those it names."""
    job = finish_job(connection, job_id, say)
    if job is None or job.state == ABORTED:  # it has no results: the records say what was written
        return pd.DataFrame(columns=["id", "outcome", "error_code", "message"])
    _, ids = targets(intents, connection.org)
    outcomes = pd.DataFrame(read_outcomes(BulkApi(connection), job, ids.tolist()))
    return outcomes.assign(id=intents["id"].array)[outcomes["outcome"] != UNKNOWN]


def deliver(
    plan: pd.DataFrame,
    *,
    planned_at: datetime,
    run_id: str,
    partition: str,
    context: dict[str, Any],
    ledger: Ledger,
    connection: Connection,
    facts: CrmFacts,
    say: Say,
    make_writer: MakeWriter | None = None,
    no_longer_held: Sequence[str] = (),
) -> Delivered:
    """Brings the CRM to what the plan says, as far as the plan still holds.

    Args:
        plan: CrmFlagChanges; rows with action none are not touched.
        planned_at: when the CRM was read for it (UTC).
        context: what the ledger keeps with the run: `target`, `policy`, `released`.
        make_writer: makes the writer of another delivery from the run's journal; without it the
            CRM's API is written to.
        no_longer_held: keys that the ledger carries over and SFMC released: to be forgotten.

    Raises:
        StalePlan: the plan is older than a day.
        Errors of the client and the ledger, after everything in flight was settled.
    """
    changes = plan[plan["action"] != NONE].reset_index(drop=True)
    if datetime.now(UTC) - planned_at > VALID_FOR:
        raise StalePlan(
            f"The plan of {partition} was made at {planned_at:%Y-%m-%d %H:%M} UTC, more than a day "
            "ago. Materialise the day from crm_flag_state on, then write."
        )
    ledger.begin_run(run_id, partition, **context)
    if changes.empty and ledger.open_intents().empty:
        _remember(ledger, run_id, partition, plan, empty(CrmFlagUpdates), no_longer_held)
        return Delivered(empty(CrmFlagUpdates))
    with ledger.writer(WAIT_FOR_WRITER, say, run_id):
        _settle_open(ledger, connection, facts, say)
        reader = RecordReader(connection)
        review = _Review(reader, facts, planned_at, overtaken=ledger.writes_since(planned_at))
        journal = ledger.run_journal(run_id, partition)
        writer: Writer = (
            make_writer(journal)
            if make_writer
            else FlagWriter(connection, journal, say, stop=stopping.requested)
        )
        written = writer.write(changes, facts, review=review)
        updates = pd.concat(
            [_as_updates(written, run_id), _not_sent(review.changed, run_id)], ignore_index=True
        )
        read_back = _read_back(updates, reader)
        _remember(ledger, run_id, partition, plan, updates, no_longer_held)
    return Delivered(shape(CrmFlagUpdates, updates), already=review.done, read_back=read_back)


class _Review:
    """Looks at the records of a batch again before it is sent, once the plan may be out of date."""

    def __init__(
        self, reader: RecordReader, facts: CrmFacts, planned_at: datetime, *, overtaken: bool
    ) -> None:
        """`overtaken`: another run wrote after the plan was made."""
        self._reader, self._facts = reader, facts
        self._planned_at, self._overtaken = planned_at, overtaken
        self.done = 0
        self.changed: list[pd.DataFrame] = []

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        if not self._overtaken and datetime.now(UTC) - self._planned_at <= FRESH_FOR:
            return rows
        records = self._reader.reread(rows[["object", "record_id"]].drop_duplicates())
        judged = change_rules.redecide(rows.reset_index(drop=True), records, self._facts)
        self.done += int((judged["verdict"] == "done").sum())
        self.changed.append(judged[judged["verdict"] == "changed"])
        ready = judged[judged["verdict"] == "go"]
        return ready.drop(columns="verdict").reset_index(drop=True)


def _as_updates(written: pd.DataFrame, run_id: str) -> pd.DataFrame:
    return shape(CrmFlagUpdates, written.assign(run_id=run_id))


def _not_sent(changed: list[pd.DataFrame], run_id: str) -> pd.DataFrame:
    """Rows that were left because the record moved on, each with the reason."""
    rows = pd.concat([empty(CrmFlagChanges), *changed], ignore_index=True)
    columns = [name for name in CrmFlagUpdates.to_schema().columns if name in rows.columns]
    return shape(
        CrmFlagUpdates,
        rows[columns].assign(
            run_id=run_id,
            outcome=REJECTED,
            error_code=CHANGED,
            message="The record changed after the plan was made; it is judged again next time.",
            attempted_at=pd.Timestamp.now("UTC"),
        ),
    )


def _remember(
    ledger: Ledger,
    run_id: str,
    partition: str,
    plan: pd.DataFrame,
    updates: pd.DataFrame,
    no_longer_held: Sequence[str],
) -> None:
    """Notes the keys to stage again, and those that needn't be any more.

    A run that compared everything notes none: the next one finds what is left by itself.
    """
    if partition == DRIFT:
        return
    put_off = plan.loc[plan["reason"] == "domain_spike", "subscriber_key"]
    refused = updates.loc[updates["outcome"] == REJECTED, "subscriber_key"]
    staged = plan.loc[plan["staged"], "subscriber_key"]
    keys = pd.concat([put_off, refused]).drop_duplicates()
    keys = keys[keys.isin(staged)].reset_index(drop=True)
    waiting = ledger.waiting(partition).set_index("subscriber_key")["since"]
    carried = pd.DataFrame(
        {"subscriber_key": keys, "since": keys.map(waiting).astype("str").fillna(partition)}
    )
    # A key that settling carried over a moment ago, and that isn't staged here, isn't done with.
    over = waiting.index.isin(staged) | waiting.index.isin(no_longer_held)
    done = waiting.index[over & ~waiting.index.isin(keys)]
    if len(carried) or len(done):
        ledger.remember(run_id, partition, carried, pd.Series(done, dtype="str"))


def _read_back(updates: pd.DataFrame, reader: RecordReader) -> dict[str, int]:
    """Reads written records again and counts those that don't hold what was written."""
    written = updates[updates["outcome"] == WRITTEN]
    if len(written) > READ_BACK:
        written = written.sample(READ_BACK, random_state=0)
    if written.empty:
        return {"compared": 0, "differing": 0}
    differing = int((~holds(written, reader)).sum())
    return {"compared": len(written), "differing": differing}
