"""Bulk 2.0 ingest jobs, from creation to results."""

from __future__ import annotations

import time

import pytest

from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_salesforce import bulk
from bounce_sync_tests.sandbox_salesforce.org import (
    Host,
    Org,
    account_id,
    contact_id,
    lead_id,
    record_id,
)

HEADER = "Id,Hard_Bounce__c,Hard_Bounce_Date__c"
DATE = "2026-05-04T09:00:00.000Z"


def test_the_life_of_a_job(org: Org) -> None:
    key = org.contacts(1)[0]
    job = bulk.create(org, lineEnding="LF", columnDelimiter="COMMA")
    assert job["state"] == "Open"
    assert job["apiVersion"] == 62.0
    assert job["contentUrl"] == f"services/data/v62.0/jobs/ingest/{job['id']}/batches"
    assert job["concurrencyMode"] == "Parallel"
    bulk.upload(org, job, bulk.csv_of(HEADER, f"{key},true,{DATE}"))
    assert bulk.info(org, job)["state"] == "Open"
    closed = bulk.close(org, job)
    assert closed["state"] == "UploadComplete"
    assert {"createdDate", "systemModstamp"} <= closed.keys()
    done = bulk.finished(org, job)
    assert (done["state"], done["jobType"]) == ("JobComplete", "V2Ingest")
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"]) == (1, 0)
    assert bulk.results(org, job, "successfulResults") == [
        ["sf__Id", "sf__Created", *HEADER.split(",")],
        [key, "false", key, "true", DATE],
    ]
    assert bulk.results(org, job, "failedResults") == [["sf__Id", "sf__Error", *HEADER.split(",")]]
    assert bulk.results(org, job, "unprocessedrecords") == [HEADER.split(",")]
    assert org.value("Contact", key, "Hard_Bounce_Date__c") == DATE
    assert {row["api"] for row in org.audit()} == {"bulk"}
    assert org.ask("DELETE", f"jobs/ingest/{job['id']}").status_code == 204
    assert org.ask("GET", f"jobs/ingest/{job['id']}").status_code == 404


def test_an_empty_cell_is_ignored_and_na_clears(org: Org) -> None:
    ids = org.contacts(2, Hard_Bounce__c=1, Hard_Bounce_Date__c=DATE)
    bulk.run(org, bulk.csv_of(HEADER, f"{ids[0]},false,", f"{ids[1]},,#N/A"))
    state = org.query("SELECT Hard_Bounce__c, Hard_Bounce_Date__c FROM Contact ORDER BY Id")
    assert state == [
        {"Hard_Bounce__c": False, "Hard_Bounce_Date__c": "2026-05-04T09:00:00.000+0000"},
        {"Hard_Bounce__c": True, "Hard_Bounce_Date__c": None},
    ]


def test_failed_rows_carry_their_error_and_stop_no_other(org: Org) -> None:
    ids = org.contacts(2, IsDeleted=lambda n: n - 1)
    rows = [
        f"{ids[0][:15]},true,{DATE}",
        f"{ids[1]},true,{DATE}",
        f"{contact_id(99)},true,{DATE}",
        f"nonsense,true,{DATE}",
        f",true,{DATE}",
        f"{ids[0]},true,yesterday",
    ]
    job = bulk.run(org, bulk.csv_of(HEADER, *rows))
    assert (job["state"], job["numberRecordsFailed"]) == ("JobComplete", 5)
    assert job["numberRecordsProcessed"] == 6
    errors = [row[:2] for row in bulk.results(org, job, "failedResults")[1:]]
    assert errors[:4] == [
        [ids[1], "ENTITY_IS_DELETED:entity is deleted:--"],
        [contact_id(99), "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--"],
        ["nonsense", "MALFORMED_ID:Contact ID: id value of incorrect type: nonsense:Id --"],
        ["", "MISSING_ARGUMENT:Id not specified:Id --"],
    ]
    assert errors[4][1].startswith("INVALID_TYPE_ON_FIELD_IN_RECORD:")


