"""Catching up on months: each day fetched once, Held read once, the CRM touched once at the end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.tables import RawBounces, empty, shape
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.pipeline.dagster_ui import dagster_ui, eventually
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

DAY = last_day()
LATELY = day_before(DAY, 20)
FORGOTTEN = day_before(DAY, 183)
"""SFMC remembers 180 days."""


class Months:
    """Three Held people: one whose bounce SFMC has forgotten and the lake hasn't, one who bounced
    lately, and one on the last day."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tenant = folder, Tenant()
        self.archived, self.lately, self.today = (
            self.tenant.subscriber(self.tenant.contact(), "Held") for _ in range(3)
        )
        self.tenant.bounce(self.lately, LATELY)
        self.tenant.bounce(self.today, DAY)
        self.expected = {
            self.archived: (True, crm_time(FORGOTTEN, "12:00:00")),
            self.lately: (True, crm_time(LATELY, "12:00:00")),
            self.today: (True, crm_time(DAY, "12:00:00")),
        }

    def stored_from(self, first: str, installation: Installation, *lacking: str) -> None:
        """What an installation has in its lake that ran daily since then, except on these days."""
        bounce = {
            "business_unit": str(installation.address.account_id),
            "subscriber_key": self.archived,
            "event_at": pd.Timestamp(crm_time(FORGOTTEN, "12:00:00")).as_unit("us"),
            "bounce_category": "Hard bounce",
            "job_id": 100,
        }
        archived = shape(RawBounces, pd.DataFrame([bounce]))
        for day in (day_before(DAY, days) for days in range(184)):
            if day >= first and day not in lacking:
                table = archived if day == FORGOTTEN else empty(RawBounces)
                installation.runner.lake.write("raw_bounces", day, table)

    def expect_one_run_since_lately(self, installation: Installation) -> None:
        """The two who bounced since then are flagged, by one plan."""
        flagged = {record: date for record, (flag, date) in installation.flags().items() if flag}
        assert flagged == {key: self.expected[key][1] for key in (self.lately, self.today)}
        assert installation.runner.lake.partitions("crm_flag_changes") == [DAY]


@pytest.fixture
def months(tmp_path: Path) -> Months:
    return Months(tmp_path)


@pytest.fixture
def installation(months: Months) -> Iterator[Installation]:
    with installed(months.tenant, months.folder) as here:
        yield here


def command(first: str) -> list[str]:
    return [sys.executable, "-m", "bounce_sync.cli", "run", "--from", first, "--to", DAY, "--json"]


