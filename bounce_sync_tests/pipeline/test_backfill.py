"""A backfill of three days from the UI runs three days and ends as three daily runs would."""

from __future__ import annotations

from pathlib import Path

from bounce_sync.tables import DAILY_TABLES
from bounce_sync_tests.installation import installed
from bounce_sync_tests.pipeline.dagster_ui import dagster_ui, eventually
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

DAYS = [day_before(last_day(), days) for days in (2, 1, 0)]

LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter) {
    ... on Runs { results { status tags { key value } stepStats { stepKey } } }
  }
}
"""


def test_three_days_are_three_runs_of_everything(tmp_path: Path) -> None:
    tenant = Tenant()
    bounced_at = {}
    for day in DAYS:
        key = tenant.subscriber(tenant.contact(), "Held")
        tenant.bounce(key, day)
        bounced_at[key] = crm_time(day, "12:00:00")
    with installed(tenant, tmp_path) as installation:
        with dagster_ui(tmp_path) as ui:
            launched = ui.ask(
                LAUNCH,
                params={
                    "partitionNames": DAYS,
                    "assetSelection": [{"path": [name]} for name in DAILY_TABLES],
                },
            )["launchPartitionBackfill"]
            assert launched["__typename"] == "LaunchBackfillSuccess", launched
            tag = {"key": "dagster/backfill", "value": launched["backfillId"]}

            def finished() -> list[dict]:
                runs = ui.ask(RUNS, filter={"tags": [tag]})["runsOrError"]["results"]
                over = {"SUCCESS", "FAILURE", "CANCELED"}
                done = len(runs) >= len(DAYS) and all(run["status"] in over for run in runs)
                return runs if done else []

            runs = eventually("the backfill to end", finished)
        assert [run["status"] for run in runs] == ["SUCCESS"] * len(DAYS)
        partitions = [
            tag["value"] for run in runs for tag in run["tags"] if tag["key"] == "dagster/partition"
        ]
        assert sorted(partitions) == DAYS
        for run in runs:
            assert {step["stepKey"] for step in run["stepStats"]} >= set(DAILY_TABLES)
        assert {
            record: date for record, (flag, date) in installation.flags().items() if flag
        } == bounced_at
