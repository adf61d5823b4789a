"""`undo` and `explain` on an installation that ran the daily job, and what later runs then do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bounce_sync.commands.explain import explain
from bounce_sync.commands.undo import undo
from bounce_sync.definitions import defs
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

TODAY = last_day()
YESTERDAY = day_before(TODAY, 1)


class Team:
    """An installation with one day run: Ann and Bob were flagged, Cat was cleared."""

    def __init__(self, folder: Path) -> None:
        tenant = Tenant()
        self.ann = tenant.contact("Ann@Outage.example")
        self.bob = tenant.lead()
        self.cat = tenant.contact(
            Hard_Bounce__c="true", Hard_Bounce_Date__c=crm_time(day_before(TODAY, 40), "08:00:00")
        )
        for key in (self.ann, self.bob):
            tenant.subscriber(key, "Held")
            tenant.bounce(key, YESTERDAY)
        tenant.subscriber(self.cat, "Active")
        self.folder, self.tenant = folder, tenant

    def flagged(self) -> set[str]:
        return {record for record, (flag, _) in self.installation.flags().items() if flag}

    def run(self, day: str) -> dict:
        outcome = self.installation.run(day)
        assert outcome.success, outcome.error
        return outcome.line()

    installation: Installation


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    team = Team(folder)
    with installed(team.tenant, folder, BOUNCE_SYNC_START_DATE=YESTERDAY) as team.installation:
        yield team


def called(command, *arguments: str) -> Result:
    result = CliRunner().invoke(command, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def line(result: Result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def as_job(team: Team, run: str, *, dry_run: bool) -> dict:
    """The Dagster job; its metadata as plain values."""
    result = defs.resolve_job_def("undo_run").execute_in_process(
        instance=team.installation.runner.instance,
        run_config={
            "ops": {"put_back": {"config": {"run_id": run, "dry_run": dry_run}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
    )
    metadata = next(
        event.step_output_data.metadata for event in result.all_events if event.is_successful_output
    )
    return {name: value.value for name, value in metadata.items()}


def test_what_was_undone_is_not_done_again(team: Team) -> None:
    first = team.run(YESTERDAY)
    assert (first["set"], first["clear"], first["written"]) == (2, 1, 3)
    after = team.installation.flags()
    assert team.flagged() == {team.ann, team.bob}

    refused = called(undo, first["run_id"])
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    told = called(undo, first["run_id"], "--dry-run").stderr
    assert all(record in told for record in (team.ann, team.bob, team.cat))
    shown = line(called(undo, first["run_id"], "--dry-run", "--json"))
    assert (shown["planned"], shown["written"]) == (3, 0)
    assert team.installation.flags() == after

    part = line(called(undo, first["run_id"], "--domain", "outage.example", "--yes", "--json"))
    assert (part["written"], part["left"]) == (1, {})
    assert team.flagged() == {team.bob}
    rest = line(called(undo, first["run_id"], "--yes", "--json"))
    assert (rest["written"], rest["left"]) == (2, {"undone_already": 1})
    assert team.flagged() == {team.cat}
    assert team.installation.flags()[team.ann] == (False, None)

    for day in (YESTERDAY, TODAY):
        again = team.run(day)
        assert (again["set"], again["refresh"], again["clear"]) == (0, 0, 0), "left as undo left it"

    lifted = line(called(undo, rest["run_id"], "--yes", "--json"))
    assert lifted["written"] == 2
    assert team.flagged() == {team.bob}
    lifted_in_the_ui = as_job(team, part["run_id"], dry_run=True)
    assert (lifted_in_the_ui["planned"], lifted_in_the_ui["written"]) == (1, 0)
    assert as_job(team, part["run_id"], dry_run=False)["written"] == 1
    assert team.installation.flags() == after
    assert team.run(TODAY)["written"] == 0, "the undo of the undo brought everything back"

    story = json.loads(called(explain, team.ann, "--json").stdout)
    assert [
        event["details"]["action"] for event in story["timeline"] if event["kind"] == "write"
    ] == [
        "set",
        "clear",
        "set",
    ]
    told = called(explain, "ann@outage.EXAMPLE").stdout
    assert "Hard bounce (550)" in told
    assert "undone" in told


def test_a_run_that_is_unknown_and_a_person_that_is_unknown_say_so(team: Team) -> None:
    unknown = called(undo, "no-such-run", "--yes")
    assert unknown.exit_code == 1
    assert "no run no-such-run" in unknown.output
    nobody = called(explain, "nobody@nowhere.example", "--offline")
    assert nobody.exit_code == 1
    assert "Nothing is known" in nobody.output
