"""Batches of Collections, several in flight: each announced before it is sent, settled after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from bounce_sync.salesforce.attempts import Attempts
from bounce_sync.salesforce.batches import Batch, batches
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.journal import Journal
from bounce_sync.salesforce.payload import payload
from bounce_sync.salesforce.sobject_collections import BatchResult, CollectionsWriter

IN_FLIGHT = 4
"""Batches under way at once; far below the 25 long requests that an org takes (facts §5)."""


@dataclass
class _Flight:
    """A batch under way."""

    batch: Batch
    rows: pd.DataFrame
    intents: list[int]
    attempted_at: datetime


class BatchesWriter:
    """Sends changes by Collections. The journal is only used by the thread that calls `write`."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        attempts: Attempts,
        say: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self._connection, self._journal, self._attempts = connection, journal, attempts
        self._say, self._stop = say, stop
        self._flying: dict[Future[BatchResult], _Flight] = {}

    def write(
        self,
        changes: pd.DataFrame,
        review: Callable[[pd.DataFrame], pd.DataFrame],
        *,
        date_is_day: bool,
    ) -> None:
        """Writes all changes; raises the first error, after what was in flight is settled."""
        waiting = batches(changes, self._connection.org)
        error: Exception | None = None
        writer = CollectionsWriter(self._connection)

        def launch(batch: Batch) -> None:
            self._connection.budget.require(len(self._flying) + 1, "Collections update")
            rows = review(changes.iloc[batch.rows])
            if rows.empty:
                return
            load = payload(rows, self._connection.org, date_is_day=date_is_day)
            intents = self._journal.intend(rows)
            flight = _Flight(batch, rows, intents, datetime.now(UTC))
            self._flying[pool.submit(writer.write, load)] = flight

        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            while waiting or self._flying:
                try:
                    while len(self._flying) < IN_FLIGHT and (
                        batch := _next(waiting, self._flying.values())
                    ):
                        if self._stop.is_set():
                            waiting.clear()
                        else:
                            launch(batch)
                except Exception as raised:  # whatever it is, what is in flight is settled first
                    error = error or raised
                for future in wait(self._flying, return_when=FIRST_COMPLETED).done:
                    error = self._settle(future) or error
                    self._say(f"{self._attempts.rows:,} changes sent and answered.")
                if error is not None:
                    waiting.clear()
        if error is not None:
            raise error

    def _settle(self, future: Future[BatchResult]) -> Exception | None:
        """Commits what became of a batch; gives the error after which nothing more is sent."""
        flight = self._flying.pop(future)
        error = future.exception()
        if isinstance(error, Exception):
            return error  # a fault of ours: its intents stay open, and the next run settles them
        result = future.result()
        outcomes = result.in_order(len(flight.rows))
        self._journal.settle(flight.intents, outcomes)
        self._attempts.add(flight.rows, outcomes, flight.attempted_at)
        return result.stop


def _next(waiting: list[Batch], flying: Collection[_Flight]) -> Batch | None:
    """Takes the first batch that shares no Account with those in flight."""
    others = [flight.batch for flight in flying]
    for number, batch in enumerate(waiting):
        if batch.may_fly_with(others):
            return waiting.pop(number)
    return None
