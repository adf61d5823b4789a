"""The two drift jobs as a team runs them, on an installation against a served sandbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd

from bounce_sync.definitions import defs
from bounce_sync.storage import LATEST
from bounce_sync_tests.installation import Installation


@dataclass(frozen=True)
class Run:
    """What a run of a drift job left behind."""

    run_id: str
    success: bool
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Asset → its metadata as plain values."""
    checks: dict[str, bool] = field(default_factory=dict)
    """Check → whether it passed."""

    def number(self, asset: str, name: str) -> int:
        return int(self.metadata[asset][name])


def check_drift(installation: Installation, **options: Any) -> Run:
    return _run(installation, "check_crm_drift", **options)


def mend(installation: Installation, *, dry_run: bool = False, **options: Any) -> Run:
    return _run(installation, "mend_crm_drift", dry_run=dry_run, **options)


def report(installation: Installation) -> pd.DataFrame:
    return installation.runner.lake.read("crm_drift", LATEST)


def findings(installation: Installation) -> dict[str, str]:
    """Record → finding; for keys that lead nowhere, key → finding."""
    rows = report(installation)
    rows = rows[rows["reason"] != "other_key"]
    who = rows["record_id"].fillna(rows["subscriber_key"])
    return dict(zip(who, rows["finding"], strict=True))


def _run(
    installation: Installation,
    job: str,
    *,
    dry_run: bool | None = None,
    held_without_bounce: str | None = None,
    tags: dict[str, str] | None = None,
    policy: dict[str, Any] | None = None,
) -> Run:
    ops: dict[str, Any] = {}
    if held_without_bounce:
        ops["crm_drift"] = {"config": {"held_without_bounce": held_without_bounce}}
    if dry_run is not None:
        ops["crm_drift_updates"] = {"config": {"dry_run": dry_run}}
    result = defs.resolve_job_def(job).execute_in_process(
        instance=installation.runner.instance,
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": ops,
            "resources": {"policy": {"config": policy or {}}},
        },
        tags=tags,
        raise_on_error=False,
    )
    return Run(result.run_id, result.success, _metadata(result), _checks(result))


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.asset_key.path[-1]: {
            name: value.value
            for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.all_events
        if event.is_step_materialization and event.asset_key
    }


def _checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {
        event.asset_check_evaluation_data.check_name: event.asset_check_evaluation_data.passed
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    }
