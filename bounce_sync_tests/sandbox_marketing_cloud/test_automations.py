"""Automations and Journeys: a filled data extension becomes flags in the CRM."""

import time
from typing import Any

import pytest

from bounce_sync.sandbox.faults import Faults
from bounce_sync.sandbox.salesforce.ids import new_id
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_marketing_cloud.service import Host, Service

CONTACT, OTHER, LEAD = new_id("003"), new_id("003"), new_id("00Q")
CONVERTED = new_id("00Q")
BEFORE = "2026-01-01T00:00:00.000Z"
FLAGGED_AT = "2026-03-09T16:02:00Z"


@pytest.fixture(autouse=True)
def records(store: Store) -> None:
    stamps = ["CreatedDate", "LastModifiedDate", "SystemModstamp"]
    columns = ["Id", "LastName", "Hard_Bounce__c", "Hard_Bounce_Date__c", *stamps]
    for record_id in (CONTACT, OTHER):
        store.insert("Contact", columns, [(record_id, "A", 0, None, *[BEFORE] * 3)])
    store.insert("Lead", [*columns, "Company"], [(LEAD, "B", 0, None, *[BEFORE] * 3, "C")])
    store.insert(
        "Lead",
        [*columns, "Company", "IsConverted"],
        [(CONVERTED, "B", 0, None, *[BEFORE] * 3, "C", 1)],
    )


def state(store: Store, record_id: str) -> tuple[int, str | None]:
    table = "Contact" if record_id.startswith("003") else "Lead"
    row = store.execute(f'SELECT * FROM "{table}" WHERE "Id" = ?', (record_id,)).fetchone()
    return row["Hard_Bounce__c"], row["Hard_Bounce_Date__c"]


def fill(service: Service, key: str, *rows: dict[str, str]) -> None:
    body = [
        {"keys": {"SubscriberKey": f"key{number}"}, "values": row}
        for number, row in enumerate(rows)
    ]
    said = service.rest("POST", f"/hub/v1/dataevents/key:{key}/rowset", json=body)
    assert said.status_code == 200, said.text


def automation(service: Service, name: str) -> dict[str, Any]:
    items = service.rest("GET", "/automation/v1/automations").json()["items"]
    return next(item for item in items if item["name"] == name)


def run(service: Service, name: str) -> dict[str, Any]:
    """Runs it once and waits for its end; returns what it then says of itself."""
    path = f"/automation/v1/automations/{automation(service, name)['id']}"
    started = service.rest("POST", f"{path}/actions/runallonce", json={})
    assert (started.status_code, started.json()) == (200, "OK")
    deadline = time.monotonic() + 20
    while (now := service.rest("GET", path).json())["status"] == "Running":
        assert time.monotonic() < deadline, "the automation doesn't end"
    return now


class TestDelivery:
    def test_set_ticks_and_dates_contacts_and_leads(self, service: Service, store: Store) -> None:
        fill(
            service,
            "Hard_Bounce_Staging_DE",
            {"ContactId": CONTACT, "FlagDate": FLAGGED_AT},
            {"LeadId": LEAD[:15], "FlagDate": "2026-03-09T10:02:00-06:00"},
            {"ContactId": new_id("003"), "FlagDate": FLAGGED_AT},
            {"LeadId": CONVERTED, "FlagDate": FLAGGED_AT},
        )
        assert run(service, "bounce_sync_set")["status"] == "Ready"
        assert state(store, CONTACT) == (1, "2026-03-09T16:02:00.000Z")
        assert state(store, LEAD) == (1, "2026-03-09T16:02:00.000Z")
        assert state(store, OTHER) == (0, None)
        assert state(store, CONVERTED) == (0, None)
        written = store.execute("SELECT DISTINCT record_id, api FROM crm_write").fetchall()
        assert {tuple(row) for row in written} == {(CONTACT, "journey"), (LEAD, "journey")}

    def test_release_unticks_and_leaves_the_date(self, service: Service, store: Store) -> None:
        store.execute(
            'UPDATE "Contact" SET "Hard_Bounce__c" = 1, "Hard_Bounce_Date__c" = ?', (BEFORE,)
        )
        fill(service, "Hard_Bounce_Release_DE", {"ContactId": CONTACT, "FlagDate": FLAGGED_AT})
        run(service, "bounce_sync_release")
        assert state(store, CONTACT) == (0, BEFORE)
        assert state(store, OTHER) == (1, BEFORE)

    def test_all_records_enter_again_each_time(self, service: Service, store: Store) -> None:
        fill(service, "Hard_Bounce_Staging_DE", {"ContactId": CONTACT, "FlagDate": FLAGGED_AT})
        run(service, "bounce_sync_set")
        store.execute('UPDATE "Contact" SET "Hard_Bounce__c" = 0')
        run(service, "bounce_sync_set")
        assert state(store, CONTACT)[0] == 1

    def test_what_the_org_refuses_is_left_and_nobody_is_told(
        self, service: Service, store: Store
    ) -> None:
        store.execute(
            "INSERT INTO crm_refusal (record_id, code, message) VALUES (?, 'FIELD_X', 'no')",
            (CONTACT,),
        )
        fill(
            service,
            "Hard_Bounce_Staging_DE",
            {"ContactId": CONTACT, "FlagDate": FLAGGED_AT},
            {"ContactId": OTHER, "FlagDate": FLAGGED_AT},
        )
        assert run(service, "bounce_sync_set")["status"] == "Ready"
        assert state(store, CONTACT) == (0, None)
        assert state(store, OTHER)[0] == 1

    def test_a_fault_fails_the_run(self, server: Host, store: Store) -> None:
        faults = Faults.parse({"faults": [{"kind": "job_failed", "path": "*/runallonce"}]})
        with server.serving(store, faults) as service:
            fill(service, "Hard_Bounce_Staging_DE", {"ContactId": CONTACT, "FlagDate": FLAGGED_AT})
            assert run(service, "bounce_sync_set")["status"] == "Error"
            assert state(store, CONTACT) == (0, None)


