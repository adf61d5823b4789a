"""sObject Collections: results in order; a bad row stops no other, a bad request stops all."""

from __future__ import annotations

from typing import Any

import pytest

from bounce_sync_tests.sandbox_salesforce.org import (
    Org,
    account_id,
    codes,
    contact_id,
    flagged,
    lead_id,
    record_id,
)

UNKNOWN = contact_id(9999)


def test_writes_and_answers_in_order(org: Org) -> None:
    contacts, leads = org.contacts(2), org.leads(1)
    results = org.update(
        [
            flagged(
                contacts[1], Hard_Bounce__c=True, Hard_Bounce_Date__c="2026-05-04T09:00:00.000Z"
            ),
            flagged(
                contacts[0], Hard_Bounce__c=True, Hard_Bounce_Date__c="2026-05-04T11:00:00+0200"
            ),
            flagged(leads[0], "Lead"),
        ]
    )
    assert [one["id"] for one in results] == [contacts[1], contacts[0], leads[0]]
    assert codes(results) == [None, None, None]
    for key in contacts:
        assert org.value("Contact", key, "Hard_Bounce_Date__c") == "2026-05-04T09:00:00.000Z"
    assert org.value("Lead", leads[0], "Hard_Bounce__c") == 1


def test_null_clears_a_date(org: Org) -> None:
    key = org.contacts(1, Hard_Bounce_Date__c="2026-05-04T09:00:00.000Z")[0]
    org.update([flagged(key, Hard_Bounce_Date__c=None)])
    assert org.value("Contact", key, "Hard_Bounce_Date__c") is None


def test_both_spellings_and_forms_of_an_id(org: Org) -> None:
    ids = org.contacts(2)
    first = {"attributes": {"type": "Contact"}, "Id": ids[0][:15], "Hard_Bounce__c": True}
    results = org.update([first, flagged(ids[1])])
    assert [one["id"] for one in results] == ids


def test_what_can_be_wrong_with_a_row(org: Org) -> None:
    ids = org.contacts(4, IsDeleted=lambda n: int(n == 2))
    leads = org.leads(1, IsConverted=1)
    rows = [
        (flagged("nonsense"), "MALFORMED_ID"),
        (flagged(lead_id(1)), "MALFORMED_ID"),
        (flagged(UNKNOWN), "INVALID_CROSS_REFERENCE_KEY"),
        (flagged(ids[1]), "ENTITY_IS_DELETED"),
        (flagged(ids[0]), None),
        (flagged(ids[0][:15]), "DUPLICATE_VALUE"),
        (flagged(ids[2], Email="no address"), "INVALID_EMAIL_ADDRESS"),
        (flagged(ids[2], LastName="x" * 81), "STRING_TOO_LONG"),
        (flagged(ids[3], IsDeleted=True), "INVALID_FIELD_FOR_INSERT_UPDATE"),
        (flagged(leads[0], "Lead"), "CANNOT_UPDATE_CONVERTED_LEAD"),
    ]
    results = org.update([row for row, _ in rows])
    assert codes(results) == [code for _, code in rows]
    assert all("id" not in one for one in results if not one["success"])
    assert results[0]["errors"] == [
        {
            "statusCode": "MALFORMED_ID",
            "message": "Contact ID: id value of incorrect type: nonsense",
            "fields": ["Id"],
        }
    ]
    assert results[9]["errors"][0]["message"] == "cannot reference converted lead"


def test_converted_leads_take_edits_with_the_permission(org: Org) -> None:
    key = org.leads(1, IsConverted=1)[0]
    org.store.set_setting("edit_converted_leads", "true")
    assert codes(org.update([flagged(key, "Lead")])) == [None]


def test_a_row_that_something_of_the_org_refuses(org: Org) -> None:
    ids = org.contacts(2)
    org.store.insert(
        "crm_refusal",
        ("record_id", "code", "message", "fields"),
        [(ids[0], "ENTITY_IS_LOCKED", "the record is locked in an approval", None)],
    )
    results = org.update([flagged(key) for key in ids])
    assert codes(results) == ["ENTITY_IS_LOCKED", None]


