"""Orgs of other shapes: keys that are no ids, namespaced fields, a date without a time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, crm_time, last_day

DAY = last_day()


def _run(installation: Installation, match_field: str) -> dict[str, str]:
    """One run; record id (or key, where it leads nowhere) → reason."""
    installation.has_fetched_nothing_before(DAY)
    report = installation.runner.materialise(DAY, policy={"match_field": match_field})
    assert report.success, report.error
    plan = installation.runner.lake.read("crm_flag_changes", DAY)
    return dict(zip(plan["record_id"].fillna(plan["subscriber_key"]), plan["reason"], strict=True))


def test_an_external_id_finds_one_of_each_object_and_refuses_to_guess(tmp_path: Path) -> None:
    tenant = Tenant()
    contact, lead = (
        tenant.contact("a@ok.example", Ext__c="0007"),
        tenant.lead("a@ok.example", Ext__c="0007"),
    )
    twins = [tenant.contact("b@ok.example", Ext__c="twin") for _ in range(2)]
    for key, address in (
        ("0007", "a@ok.example"),
        ("twin", "b@ok.example"),
        ("nobody", "c@ok.example"),
    ):
        tenant.bounce(tenant.subscriber(key, "Held", address), DAY)
    with installed(tenant, tmp_path) as installation:
        reasons = _run(installation, "Ext__c")
        assert reasons == {
            contact: "held",
            lead: "held",
            **dict.fromkeys(twins, "ambiguous"),
            "nobody": "unmatched",
        }
        assert {record for record, (flag, _) in installation.flags().items() if flag} == {
            contact,
            lead,
        }


def test_an_address_as_the_key_flags_everybody_who_has_it(tmp_path: Path) -> None:
    tenant = Tenant()
    people = {
        tenant.contact("a@ok.example"),
        tenant.contact("A@OK.example"),
        tenant.lead("a@ok.example"),
    }
    tenant.bounce(tenant.subscriber("a@ok.example", "Held", "a@ok.example"), DAY)
    with installed(tenant, tmp_path) as installation:
        assert _run(installation, "Email") == dict.fromkeys(people, "held")
        assert {record for record, (flag, _) in installation.flags().items() if flag} == people


@pytest.mark.parametrize("delivery", ["api", "journey"])
def test_namespaced_fields_with_a_date_that_has_no_time(tmp_path: Path, delivery: str) -> None:
    fields = {"SALESFORCE_FLAG_FIELD": "acme__Dead__c", "SALESFORCE_DATE_FIELD": "acme__Since__c"}
    tenant = Tenant()
    for make in (tenant.contact, tenant.lead):
        record = make(acme__Dead__c="false", acme__Since__c="2026-01-05")
        tenant.bounce(tenant.subscriber(record, "Held"), DAY, "20:00:00")
    with installed(tenant, tmp_path, BOUNCE_SYNC_DELIVERY=delivery, **fields) as installation:
        with installation.store() as store:
            store.set_setting("flag_field", fields["SALESFORCE_FLAG_FIELD"])
            store.set_setting("date_field", fields["SALESFORCE_DATE_FIELD"])
        assert set(_run(installation, "Id").values()) == {"held"}
        with installation.store() as store:
            shown = {
                tuple(row)
                for name in ("Contact", "Lead")
                for row in store.execute(f"SELECT acme__Dead__c, acme__Since__c FROM {name}")
            }
        facts = installation.runner.lake.read("crm_flag_state", DAY).attrs["facts"]
        at = datetime.fromisoformat(crm_time(DAY, "20:00:00"))
        there = at.astimezone(ZoneInfo(facts["time_zone"])).date().isoformat()
        assert facts["date_is_day"]
        assert shown == {(1, there)}
        assert set(_run(installation, "Id").values()) == {"still_held"}
