"""Single records."""

from __future__ import annotations

import pytest

from bounce_sync_tests.sandbox_salesforce.org import NO_ASSIGNMENT, Org, contact_id, lead_id


def error(said: object) -> tuple[int, str]:
    return said.status_code, said.json()[0]["errorCode"]  # type: ignore[attr-defined]


def test_reads_asked_fields(org: Org) -> None:
    key = org.contacts(1, Email="a@b.example")[0]
    said = org.ask("GET", f"sobjects/Contact/{key[:15]}?fields=Id,email")
    record = said.json()
    record.pop("attributes")
    assert record == {"Id": key, "Email": "a@b.example"}
    assert "Hard_Bounce__c" in org.ask("GET", f"sobjects/Contact/{key}/").json()


def test_an_update_answers_204_and_nothing_else(org: Org) -> None:
    key = org.leads(1)[0]
    said = org.ask(
        "PATCH", f"sobjects/Lead/{key}", json={"Hard_Bounce__c": True}, headers=NO_ASSIGNMENT
    )
    assert (said.status_code, said.content) == (204, b"")
    assert org.value("Lead", key, "Hard_Bounce__c") == 1
    assert org.value("Lead", key, "OwnerId") == org.user_id


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (contact_id(9), (404, "NOT_FOUND")),
        ("nonsense", (404, "NOT_FOUND")),
        (lead_id(1), (404, "NOT_FOUND")),
        (contact_id(2), (404, "ENTITY_IS_DELETED")),
    ],
)
def test_ids_that_lead_nowhere(org: Org, key: str, expected: tuple[int, str]) -> None:
    org.contacts(2, IsDeleted=lambda n: n - 1)
    assert error(org.ask("GET", f"sobjects/Contact/{key}")) == expected
    change = org.ask("PATCH", f"sobjects/Contact/{key}", json={"Hard_Bounce__c": True})
    assert error(change) == expected


def test_row_errors_are_400_here(org: Org) -> None:
    key = org.leads(1, IsConverted=1)[0]
    said = org.ask("PATCH", f"sobjects/Lead/{key}", json={"Hard_Bounce__c": True})
    assert said.status_code == 400
    assert said.json() == [
        {
            "message": "cannot reference converted lead",
            "errorCode": "CANNOT_UPDATE_CONVERTED_LEAD",
            "fields": [],
        }
    ]


def test_the_id_doesnt_belong_into_the_body(org: Org) -> None:
    key = org.contacts(1)[0]
    said = org.ask("PATCH", f"sobjects/Contact/{key}", json={"Id": key, "Hard_Bounce__c": True})
    assert error(said) == (400, "INVALID_FIELD")


def test_if_unmodified_since(org: Org) -> None:
    key = org.contacts(1, LastModifiedDate="2026-05-04T09:00:00.000Z")[0]
    path, body = f"sobjects/Contact/{key}", {"Hard_Bounce__c": True}
    before = {"If-Unmodified-Since": "Mon, 04 May 2026 08:59:59 GMT"}
    assert org.ask("PATCH", path, json=body, headers=before).status_code == 412
    assert org.value("Contact", key, "Hard_Bounce__c") == 0
    then = {"If-Unmodified-Since": "Mon, 04 May 2026 09:00:00 GMT"}
    assert org.ask("PATCH", path, json=body, headers=then).status_code == 204


def test_create_and_delete(org: Org) -> None:
    made = org.ask("POST", "sobjects/Contact/", json={"FirstName": "Ann", "LastName": "Lee"})
    assert made.status_code == 201
    key = made.json()["id"]
    assert org.query(f"SELECT Name, OwnerId FROM Contact WHERE Id = '{key}'") == [
        {"Name": "Ann Lee", "OwnerId": org.user_id}
    ]
    assert org.ask("DELETE", f"sobjects/Contact/{key}").status_code == 204
    assert error(org.ask("DELETE", f"sobjects/Contact/{key}")) == (404, "ENTITY_IS_DELETED")


def test_external_ids(org: Org) -> None:
    org.store.add_field("Contact", "Key__c", "string", length=40, external_id=True)
    key = org.contacts(1, Key__c="k/1")[0]
    path = "sobjects/Contact/Key__c/"
    assert org.ask("GET", path + "K%2F1").json()["Id"] == key
    changed = org.ask("PATCH", path + "k%2F1", json={"LastName": "Changed"})
    assert (changed.status_code, changed.json()["created"]) == (200, False)
    made = org.ask("PATCH", path + "k2", json={"LastName": "Made"})
    assert made.status_code == 201
    assert org.value("Contact", made.json()["id"], "Key__c") == "k2"
    assert error(org.ask("GET", "sobjects/Contact/LastName/Doe")) == (404, "NOT_FOUND")
