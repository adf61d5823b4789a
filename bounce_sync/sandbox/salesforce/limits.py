"""The day's allowances."""

from __future__ import annotations

from bounce_sync.sandbox.salesforce.errors import ServiceError
from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

QUERY_JOBS = 10_000
BATCHES = 15_000


@routes("GET", f"{DATA}/limits")
def limits(service: Service, call: Call, version: str) -> Answer:
    """Needs "View Setup and Configuration", which a least-privilege user hasn't (facts §7)."""
    del call, version
    if service.lacks("ViewSetup"):
        raise ServiceError(
            403,
            "INSUFFICIENT_ACCESS",
            "You do not have the View Setup and Configuration permission",
        )
    used, limit = service.usage()
    batches, query_jobs = service.store.execute(
        "SELECT (SELECT count(DISTINCT job_id || ' ' || batch) FROM bulk_chunk),"
        " (SELECT count(*) FROM bulk_job WHERE kind = 'query')"
    ).fetchone()
    allowances = {
        "DailyApiRequests": (limit, used),
        "DailyBulkApiBatches": (BATCHES, batches),
        "DailyBulkV2QueryJobs": (QUERY_JOBS, query_jobs),
        "DataStorageMB": (1073, 0),
        "FileStorageMB": (1073, 0),
    }
    return Answer(
        {
            name: {"Max": most, "Remaining": max(most - spent, 0)}
            for name, (most, spent) in allowances.items()
        }
    )
