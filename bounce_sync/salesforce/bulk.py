"""Bulk API 2.0 ingest, one job at a time (facts/salesforce.md §3.1, facts/wire.md 35, 36).

A job is made, filled once, closed, and then runs by itself; until it is closed nothing of it runs.
simple-salesforce's handler isn't used: it writes an empty cell for null, which Salesforce ignores,
never reads what was left unprocessed, and polls every five seconds (facts §1.5).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import RequestRejected, SalesforceError, UnreadableAnswer
from bounce_sync.salesforce.transport import Answer

UPLOAD_SECONDS = 600.0
OPEN, CLOSED, RUNNING = "Open", "UploadComplete", "InProgress"
COMPLETE, FAILED, ABORTED = "JobComplete", "Failed", "Aborted"
STATES = (OPEN, CLOSED, RUNNING, COMPLETE, FAILED, ABORTED)
ENDED = (COMPLETE, FAILED, ABORTED)

FAILED_ROWS = "failedResults"
WRITTEN_ROWS = "successfulResults"
UNPROCESSED_ROWS = "unprocessedrecords"

_ORPHAN_AGE = timedelta(minutes=10)


@dataclass(frozen=True)
class Job:
    """What the CRM says of a job."""

    id: str
    state: str
    processed: int
    """Rows that it took up, the failed ones included."""
    failed: int
    message: str
    """Why it ended `Failed`."""

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class BulkApi:
    """The calls of Bulk API 2.0 ingest. Each raises the errors of `Connection.request`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str) -> Job:
        """An open job that updates one object.

        Where the answer is lost, the job that may have been made is looked for and aborted, as
        nobody would ever close it; then the error goes on.
        """
        what = f"creation of a Bulk job for {name}"
        body = {
            "object": name,
            "operation": "update",
            "contentType": "CSV",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        }
        try:
            return self._connection.request(
                "POST",
                "jobs/ingest",
                what=what,
                json=body,
                read=lambda answer: _job(answer.json(), what),
                replay=False,
            )
        except RequestRejected:
            raise
        except SalesforceError:
            self._abort_orphan(name)
            raise

    def upload(self, job_id: str, content: bytes) -> None:
        """Fills the job. At most once a job: after an error abort it and make another."""
        self._connection.request(
            "PUT",
            f"jobs/ingest/{job_id}/batches",
            what=f"upload to Bulk job {job_id}",
            data=content,
            headers={"Content-Type": "text/csv; charset=UTF-8"},
            read=lambda answer: None,
            seconds=UPLOAD_SECONDS,
            replay=False,
        )

    def close(self, job_id: str) -> None:
        """Lets the job run."""
        what = f"closing of Bulk job {job_id}"
        try:
            self._set_state(job_id, CLOSED, what)
        except RequestRejected as rejected:
            # Closed by an attempt whose answer was lost.
            if not rejected.after_drop or self.get(job_id).state in (OPEN, ABORTED):
                raise

    def abort(self, job_id: str) -> None:
        """Ends a job that wasn't closed: nothing of it will run."""
        self._set_state(job_id, ABORTED, f"abort of Bulk job {job_id}")

    def get(self, job_id: str) -> Job:
        """The job as it is now."""
        what = f"state of Bulk job {job_id}"
        return self._connection.request(
            "GET", f"jobs/ingest/{job_id}", what=what, read=lambda answer: _job(answer.json(), what)
        )

    def rows(self, job_id: str, kind: str) -> pd.DataFrame:
        """Rows of an ended job: failed, successful or unprocessed ones, as text.

        Columns: Id, and sf__Error for failed ones. Raises ``UnreadableAnswer`` for a file without.
        """
        what = f"{kind} of Bulk job {job_id}"
        wanted = ["Id", "sf__Error"] if kind == FAILED_ROWS else ["Id"]

        def read(answer: Answer) -> pd.DataFrame:
            try:
                rows = pd.read_csv(
                    io.BytesIO(answer.content), dtype=str, keep_default_na=False, encoding="utf-8"
                )
            except (ValueError, pd.errors.ParserError) as error:
                raise UnreadableAnswer(what, "not a CSV file with a header.") from error
            if lacking := [name for name in wanted if name not in rows.columns]:
                raise UnreadableAnswer(what, f"no column {', '.join(lacking)}.")
            return rows[wanted]

        return self._connection.request(
            "GET",
            f"jobs/ingest/{job_id}/{kind}",
            what=what,
            headers={"Accept": "text/csv"},
            read=read,
            seconds=UPLOAD_SECONDS,
        )

    def _set_state(self, job_id: str, state: str, what: str) -> None:
        self._connection.request(
            "PATCH",
            f"jobs/ingest/{job_id}",
            what=what,
            json={"state": state},
            read=lambda answer: _job(answer.json(), what),
        )

    def _abort_orphan(self, name: str) -> None:
        """Aborts the one open job of this object that our user made just now, if there is one."""
        what = "list of Bulk jobs"

        def read(answer: Answer) -> list[str]:
            since = datetime.now(UTC) - _ORPHAN_AGE
            return [
                str(job["id"])
                for job in answer.json()["records"]
                if job.get("state") == OPEN
                and job.get("object") == name
                and job.get("operation") == "update"
                and str(job.get("createdById", ""))[:15] == self._connection.user_id[:15]
                and datetime.fromisoformat(job["createdDate"]) > since
            ]

        try:
            orphans = self._connection.request(
                "GET", "jobs/ingest?jobType=V2Ingest", what=what, read=read
            )
            if len(orphans) == 1:
                self.abort(orphans[0])
        except (SalesforceError, KeyError, TypeError):
            # An open job without rows does nothing, and Salesforce removes it after seven days.
            return


def _job(body: Any, what: str) -> Job:
    if not isinstance(body, dict) or body.get("state") not in STATES or not body.get("id"):
        raise UnreadableAnswer(what, "not a job with its id and a known state.")
    try:
        processed, failed = (
            int(body.get(name) or 0) for name in ("numberRecordsProcessed", "numberRecordsFailed")
        )
    except (TypeError, ValueError) as error:
        raise UnreadableAnswer(what, "its counts aren't numbers.") from error
    return Job(
        str(body["id"]), body["state"], processed, failed, str(body.get("errorMessage") or "")
    )
