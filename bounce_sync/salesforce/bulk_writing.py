"""Writing by Bulk jobs: announced, uploaded once, watched, and read to the last row.

The job's id is in the journal before its upload begins. So a run that died is followed by one that
finds the job (`finish_job`) instead of sending its rows again.
"""

from __future__ import annotations

import io
import threading
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from bounce_sync import tables
from bounce_sync.salesforce import bulk
from bounce_sync.salesforce.attempts import Attempts
from bounce_sync.salesforce.batches import by_account
from bounce_sync.salesforce.bulk import BulkApi, Job
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import (
    NO_ANSWER,
    NOT_SENT,
    UNPROCESSED,
    Action,
    RequestRejected,
    SalesforceError,
    ServiceUnavailable,
    UnreadableAnswer,
    remedy_of_row,
)
from bounce_sync.salesforce.journal import WRITTEN, Journal, RowOutcome
from bounce_sync.salesforce.payload import CSV_ROW, payload, targets

LARGEST_UPLOAD = 100_000_000
"""Bytes of one job's file; Salesforce takes 150 MB after encoding (facts/salesforce.md §3.1)."""
SLICE = 2000
"""Rows announced at a time: as many as one retrieve reads again."""
LONGEST_JOB = 4 * 3600.0
"""Seconds after which a job is left to the next run."""
BREATH = 1.0
"""Longest sleep without a look at whether the run is to stop."""

_ABORTED = RowOutcome(tables.REJECTED, NOT_SENT, "The upload failed and its job was aborted.")
_LEFT = RowOutcome(tables.REJECTED, UNPROCESSED, "The Bulk job ended without taking up this row.")
_UNHEARD = RowOutcome(tables.UNKNOWN, NO_ANSWER, "The Bulk job's results don't name this row.")

Review = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass
class _Running:
    """A job under way: its rows by their positions, as a million of them are held but once."""

    id: str
    changes: pd.DataFrame
    positions: np.ndarray
    reviewed: pd.DataFrame | None
    """The rows, where the review left other ones than the plan's."""
    intents: array[int]
    attempted_at: datetime

    @property
    def rows(self) -> pd.DataFrame:
        return self.changes.iloc[self.positions] if self.reviewed is None else self.reviewed

    def __len__(self) -> int:
        return len(self.intents)


