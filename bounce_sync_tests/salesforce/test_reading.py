"""Reading the CRM, against the sandbox over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.salesforce import bulk_query, soql
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import FieldsMissing, ServiceUnavailable, UnreadableAnswer
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync_tests.salesforce import sandbox_org
from bounce_sync_tests.salesforce.changes import FACTS, MemoryJournal, changes
from bounce_sync_tests.salesforce.sandbox_org import SandboxOrg, account, contact, lead
from bounce_sync_tests.salesforce.scripted_org import Reply, Request

AT = "2026-05-04T09:00:00.000Z"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxOrg]:
    with sandbox_org.served(tmp_path / "org") as served:
        yield served


@pytest.fixture
def crm(sandbox: SandboxOrg) -> Iterator[Connection]:
    with sandbox.connected() as connection:
        yield connection


def read(crm: Connection, ids=(), **how) -> dict[str, dict[str, Any]]:
    records = RecordReader(crm).read(list(ids), **how)
    tables.CrmRecords.validate(records)
    plain = records.astype(object).where(records.notna(), None)
    return {row["record_id"]: row for row in plain.to_dict("records")}


def test_flagged_and_asked_records_of_both_objects(sandbox, crm):
    sandbox.contacts(
        {"Id": contact(1), "Email": "A@b.example", "Hard_Bounce__c": 1, "Hard_Bounce_Date__c": AT},
        {"Id": contact(2), "AccountId": account(1)},
        {"Id": contact(3), "Email": "not@asked.example"},
    )
    sandbox.leads({"Id": lead(1), "Hard_Bounce__c": 1}, {"Id": lead(2)}, {"Id": lead(3)})
    found = read(crm, [contact(2), lead(2), contact(99)])
    assert set(found) == {contact(1), contact(2), lead(1), lead(2)}
    assert found[contact(1)] == {
        "object": "Contact",
        "record_id": contact(1),
        "email": "A@b.example",
        "flag": True,
        "flag_date": pd.Timestamp("2026-05-04T09:00:00Z"),
        "account_id": None,
        "is_deleted": False,
        "master_record_id": None,
        "is_converted": False,
        "converted_contact_id": None,
        "match_value": contact(1),
        "person_account_id": None,
    }
    assert found[contact(2)]["account_id"] == account(1)
    assert found[lead(2)]["flag"] is False


def test_an_empty_org_and_no_keys(crm):
    assert read(crm) == {}


def test_nothing_is_ever_written_by_reading(sandbox, crm):
    sandbox.contacts({"Id": contact(1), "Hard_Bounce__c": 1})
    read(crm, [contact(1)])
    assert sandbox.audit() == []


def test_converted_and_merged_records_are_followed_to_where_they_lead(sandbox, crm):
    sandbox.leads(
        {"Id": lead(1), "IsConverted": 1, "ConvertedContactId": contact(1)},
        {"Id": lead(2), "IsDeleted": 1, "MasterRecordId": lead(1)},
    )
    sandbox.contacts(
        {"Id": contact(1), "IsDeleted": 1, "MasterRecordId": contact(2)},
        {"Id": contact(2), "IsDeleted": 1, "MasterRecordId": contact(3)},
        {"Id": contact(3)},
        {"Id": contact(4), "IsDeleted": 1},
    )
    found = read(crm, [lead(2), contact(4)])
    assert set(found) == {lead(1), lead(2), *map(contact, (1, 2, 3, 4))}
    assert found[lead(2)]["master_record_id"] == lead(1)
    assert found[contact(4)]["is_deleted"]
    assert not found[contact(3)]["is_deleted"]


def test_what_was_converted_or_merged_into_a_record_of_interest_is_found(sandbox, crm):
    sandbox.contacts(
        {"Id": contact(1), "Hard_Bounce__c": 1},
        {"Id": contact(2), "IsDeleted": 1, "MasterRecordId": contact(1)},
        {"Id": contact(3), "IsDeleted": 1, "MasterRecordId": contact(2)},
        {"Id": contact(9)},
        {"Id": contact(8), "IsDeleted": 1, "MasterRecordId": contact(9)},
    )
    sandbox.leads(
        {"Id": lead(1), "IsConverted": 1, "ConvertedContactId": contact(3)},
        {"Id": lead(2), "IsDeleted": 1, "MasterRecordId": lead(1)},
        {"Id": lead(3), "IsConverted": 1, "ConvertedContactId": contact(9)},
    )
    assert set(read(crm)) == {contact(1), contact(2), contact(3), lead(1), lead(2)}


def test_a_circle_of_merges_ends(sandbox, crm):
    sandbox.contacts(
        {"Id": contact(1), "IsDeleted": 1, "MasterRecordId": contact(2)},
        {"Id": contact(2), "IsDeleted": 1, "MasterRecordId": contact(1)},
    )
    assert set(read(crm, [contact(1)])) == {contact(1), contact(2)}


def test_many_records_come_in_pages_and_in_few_calls(sandbox, crm):
    sandbox.contacts(*({"Id": contact(n), "Hard_Bounce__c": n % 2} for n in range(9000)))
    assert len(read(crm, map(contact, range(0, 9000, 2)))) == 9000
    # 2 describes, 3 pages of 2,000 flagged ones (both objects begin in one call), 3 retrieves of
    # 2,000 asked ones, and one Composite for what was converted or merged into any of them.
    assert crm.calls == 2 + 3 + 3 + 1


def test_the_cheaper_way_to_sources_is_taken(sandbox, crm, monkeypatch):
    """Where there are few converted Leads, they are read whole instead of by lists of ids."""
    monkeypatch.setattr(soql, "LONGEST_STATEMENT", 700)
    sandbox.contacts(*({"Id": contact(n), "Hard_Bounce__c": 1} for n in range(500)))
    sandbox.leads(
        {"Id": lead(1), "IsConverted": 1, "ConvertedContactId": contact(7)},
        {"Id": lead(2), "IsConverted": 1, "ConvertedContactId": contact(501)},
    )
    sandbox.contacts({"Id": contact(501)})
    found = read(crm)
    assert set(found) == {lead(1), *map(contact, range(500))}
    assert crm.calls < 10


@pytest.mark.parametrize("name", ["Email", "Customer_Key__c"])
def test_matching_on_a_field(sandbox, crm, name):
    for each in ("Contact", "Lead"):
        sandbox.store.add_field(each, "Customer_Key__c", "string", length=80, external_id=True)
    sandbox.contacts(
        {"Id": contact(1), name: "o'hara@x.example"},
        {"Id": contact(2), name: "O'Hara@X.example"},
        {"Id": contact(3), name: "other@x.example"},
        {"Id": contact(4), name: "flagged@x.example", "Hard_Bounce__c": 1},
        {"Id": contact(5), name: "flagged@x.example"},
        {"Id": contact(6), name: "gone@x.example", "IsDeleted": 1, "MasterRecordId": contact(3)},
    )
    sandbox.leads(
        {
            "Id": lead(1),
            name: "o'hara@x.example",
            "IsConverted": 1,
            "ConvertedContactId": contact(7),
        }
    )
    sandbox.contacts({"Id": contact(7), name: "elsewhere@x.example"})
    keys = ["o'hara@x.example", "gone@x.example", "nobody@x.example", "back\\slash"]
    found = read(crm, match_field=name.lower(), match_values=keys)
    assert set(found) == {lead(1), *map(contact, range(1, 8))}
    assert found[contact(2)]["match_value"] == "O'Hara@X.example"


def test_matching_on_a_number(sandbox, crm):
    for each in ("Contact", "Lead"):
        sandbox.store.add_field(each, "Number__c", "double", external_id=True)
    sandbox.contacts({"Id": contact(1), "Number__c": 4711}, {"Id": contact(2), "Number__c": 1.5})
    found = read(crm, match_field="Number__c", match_values=["4711", "1.5", "me@x.example", "-"])
    assert {each["match_value"] for each in found.values()} == {"4711", "1.5"}


def test_a_date_field_is_read_as_midnight_utc(sandbox):
    for each in ("Contact", "Lead"):
        sandbox.store.add_field(each, "acme__Bounced_On__c", "date")
    sandbox.contacts(
        {"Id": contact(1), "acme__Bounced_On__c": "2026-05-04", "Hard_Bounce__c": 1},
        {"Id": contact(2), "Hard_Bounce__c": 1},
    )
    with sandbox.connected(date_field="acme__bounced_on__C") as crm:
        found = read(crm)
        assert found[contact(1)]["flag_date"] == pd.Timestamp("2026-05-04T00:00:00Z")
        assert found[contact(2)]["flag_date"] is None
        assert RecordReader(crm).facts().date_is_day


def test_facts_name_the_org_and_the_zone_of_its_user(sandbox, crm):
    sandbox.store.execute('UPDATE "Organization" SET "IsSandbox" = 1')
    sandbox.store.execute('UPDATE "User" SET "TimeZoneSidKey" = \'Asia/Tokyo\'')
    facts = RecordReader(crm).facts()
    assert (facts.date_is_day, facts.time_zone, facts.is_sandbox) == (False, "Asia/Tokyo", True)
    assert crm.identity().org_id == sandbox.store.setting("organization_id")


def test_missing_hidden_and_mistyped_fields_are_listed_together(sandbox):
    sandbox.store.add_field("Contact", "acme__Flag__c", "boolean")
    sandbox.store.add_field("Contact", "When__c", "string", length=20)
    sandbox.store.add_field("Lead", "Flag__c", "string", length=20)
    sandbox.store.add_field("Lead", "When__c", "datetime", visible=False)
    settings = {"flag_field": "Flag__c", "date_field": "When__c"}
    with sandbox.connected(**settings) as crm, pytest.raises(FieldsMissing) as missing:
        RecordReader(crm).read([], match_field="Key__c")
    assert missing.value.problems == [
        "Contact.Flag__c is missing or hidden (is it acme__Flag__c?)",
        "Contact.Key__c is missing or hidden",
        "Contact.When__c is a string, not a Date or DateTime",
        "Lead.When__c is missing or hidden",
        "Lead.Key__c is missing or hidden",
        "Lead.Flag__c is a string, not a checkbox",
    ]


def test_reread_gives_what_the_crm_says_now(sandbox, crm):
    sandbox.contacts({"Id": contact(1), "Hard_Bounce__c": 1}, {"Id": contact(2), "IsDeleted": 1})
    asked = pd.DataFrame(
        {"object": ["Contact"] * 3, "record_id": [contact(1), contact(2), contact(3)]}
    )
    again = RecordReader(crm).reread(asked).set_index("record_id")
    assert again["flag"].to_dict() == {contact(1): True, contact(2): False}
    assert again.loc[contact(2), "is_deleted"]


GOOD = {
    "attributes": {"type": "Contact"},
    "Id": contact(1),
    "Email": None,
    "AccountId": None,
    "IsDeleted": False,
    "MasterRecordId": None,
    "Hard_Bounce__c": True,
    "Hard_Bounce_Date__c": "2026-05-04T09:00:00.000+0000",
}


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ({"Hard_Bounce__c": None}, "Hard_Bounce__c is neither true nor false"),
        ({"Hard_Bounce__c": "true"}, "neither true nor false"),
        ({"Id": "003"}, "isn't an 18-character id of Contact"),
        ({"Id": lead(1)}, "isn't an 18-character id of Contact"),
        ({"Hard_Bounce_Date__c": "2026-02-30T09:00:00.000+0000"}, "date can't be read"),
        ({"Hard_Bounce_Date__c": "04.05.2026"}, "date can't be read"),
        ({"Email": 7}, "Email isn't text"),
        ({"Email": ...}, "Email was asked for and isn't there"),
    ],
)
def test_a_record_that_cant_be_read_is_an_error_that_names_it(org, connection, damage, complaint):
    record = {**GOOD, **damage}
    answer_with(org, {name: value for name, value in record.items() if value is not ...})
    with pytest.raises(UnreadableAnswer, match=rf"query of flagged Contact records.*{complaint}"):
        RecordReader(connection).read([])


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([], "not one entry for each id"),
        ([{**GOOD, "Id": contact(2)}], "another record in the place of"),
        (["x"], "another record in the place of"),
    ],
)
def test_a_retrieve_that_doesnt_answer_what_was_asked_is_refused(
    org, connection, entries, complaint
):
    answer_with(org, GOOD, entries)
    with pytest.raises(UnreadableAnswer, match=rf"Collections retrieve of 1 Contact.*{complaint}"):
        RecordReader(connection).read([contact(5)])


def answer_with(org, flagged: dict[str, Any], retrieved: list[Any] | None = None) -> None:
    """Makes the scripted org describe both objects and give one flagged Contact."""
    types = {"Hard_Bounce__c": "boolean", "Hard_Bounce_Date__c": "datetime"}
    names = [*GOOD, "IsConverted", "ConvertedContactId"]
    described = {"fields": [{"name": each, "type": types.get(each, "string")} for each in names]}

    def answer(request: Request) -> Reply:
        if request.path.endswith("/describe"):
            return Reply(described)
        if "/composite/sobjects/" in request.path:
            return Reply(retrieved)
        parts = request.json["compositeRequest"]
        bodies = [
            {"totalSize": len(rows), "done": True, "records": rows}
            for rows in ([flagged] if "FROM+Contact" in part["url"] else [] for part in parts)
        ]
        return Reply(
            {
                "compositeResponse": [
                    {"referenceId": part["referenceId"], "httpStatusCode": 200, "body": body}
                    for part, body in zip(parts, bodies, strict=True)
                ]
            }
        )

    org.handler = answer


@pytest.fixture
def persons(sandbox: SandboxOrg) -> SandboxOrg:
    """An org with Person Accounts: one that is flagged, one that isn't, and one merged away."""
    sandbox.store.set_setting("person_accounts", "true")
    sandbox.insert(
        "Account",
        {"Id": account(1), "IsPersonAccount": 1, "PersonContactId": contact(1)},
        {"Id": account(2), "IsPersonAccount": 1, "PersonContactId": contact(2)},
        {"Id": account(3), "IsDeleted": 1, "MasterRecordId": account(2)},
        {"Id": account(4)},
    )
    sandbox.contacts(
        {"Id": contact(1), "AccountId": account(1), "IsPersonAccount": 1, "Hard_Bounce__c": 1},
        {"Id": contact(2), "AccountId": account(2), "IsPersonAccount": 1, "Email": "p@x.example"},
        {"Id": contact(4), "AccountId": account(4)},
    )
    return sandbox