def test_six_months_touch_the_crm_once(months: Months, installation: Installation) -> None:
    lacking = [LATELY, day_before(DAY, 1), DAY]
    months.stored_from(FORGOTTEN, installation, *lacking)
    outcome = installation.run(DAY, first_day=FORGOTTEN)
    assert outcome.success, outcome.error
    lake = installation.runner.lake
    assert [sorted(each.materialised) for each in outcome.fetched] == [["raw_bounces"]] * 3
    assert lake.partitions("held_subscribers") == [DAY]
    assert lake.partitions("crm_flag_changes") == [DAY]
    line = outcome.line()
    assert (line["raw_bounces"], line["staged"], line["written"]) == (3, 3, 3)
    assert installation.flags() == months.expected

    again = installation.run(DAY, first_day=FORGOTTEN)
    assert again.success
    assert (again.fetched, again.line()["written"]) == ([], 0)

    told = subprocess.run(
        [*command(FORGOTTEN)[:3], "explain", months.archived, "--offline", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert FORGOTTEN in told.stdout


def test_stopped_it_goes_on_where_it_was(months: Months, installation: Installation) -> None:
    lake = installation.runner.lake
    lacking = [day_before(DAY, days) for days in (5, 4, 3, 2, 1, 0)]
    months.stored_from(LATELY, installation, *lacking)

    def fetched() -> list[str]:
        return [day for day in lacking if lake.has("raw_bounces", day)]

    process = subprocess.Popen(
        command(LATELY), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    eventually("the first day to be fetched", fetched)
    process.send_signal(signal.SIGTERM)
    line, said = process.communicate()
    assert process.returncode == 1, said
    assert json.loads(line)["missing_days"] == [day for day in lacking if day not in fetched()]
    assert "Run again to go on" in " ".join(said.split())
    assert installation.writes() == 0
    before = {day: lake.path("raw_bounces", day).stat().st_mtime for day in fetched()}
    assert 0 < len(before) < len(lacking)

    outcome = installation.run(DAY, first_day=LATELY)
    assert outcome.success, outcome.error
    assert len(outcome.fetched) == len(lacking) - len(before)
    assert (
        before.items()
        <= {day: lake.path("raw_bounces", day).stat().st_mtime for day in lacking}.items()
    )
    assert installation.flags()[months.today] == months.expected[months.today]


def test_a_forgotten_day_that_the_lake_lacks_is_refused(
    months: Months, installation: Installation
) -> None:
    months.stored_from(LATELY, installation)
    outcome = installation.run(DAY, first_day=FORGOTTEN)
    assert not outcome.success
    assert FORGOTTEN in (outcome.error or "")
    assert "SFMC has forgotten" in (outcome.error or "")
    assert outcome.fetched == []
    assert installation.writes() == 0


def test_a_day_that_cannot_be_fetched_is_the_last_that_is_tried(
    months: Months, installation: Installation
) -> None:
    lacking = [day_before(DAY, days) for days in (3, 2, 1)]
    months.stored_from(LATELY, installation, *lacking)
    with installation.store() as store:
        store.execute("UPDATE bounce SET bounce_category = 'Not of the list'")
        store.execute("UPDATE bounce SET event_date = ?", (f"{lacking[1]} 12:00:00.000",))
    outcome = installation.run(DAY, first_day=LATELY)
    assert [report.success for report in outcome.fetched] == [True, False]
    assert outcome.missing_days == lacking[1:]
    assert ", ".join(lacking[1:]) in (outcome.error or "")
    assert (outcome.fetched[-1].error or "?") in (outcome.error or "")
    assert installation.writes() == 0


def test_a_stored_day_that_breaks_its_contract_is_refused(
    months: Months, installation: Installation
) -> None:
    months.stored_from(LATELY, installation)
    lake = installation.runner.lake
    lake.write("raw_bounces", LATELY, lake.read("raw_bounces", LATELY).drop(columns="event_at"))
    outcome = installation.run(DAY, first_day=LATELY)
    assert f"raw_bounces of {LATELY} breaks its contract" in (outcome.error or "")
    assert f"materialise raw_bounces of {LATELY} again" in (outcome.error or "")
    assert installation.writes() == 0


def test_a_stored_day_whose_file_is_damaged_is_named_wherever_it_is_read(
    months: Months, installation: Installation
) -> None:
    months.stored_from(LATELY, installation)
    path = installation.runner.lake.path("raw_bounces", LATELY)
    path.write_bytes(path.read_bytes()[:100])
    said = f"raw_bounces/{LATELY}.parquet is damaged"
    assert said in (installation.run(DAY, first_day=LATELY).error or "")
    within = installation.runner.materialise(DAY, policy={"evidence_from": LATELY})
    assert said in (within.error or "")
    assert said in (installation.runner.materialise(LATELY, ["raw_bounces"]).error or "")
    assert installation.writes() == 0
    told = subprocess.run(
        [*command(LATELY)[:3], "explain", months.archived, "--offline"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert said in told.stderr
    assert "Traceback" not in told.stderr


LAUNCH_DAYS = """
mutation Days($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
LAUNCH_JOB = """
mutation Job($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter) { ... on Runs { results { status } } }
}
"""
WHERE = (
    "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
)


def test_the_same_in_the_two_steps_of_the_ui(months: Months, installation: Installation) -> None:
    """A backfill of `raw_bounces`, then the daily job of the last day with `evidence_from`."""
    lacking = [LATELY, DAY]
    months.stored_from(LATELY, installation, *lacking)
    for day in lacking:
        assert installation.runner.materialise(day, ["raw_bounces"]).success
    assert installation.writes() == 0
    report = installation.runner.materialise(DAY, policy={"evidence_from": LATELY})
    assert report.success, report.error
    months.expect_one_run_since_lately(installation)
    told = report.materialised["crm_flag_updates"]["evidence days"]
    assert (told[0], told[-1], len(told)) == (LATELY, DAY, 21), "days that aren't missing any more"


@pytest.mark.thorough
def test_the_two_steps_as_the_ui_sends_them(months: Months, installation: Installation) -> None:
    lacking = [LATELY, DAY]
    months.stored_from(LATELY, installation, *lacking)
    with dagster_ui(months.folder) as ui:

        def succeeded(**found_by: object) -> list[str]:
            runs = ui.ask(RUNS, filter=found_by)["runsOrError"]["results"]
            assert not [run for run in runs if run["status"] in ("FAILURE", "CANCELED")]
            return [run["status"] for run in runs if run["status"] == "SUCCESS"]

        days = {"partitionNames": lacking, "assetSelection": [{"path": ["raw_bounces"]}]}
        launched = ui.ask(LAUNCH_DAYS, params=days)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        tag = {"key": "dagster/backfill", "value": launched["backfillId"]}
        eventually("the backfill to end", lambda: len(succeeded(tags=[tag])) == len(lacking))
        assert installation.writes() == 0

        (repository,) = ui.ask(WHERE)["repositoriesOrError"]["nodes"]
        job = {
            "selector": {
                "repositoryLocationName": repository["location"]["name"],
                "repositoryName": repository["name"],
                "jobName": "daily_bounce_sync",
            },
            "runConfigData": {"resources": {"policy": {"config": {"evidence_from": LATELY}}}},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": DAY}]},
        }
        launched = ui.ask(LAUNCH_JOB, params=job)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        eventually("the run to end", lambda: succeeded(runIds=[launched["run"]["runId"]]))
    months.expect_one_run_since_lately(installation)