def test_a_validation_rule_refuses_its_rows_only(org: Org) -> None:
    ids = org.contacts(3, Title=lambda n: "CEO" if n == 2 else None)
    org.store.insert(
        "ValidationRule",
        ("Id", "EntityDefinitionId", "Active", "Condition", "ErrorMessage", "ErrorDisplayField"),
        [
            (
                record_id("03d", 1),
                "Contact",
                1,
                "Title = 'CEO' AND Hard_Bounce__c = true",
                "No flags on bosses",
                "Hard_Bounce__c",
            )
        ],
    )
    results = org.update([flagged(key) for key in ids])
    assert codes(results) == [None, "FIELD_CUSTOM_VALIDATION_EXCEPTION", None]
    assert results[1]["errors"][0] == {
        "statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "message": "No flags on bosses",
        "fields": ["Hard_Bounce__c"],
    }
    assert [org.value("Contact", key, "Hard_Bounce__c") for key in ids] == [1, 0, 1]
    assert [row["record_id"] for row in org.audit()] == [ids[0], ids[2]]


def test_all_or_none_rolls_back_and_keeps_the_ids_of_the_innocent(org: Org) -> None:
    ids = org.contacts(1)
    results = org.update([flagged(ids[0]), flagged(UNKNOWN)], all_or_none=True)
    assert codes(results) == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_CROSS_REFERENCE_KEY"]
    assert results[0]["id"] == ids[0]
    assert "id" not in results[1]
    assert org.value("Contact", ids[0], "Hard_Bounce__c") == 0
    assert org.audit() == []


# Whole requests


def refused(org: Org, records: list[dict[str, Any]]) -> str:
    said = org.send(records)
    assert said.status_code == 400, said.text
    return said.json()[0]["errorCode"]


def test_more_than_200_records_are_refused(org: Org) -> None:
    ids = org.contacts(201)
    assert refused(org, [flagged(key) for key in ids]) == "EXCEEDED_ID_LIMIT"
    assert codes(org.update([flagged(key) for key in ids[:200]])) == [None] * 200


def test_more_than_ten_runs_of_a_type_are_refused(org: Org) -> None:
    contacts, leads = org.contacts(6), org.leads(6)
    mixed = [
        record
        for contact, lead in zip(contacts, leads, strict=True)
        for record in (flagged(contact), flagged(lead, "Lead"))
    ]
    assert refused(org, mixed) == "INVALID_INPUT"
    assert codes(org.update(mixed[:10])) == [None] * 10


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (flagged(contact_id(1), Nope__c=True), "INVALID_FIELD"),
        ({"id": contact_id(1), "Hard_Bounce__c": True}, "INVALID_TYPE"),
        (flagged(contact_id(1), "Kontact"), "INVALID_TYPE"),
        (flagged(contact_id(1), Hard_Bounce_Date__c="yesterday"), "JSON_PARSER_ERROR"),
        (flagged(contact_id(1), Hard_Bounce__c=None), "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (flagged(contact_id(1), Hard_Bounce__c="maybe"), "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    ],
)
def test_what_stops_a_request_writes_nothing(org: Org, record: dict[str, Any], code: str) -> None:
    good = org.contacts(2)[1]
    assert refused(org, [flagged(good), record]) == code
    assert org.audit() == []


def test_a_body_that_is_no_json(org: Org) -> None:
    said = org.ask("PATCH", "composite/sobjects", data="{")
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")


def test_a_hidden_field_answers_like_a_missing_one(org: Org) -> None:
    org.store.execute("UPDATE field SET visible = 0 WHERE name = 'Hard_Bounce__c'")
    key = org.contacts(1)[0]
    assert refused(org, [flagged(key)]) == "INVALID_FIELD"
    assert org.refused("SELECT Hard_Bounce__c FROM Contact")["errorCode"] == "INVALID_FIELD"
    said = org.ask(
        "POST", "composite/sobjects/Contact", json={"ids": [key], "fields": ["Hard_Bounce__c"]}
    )
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, "INVALID_FIELD")


# Beside the fields


def test_stamps_move_and_other_fields_stay(org: Org) -> None:
    key = org.contacts(1, Email="a@b.example", LastModifiedDate="2020-01-01T00:00:00.000Z")[0]
    columns = 'SELECT * FROM "Contact" WHERE "Id" = ?'
    before = dict(org.store.execute(columns, (key,)).fetchone())
    org.update([flagged(key)])
    after = dict(org.store.execute(columns, (key,)).fetchone())
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"Hard_Bounce__c", "LastModifiedDate", "LastModifiedById", "SystemModstamp"}
    assert after["LastModifiedById"] == org.user_id


