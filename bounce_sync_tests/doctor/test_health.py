"""Somebody in good health: every line passes, nothing is written, nobody is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bounce_sync.commands.doctor import doctor
from bounce_sync.doctor import LINES
from bounce_sync.doctor.lines import as_table
from bounce_sync.tables import ACTIONS
from bounce_sync_tests.doctor.patient import DAY, Patient, admitted, report
from bounce_sync_tests.installation import environ, environment, installed
from bounce_sync_tests.tenant import Tenant, crm_time, day_before

VOLATILE = {"access_token", "soap_continuation", "sqlite_sequence"}
"""What reading leaves behind in the sandbox, as in the services."""


def _everything(patient: Patient) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, but those of tokens and of pages that are read."""
    tables = patient.store.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%session%'"
    )
    names = sorted({name for (name,) in tables} - VOLATILE)
    return {
        name: [tuple(row) for row in patient.store.execute(f'SELECT * FROM "{name}"')]
        for name in names
    }


def test_every_line_passes_and_nothing_is_written(patient: Patient, tmp_path: Path) -> None:
    before = _everything(patient)
    assert before["Contact"]
    assert before["bounce"]
    found = patient.look("--json")
    assert found.unwell == {}
    assert found.exit_code == 0
    assert set(found.findings) == {line.name for line in LINES} - {"sfmc_journey"}
    assert found.findings["first_run"]["numbers"]["set"] == 2
    assert _everything(patient) == before
    assert not (tmp_path / "home").exists()


def test_it_writes_nothing_for_any_source_and_delivery(patient: Patient) -> None:
    before = _everything(patient)
    found = patient.look("--json", SFMC_SOURCE="data_views", BOUNCE_SYNC_DELIVERY="journey")
    assert found.unwell == {"crm_assignment_rules": "warn"}
    assert "Journeys don't send the header" in found.said("crm_assignment_rules")
    assert {"first_run", "sfmc_journey"} <= set(found.findings)
    assert _everything(patient) == before


def test_each_finding_has_the_same_five_parts_and_numbers(patient: Patient) -> None:
    found = patient.look("--quick")
    parts = {"group", "name", "level", "said", "to_do", "numbers"}
    assert all(set(each) == parts for each in found.findings.values())
    assert found.findings["crm_api"]["numbers"]["limit"] == 100_000
    assert "first_run" not in found.findings


def test_the_first_run_does_what_was_said(tmp_path: Path) -> None:
    """Set, refresh, clear and what is left, worked out in memory and then by a real dry run."""
    tenant = Tenant()
    long_ago = crm_time(day_before(DAY, 20), "08:00:00")
    flagged = {"Hard_Bounce__c": "true", "Hard_Bounce_Date__c": long_ago}
    for _ in range(3):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), DAY)
    tenant.bounce(tenant.subscriber(tenant.lead(**flagged), "Held"), day_before(DAY, 1))
    tenant.subscriber(tenant.contact(**flagged), "Active")
    tenant.subscriber(tenant.contact(**flagged), "Unsubscribed")
    tenant.contact(**flagged)
    moved = tenant.contact("now@ok.example")
    tenant.bounce(tenant.subscriber(moved, "Held", "then@ok.example"), DAY)
    tenant.bounce(tenant.subscriber("nobody@ok.example", "Held", "nobody@ok.example"), DAY)
    start = {"BOUNCE_SYNC_START_DATE": day_before(DAY, 1)}
    with installed(tenant, tmp_path, **start) as installation:
        with environ(environment(installation.address, tmp_path / "elsewhere", **start)):
            said = report(CliRunner().invoke(doctor, ["--json"])).findings["first_run"]["numbers"]
        run = installation.run(DAY, dry_run=True)
        assert run.success, run.error
        line = run.line()
        plan = installation.runner.lake.read("crm_flag_changes", DAY)
    assert {name: said[name] for name in ACTIONS} == {name: line[name] for name in ACTIONS}
    assert min(said[name] for name in ACTIONS) > 0
    reasons = plan.groupby(["action", "reason"]).size()
    assert {name: count for name, count in said.items() if name not in (*ACTIONS, "day")} == {
        f"{action}_{reason}": count for (action, reason), count in reasons.items()
    }


def test_nobody_and_no_secret_is_named(tmp_path: Path) -> None:
    """Neither on the terminal nor as JSON, also where lines fail."""
    tenant = Tenant()
    name = "penelope.featherstonehaugh"
    for number in range(30):
        address = f"{name}+{number}@people.example"
        tenant.contact(address)
        tenant.bounce(tenant.subscriber(address, "Held", address), DAY, SMTPBounceReason="550 Xyz1")
    with admitted(tenant, tmp_path) as patient:
        reports = [patient.look("--json"), patient.look(SFMC_CLIENT_SECRET="s3cret-and-wrong")]
        assert [each.exit_code for each in reports] == [1, 1]
        with environ(environment(patient.address, patient.home)):
            terminal = CliRunner().invoke(doctor, [])
        printed = "".join(each.printed for each in reports) + terminal.output
        secrets = (patient.address.client_secret, "s3cret-and-wrong")
    for word in (name, "people.example", "Xyz1", *secrets):
        assert word not in printed


def test_the_terminal_shows_groups_levels_and_what_to_do(patient: Patient) -> None:
    patient.store.remove_field("Lead", "Hard_Bounce__c")
    with environ(environment(patient.address, patient.home)):
        result = CliRunner().invoke(doctor, ["--quick"], env={"COLUMNS": "80"})
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "Salesforce CRM" in lines
    (failing,) = (number for number, line in enumerate(lines) if line.startswith("fail"))
    assert "Lead.Hard_Bounce__c is missing" in lines[failing]
    assert "setup" in "".join(lines[failing : failing + 5])
    assert "1 fail" in lines[-1]


@pytest.mark.parametrize("missing", ["SFMC_CLIENT_ID", "SALESFORCE_LOGIN_URL"])
def test_an_incomplete_environment_is_a_finding(patient: Patient, missing: str) -> None:
    found = patient.look(**{missing: ""})
    assert found.unwell == {"settings": "fail"}
    assert list(found.findings) == ["settings"]
    assert missing in found.said("settings")
    assert found.exit_code == 1


def test_the_readme_says_what_each_line_means() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert as_table() in readme.read_text(encoding="utf-8")