def test_person_accounts_are_known_where_they_arent_written(persons):
    with persons.connected() as crm:
        found = read(crm, [contact(2), contact(4)])
    assert {key: row["person_account_id"] for key, row in found.items()} == {
        contact(1): account(1),
        contact(2): account(2),
        contact(4): None,
    }


def test_an_account_leads_to_the_contact_behind_it(persons):
    with persons.connected(person_accounts=True) as crm:
        found = read(crm, [account(3)])
    assert set(found) == {contact(1), account(1), account(2), account(3), contact(2)}
    assert found[account(1)]["converted_contact_id"] == contact(1)
    assert not found[account(1)]["flag"]
    assert found[account(3)]["master_record_id"] == account(2)


def test_person_accounts_are_written_through_the_account(persons):
    plan = changes({"record_id": contact(2), "person_account_id": account(2)})
    for bulk_from in (2000, 1):
        persons.store.execute('UPDATE "Contact" SET "Hard_Bounce__c" = 0')
        settings = {"person_accounts": True, "bulk_from": bulk_from}
        with Connection(persons.org(**settings)) as crm:
            updates = FlagWriter(crm, MemoryJournal()).write(plan, FACTS)
        assert list(updates["outcome"]) == ["written"]
        assert list(updates["record_id"]) == [contact(2)]
        assert persons.rows("Contact")[contact(2)]["Hard_Bounce__c"] == 1


