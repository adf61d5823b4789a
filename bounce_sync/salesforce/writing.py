"""Writing the plan to the CRM: announced, sent, settled, batch by batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import pandas as pd

from bounce_sync import tables
from bounce_sync.salesforce.batches import Batch, batches
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import RunStopped
from bounce_sync.salesforce.journal import Journal, RowOutcome
from bounce_sync.salesforce.payload import differ, payload
from bounce_sync.salesforce.sobject_collections import BatchResult, CollectionsWriter

__all__ = ["FlagWriter", "Journal", "RowOutcome"]

IN_FLIGHT = 4
"""Batches under way at once; far below the 25 long requests that an org takes (facts §5)."""

WRITING = (tables.SET, tables.REFRESH, tables.CLEAR)
UPDATES = [name for name in tables.CrmFlagUpdates.to_schema().columns if name != "run_id"]

Review = Callable[[pd.DataFrame], pd.DataFrame]
"""Gets the rows of a batch before it is announced, gives those that are still to be written."""


class Facts(Protocol):
    """What the writer needs to know of the org: `describe.OrgFacts` or `rules.changes.CrmFacts`."""

    @property
    def date_is_day(self) -> bool: ...


@dataclass
class _Flight:
    """A batch under way."""

    batch: Batch
    rows: pd.DataFrame
    intents: list[int]
    attempted_at: datetime


@dataclass
class _Log:
    """What was settled so far."""

    frames: list[pd.DataFrame] = field(default_factory=list)
    rows: int = 0

    def add(self, rows: pd.DataFrame, outcomes: list[RowOutcome], attempted_at: datetime) -> None:
        known = [name for name in UPDATES if name in rows.columns]
        frame = rows[known].reset_index(drop=True)
        frame["outcome"] = [each.outcome for each in outcomes]
        frame["error_code"] = [each.error_code for each in outcomes]
        frame["message"] = [each.message for each in outcomes]
        frame["attempted_at"] = attempted_at
        self.frames.append(tables.shape(tables.CrmFlagUpdates, frame)[UPDATES])
        self.rows += len(frame)

    def updates(self) -> pd.DataFrame:
        if not self.frames:
            return tables.empty(tables.CrmFlagUpdates)[UPDATES]
        return pd.concat(self.frames, ignore_index=True)


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
        """`stop`, once set, ends the writing after the batches in flight (for SIGTERM)."""
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
        _refuse_unwritable(changes)
        log, error = self._by_collections(changes, facts, review or _all_of_them)
        if error is not None:
            raise error
        return log.updates()

    def _by_collections(
        self, changes: pd.DataFrame, facts: Facts, review: Review
    ) -> tuple[_Log, Exception | None]:
        """Announces and sends the batches, several in flight, and settles each as it lands."""
        waiting = batches(changes, self._connection.org)
        flying: dict[Future[BatchResult], _Flight] = {}
        log, error = _Log(), None
        writer = CollectionsWriter(self._connection)

        def launch(batch: Batch) -> None:
            self._connection.budget.require(len(flying) + 1, "Collections update")
            rows = review(changes.iloc[batch.rows])
            if rows.empty:
                return
            load = payload(rows, self._connection.org, date_is_day=facts.date_is_day)
            intents = self._journal.intend(rows)
            flight = _Flight(batch, rows, intents, datetime.now(UTC))
            flying[pool.submit(writer.write, load)] = flight

        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            while waiting or flying:
                try:
                    while len(flying) < IN_FLIGHT and (batch := _next(waiting, flying.values())):
                        if self._stop.is_set():
                            waiting.clear()
                        else:
                            launch(batch)
                except Exception as raised:  # whatever it is, what is in flight is settled first
                    error = raised
                if error is not None:
                    waiting.clear()
                for future in wait(flying, return_when=FIRST_COMPLETED).done if flying else ():
                    flight = flying.pop(future)
                    error = self._settle(future, flight, log) or error
                    self._say(f"Wrote {log.rows:,} of {len(changes):,} changes.")
        if error is None and self._stop.is_set() and log.rows < len(changes):
            error = RunStopped(log.rows, len(changes) - log.rows)
        return log, error

    def _settle(self, future: Future[BatchResult], flight: _Flight, log: _Log) -> Exception | None:
        """Commits what became of a batch; gives the error after which nothing more is sent."""
        error = future.exception()
        if isinstance(error, Exception):
            return error  # a fault of ours: its intents stay open, and the next run settles them
        result = future.result()
        outcomes = result.in_order(len(flight.rows))
        self._journal.settle(flight.intents, outcomes)
        log.add(flight.rows, outcomes, flight.attempted_at)
        return result.stop


def _next(waiting: list[Batch], flying: Collection[_Flight]) -> Batch | None:
    """Takes the first batch that shares no Account with those in flight."""
    others = [flight.batch for flight in flying]
    for number, batch in enumerate(waiting):
        if batch.may_fly_with(others):
            return waiting.pop(number)
    return None


def _all_of_them(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def _refuse_unwritable(changes: pd.DataFrame) -> None:
    """A plan that can't be written is a fault of ours: found before the first row is sent."""
    odd = ~changes["action"].isin(WRITING) | changes["record_id"].isna()
    if odd.any():
        raise ValueError(f"{int(odd.sum())} changes have no record or no action that writes")
    if changes.duplicated(["object", "record_id"]).any():
        raise ValueError("a record has several changes")
    idle = ~(
        differ(changes["flag_before"], changes["flag_after"])
        | differ(changes["date_before"], changes["date_after"])
    )
    if idle.any():
        raise ValueError(f"{int(idle.sum())} changes have nothing to write")
