"""Locks, Person Accounts, limits, faults, and what the org doesn't know."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bounce_sync_tests.sandbox_salesforce import bulk
from bounce_sync_tests.sandbox_salesforce.org import (
    Org,
    account_id,
    codes,
    contact_id,
    flagged,
)

LOCKED = "UNABLE_TO_LOCK_ROW"


# Locks


def at_once(org: Org, *batches: list[str]) -> list[list[str | None]]:
    """Collections of several clients in flight at the same time."""
    org.store.set_setting("write_ms", "1000")
    with ThreadPoolExecutor(len(batches)) as pool:
        sent = [pool.submit(org.update, [flagged(key) for key in one]) for one in batches]
        return [codes(one.result()) for one in sent]


def test_requests_on_one_account_collide_where_the_org_locks(org: Org) -> None:
    ids = org.contacts(3, AccountId=lambda n: account_id(2 if n == 3 else 1))
    org.store.set_setting("lock_accounts", "true")
    first, second = at_once(org, ids[:1], ids[1:])
    assert {first[0], second[0]} == {None, LOCKED}
    assert second[1] is None


def test_a_lock_is_waited_for(org: Org) -> None:
    ids = org.contacts(2, AccountId=account_id(1))
    org.store.set_setting("lock_accounts", "true")
    org.store.set_setting("lock_wait_ms", "10000")
    assert at_once(org, ids[:1], ids[1:]) == [[None], [None]]


def test_no_locks_by_default(org: Org) -> None:
    ids = org.contacts(2, AccountId=account_id(1))
    assert at_once(org, ids[:1], ids[1:]) == [[None], [None]]


# Person Accounts


@pytest.fixture
def person(org: Org) -> str:
    """The Contact of a Person Account."""
    org.store.set_setting("person_accounts", "true")
    org.accounts(1, IsPersonAccount=1, PersonContactId=contact_id(1))
    return org.contacts(1, IsPersonAccount=1, AccountId=account_id(1), Email="p@b.example")[0]


def test_a_person_is_written_through_the_account(org: Org, person: str) -> None:
    key = account_id(1)
    assert codes(org.update([flagged(person)])) == ["INVALID_PERSON_ACCOUNT_OPERATION"]
    results = org.update([flagged(key, "Account", Hard_Bounce__pc=True)])
    assert results == [{"id": key, "success": True, "errors": []}]
    assert org.value("Contact", person, "Hard_Bounce__c") == 1
    assert org.query(
        "SELECT Id, Hard_Bounce__pc, PersonEmail, IsPersonAccount FROM Account"
        " WHERE Hard_Bounce__pc = true"
    ) == [
        {
            "Id": key,
            "Hard_Bounce__pc": True,
            "PersonEmail": "p@b.example",
            "IsPersonAccount": True,
        }
    ]
    (row,) = org.audit()
    assert (row["object"], row["record_id"], row["field"]) == ("Account", key, "Hard_Bounce__pc")


def test_without_the_feature_its_fields_dont_exist(org: Org) -> None:
    names = {
        field["name"] for field in org.ask("GET", "sobjects/Account/describe").json()["fields"]
    }
    assert not names & {"IsPersonAccount", "PersonContactId", "PersonEmail", "Hard_Bounce__pc"}


def test_a_date_typed_date_field(org: Org) -> None:
    org.store.add_field("Contact", "Bounced_On__c", "date")
    key = org.contacts(1)[0]
    assert codes(org.update([flagged(key, Bounced_On__c="2026-05-04")])) == [None]
    assert org.query("SELECT Bounced_On__c FROM Contact WHERE Bounced_On__c = 2026-05-04") == [
        {"Bounced_On__c": "2026-05-04"}
    ]
    assert org.send([flagged(key, Bounced_On__c="May")]).status_code == 400


# Limits


def test_each_answer_shows_the_calls_used(org: Org) -> None:
    org.store.set_setting("api_used", "17")
    org.store.set_setting("api_limit", "5000")
    said = org.ask("GET", "limits/")
    assert said.headers["Sforce-Limit-Info"] == "api-usage=18/5000"
    assert said.json()["DailyApiRequests"] == {"Max": 5000, "Remaining": 4982}
    refused = org.ask("GET", "query", params={"q": "nonsense"})
    assert refused.headers["Sforce-Limit-Info"] == "api-usage=19/5000"


def test_the_days_limit_stops_everything(org: Org) -> None:
    org.store.set_setting("api_limit", "1")
    assert org.ask("GET", "limits").status_code == 200
    said = org.ask("GET", "limits")
    assert said.status_code == 403
    assert said.json() == [
        {"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}
    ]


def test_limits_need_a_permission(org: Org) -> None:
    org.store.set_setting("missing_permissions", "ViewSetup")
    assert org.ask("GET", "limits").status_code == 403


def test_automations_are_seen_with_a_permission_only(org: Org) -> None:
    asked = {"q": "SELECT ApiName, RecordTriggerType FROM FlowDefinitionView"}
    assert org.ask("GET", "query", params=asked).json()["totalSize"] == 0
    org.store.set_setting("missing_permissions", "ViewSetup")
    refused = org.ask("GET", "query", params=asked)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_TYPE")


def test_who_may_edit_a_record_is_told_for_200_at_once(org: Org) -> None:
    shared, closed = org.contacts(2)
    org.store.insert(
        "crm_refusal",
        ("record_id", "code", "message"),
        [(closed, "INSUFFICIENT_ACCESS_OR_READONLY", "not shared")],
    )

    def ask(*records: str) -> Any:
        listed = "','".join(records)
        statement = (
            "SELECT RecordId, HasEditAccess FROM UserRecordAccess"
            f" WHERE UserId = '{org.user_id}' AND RecordId IN ('{listed}')"
        )
        return org.ask("GET", "query", params={"q": statement})

    told = {row["RecordId"]: row["HasEditAccess"] for row in ask(shared, closed).json()["records"]}
    assert told == {shared: True, closed: False}
    assert ask(*[shared] * 201).json()[0]["errorCode"] == "MALFORMED_QUERY"


# Gaps


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "nowhere", 404, "NOT_FOUND"),
        ("GET", "sobjects/Nope/describe", 404, "NOT_FOUND"),
        ("POST", "limits", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/services/elsewhere", 404, "NOT_FOUND"),
    ],
)
def test_what_isnt_served_is_answered_and_named_on_stderr(
    org: Org,
    capfd: pytest.CaptureFixture[str],
    method: str,
    path: str,
    status: int,
    code: str,
) -> None:
    said = org.ask(method, path)
    assert (said.status_code, said.json()[0]["errorCode"]) == (status, code)
    assert f"{method} " in capfd.readouterr().err


def test_unknown_names_are_named_on_stderr_without_the_statement(
    org: Org, capfd: pytest.CaptureFixture[str]
) -> None:
    org.refused("SELECT Nope FROM Contact WHERE Email = 'ann@b.example'")
    named = capfd.readouterr().err
    assert "No such column 'Nope' on entity 'Contact'" in named
    assert "ann@b.example" not in named


def test_bulk_one_sends_clients_to_rest(org: Org) -> None:
    def create(session: str) -> str:
        headers = {"X-SFDC-Session": session}
        said = org.ask("POST", "/services/async/62.0/job", json={}, headers=headers)
        assert said.status_code == 400
        return said.json()["exceptionCode"]

    assert create("stale") == "InvalidSessionId"
    token = str(org.session.headers["Authorization"]).split()[1]
    assert create(token) == "FeatureNotEnabled"


# Faults


def test_locked_rows_are_those_of_the_first_account(faulty: Callable[..., Org]) -> None:
    org = faulty({"kind": "lock_rows", "path": "*/composite/sobjects", "times": 1})
    ids = org.contacts(3, AccountId=lambda n: account_id(2 if n == 2 else 1))
    assert codes(org.update([flagged(key) for key in ids])) == [LOCKED, None, LOCKED]
    assert codes(org.update([flagged(key) for key in ids])) == [None] * 3


def test_a_locked_single_record(faulty: Callable[..., Org]) -> None:
    org = faulty({"kind": "lock_rows", "path": "*/sobjects/contact/*", "times": 1})
    key = org.contacts(1)[0]
    said = org.ask("PATCH", f"sobjects/Contact/{key}", json={"Hard_Bounce__c": True})
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, LOCKED)


def test_an_expired_token_is_really_gone(faulty: Callable[..., Org]) -> None:
    org = faulty({"kind": "expire_token", "path": "*/limits", "times": 1})
    assert [org.ask("GET", "limits").status_code for _ in range(2)] == [401, 401]
    org.login()
    assert org.ask("GET", "limits").status_code == 200


def test_the_daily_limit_as_a_fault(faulty: Callable[..., Org]) -> None:
    org = faulty({"kind": "daily_limit", "path": "*/limits", "times": 1})
    assert [org.ask("GET", "limits").status_code for _ in range(2)] == [403, 200]


@pytest.mark.parametrize(
    ("kind", "state"), [("job_failed", "Failed"), ("unprocessed", "JobComplete")]
)
def test_a_job_that_stops_half_way(faulty: Callable[..., Org], kind: str, state: str) -> None:
    org = faulty({"kind": kind, "path": "*/jobs/ingest/*", "times": 1, "share": 1})
    ids = org.contacts(5)
    job = bulk.run(org, bulk.csv_of("Id,Hard_Bounce__c", *(f"{key},true" for key in ids)))
    assert job["state"] == state
    assert (job.get("errorMessage") is not None) == (state == "Failed")
    written = [row[0] for row in bulk.results(org, job, "successfulResults")[1:]]
    left = [row[0] for row in bulk.results(org, job, "unprocessedrecords")[1:]]
    assert (written, left) == (ids[:2], ids[2:])
    assert org.column("SELECT Id FROM Contact WHERE Hard_Bounce__c = true") == ids[:2]


def test_a_query_that_takes_too_long(faulty: Callable[..., Org]) -> None:
    org = faulty({"kind": "query_timeout", "path": "*/query", "times": 1})
    assert org.refused("SELECT Id FROM Contact")["errorCode"] == "QUERY_TIMEOUT"


# Rights


def test_a_user_without_edit_on_the_object(org: Org) -> None:
    key = org.contacts(1)[0]
    org.store.set_setting("missing_permissions", "EditContact")
    assert codes(org.update([flagged(key)])) == ["INSUFFICIENT_ACCESS_OR_READONLY"]
    assert org.ask("GET", "sobjects/Contact/describe").json()["updateable"] is False


def test_a_user_without_read_on_the_object(org: Org) -> None:
    org.store.set_setting("missing_permissions", "ReadLead")
    assert org.refused("SELECT Id FROM Lead")["errorCode"] == "INVALID_TYPE"
    names = {one["name"] for one in org.ask("GET", "sobjects").json()["sobjects"]}
    assert "Contact" in names
    assert "Lead" not in names


def test_a_user_without_the_api(org: Org) -> None:
    org.store.set_setting("missing_permissions", "ApiEnabled")
    said = org.ask("GET", "limits")
    assert (said.status_code, said.json()[0]["errorCode"]) == (403, "API_DISABLED_FOR_ORG")


@pytest.mark.parametrize(("alert", "code"), [(1, None), (0, "DUPLICATES_DETECTED")])
def test_allow_save_passes_duplicate_rules_that_alert(
    org: Org, alert: int, code: str | None
) -> None:
    key = org.contacts(1)[0]
    org.store.execute(
        "INSERT INTO crm_refusal VALUES (?, 'DUPLICATES_DETECTED', 'Use one of these records?',"
        " NULL, ?)",
        (key, alert),
    )
    assert codes(org.update([flagged(key)])) == ["DUPLICATES_DETECTED"]
    header = {"Sforce-Duplicate-Rule-Header": "allowSave=true; runAsCurrentUser=true"}
    assert codes(org.update([flagged(key)], headers=header)) == [code]


def test_records_are_counted(org: Org) -> None:
    org.contacts(3)
    said = org.ask("GET", "limits/recordCount", params={"sObjects": "Contact,Nope"}).json()
    assert said == {"sObjects": [{"name": "Contact", "count": 3}]}


def test_a_body_may_be_packed(org: Org) -> None:
    body = gzip.compress(json.dumps({"ids": org.contacts(1), "fields": ["Id"]}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    said = org.ask("POST", "composite/sobjects/Contact", data=body, headers=headers)
    assert said.json()[0]["Id"] == contact_id(1)
    broken = org.ask("POST", "composite/sobjects/Contact", data=b"xx", headers=headers)
    assert (broken.status_code, broken.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")