def test_every_write_is_audited(org: Org) -> None:
    key = org.contacts(1)[0]
    org.update([flagged(key, Hard_Bounce_Date__c="2026-05-04T09:00:00Z")])
    (row,) = org.audit()
    assert {name: row[name] for name in ("object", "record_id", "field", "before", "after")} == {
        "object": "Contact",
        "record_id": key,
        "field": "Hard_Bounce_Date__c",
        "before": None,
        "after": "2026-05-04T09:00:00.000Z",
    }
    assert (row["api"], row["header_auto_assign"]) == ("collections", "FALSE")


def test_a_missing_header_reassigns_leads(org: Org) -> None:
    key = org.leads(1)[0]
    org.update([flagged(key, "Lead")], headers={"X-None": ""})
    router = org.value("Lead", key, "OwnerId")
    assert router != org.user_id
    written = [(row["field"], row["after"], row["api"]) for row in org.audit()]
    assert written == [("Hard_Bounce__c", "1", "collections"), ("OwnerId", router, "rule")]


@pytest.mark.parametrize("header", ["FALSE", "false"])
def test_the_header_keeps_the_owner(org: Org, header: str) -> None:
    key = org.leads(1)[0]
    org.update([flagged(key, "Lead")], headers={"Sforce-Auto-Assign": header})
    assert org.value("Lead", key, "OwnerId") == org.user_id


def test_without_an_active_rule_nobody_is_reassigned(org: Org) -> None:
    key = org.leads(1)[0]
    org.store.execute('UPDATE "AssignmentRule" SET "Active" = 0')
    org.update([flagged(key, "Lead")], headers={"X-None": ""})
    assert org.value("Lead", key, "OwnerId") == org.user_id


# Retrieve


def test_retrieve_keeps_order_and_gives_null_for_what_isnt_there(org: Org) -> None:
    ids = org.contacts(3, Email=lambda n: f"c{n}@x.example", IsDeleted=lambda n: int(n == 3))
    asked = [ids[1], "nonsense", UNKNOWN, ids[0][:15], lead_id(1), ids[2], ids[1]]
    said = org.ask(
        "POST", "composite/sobjects/Contact", json={"ids": asked, "fields": ["id", "Email"]}
    ).json()
    assert [one and one["Email"] for one in said] == [
        "c2@x.example",
        None,
        None,
        "c1@x.example",
        None,
        None,
        "c2@x.example",
    ]
    assert said[3] == {
        "attributes": {
            "type": "Contact",
            "url": f"/services/data/v62.0/sobjects/Contact/{ids[0]}",
        },
        "Id": ids[0],
        "Email": "c1@x.example",
    }


def test_retrieve_takes_2000_ids(org: Org) -> None:
    ids = org.contacts(2001)
    body = {"ids": ids, "fields": ["Id"]}
    said = org.ask("POST", "composite/sobjects/Contact", json=body)
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, "EXCEEDED_ID_LIMIT")
    body["ids"] = ids[:2000]
    assert len(org.ask("POST", "composite/sobjects/Contact", json=body).json()) == 2000


def test_retrieve_by_get(org: Org) -> None:
    ids = org.contacts(2)
    said = org.ask(
        "GET", "composite/sobjects/Contact", params={"ids": ",".join(ids), "fields": "Id"}
    )
    assert [one["Id"] for one in said.json()] == ids


# Create, upsert, delete


def test_create_upsert_and_delete(org: Org) -> None:
    made = org.ask(
        "POST",
        "composite/sobjects",
        json={
            "records": [
                {"attributes": {"type": "Contact"}, "LastName": "New", "AccountId": account_id(1)},
                {"attributes": {"type": "Contact"}},
            ]
        },
    ).json()
    assert codes(made) == [None, "REQUIRED_FIELD_MISSING"]
    key = made[0]["id"]
    assert org.value("Contact", key, "OwnerId") == org.user_id
    put = org.ask(
        "PATCH",
        "composite/sobjects/Contact/Id",
        json={"records": [{"attributes": {"type": "Contact"}, "Id": key, "LastName": "Changed"}]},
    ).json()
    assert put == [{"id": key, "success": True, "errors": []}]
    assert org.value("Contact", key, "LastName") == "Changed"
    gone = org.ask("DELETE", "composite/sobjects", params={"ids": f"{key},{UNKNOWN}"}).json()
    assert codes(gone) == [None, "INVALID_CROSS_REFERENCE_KEY"]
    assert org.value("Contact", key, "IsDeleted") == 1
