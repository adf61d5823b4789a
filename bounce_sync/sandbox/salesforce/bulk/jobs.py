"""Bulk jobs as they stand in the store, and as their JSON shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.errors import ServiceError, not_found
from bounce_sync.sandbox.salesforce.ids import canonical, new_id

if TYPE_CHECKING:
    import sqlite3

    from bounce_sync.sandbox.store import Store

INGEST, QUERY = "ingest", "query"
OPEN, UPLOADED, RUNNING = "Open", "UploadComplete", "InProgress"
COMPLETE, FAILED, ABORTED = "JobComplete", "Failed", "Aborted"
FINISHED = (COMPLETE, FAILED, ABORTED)

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}


@dataclass(frozen=True)
class Job:
    """A row of ``bulk_job`` without its content; ``settings`` is what the client asked for."""

    id: str
    kind: str
    operation: str
    object: str
    state: str
    created_by: str
    created_at: str
    modified_at: str
    api_version: str
    settings: dict[str, Any]
    total: int
    error_message: str | None
    elapsed_ms: int

    @property
    def delimiter(self) -> str:
        return DELIMITERS[self.settings["columnDelimiter"]]

    @property
    def line_ending(self) -> str:
        return LINE_ENDINGS[self.settings["lineEnding"]]


_COLUMNS = (
    "id, kind, operation, object, state, created_by, created_at, modified_at, api_version,"
    " settings, total, error_message, elapsed_ms"
)


def now() -> str:
    """The moment, as jobs are stamped: with milliseconds."""
    return values.stored_moment(datetime.now(UTC))


def find(store: Store, job_id: str, kind: str) -> Job:
    """A job by its id in either form.

    Raises:
        ServiceError: 404 NOT_FOUND.
    """
    row = store.execute(
        f"SELECT {_COLUMNS} FROM bulk_job WHERE id = ? AND kind = ?", (canonical(job_id), kind)
    ).fetchone()
    if row is None:
        raise not_found()
    return _job(row)


def all_of(store: Store, kind: str) -> list[Job]:
    """Every job of a kind, newest first."""
    rows = store.execute(
        f"SELECT {_COLUMNS} FROM bulk_job WHERE kind = ? ORDER BY created_at DESC, id", (kind,)
    )
    return [_job(row) for row in rows]


def _job(row: sqlite3.Row) -> Job:
    return Job(**{**dict(row), "settings": json.loads(row["settings"])})


def add(
    store: Store,
    kind: str,
    operation: str,
    object_name: str,
    user_id: str,
    version: str,
    settings: dict[str, Any],
) -> Job:
    """A new job: an ingest job Open, a query job uploaded."""
    at = now()
    row = {
        "id": new_id("750"),
        "kind": kind,
        "operation": operation,
        "object": object_name,
        "state": OPEN if kind == INGEST else UPLOADED,
        "created_by": user_id,
        "created_at": at,
        "modified_at": at,
        "api_version": version,
        "settings": json.dumps(settings),
    }
    store.insert("bulk_job", list(row), [list(row.values())])
    return find(store, str(row["id"]), kind)


def set_state(store: Store, job: Job, state: str, *expected: str, error: str | None = None) -> bool:
    """Moves a job on; False where it wasn't in one of the expected states any more."""
    changed = store.execute(
        "UPDATE bulk_job SET state = ?, modified_at = ?, error_message = ? WHERE id = ?"
        f" AND state IN ({', '.join('?' * len(expected))})",
        (state, now(), error, job.id, *expected),
    )
    return changed.rowcount > 0


def bad_state(job: Job, wanted: str) -> ServiceError:
    """A step that the job's state doesn't allow."""
    return ServiceError(400, "INVALIDJOBSTATE", f"Job is in state {job.state}: {wanted}")


def settings_of(body: dict[str, Any]) -> dict[str, Any]:
    """The options of a new job.

    Raises:
        ServiceError: 400 for one that isn't known.
    """
    found = {
        "columnDelimiter": body.get("columnDelimiter") or "COMMA",
        "lineEnding": body.get("lineEnding") or "LF",
        "contentType": body.get("contentType") or "CSV",
    }
    for name, known in (
        ("columnDelimiter", DELIMITERS),
        ("lineEnding", LINE_ENDINGS),
        ("contentType", {"CSV": ""}),
    ):
        if found[name] not in known:
            raise ServiceError(
                400, "INVALIDJOB", f"{name} must be one of {', '.join(known)}: {found[name]}"
            )
    return found


def brief(job: Job) -> dict[str, Any]:
    """The JSON of a job when it is made or moved."""
    info: dict[str, Any] = {
        "id": job.id,
        "operation": job.operation,
        "object": job.object,
        "createdById": job.created_by,
        "createdDate": values.answered("datetime", job.created_at),
        "systemModstamp": values.answered("datetime", job.modified_at),
        "state": job.state,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.api_version),
        "lineEnding": job.settings["lineEnding"],
        "columnDelimiter": job.settings["columnDelimiter"],
    }
    if job.kind == INGEST:
        info["contentUrl"] = f"services/data/v{job.api_version}/jobs/ingest/{job.id}/batches"
        for name in ("externalIdFieldName", "assignmentRuleId"):
            if job.settings.get(name):
                info[name] = job.settings[name]
    return info


def full(store: Store, job: Job) -> dict[str, Any]:
    """The JSON of a job when it is asked for."""
    info = brief(job)
    info["jobType"] = "V2Ingest" if job.kind == INGEST else "V2Query"
    info["retries"] = 0
    info["totalProcessingTime"] = job.elapsed_ms
    if job.kind == QUERY:
        return info | {"numberRecordsProcessed": job.total, "isPkChunkingSupported": True}
    processed, failed = store.execute(
        "SELECT coalesce(sum(records), 0), coalesce(sum(failed), 0) FROM bulk_chunk"
        " WHERE job_id = ? AND done = 1",
        (job.id,),
    ).fetchone()
    info |= {
        "apiActiveProcessingTime": job.elapsed_ms,
        "apexProcessingTime": 0,
        "numberRecordsProcessed": processed,
        "numberRecordsFailed": failed,
    }
    if job.error_message:
        info["errorMessage"] = job.error_message
    return info
