"""How fast the sandbox's CRM is, beside the least that such work can cost.

pytest -m benchmark -n0 -s bounce_sync_tests/benchmarks/test_sandbox_salesforce.py

Ratios are of processor time, so that a busy machine doesn't change them much; the last line is the
whole road over HTTP, client included, by the clock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bounce_sync.sandbox.salesforce.app import service_of
from bounce_sync.sandbox.salesforce.http import Call
from bounce_sync.sandbox.salesforce.service import Service
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_salesforce import bulk
from bounce_sync_tests.sandbox_salesforce.org import NO_ASSIGNMENT, Org, host, to_18

pytestmark = pytest.mark.benchmark

RECORDS = 20_000
CHUNK = 200


def ids() -> list[str]:
    return [to_18(f"003Qx0000{number:06d}"[:15]) for number in range(RECORDS)]


def bodies(day: int) -> list[bytes]:
    """Collections requests that set every record's flag and date."""
    made = [
        {
            "attributes": {"type": "Contact"},
            "id": key,
            "Hard_Bounce__c": day % 2 == 0,
            "Hard_Bounce_Date__c": f"2026-05-{day:02d}T09:00:{number % 60:02d}.000+0000",
        }
        for number, key in enumerate(ids())
    ]
    return [
        json.dumps({"allOrNone": False, "records": made[at : at + CHUNK]}).encode()
        for at in range(0, RECORDS, CHUNK)
    ]


def cost(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    before = time.process_time()
    work()
    return time.process_time() - before


def least(store: Store, requests: list[bytes]) -> None:
    """Nothing but reading the JSON, and writing record and audit in one transaction each."""
    for body in requests:
        records = json.loads(body)["records"]
        with store.transaction() as connection:
            connection.executemany(
                'UPDATE "Contact" SET "Hard_Bounce__c" = ?, "Hard_Bounce_Date__c" = ?,'
                ' "LastModifiedDate" = ? WHERE "Id" = ?',
                [
                    (one["Hard_Bounce__c"], one["Hard_Bounce_Date__c"], "now", one["id"])
                    for one in records
                ],
            )
            connection.executemany(
                "INSERT INTO crm_write (at, object, record_id, field, after, api)"
                " VALUES ('now', 'Contact', ?, ?, ?, 'least')",
                [
                    (one["id"], name, one[name])
                    for one in records
                    for name in ("Hard_Bounce__c", "Hard_Bounce_Date__c")
                ],
            )


def handled(service: Service, requests: list[bytes]) -> None:
    session = service.sessions.issue(service.store.setting("user_id"))
    for body in requests:
        call = Call(
            "PATCH",
            "/services/data/v62.0/composite/sobjects",
            {},
            {"sforce-auto-assign": "FALSE"},
            body,
            session,
        )
        answer = service.table.answer(service, call)
        assert b'"success":false' not in answer.content()


def line(what: str, seconds: float, floor: float | None = None) -> None:
    ratio = "" if floor is None else f"   {seconds / floor:4.1f} x the least"
    print(f"{what:<44}{RECORDS / seconds:>10,.0f} records/s{ratio}")


def test_collections_bulk_and_pages(tmp_path: Path) -> None:
    with Store.create(tmp_path / "tenant") as store, host() as server:
        store.insert("Contact", ["Id", "LastName"], [(key, "Doe") for key in ids()])
        with server.serving(store) as org:
            print()
            floor = cost(lambda: least(store, bodies(4)))
            line("least: JSON, record and audit, bare", floor)
            assert server.app is not None
            service = service_of(server.app)
            seconds = cost(lambda: handled(service, bodies(5)))
            line("Collections update, without the network", seconds, floor)
            org.login()
            over_http(org)


def over_http(org: Org) -> None:
    requests = bodies(6)
    began = time.perf_counter()
    for body in requests:
        said = org.ask("PATCH", "composite/sobjects", data=body, headers=NO_ASSIGNMENT)
        assert said.status_code == 200
    line("Collections update, one client over HTTP", time.perf_counter() - began)
    rows = [f"{key},false,#N/A" for key in ids()]
    began = time.perf_counter()
    job = bulk.run(org, bulk.csv_of("Id,Hard_Bounce__c,Hard_Bounce_Date__c", *rows))
    assert job["numberRecordsProcessed"] == RECORDS
    line("Bulk ingest job, from creation to the end", time.perf_counter() - began)
    began = time.perf_counter()
    said = org.ask("GET", "query", params={"q": "SELECT Id, Hard_Bounce__c FROM Contact"}).json()
    while not said["done"]:
        said = org.ask("GET", said["nextRecordsUrl"]).json()
    line("SOQL pages over HTTP", time.perf_counter() - began)
