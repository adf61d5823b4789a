"""The day's allowances."""

from __future__ import annotations

from bounce_sync.sandbox.salesforce.entities import CRM_OBJECTS, find_entity
from bounce_sync.sandbox.salesforce.errors import ServiceError
from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.service import Service
from bounce_sync.sandbox.store import quoted

routes = Routes()

QUERY_JOBS = 10_000
BATCHES = 15_000


@routes("GET", f"{DATA}/limits")
def limits(service: Service, call: Call) -> Answer:
    """Needs "View Setup and Configuration", which a least-privilege user hasn't (facts §7)."""
    del call
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


@routes("GET", f"{DATA}/limits/recordCount")
def record_count(service: Service, call: Call) -> Answer:
    """How many records each object has (in the service: about)."""
    names = [name for name in call.query.get("sObjects", ",".join(CRM_OBJECTS)).split(",") if name]
    found = filter(None, (find_entity(service.store, one, call.user.user_id) for one in names))
    return Answer(
        {
            "sObjects": [
                {
                    "name": one.name,
                    "count": service.store.execute(
                        f"SELECT count(*) FROM {quoted(one.name)}"
                    ).fetchone()[0],
                }
                for one in found
            ]
        }
    )