class TestAutomations:
    def test_the_two_of_the_delivery_are_always_there(self, service: Service) -> None:
        items = service.rest("GET", "/automation/v1/automations/").json()["items"]
        assert [item["name"] for item in items] == ["bounce_sync_release", "bounce_sync_set"]
        one = service.rest("GET", "/automation/v1/automations/key:bounce_sync_set").json()
        assert one["steps"][-1]["activities"][-1]["objectTypeId"] == 952

    def test_start_is_for_schedules(self, service: Service, store: Store) -> None:
        made = automation(service, "bounce_sync_set")
        path = f"/automation/v1/automations/{made['id']}/actions/start"
        refused = service.rest("POST", path, json={})
        assert refused.status_code == 400
        assert refused.json()["message"] == "field is required: 'Steps'"
        store.set_setting("automation_start", "accepted")
        assert service.rest("POST", path, json={}).json() == "OK"

    def test_one_that_was_made_runs_its_queries_in_order(
        self, service: Service, store: Store
    ) -> None:
        ids = []
        for key, text in (
            ("q1", "SELECT 'a' AS SubscriberKey"),
            ("q2", "SELECT SubscriberKey FROM Hard_Bounce_Staging_DE"),
        ):
            target = "Hard_Bounce_Staging_DE" if key == "q1" else "Hard_Bounce_Release_DE"
            body = {"name": key, "key": key, "queryText": text, "targetKey": target}
            said = service.rest(
                "POST", "/automation/v1/queries", json={**body, "categoryId": 1}
            ).json()
            ids.append(said["queryDefinitionId"])
        steps = [
            {"step": n, "activities": [{"activityObjectId": query_id, "objectTypeId": 300}]}
            for n, query_id in enumerate(ids, 1)
        ]
        made = service.rest(
            "POST", "/automation/v1/automations", json={"name": "chain", "steps": steps}
        )
        assert made.status_code == 200
        assert run(service, "chain")["status"] == "Ready"
        path = "/data/v1/customobjectdata/key/Hard_Bounce_Release_DE/rowset"
        assert service.rest("GET", path).json()["items"][0]["keys"] == {"subscriberkey": "a"}

    def test_a_run_whose_process_is_gone_is_over(self, service: Service, store: Store) -> None:
        made = automation(service, "bounce_sync_set")
        store.execute("INSERT INTO automation_run VALUES ('gone', ?, ?)", (made["id"], 2**22 + 1))
        store.execute(
            "UPDATE automation SET status_id = 3, last_run_instance_id = 'gone'"
            " WHERE object_id = ?",
            (made["id"],),
        )
        assert automation(service, "bounce_sync_set")["status"] == "Error"
        instance = service.rest("GET", "/automation/v1/automations/instance/gone").json()
        assert (instance["automationId"], instance["status"]) == (made["id"], "Error")
        assert run(service, "bounce_sync_set")["status"] == "Ready"

    def test_unknown(self, service: Service) -> None:
        assert service.rest("GET", "/automation/v1/automations/nothing").status_code == 404


EVENT = {
    "ContactKey": "k",
    "EventDefinitionKey": "APIEvent-bounce_sync_set",
    "Data": {"SubscriberKey": "k", "ContactId": CONTACT, "FlagDate": FLAGGED_AT},
}


class TestEvents:
    def test_one_contact_enters(self, service: Service, store: Store) -> None:
        said = service.rest("POST", "/interaction/v1/events", json=EVENT)
        assert said.status_code == 201
        assert said.json()["eventInstanceId"]
        assert state(store, CONTACT)[0] == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"EventDefinitionKey": "unknown"},
            {"EventDefinitionKey": "APIEvent.bounce_sync_set"},
            {"ContactKey": ""},
            {"ContactKey": "idle"},
            {"Data": {"ContactId": CONTACT}},
        ],
    )
    def test_what_is_refused(self, service: Service, store: Store, change: dict[str, Any]) -> None:
        store.set_setting("inactive_contacts", "idle")
        refused = service.rest("POST", "/interaction/v1/events", json=EVENT | change)
        assert refused.status_code == 400
        assert state(store, CONTACT) == (0, None)
