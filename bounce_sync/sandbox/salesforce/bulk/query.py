"""The addresses of query jobs (facts/salesforce.md §3.2, facts/wire.md 37)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.bulk import engine, jobs
from bounce_sync.sandbox.salesforce.bulk.csv_rows import rendered
from bounce_sync.sandbox.salesforce.bulk.ingest import jobs_removed
from bounce_sync.sandbox.salesforce.cursors import Cursor
from bounce_sync.sandbox.salesforce.errors import ServiceError
from bounce_sync.sandbox.salesforce.http import CSV, DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.queries import planned, rows_by_id

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

PAGE = 250_000
"""Records on a page of results where the client names no size: large, because public clients
fail on a second page (facts/wire.md 37)."""

JOBS = f"{DATA}/jobs/query"
JOB = f"{JOBS}/{{job_id}}"


@routes("POST", JOBS)
def create(service: Service, call: Call) -> Answer:
    body = call.json_object()
    operation, text = body.get("operation"), body.get("query")
    if operation not in ("query", "queryAll") or not isinstance(text, str):
        raise ServiceError(400, "INVALIDOPERATION", f"Unsupported operation: {operation}")
    plan = planned(service, call.user.user_id, text, deleted_too=operation == "queryAll")
    if plan.grouped or plan.counts_only:
        raise ServiceError(
            400, "INVALIDJOB", "Aggregate functions aren't supported in Bulk queries"
        )
    settings = {**jobs.settings_of(body), "query": text}
    if call.take("job_failed"):
        settings["fault"] = "job_failed"
    job = jobs.add(
        service.store,
        jobs.QUERY,
        operation,
        plan.entity.name,
        call.user.user_id,
        call.version,
        settings,
    )
    engine.start(service, job)
    return Answer(jobs.brief(job))


@routes("GET", JOBS)
def listed(service: Service, call: Call) -> Answer:
    del call
    found = [
        jobs.brief(job) | {"jobType": "V2Query"} for job in jobs.all_of(service.store, jobs.QUERY)
    ]
    return Answer({"done": True, "nextRecordsUrl": None, "records": found})


@routes("GET", JOB)
def show(service: Service, call: Call, job_id: str) -> Answer:
    del call
    job = jobs.find(service.store, job_id, jobs.QUERY)
    engine.start(service, job)
    return Answer(jobs.full(service.store, job))


@routes("PATCH", JOB)
def abort(service: Service, call: Call, job_id: str) -> Answer:
    job = jobs.find(service.store, job_id, jobs.QUERY)
    if call.json_object().get("state") != jobs.ABORTED or not jobs.set_state(
        service.store, job, jobs.ABORTED, jobs.UPLOADED, jobs.RUNNING
    ):
        raise jobs.bad_state(job, "a query job can only be aborted, before it is finished")
    return Answer(jobs.brief(jobs.find(service.store, job_id, jobs.QUERY)))


@routes("DELETE", JOB)
def remove(service: Service, call: Call, job_id: str) -> Answer:
    del call
    return jobs_removed(service, jobs.find(service.store, job_id, jobs.QUERY))


@routes("GET", f"{JOB}/results")
def results(service: Service, call: Call, job_id: str) -> Answer:
    """A page as CSV; ``Sforce-Locator`` is the word ``null`` on the last one."""
    job = jobs.find(service.store, job_id, jobs.QUERY)
    if call.version != job.api_version:
        raise ServiceError(
            409, "API_ERROR", f"The job was created with API call.version {job.api_version}"
        )
    if job.state != jobs.COMPLETE:
        raise jobs.bad_state(job, "results are there once the job is complete")
    plan = planned(
        service,
        call.user.user_id,
        job.settings["query"],
        deleted_too=job.operation == "queryAll",
    )
    content = service.store.execute(
        "SELECT content FROM bulk_job WHERE id = ?", (job.id,)
    ).fetchone()[0]
    cursor = Cursor(plan, content)
    start, size = _start(call, cursor), _size(service, call)
    ids = cursor.page(start, size)
    kinds = [column.type for column in plan.columns]
    rows = [
        [values.answered_csv(kind, value) for kind, value in zip(kinds, row, strict=False)]
        for at in range(0, len(ids), 2000)
        for row in rows_by_id(service, plan, ids[at : at + 2000])
    ]
    end = start + len(ids)
    headers = {
        "Sforce-NumberOfRecords": str(len(rows)),
        "Sforce-Locator": "null" if end >= cursor.total else _locator(end),
    }
    text = rendered(job, [[column.name for column in plan.columns], *rows])
    return Answer(text, headers=headers, media=CSV)


def _locator(start: int) -> str:
    return base64.urlsafe_b64encode(str(start).encode()).decode().rstrip("=")


def _start(call: Call, cursor: Cursor) -> int:
    locator = call.query.get("locator")
    if not locator or locator == "null":
        return 0
    try:
        text = base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)).decode()
        start = int(text)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        start = -1
    if not 0 <= start <= cursor.total:
        raise ServiceError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return start


def _size(service: Service, call: Call) -> int:
    text = call.query.get("maxRecords") or service.store.setting("bulk_query_page", str(PAGE))
    if not text.isdigit() or int(text) < 1:
        raise ServiceError(400, "INVALID_INPUT", f"maxRecords must be a positive number: {text}")
    return int(text)
