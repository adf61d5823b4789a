"""The addresses of ingest jobs (facts/salesforce.md §3.1, facts/wire.md 35 and 36)."""

from __future__ import annotations

import json
from typing import Any

from bounce_sync.sandbox.salesforce.bulk import engine, jobs
from bounce_sync.sandbox.salesforce.bulk.csv_rows import rendered
from bounce_sync.sandbox.salesforce.entities import typed_entity
from bounce_sync.sandbox.salesforce.errors import ServiceError
from bounce_sync.sandbox.salesforce.http import CSV, DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
LARGEST = 150_000_000
"""Bytes of one upload (100 MB before base64 is the advice)."""

JOBS = f"{DATA}/jobs/ingest"
JOB = f"{JOBS}/{{job_id}}"


@routes("POST", JOBS)
def create(service: Service, call: Call) -> Answer:
    body = call.json_object()
    operation = str(body.get("operation"))
    if operation not in OPERATIONS:
        raise ServiceError(400, "INVALIDOPERATION", f"Unsupported operation: {operation}")
    entity = typed_entity(service.store, str(body.get("object")), call.user.user_id)
    if operation == "upsert" and not entity.has(str(body.get("externalIdFieldName"))):
        raise ServiceError(400, "INVALIDJOB", "externalIdFieldName is required for upsert")
    settings: dict[str, Any] = jobs.settings_of(body)
    for name in ("externalIdFieldName", "assignmentRuleId"):
        if body.get(name):
            settings[name] = body[name]
    job = jobs.add(
        service.store,
        jobs.INGEST,
        operation,
        entity.name,
        call.user.user_id,
        call.version,
        settings,
    )
    return Answer(jobs.brief(job))


@routes("GET", JOBS)
def listed(service: Service, call: Call) -> Answer:
    del call
    found = [
        jobs.brief(job) | {"jobType": "V2Ingest"} for job in jobs.all_of(service.store, jobs.INGEST)
    ]
    return Answer({"done": True, "nextRecordsUrl": None, "records": found})


@routes("GET", JOB)
def show(service: Service, call: Call, job_id: str) -> Answer:
    del call
    job = jobs.find(service.store, job_id, jobs.INGEST)
    engine.start(service, job)
    return Answer(jobs.full(service.store, job))


@routes("PUT", f"{JOB}/batches")
def upload(service: Service, call: Call, job_id: str) -> Answer:
    job = jobs.find(service.store, job_id, jobs.INGEST)
    if not call.headers.get("content-type", "").lower().startswith("text/csv"):
        raise ServiceError(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type must be text/csv")
    if len(call.body) > LARGEST:
        raise ServiceError(413, "REQUEST_ENTITY_TOO_LARGE", "The upload is larger than 150 MB")
    stored = service.store.execute(
        "UPDATE bulk_job SET content = ?, modified_at = ?"
        " WHERE id = ? AND state = 'Open' AND content IS NULL",
        (call.body, jobs.now(), job.id),
    )
    if not stored.rowcount:
        raise jobs.bad_state(job, "data can be uploaded once, while the job is Open")
    return Answer(None, 201)


@routes("PATCH", JOB)
def move(service: Service, call: Call, job_id: str) -> Answer:
    job = jobs.find(service.store, job_id, jobs.INGEST)
    state = call.json_object().get("state")
    if state == jobs.UPLOADED:
        _take_faults(service, call, job)
        if not jobs.set_state(service.store, job, jobs.UPLOADED, jobs.OPEN):
            raise jobs.bad_state(job, "only an Open job can be set to UploadComplete")
    elif state == jobs.ABORTED:
        if not jobs.set_state(
            service.store, job, jobs.ABORTED, jobs.OPEN, jobs.UPLOADED, jobs.RUNNING
        ):
            raise jobs.bad_state(job, "a finished job can't be aborted")
    else:
        raise ServiceError(400, "INVALIDJOBSTATE", f"A job can't be set to the state {state}")
    job = jobs.find(service.store, job_id, jobs.INGEST)
    answer = Answer(jobs.brief(job))
    engine.start(service, job)
    return answer


def _take_faults(service: Service, call: Call, job: jobs.Job) -> None:
    """A fault drawn for this request becomes the job's own fate."""
    for name, value in (
        ("fault", next((k for k in ("job_failed", "unprocessed") if call.take(k)), None)),
        ("locked", bool(call.take("lock_rows"))),
    ):
        if value:
            service.store.execute(
                "UPDATE bulk_job SET settings = json_set(settings, ?, ?) WHERE id = ?",
                (f"$.{name}", value, job.id),
            )


@routes("DELETE", JOB)
def remove(service: Service, call: Call, job_id: str) -> Answer:
    del call
    job = jobs.find(service.store, job_id, jobs.INGEST)
    return jobs_removed(service, job)


def jobs_removed(service: Service, job: jobs.Job) -> Answer:
    """Deletes a finished job and its data: 204."""
    if job.state not in jobs.FINISHED:
        raise jobs.bad_state(job, "only a finished job can be deleted")
    with service.writing, service.store.transaction() as connection:
        connection.execute("DELETE FROM bulk_chunk WHERE job_id = ?", (job.id,))
        connection.execute("DELETE FROM bulk_job WHERE id = ?", (job.id,))
    return Answer(None, 204)


@routes("GET", f"{JOB}/successfulResults")
def successful(service: Service, call: Call, job_id: str) -> Answer:
    del call
    return _results(service, job_id, "successful_csv", "sf__Created")


@routes("GET", f"{JOB}/failedResults")
def failed(service: Service, call: Call, job_id: str) -> Answer:
    del call
    return _results(service, job_id, "failed_csv", "sf__Error")


def _finished(service: Service, job_id: str) -> jobs.Job:
    job = jobs.find(service.store, job_id, jobs.INGEST)
    if job.state not in jobs.FINISHED:
        raise jobs.bad_state(job, "results are there once the job is finished")
    return job


def _results(service: Service, job_id: str, column: str, second: str) -> Answer:
    job = _finished(service, job_id)
    parts = service.store.execute(
        f"SELECT {column} FROM bulk_chunk WHERE job_id = ? AND done = 1 ORDER BY number", (job.id,)
    )
    header = rendered(job, [["sf__Id", second, *job.settings.get("header", [])]])
    return Answer(header + "".join(text for (text,) in parts), media=CSV)


@routes("GET", f"{JOB}/unprocessedRecords")
def unprocessed(service: Service, call: Call, job_id: str) -> Answer:
    del call
    job = _finished(service, job_id)
    if "header" not in job.settings:  # it never got so far as to be cut into rows
        content = service.store.execute(
            "SELECT content FROM bulk_job WHERE id = ?", (job.id,)
        ).fetchone()[0]
        return Answer(content or b"", media=CSV)
    chunks = service.store.execute(
        "SELECT value FROM bulk_chunk, json_each(bulk_chunk.rows)"
        " WHERE job_id = ? AND done = 0 ORDER BY number, json_each.key",
        (job.id,),
    )
    return Answer(
        rendered(job, [job.settings["header"], *(json_row(text) for (text,) in chunks)]), media=CSV
    )


def json_row(text: str) -> list[str]:
    """One row as a chunk keeps it."""
    found: list[str] = json.loads(text)
    return found
