"""What runs Bulk jobs: in threads of the serving process, chunk by chunk, resumable.

An upload becomes chunks of 200 rows, the size in which triggers see them; 10,000 rows are a batch,
and batches run in parallel, as in the service. Each chunk's writes and results are one
transaction, so that a job whose process died is taken up by the next one where it stood.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from bounce_sync.sandbox.salesforce.bulk import jobs
from bounce_sync.sandbox.salesforce.bulk.csv_rows import BadUpload, columns_of, rows_of
from bounce_sync.sandbox.salesforce.bulk.rows import run_chunk
from bounce_sync.sandbox.salesforce.cursors import ID_BYTES
from bounce_sync.sandbox.salesforce.entities import find_entity
from bounce_sync.sandbox.salesforce.queries import planned

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.bulk.jobs import Job
    from bounce_sync.sandbox.salesforce.service import Service

CHUNK = 200
BATCH = 10_000
PARALLEL = 4

_running: set[str] = set()
_guard = threading.Lock()


def start(service: Service, job: Job) -> None:
    """Runs a job in the background unless a live process is at it."""
    if job.state in (jobs.UPLOADED, jobs.RUNNING) and _claim(service, job):
        work = _ingest if job.kind == jobs.INGEST else _query
        thread = threading.Thread(
            target=_guarded, args=(service, job, work), name=f"bulk-{job.id}", daemon=True
        )
        service.workers.add(thread)
        thread.start()


def stop(service: Service) -> None:
    """Lets running jobs finish their chunk and end; the next server takes them up."""
    service.ending.set()
    for thread in list(service.workers):
        thread.join()


def resume(service: Service) -> None:
    """Takes up the jobs of processes that are gone."""
    for kind in (jobs.INGEST, jobs.QUERY):
        for job in jobs.all_of(service.store, kind):
            start(service, job)


def _claim(service: Service, job: Job) -> bool:
    mine = f"{os.getpid()}:{uuid.uuid4()}"
    with _guard, service.store.transaction() as connection:
        holder = connection.execute(
            "SELECT claimed_by FROM bulk_job WHERE id = ?", (job.id,)
        ).fetchone()[0]
        if job.id in _running or (holder is not None and _alive(int(holder.split(":")[0]))):
            return False
        connection.execute("UPDATE bulk_job SET claimed_by = ? WHERE id = ?", (mine, job.id))
        _running.add(job.id)
    return True


def _alive(pid: int) -> bool:
    """Whether another process lives. (This one's jobs are in ``_running``.)"""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _guarded(service: Service, job: Job, work: Callable[[Service, Job], None]) -> None:
    try:
        began = time.monotonic()
        work(service, job)
        service.store.execute(
            "UPDATE bulk_job SET elapsed_ms = ? WHERE id = ?",
            (round((time.monotonic() - began) * 1000), job.id),
        )
    except Exception:  # a mistake of this sandbox: shown, and the job ends as it would there
        traceback.print_exc()
        with suppress(sqlite3.Error):
            message = "InternalServerError : Unable to process the job"
            jobs.set_state(service.store, job, jobs.FAILED, jobs.RUNNING, error=message)
    finally:
        with _guard:
            _running.discard(job.id)
        service.workers.discard(threading.current_thread())


# Ingest


def _ingest(service: Service, job: Job) -> None:
    store = service.store
    if not jobs.set_state(store, job, jobs.RUNNING, jobs.UPLOADED, jobs.RUNNING):
        return
    if "header" not in job.settings:
        try:
            _split(service, job)
        except BadUpload as bad:
            jobs.set_state(store, job, jobs.FAILED, jobs.RUNNING, error=str(bad))
            return
    batches: dict[int, list[int]] = {}
    for number, batch in store.execute(
        "SELECT number, batch FROM bulk_chunk WHERE job_id = ? AND done = 0 ORDER BY number",
        (job.id,),
    ):
        batches.setdefault(batch, []).append(number)
    half = job.settings.get("half")  # set where a fault wants the rest left alone
    _in_parallel(lambda one: _batch(service, job, one, half), batches.values())
    if service.ending.is_set():
        return
    if job.settings.get("fault") == "job_failed":
        message = "InternalServerError : Job failed: retries exhausted"
        jobs.set_state(store, job, jobs.FAILED, jobs.RUNNING, error=message)
    else:
        jobs.set_state(store, job, jobs.COMPLETE, jobs.RUNNING)


def _split(service: Service, job: Job) -> None:
    """Cuts the upload into chunks; half of the rows is always a boundary (for the faults)."""
    store = service.store
    content = store.execute("SELECT content FROM bulk_job WHERE id = ?", (job.id,)).fetchone()[0]
    if content is None:
        return
    header, rows = rows_of(job, content)
    entity = find_entity(store, job.object, job.created_by)
    if entity is None:
        raise BadUpload(f"InvalidEntity : {job.object} isn't visible")
    columns_of(entity, header)
    size = int(store.setting("bulk_batch_records", str(BATCH)))
    half = None
    if job.settings.get("fault"):
        everything = list(rows)
        half, rows = len(everything) // 2, iter(everything)
    with service.writing, store.transaction() as connection:
        connection.execute("DELETE FROM bulk_chunk WHERE job_id = ?", (job.id,))
        total = 0
        for chunk in _chunks(rows, half):
            connection.execute(
                "INSERT INTO bulk_chunk (job_id, number, batch, records, rows)"
                " VALUES (?, ?, ?, ?, ?)",
                (job.id, total, total // size, len(chunk), json.dumps(chunk)),
            )
            total += len(chunk)
        settings = {**job.settings, "header": header, "half": half}
        connection.execute(
            "UPDATE bulk_job SET total = ?, settings = ? WHERE id = ?",
            (total, json.dumps(settings), job.id),
        )
    job.settings.update(settings)


def _chunks(rows: Iterator[list[str]], half: int | None) -> Iterator[list[list[str]]]:
    done = 0
    while True:
        size = min(CHUNK, half - done) if half is not None and done < half else CHUNK
        chunk = list(islice(rows, size))
        if not chunk:
            return
        done += len(chunk)
        yield chunk


def _in_parallel(work: Callable[[list[int]], None], batches: Iterable[list[int]]) -> None:
    """Runs the batches in a few threads, which a process that ends doesn't wait for."""
    waiting = deque(batches)
    failures: list[Exception] = []

    def run() -> None:
        while waiting and not failures:
            with suppress(IndexError):  # another thread took the last one
                batch = waiting.popleft()
                try:
                    work(batch)
                except Exception as error:
                    failures.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _batch(service: Service, job: Job, numbers: Sequence[int], half: int | None) -> None:
    store = service.store
    pace = int(store.setting("bulk_batch_ms", "0")) / 1000
    began = time.monotonic()
    for number in numbers:
        state = store.execute("SELECT state FROM bulk_job WHERE id = ?", (job.id,)).fetchone()
        if state is None or state[0] != jobs.RUNNING or service.ending.is_set():
            return
        if half is not None and number >= half:
            return
        run_chunk(service, job, number)
    service.ending.wait(max(0.0, began + pace - time.monotonic()))


# Query


def _query(service: Service, job: Job) -> None:
    """Finds the records; a page's values are those of the moment it is fetched in."""
    store = service.store
    jobs.set_state(store, job, jobs.RUNNING, jobs.UPLOADED)
    if job.settings.get("fault") == "job_failed":
        message = "InternalServerError : Job failed: retries exhausted"
        jobs.set_state(store, job, jobs.FAILED, jobs.RUNNING, error=message)
        return
    plan = planned(
        service,
        job.created_by,
        job.settings["query"],
        deleted_too=job.operation == "queryAll",
    )
    found = store.execute(plan.select('t."Id"'), plan.parameters)
    ids = b"".join(record_id.encode() for (record_id,) in found)
    service.ending.wait(int(store.setting("bulk_batch_ms", "0")) / 1000)
    store.execute(
        "UPDATE bulk_job SET content = ?, total = ? WHERE id = ?",
        (ids, len(ids) // ID_BYTES, job.id),
    )
    jobs.set_state(store, job, jobs.COMPLETE, jobs.RUNNING)
