"""Writing the plan to the CRM: announced, sent, settled."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Protocol

import pandas as pd

from bounce_sync import tables
from bounce_sync.salesforce.attempts import Attempts
from bounce_sync.salesforce.batches import BATCH
from bounce_sync.salesforce.bulk_writing import BulkWriter
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.errors import RunStopped, SalesforceError, remedy_of_row
from bounce_sync.salesforce.journal import Journal, RowOutcome
from bounce_sync.salesforce.payload import differ, targets
from bounce_sync.salesforce.sobject_batches import BatchesWriter

__all__ = ["FlagWriter", "Journal", "RowOutcome"]

JOB_CALLS = 14
"""What a Bulk job costs: made, filled, closed, watched some eight times, three files of results."""
ROUNDS = 3
"""Jobs leave rows behind (locked, unprocessed) that are sent again, the last time without a job."""

WRITING = (tables.SET, tables.REFRESH, tables.CLEAR)

Review = Callable[[pd.DataFrame], pd.DataFrame]
"""Gets the rows of a batch before it is announced, gives those that are still to be written."""


class Facts(Protocol):
    """What the writer needs to know of the org: `describe.OrgFacts` or `rules.changes.CrmFacts`."""

    @property
    def date_is_day(self) -> bool: ...


class FlagWriter:
    """Writes flags and dates, nothing else. Holds the one journal of a run."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        say: Callable[[str], None] = lambda _: None,
        *,
        stop: threading.Event | None = None,
    ) -> None:
        """`stop`, once set, ends the writing after what is in flight (for SIGTERM)."""
        self._connection, self._journal, self._say = connection, journal, say
        self._stop = stop or threading.Event()

    def write(
        self, changes: pd.DataFrame, facts: Facts, *, review: Review | None = None
    ) -> pd.DataFrame:
        """Writes every change (columns of `CrmFlagChanges`, action set, refresh or clear).

        Returns `CrmFlagUpdates` without its run_id, one row per attempted write. A rejected row
        stops no other. Raises, after all that was in flight is settled in the journal: the
        ``RequestRejected`` of a code that holds for every row, ``ServiceUnavailable``,
        ``AuthenticationFailed``, ``UnreadableAnswer``, ``BudgetSpent``, ``RunStopped``; before
        anything is sent ``ValueError`` for changes that can't be written.
        """
        changes = changes.reset_index(drop=True)
        org = self._connection.org
        _refuse_unwritable(changes, org)
        attempts = Attempts()
        waiting = changes
        for number in range(ROUNDS):
            by_bulk = rows_for_bulk(waiting, org) & (number < ROUNDS - 1)
            waiting = self._round(waiting, by_bulk, facts, review or _all_of_them, attempts)
            if waiting.empty:
                break
        updates = attempts.updates(repeated=number > 0)
        for code, rows in updates["error_code"].value_counts().items():
            self._say(f"{rows:,} not written, {code}: {remedy_of_row(str(code)).advice}")
        return updates

    def _round(
        self,
        changes: pd.DataFrame,
        by_bulk: pd.Series,
        facts: Facts,
        review: Review,
        attempts: Attempts,
    ) -> pd.DataFrame:
        """Sends all rows once; gives those that are to be sent again.

        The jobs run by themselves while the rest goes by Collections: they are of other objects.
        """
        jobs = BulkWriter(self._connection, self._journal, attempts, self._say, self._stop)
        batches = BatchesWriter(self._connection, self._journal, attempts, self._say, self._stop)
        error: SalesforceError | None = None
        settled_before = attempts.rows
        try:
            jobs.start(changes[by_bulk], review, date_is_day=facts.date_is_day)
            batches.write(changes[~by_bulk], review, date_is_day=facts.date_is_day)
        except SalesforceError as first:
            error = first
        try:
            jobs.finish()
        except SalesforceError as second:
            error = error or second
        if error is not None:
            raise error
        settled = attempts.rows - settled_before - jobs.pending
        if self._stop.is_set() and settled < len(changes):
            raise RunStopped(settled, len(changes) - settled)
        return pd.concat(jobs.again, ignore_index=True) if jobs.again else changes.iloc[:0]


def rows_for_bulk(changes: pd.DataFrame, org: Org) -> pd.Series:
    """Which rows travel by Bulk: from `Org.bulk_from` changes on, those of an object whose job
    costs fewer calls than Composites of 1,000.

    A `bulk_from` below one Composite can't be about cost: it asks for Bulk, as an org does whose
    triggers are too slow for anything else.
    """
    if changes.empty or len(changes) < org.bulk_from:
        return pd.Series(False, index=changes.index)
    target, _ = targets(changes, org)
    if org.bulk_from < BATCH:
        return target.notna()
    dear = [
        name for name, rows in target.value_counts().items() if math.ceil(rows / BATCH) > JOB_CALLS
    ]
    return target.isin(dear)


def _all_of_them(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def _refuse_unwritable(changes: pd.DataFrame, org: Org) -> None:
    """A plan that can't be written is a fault of ours: found before the first row is sent."""
    odd = ~changes["action"].isin(WRITING) | changes["record_id"].isna()
    if odd.any():
        raise ValueError(f"{int(odd.sum())} changes have no record or no action that writes")
    if targets(changes, org)[1].duplicated().any():
        raise ValueError("a record has several changes")
    idle = ~(
        differ(changes["flag_before"], changes["flag_after"])
        | differ(changes["date_before"], changes["date_after"])
    )
    if idle.any():
        raise ValueError(f"{int(idle.sum())} changes have nothing to write")
