"""Runs and sensors, started and looked at as the UI does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bounce_sync_tests.pipeline.dagster_ui import DagsterUi, eventually

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
STATUS = "query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
TICKS = """
query Ticks($sensor: SensorSelector!) {
  sensorOrError(sensorSelector: $sensor) {
    ... on Sensor { sensorState { status ticks(limit: 20) { status error { message } } } }
  }
}
"""
FRESHNESS = """
query Freshness($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode { freshnessStatusInfo {
    freshnessStatus } } }
}
"""
REPOSITORY = {
    "repositoryLocationName": "bounce_sync.definitions",
    "repositoryName": "__repository__",
}


def launch(
    ui: DagsterUi,
    partition: str,
    assets: Sequence[str] | None = None,
    policy: Mapping[str, Any] | None = None,
    checks: Sequence[tuple[str, str]] = (),
    **tags: str,
) -> str:
    """Starts the daily job, or some of its assets, or some checks alone; returns the run's id."""
    tags = {"dagster/partition": partition} | {
        f"bounce_sync/{name}": value for name, value in tags.items()
    }
    selector: dict[str, Any] = REPOSITORY | {"jobName": "daily_bounce_sync"}
    if assets:
        selector["assetSelection"] = [{"path": [name]} for name in assets]
    if checks:
        selector["assetSelection"] = []
        selector["assetCheckSelection"] = [
            {"assetKey": {"path": [asset]}, "name": name} for asset, name in checks
        ]
    launched = ui.ask(
        LAUNCH,
        params={
            "selector": selector,
            "runConfigData": {"resources": {"policy": {"config": dict(policy or {})}}},
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in tags.items()]
            },
        },
    )["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def ended(ui: DagsterUi, run: str) -> str:
    """Waits for the end of a run; returns its status."""

    def over() -> str:
        status = str(ui.ask(STATUS, run=run)["runOrError"]["status"])
        return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else ""

    return str(eventually(f"the end of run {run}", over))


def sensor(ui: DagsterUi, name: str) -> dict[str, Any]:
    """The state of a sensor: status, and its newest ticks."""
    answer = ui.ask(TICKS, sensor=REPOSITORY | {"sensorName": name})
    return dict(answer["sensorOrError"]["sensorState"])


def freshness(ui: DagsterUi, asset: str) -> str | None:
    node = ui.ask(FRESHNESS, key={"path": [asset]})["assetNodeOrError"]
    info = node["freshnessStatusInfo"]
    return str(info["freshnessStatus"]) if info else None
