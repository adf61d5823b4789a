"""What only both services together tell: SubscriberKeys, and what the first run would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bounce_sync_tests.doctor.patient import DAY, Patient, admitted, healthy
from bounce_sync_tests.tenant import Tenant, day_before, to_18


def test_there_is_no_day_to_run_yet(patient: Patient) -> None:
    report = patient.look("--json", BOUNCE_SYNC_START_DATE=day_before(DAY, -1))
    assert report.unwell == {"first_run": "warn"}
    assert "BOUNCE_SYNC_START_DATE" in report.said("first_run")


def test_addresses_that_dont_agree_stop_the_first_run(tmp_path: Path) -> None:
    tenant = Tenant()
    for _ in range(120):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held", "x@elsewhere.example"), DAY)
    with admitted(tenant, tmp_path) as patient:
        report = patient.look("--json")
    assert report.unwell == {"first_run": "fail"}
    assert "--allow-mismatch" in report.said("first_run")
    assert report.findings["first_run"]["numbers"]["none_email_changed"] == 120


def _with_keys(folder: Path, *keys: str) -> Tenant:
    tenant = healthy()
    for key in keys:
        tenant.bounce(tenant.subscriber(key, "Held", "x@people.example"), DAY)
    return tenant


@pytest.mark.parametrize(
    ("keys", "level", "advice"),
    [
        ([f"person{n}@people.example" for n in range(5)], "fail", "match_field to Email"),
        ([f"{n:010d}" for n in range(5)], "fail", "match_field to the API name of the field"),
        ([to_18(f"003Zz{n:010d}") for n in range(40)], "fail", "another org's ids"),
        ([to_18(f"003Zz{n:010d}") for n in range(2)], "warn", "were deleted in the CRM"),
        (["person@people.example"], "warn", "reason unmatched"),
    ],
)
def test_keys_that_lead_nowhere(tmp_path: Path, keys: list[str], level: str, advice: str) -> None:
    with admitted(_with_keys(tmp_path, *keys), tmp_path) as patient:
        report = patient.look()
    assert report.unwell == {"keys": level}
    assert advice in report.said("keys")


def test_damaged_and_short_ids_lead_to_their_record(tmp_path: Path) -> None:
    tenant = Tenant()
    short, damaged = tenant.contact(), tenant.contact()
    for key, record in ((short[:15], short), (damaged.lower(), damaged)):
        tenant.bounce(tenant.subscriber(key, "Held", tenant.email_of(record)), DAY)
    with admitted(tenant, tmp_path) as patient:
        report = patient.look()
    assert report.unwell == {}
    numbers = report.findings["keys"]["numbers"]
    assert (numbers["ids_15"], numbers["ids_18"], numbers["matched"]) == (1, 1, 2)