def test_the_contact_of_a_person_account_refuses(persons):
    plan = changes({"record_id": contact(2), "person_account_id": account(2)})
    with persons.connected() as crm:
        updates = FlagWriter(crm, MemoryJournal()).write(plan, FACTS)
    assert list(updates["error_code"]) == ["INVALID_PERSON_ACCOUNT_OPERATION"]


def test_an_org_without_person_accounts_says_so(sandbox):
    with (
        sandbox.connected(person_accounts=True) as crm,
        pytest.raises(FieldsMissing, match=r"Account\.PersonEmail is missing or hidden"),
    ):
        RecordReader(crm).read([])


def test_a_large_result_is_read_by_a_query_job_and_is_the_same(sandbox, monkeypatch):
    for each in ("Contact", "Lead"):
        sandbox.store.add_field(each, "Number__c", "double", external_id=True)
    sandbox.contacts(
        *(
            {"Id": contact(n), "Hard_Bounce__c": 1, "Email": f"ü{n}@x.example", "Number__c": n}
            | ({"Hard_Bounce_Date__c": AT, "AccountId": account(n)} if n % 2 else {})
            for n in range(4500)
        )
    )

    def read_all() -> tuple[pd.DataFrame, int]:
        with sandbox.connected() as crm:
            records = RecordReader(crm).read([], match_field="Number__c")
            return records.sort_values("record_id", ignore_index=True), crm.calls

    by_pages, _ = read_all()
    monkeypatch.setattr(bulk_query, "CALLS", -1)
    monkeypatch.setattr(bulk_query, "PAGE", 2500)
    by_job, _ = read_all()
    pd.testing.assert_frame_equal(by_pages, by_job)
    jobs = sandbox.store.execute("SELECT count(*) FROM bulk_job").fetchone()
    assert jobs[0] > 0