class BulkWriter:
    """The jobs of one round. `start` sends them off, `finish` waits for them."""

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
        self._api = BulkApi(connection)
        self._running: list[_Running] = []
        self._error: SalesforceError | None = None
        self.again: list[pd.DataFrame] = []
        """Rows that another attempt may still write, as `CrmFlagChanges`."""
        self.pending = 0
        """Rows in jobs that outlast this run."""

    def start(self, changes: pd.DataFrame, review: Review, *, date_is_day: bool) -> None:
        """Makes, fills and closes the jobs of these changes, one object and one file each.

        A job that couldn't be filled is aborted, and its rows are among those to send again.
        Raises the error of a cause that holds for all.
        """
        target, _ = targets(changes, self._connection.org)
        order, _ = by_account(changes, self._connection.org)
        for name in target.unique():
            own = order[(target == name).to_numpy()[order]]
            for at in range(0, len(own), LARGEST_UPLOAD // CSV_ROW):
                if self._stop.is_set():
                    return
                positions = own[at : at + LARGEST_UPLOAD // CSV_ROW]
                self._start_job(name, changes, positions, review, date_is_day)

    def _start_job(
        self, name: str, changes: pd.DataFrame, positions: np.ndarray, review: Review, day: bool
    ) -> None:
        self._connection.budget.require(3, f"creation of a Bulk job for {name}")
        content, intents, slices, altered = io.BytesIO(), array("q"), [], False
        for at in range(0, len(positions), SLICE):
            planned = changes.iloc[positions[at : at + SLICE]]
            rows = review(planned)
            altered |= rows is not planned
            slices.append(rows)
            intents.extend(self._journal.intend(rows))
            content.write(payload(rows, self._connection.org, date_is_day=day).csv(name, at == 0))
        if not intents:
            return
        reviewed = pd.concat(slices, ignore_index=True) if altered else None
        del slices
        sent = _Running("", changes, positions, reviewed, intents, datetime.now(UTC))
        try:
            sent.id = self._api.create(name).id
            self._journal.job_sent(intents, sent.id)
            self._api.upload(sent.id, content.getvalue())
        except SalesforceError as error:
            self._give_up(sent, error)
            return
        try:
            self._api.close(sent.id)
        except SalesforceError as error:
            self._doubtful(sent, error)
            return
        self._running.append(sent)
        self._say(f"Bulk job {sent.id}: {len(sent):,} {name} records uploaded.")

    def _give_up(self, sent: _Running, error: SalesforceError) -> None:
        """A job that never was closed: nothing of it runs, so its rows can be sent again."""
        if sent.id:
            self._abort(sent.id)
        self._settle(sent, [_ABORTED] * len(sent))
        if not isinstance(error, ServiceUnavailable | UnreadableAnswer):
            raise error

    def _doubtful(self, sent: _Running, error: SalesforceError) -> None:
        """A job of which we don't know whether it was closed: it says so itself, or it is waited
        for like any other."""
        try:
            state = self._api.get(sent.id).state
        except SalesforceError:
            self._settle(sent, [_pending(sent.id)] * len(sent))
            raise error from None
        if state == bulk.OPEN:
            self._give_up(sent, error)
        else:
            self._running.append(sent)

    def _abort(self, job_id: str) -> None:
        try:
            self._api.abort(job_id)
        except SalesforceError as failed:
            self._say(f"Bulk job {job_id} couldn't be aborted; it never runs. {failed}")

    def finish(self) -> None:
        """Waits for the jobs and settles each row.

        Raises, after that, the error of a code that holds for all. Jobs that outlast the run (it
        was asked to stop, the API's share is spent, it is too long) are settled as pending; the
        next run finds them by their ids.
        """
        try:
            for waited in self._pauses():
                for job in list(self._running):
                    state = self._api.get(job.id)
                    if state.ended:
                        self._settle(job, self._outcomes(job, state))
                        self._running.remove(job)
                if not self._running or self._stop.is_set():
                    break
                if waited > LONGEST_JOB:
                    raise ServiceUnavailable(
                        f"Bulk job {self._running[0].id}",
                        f"not ended after {waited / 60:.0f} minutes.",
                        "It goes on; the next run reads what became of it.",
                    )
        finally:
            for job in self._running:
                self.pending += len(job)
                self._settle(job, [_pending(job.id)] * len(job))
            self._running.clear()
        if self._error:
            raise self._error

    def _pauses(self) -> Iterator[float]:
        """Sleeps between polls, from a fraction of a second on, growing; yields the seconds."""
        waited, pause = 0.0, 0.25
        while True:
            yield waited
            left = pause
            while left > 0 and not self._stop.is_set():
                self._connection.sleep(min(left, BREATH))
                left -= BREATH
            waited += pause
            pause = min(pause * 1.7, 30.0)

    def _settle(self, job: _Running, outcomes: list[RowOutcome]) -> None:
        rows = job.rows
        self._journal.settle(job.intents, outcomes)
        self._attempts.add(rows, outcomes, job.attempted_at)
        repeated = []
        for number, outcome in enumerate(outcomes):
            if outcome.outcome != tables.REJECTED:
                continue
            code, message = outcome.error_code or "", outcome.message or ""
            remedy = remedy_of_row(code, message)
            if remedy.action in (Action.RETRY, Action.SAVE_DUPLICATE):
                repeated.append(number)
            elif remedy.action is Action.STOP and self._error is None:
                what = f"Bulk job {job.id}"
                self._error = RequestRejected(what, 200, code, message, remedy)
        if repeated:
            self.again.append(rows.iloc[repeated])

    def _outcomes(self, job: _Running, state: Job) -> list[RowOutcome]:
        """What became of each row of an ended job; written only where the CRM's files agree."""
        self._say(
            f"Bulk job {job.id}: {state.state}, {state.processed - state.failed:,} written, "
            f"{state.failed:,} refused of {len(job):,}."
        )
        if state.state == bulk.COMPLETE and not state.failed and state.processed == len(job):
            return [WRITTEN] * len(job)
        _, ids = targets(job.rows, self._connection.org)
        return read_outcomes(self._api, state, ids.tolist())


def read_outcomes(api: BulkApi, job: Job, ids: list[str]) -> list[RowOutcome]:
    """The outcome of each id that travelled in an ended job, from the job's own files."""
    known: dict[str, RowOutcome] = {}
    if job.message and not job.processed:
        code = job.message.partition(":")[0].strip()
        known = dict.fromkeys(ids, RowOutcome(tables.REJECTED, code, job.message))
    else:
        if job.state != bulk.COMPLETE or job.processed < len(ids):
            left = api.rows(job.id, bulk.UNPROCESSED_ROWS)["Id"]
            known |= dict.fromkeys(left, _LEFT)
        if job.state != bulk.COMPLETE or job.failed:
            failed = api.rows(job.id, bulk.FAILED_ROWS)
            known |= {
                record_id: _refusal(text)
                for record_id, text in zip(failed["Id"], failed["sf__Error"], strict=True)
            }
        known |= dict.fromkeys(api.rows(job.id, bulk.WRITTEN_ROWS)["Id"], WRITTEN)
    return [known.get(record_id, _UNHEARD) for record_id in ids]


def finish_job(
    connection: Connection, job_id: str, say: Callable[[str], None] = lambda _: None
) -> Job | None:
    """Brings a job that a run left behind to its end: for the run after a crash.

    One that was never closed is aborted, as nobody knows whether its file is whole; one that runs
    is waited for. Returns its last state, or None where the CRM doesn't know it any more (it keeps
    jobs for seven days). What became of the rows is then in the records, or in `read_outcomes`.
    """
    api = BulkApi(connection)
    pause = 0.25
    while True:
        try:
            job = api.get(job_id)
        except RequestRejected as rejected:
            if rejected.status == 404:
                return None
            raise
        if job.ended:
            return job
        if job.state == bulk.OPEN:
            say(f"Bulk job {job_id} was never closed: aborted, none of its rows is written.")
            api.abort(job_id)
            continue
        connection.sleep(pause)
        pause = min(pause * 1.7, 30.0)


def _pending(job_id: str) -> RowOutcome:
    return RowOutcome(tables.PENDING, None, f"Travels in Bulk job {job_id}.")


def _refusal(text: str) -> RowOutcome:
    """``CODE:message:fields --`` as a code and a message."""
    code, _, rest = text.partition(":")
    return RowOutcome(tables.REJECTED, code.strip(), rest.rpartition(":")[0] or rest)