def test_quotes_line_breaks_and_delimiters_survive(org: Org) -> None:
    key = org.contacts(1)[0]
    title = 'a "quoted" é;\r\nline'
    quoted = title.replace('"', '""')
    text = f'Id;Title\r\n"{key}";"{quoted}"\r\n'
    job = bulk.run(org, text, lineEnding="CRLF", columnDelimiter="SEMICOLON")
    assert org.value("Contact", key, "Title") == title
    assert bulk.results(org, job, "successfulResults", ";")[1] == [key, "false", key, title]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Id,Nope__c\n003,1\n", "InvalidBatch : Field name not found : Nope__c"),
        ("Id,Title\r\n003,1\r\n", "LineEnding is invalid on user data. Current LineEnding"),
        ("\n", "Failed to parse CSV header"),
        ('Id,Title\n003,"un\n', "Failed to parse CSV"),
        ("Id,Id\n003,003\n", "Field name repeated : Id"),
    ],
)
def test_an_upload_that_cant_be_read_fails_the_job(org: Org, text: str, message: str) -> None:
    job = bulk.run(org, text)
    assert job["state"] == "Failed"
    assert message in job["errorMessage"]
    assert job["numberRecordsProcessed"] == 0


def test_a_hidden_field_fails_the_job(org: Org) -> None:
    org.store.execute("UPDATE field SET visible = 0 WHERE name = 'Hard_Bounce__c'")
    assert bulk.run(org, bulk.csv_of(HEADER, ",,"))["state"] == "Failed"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"object": "Nope"}, "INVALID_TYPE"),
        ({"operation": "paint"}, "INVALIDOPERATION"),
        ({"contentType": "XML"}, "INVALIDJOB"),
        ({"columnDelimiter": "COLON"}, "INVALIDJOB"),
    ],
)
def test_jobs_that_cant_be(org: Org, options: dict[str, str], code: str) -> None:
    body = {"object": "Contact", "operation": "update"} | options
    said = org.ask("POST", "jobs/ingest", json=body)
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, code)


def test_steps_out_of_turn_are_refused(org: Org) -> None:
    job = bulk.create(org)
    path = f"jobs/ingest/{job['id']}"
    assert org.ask("GET", f"{path}/failedResults").status_code == 400
    assert org.ask("DELETE", path).status_code == 400
    bulk.upload(org, job, bulk.csv_of("Id", contact_id(1)))
    again = org.ask("PUT", f"{path}/batches", data="Id", headers={"Content-Type": "text/csv"})
    assert (again.status_code, again.json()[0]["errorCode"]) == (400, "INVALIDJOBSTATE")
    bulk.close(org, job)
    bulk.finished(org, job)
    for state in ("UploadComplete", "Aborted", "Open"):
        assert org.ask("PATCH", path, json={"state": state}).status_code == 400


def test_an_aborted_job_writes_nothing(org: Org) -> None:
    key = org.contacts(1)[0]
    job = bulk.create(org)
    bulk.upload(org, job, bulk.csv_of("Id,Hard_Bounce__c", f"{key},true"))
    assert bulk.close(org, job, "Aborted")["state"] == "Aborted"
    assert org.audit() == []
    assert "Id,Hard_Bounce__c" in org.ask("GET", f"jobs/ingest/{job['id']}/unprocessedrecords").text


def test_a_job_aborted_on_its_way_leaves_the_rest_unprocessed(org: Org) -> None:
    ids = org.contacts(600)
    org.store.set_setting("lock_accounts", "true")
    org.store.set_setting("write_ms", "500")
    job = bulk.create(org)
    bulk.upload(org, job, bulk.csv_of("Id,Hard_Bounce__c", *(f"{key},true" for key in ids)))
    bulk.close(org, job)
    while bulk.info(org, job)["numberRecordsProcessed"] == 0:
        time.sleep(0.01)
    bulk.close(org, job, "Aborted")
    written = {row[0] for row in bulk.results(org, job, "successfulResults")[1:]}
    left = {row[0] for row in bulk.results(org, job, "unprocessedRecords")[1:]}
    assert 0 < len(written) < 600
    assert left <= set(ids) - written


def test_leads_are_reassigned_only_where_the_job_says_so(org: Org) -> None:
    ids = org.leads(2)
    rule = org.column("SELECT Id FROM AssignmentRule")[0]
    for key, options in zip(ids, ({}, {"assignmentRuleId": rule}), strict=True):
        text = bulk.csv_of("Id,Hard_Bounce__c", f"{key},true")
        bulk.run(org, text, object="Lead", **options)
    assert [org.value("Lead", key, "OwnerId") == org.user_id for key in ids] == [True, False]


