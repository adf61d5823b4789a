"""Dagster on PostgreSQL: code server, webserver and daemon apart, and the schedule fires.

What is started, and with which configuration, comes from the shipped files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest
from dagster._core.scheduler.instigation import ScheduleInstigatorData

from bounce_sync.sandbox import csv_folder
from bounce_sync.storage import Lake
from bounce_sync_tests.alerts.launching import STATUS
from bounce_sync_tests.alerts.receivers import Inbox, web_hook
from bounce_sync_tests.ledger import servers
from bounce_sync_tests.pipeline.dagster_ui import DagsterUi, eventually
from bounce_sync_tests.production.processes import Machine
from bounce_sync_tests.tenant import SERVER, Tenant

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(servers.programs() is None, reason="PostgreSQL isn't installed"),
]

START = """
mutation Start($schedule: ScheduleSelector!) {
  startSchedule(scheduleSelector: $schedule) {
    __typename
    ... on PythonError { message }
  }
}
"""
SCHEDULE = {
    "repositoryLocationName": "bounce_sync",
    "repositoryName": "__repository__",
    "scheduleName": "daily_bounce_sync_schedule",
}
RUNS = """
{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }
"""


@dataclass
class Night:
    """What a night of production left behind."""

    run: dict
    partition: str
    lake: Lake
    written: int
    stored_runs: int
    alive: int
    stopped: int
    configuration: set[str]
    health: dict[str, int]
    alarm: Inbox
    held: set[str]


def due_day() -> str:
    """The server day that the newest 03:00 ran."""
    ran = datetime.now(UTC) + SERVER - timedelta(hours=3)
    return (ran.date() - timedelta(days=1)).isoformat()


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("production")
    partition = due_day()
    tenant = Tenant()
    held = {tenant.subscriber(tenant.contact(), "Held") for _ in range(3)}
    for key in held:
        tenant.bounce(key, partition)
    csv_folder.create(folder / "state" / "sandbox", tenant.write(folder / "csv"))
    with servers.postgresql() as database:
        machine = Machine.prepare(folder, database)
        with machine.running("code"), machine.running("webserver"):
            ui = DagsterUi(machine.ui)
            eventually("the UI to load the code location", ui.ready)
            started = ui.ask(START, schedule=SCHEDULE)["startSchedule"]
            assert started["__typename"] == "ScheduleStateResult", started
            _was_down_for_a_day(machine)
            with machine.running("daemon"):
                run = eventually("the schedule to fire", lambda: _runs(ui))[0]
                eventually("the run to end", lambda: _ended(ui, run["runId"]))
                run = _runs(ui)[0]
                alive = machine.run("liveness")
                health = machine.health()
            machine.environ["DAGSTER_DAEMON_HEARTBEAT_TOLERANCE"] = "0"  # beside its own 30 s
            stopped = eventually("the daemon to be missed", lambda: machine.run("liveness"))
            with web_hook() as hook:
                alerts = f"json://127.0.0.1:{hook.port}/"
                assert machine.run("stopped", BOUNCE_SYNC_ALERTS=alerts) == 0
        with psycopg.connect(f"{database}/ledger") as ledger:
            written = _count(ledger, "SELECT count(*) FROM outcome WHERE outcome = 'written'")
        with psycopg.connect(f"{database}/dagster") as dagster:
            stored_runs = _count(dagster, "SELECT count(*) FROM runs")
    return Night(
        run=run,
        partition=partition,
        lake=Lake(str(folder / "state" / "lake")),
        written=written,
        stored_runs=stored_runs,
        alive=alive,
        stopped=stopped,
        configuration={each.name for each in (folder / "etc").rglob("*") if each.is_file()},
        held=held,
        health=health,
        alarm=hook.inbox,
    )


def _was_down_for_a_day(machine: Machine) -> None:
    """Leaves the schedule as a daemon finds it that was down when the schedule was due."""
    with pytest.MonkeyPatch.context() as patched:
        for name in machine.environ.keys() - os.environ.keys() | {"DAGSTER_HOME"}:
            patched.setenv(name, machine.environ[name])
        with dg.DagsterInstance.get() as instance:
            (state,) = instance.all_instigator_state()
            before = state.instigator_data
            assert isinstance(before, ScheduleInstigatorData)
            yesterday = (datetime.now(UTC) - timedelta(days=1)).timestamp()
            instance.update_instigator_state(
                state.with_data(ScheduleInstigatorData(before.cron_schedule, yesterday))
            )


def _runs(ui: DagsterUi) -> list[dict]:
    return list(ui.ask(RUNS)["runsOrError"]["results"])


def _ended(ui: DagsterUi, run: str) -> bool:
    return ui.ask(STATUS, run=run)["runOrError"]["status"] in {"SUCCESS", "FAILURE", "CANCELED"}


def _count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_the_schedule_fires_a_run_that_flags_people(night: Night) -> None:
    tags = {tag["key"]: tag["value"] for tag in night.run["tags"]}
    assert night.run["status"] == "SUCCESS"
    assert tags["dagster/schedule_name"] == "daily_bounce_sync_schedule"
    assert tags["dagster/partition"] == night.partition
    updates = night.lake.read("crm_flag_updates", night.partition)
    assert set(updates["record_id"]) == night.held
    assert set(updates["outcome"]) == {"written"}


def test_ledger_and_runs_are_in_postgresql(night: Night) -> None:
    assert night.written == len(night.held)
    assert night.stored_runs == 1


def test_a_daemon_that_stopped_is_noticed_from_outside(night: Night) -> None:
    assert night.alive == 0
    assert night.stopped == 1


def test_nothing_is_written_beside_the_configuration(night: Night) -> None:
    assert night.configuration == {"dagster.yaml", "workspace.yaml"}


def test_the_health_checks_of_the_containers_find_all_well(night: Night) -> None:
    assert night.health == {"code": 0, "webserver": 0, "daemon": 0}


def test_who_is_in_alerts_is_told_that_it_stopped(night: Night) -> None:
    ((title, body),) = night.alarm.messages
    assert title == "bounce_sync (sandbox): the daemon or the code server stopped"
    assert "until it is up again" in body
