"""Bulk 2.0 query jobs."""

from __future__ import annotations

import csv
import io
from typing import Any

from bounce_sync_tests.sandbox_salesforce import bulk
from bounce_sync_tests.sandbox_salesforce.org import Org


def create(org: Org, statement: str, operation: str = "query") -> dict[str, Any]:
    said = org.ask("POST", "jobs/query", json={"operation": operation, "query": statement})
    assert said.status_code == 200, said.text
    return said.json()


def page(org: Org, job: dict[str, Any], **params: object) -> tuple[list[list[str]], str, int]:
    said = org.ask("GET", f"jobs/query/{job['id']}/results", params=params)
    assert said.status_code == 200, said.text
    rows = list(csv.reader(io.StringIO(said.content.decode())))
    return rows, said.headers["Sforce-Locator"], int(said.headers["Sforce-NumberOfRecords"])


def test_one_page(org: Org) -> None:
    ids = org.contacts(2, Email=lambda n: 'a "b"\né' if n == 1 else None, Hard_Bounce__c=1)
    job = create(org, "SELECT Id, email, Hard_Bounce__c FROM Contact ORDER BY Id")
    assert job["state"] == "UploadComplete"
    done = bulk.finished(org, job, "query")
    assert (done["jobType"], done["numberRecordsProcessed"]) == ("V2Query", 2)
    assert page(org, job) == (
        [["Id", "Email", "Hard_Bounce__c"], [ids[0], 'a "b"\né', "true"], [ids[1], "", "true"]],
        "null",
        2,
    )


def test_pages_by_locator_can_be_read_again(org: Org) -> None:
    ids = org.contacts(5)
    job = create(org, "SELECT Id FROM Contact ORDER BY Id")
    bulk.finished(org, job, "query")
    first, locator, count = page(org, job, maxRecords=2)
    assert ([row[0] for row in first[1:]], count) == (ids[:2], 2)
    second, last, _ = page(org, job, maxRecords=3, locator=locator)
    assert ([row[0] for row in second[1:]], last) == (ids[2:], "null")
    assert page(org, job, maxRecords=3, locator=locator)[0] == second


def test_no_records_still_give_the_header(org: Org) -> None:
    job = create(org, "SELECT Id FROM Contact")
    bulk.finished(org, job, "query")
    assert page(org, job) == ([["Id"]], "null", 0)


def test_query_all_sees_deleted_records(org: Org) -> None:
    org.contacts(2, IsDeleted=1)
    found = []
    for operation in ("query", "queryAll"):
        job = create(org, "SELECT Id FROM Contact", operation)
        bulk.finished(org, job, "query")
        found.append(page(org, job)[2])
    assert found == [0, 2]


def test_refusals(org: Org) -> None:
    def refused(**body: str) -> str:
        said = org.ask("POST", "jobs/query", json=body)
        assert said.status_code == 400
        return said.json()[0]["errorCode"]

    assert refused(operation="query", query="SELECT Nope FROM Contact") == "INVALID_FIELD"
    assert refused(operation="query", query="SELECT COUNT() FROM Contact") == "INVALIDJOB"
    assert refused(operation="paint", query="SELECT Id FROM Contact") == "INVALIDOPERATION"


def test_results_need_the_version_of_the_job(org: Org) -> None:
    job = create(org, "SELECT Id FROM Contact")
    bulk.finished(org, job, "query")
    said = org.ask("GET", f"/services/data/v60.0/jobs/query/{job['id']}/results")
    assert said.status_code == 409
    bad = org.ask("GET", f"jobs/query/{job['id']}/results", params={"locator": "!!"})
    assert bad.json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_a_finished_job_can_be_deleted(org: Org) -> None:
    job = create(org, "SELECT Id FROM Contact")
    bulk.finished(org, job, "query")
    assert org.ask("PATCH", f"jobs/query/{job['id']}", json={"state": "Aborted"}).status_code == 400
    assert job["id"] in [one["id"] for one in org.ask("GET", "jobs/query").json()["records"]]
    assert org.ask("DELETE", f"jobs/query/{job['id']}").status_code == 204
    assert org.ask("GET", f"jobs/query/{job['id']}").status_code == 404