def query_job(**said: Any) -> Reply:
    return Reply({"id": "750000000000001AAA", "state": "JobComplete", **said})


def results(count: int, *ids: str, locator: str = "null") -> Reply:
    body = "\n".join(['"Id"', *(f'"{each}"' for each in ids), ""]).encode()
    return Reply(body, headers={"Sforce-Locator": locator, "Sforce-NumberOfRecords": str(count)})


@pytest.mark.parametrize(
    ("answers", "error", "complaint"),
    [
        ([query_job(state="Failed", errorMessage="too hard")], ServiceUnavailable, "too hard"),
        (
            [query_job(numberRecordsProcessed=2), results(1, "a")],
            UnreadableAnswer,
            "1 records of 2",
        ),
        ([query_job(), *[results(2, "a")] * 3], UnreadableAnswer, "1 records where 2"),
        ([query_job(), *[Reply(b"")] * 3], UnreadableAnswer, "not a CSV"),
        ([Reply({"id": "7"})] * 3, UnreadableAnswer, "not a job"),
    ],
)
def test_a_query_job_that_doesnt_add_up_is_refused(org, connection, answers, error, complaint):
    org.script = list(answers)
    with pytest.raises(error, match=rf"Bulk query of Contact.*{complaint}"):
        list(
            bulk_query.pages(
                connection,
                "SELECT Id FROM Contact",
                deleted_too=False,
                like={"Id": "a"},
                what="query of Contact",
            )
        )
