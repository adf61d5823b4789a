"""Writing a plan by SFMC's Journeys: fill the data extensions, run the automations, ask the CRM.

The Journeys say nothing of single records, so the CRM is read until it holds what was planned, or
until the wait is over. What the CRM doesn't hold by then is `pending`: its intent stays open, and
the next run settles it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pandas as pd

from bounce_sync.marketing_cloud.journey import JourneyDelivery, Round, rounds
from bounce_sync.rules.changes import CrmFacts
from bounce_sync.salesforce.errors import RunStopped
from bounce_sync.salesforce.holding import holds
from bounce_sync.salesforce.journal import WRITTEN, Journal, RowOutcome
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.salesforce.writing import Review
from bounce_sync.tables import PENDING, CrmFlagUpdates, empty, shape

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds between two readings of the CRM; they grow from the first to the longest."""

Say = Callable[[str], None]


class JourneyWriter:
    """Writes like `salesforce.writing.FlagWriter`, by way of SFMC.

    `staging` (ConfirmedBounceStaging) has the bounces that go into the data extensions; the CRM is
    read for up to `wait` seconds after each round. `stop`, once set, ends the waiting and the
    rounds (for SIGTERM): what was sent stays open for the next run.
    """

    def __init__(
        self,
        journey: JourneyDelivery,
        reader: RecordReader,
        journal: Journal,
        staging: pd.DataFrame,
        run_id: str,
        wait: float,
        say: Say,
        stop: threading.Event,
    ) -> None:
        self._journey, self._reader, self._journal = journey, reader, journal
        self._staging, self._run_id = staging, run_id
        self._wait, self._say, self._stop = wait, say, stop

    def write(self, changes: pd.DataFrame, facts: CrmFacts, *, review: Review) -> pd.DataFrame:
        """`CrmFlagUpdates` without run_id, one row per change that went into a data extension.

        Raises `RunStopped` where `stop` left changes that the CRM doesn't hold, and the errors of
        `JourneyDelivery.send`; their intents stay open then.
        """
        written, arrived = [empty(CrmFlagUpdates)], 0
        for planned in self._rounds(changes, facts):
            if self._stop.is_set():
                break
            batch = review(changes.loc[planned.changes]).reset_index(drop=True)
            if batch.empty:
                continue
            (this,) = self._rounds(batch, facts)
            attempted_at = pd.Timestamp.now("UTC")
            intents = self._journal.intend(batch)
            self._journey.send(this)
            there = self._wait_for(batch)
            outcomes = [WRITTEN if each else _PENDING for each in there]
            self._journal.settle(intents, outcomes)
            told = batch.assign(attempted_at=attempted_at)
            for name in ("outcome", "error_code", "message"):
                told[name] = pd.Series([getattr(each, name) for each in outcomes], dtype="str")
            known = [name for name in CrmFlagUpdates.to_schema().columns if name in told]
            written.append(shape(CrmFlagUpdates, told[known]))
            arrived += sum(there)
            self._say(f"The CRM holds {sum(there):,} of {len(batch):,} changes of the Journeys.")
        if self._stop.is_set() and arrived < len(changes):
            raise RunStopped(arrived, len(changes) - arrived)
        return pd.concat(written, ignore_index=True).drop(columns="run_id")

    def _rounds(self, changes: pd.DataFrame, facts: CrmFacts) -> list[Round]:
        return rounds(changes, self._staging, self._run_id, date_is_day=facts.date_is_day)

    def _wait_for(self, batch: pd.DataFrame) -> list[bool]:
        """Whether the CRM holds each row's after-image, once all do or the wait is over."""
        deadline, pause = time.monotonic() + self._wait, FIRST_PAUSE
        while not (there := holds(batch, self._reader)).all() and time.monotonic() < deadline:
            if self._stop.wait(min(pause, max(deadline - time.monotonic(), 0))):
                break
            pause = min(pause * 1.5, LONGEST_PAUSE)
        return there.tolist()


_PENDING = RowOutcome(
    PENDING, "JOURNEY_PENDING", "The CRM didn't hold it when the wait was over; settled next time."
)