def test_insert_upsert_and_delete(org: Org) -> None:
    org.store.add_field("Contact", "Key__c", "string", length=40, external_id=True)
    job = bulk.run(org, bulk.csv_of("LastName,Key__c", "One,k1", ",k2"), operation="insert")
    ((key, created, *_),) = bulk.results(org, job, "successfulResults")[1:]
    assert created == "true"
    assert bulk.results(org, job, "failedResults")[1][1].startswith("REQUIRED_FIELD_MISSING:")
    job = bulk.run(
        org,
        bulk.csv_of("LastName,Key__c", "Changed,k1", "New,k2"),
        operation="upsert",
        externalIdFieldName="Key__c",
    )
    made = [row[1] for row in bulk.results(org, job, "successfulResults")[1:]]
    assert made == ["false", "true"]
    assert org.value("Contact", key, "LastName") == "Changed"
    bulk.run(org, bulk.csv_of("Id", key), operation="delete")
    assert org.value("Contact", key, "IsDeleted") == 1


def test_ten_thousand_rows_are_one_batch(org: Org) -> None:
    org.store.set_setting("bulk_batch_records", "400")
    ids = org.contacts(1000)
    job = bulk.run(org, bulk.csv_of("Id,Hard_Bounce__c", *(f"{key},true" for key in ids)))
    assert job["numberRecordsProcessed"] == 1000
    batches = org.store.execute(
        "SELECT batch, sum(records) FROM bulk_chunk GROUP BY batch ORDER BY batch"
    )
    assert [tuple(row) for row in batches] == [(0, 400), (1, 400), (2, 200)]


def test_parallel_batches_collide_on_an_account(org: Org) -> None:
    org.store.set_setting("bulk_batch_records", "200")
    org.store.set_setting("lock_accounts", "true")
    org.store.set_setting("write_ms", "1000")
    ids = org.contacts(400, AccountId=account_id(1))
    job = bulk.run(org, bulk.csv_of("Id,Hard_Bounce__c", *(f"{key},true" for key in ids)))
    failed = bulk.results(org, job, "failedResults")[1:]
    assert {row[1] for row in failed} == {
        "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--"
    }
    assert len(failed) == 200


def test_rows_locked_by_nobody_go_through_with_locks_on(org: Org) -> None:
    org.store.set_setting("bulk_batch_records", "200")
    org.store.set_setting("lock_accounts", "true")
    ids = org.contacts(400, AccountId=lambda n: record_id("001", 1 + (n > 200)))
    job = bulk.run(org, bulk.csv_of("Id,Hard_Bounce__c", *(f"{key},true" for key in ids)))
    assert job["numberRecordsFailed"] == 0


def test_a_wrong_kind_of_id_is_malformed(org: Org) -> None:
    job = bulk.run(org, bulk.csv_of("Id,Hard_Bounce__c", f"{lead_id(1)},true"))
    assert bulk.results(org, job, "failedResults")[1][1].startswith("MALFORMED_ID:Contact ID")


def test_a_job_whose_server_died_is_taken_up_by_the_next(org: Org) -> None:
    ids = org.contacts(400)
    job = bulk.create(org)
    bulk.upload(org, job, bulk.csv_of("Id,Hard_Bounce__c", *(f"{key},true" for key in ids)))
    org.store.execute(
        "UPDATE bulk_job SET state = 'InProgress', claimed_by = '999999999:gone' WHERE id = ?",
        (job["id"],),
    )
    assert bulk.finished(org, job)["numberRecordsProcessed"] == 400


def test_a_store_that_is_closed_leaves_the_rest_of_a_job_to_the_next_server(
    server: Host, store: Store
) -> None:
    store.set_setting("bulk_batch_records", "200")
    store.set_setting("bulk_batch_ms", "60000")
    with server.serving(store) as org:
        org.login()
        ids = org.contacts(1000)
        job = bulk.create(org)
        bulk.upload(org, job, bulk.csv_of("Id,Hard_Bounce__c", *(f"{key},true" for key in ids)))
        bulk.close(org, job)
    store.close()
    with Store.open(store.directory) as again, server.serving(again) as org:
        again.set_setting("bulk_batch_ms", "0")
        org.login()
        assert bulk.finished(org, job)["numberRecordsProcessed"] == 1000
        writes = [row["record_id"] for row in org.audit()]
    assert sorted(writes) == sorted(ids)


def test_jobs_are_listed(org: Org) -> None:
    made = {bulk.create(org)["id"] for _ in range(2)}
    listed = org.ask("GET", "jobs/ingest").json()
    assert {job["id"] for job in listed["records"]} == made
    assert listed["done"] is True
