"""A report that breaks its contract is written in no way, and one that keeps it can be written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bounce_sync.commands.runner import RunReport
from bounce_sync.storage import LATEST
from bounce_sync_tests.drift import mending
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, day_before, last_day


def written_alone(installation: Installation) -> RunReport:
    return installation.runner.execute(
        "mend_crm_drift",
        assets=["crm_drift_updates"],
        config={"crm_drift_updates": {"dry_run": False}},
    )


def older(report: pd.DataFrame) -> pd.DataFrame:
    planned_at = pd.Timestamp(report.attrs["planned_at"]) - pd.Timedelta(hours=25)
    report.attrs = report.attrs | {"planned_at": planned_at.isoformat()}
    return report


def test_what_was_shown_is_written_only_while_it_holds(tmp_path: Path) -> None:
    tenant = Tenant()
    for _ in range(2):
        record = tenant.contact()
        tenant.bounce(tenant.subscriber(record, "Held"), day_before(last_day(), 40))
    faults = {
        "every_key_is_accounted_for": lambda report: report.iloc[1:].reset_index(drop=True),
        "schema": lambda report: report.assign(finding="guessed"),
        "more than a day": older,
    }
    with installed(tenant, tmp_path) as installation:
        assert "was never stored" in (written_alone(installation).error or "")
        assert mending.check_drift(installation).success
        lake = installation.runner.lake
        shown = lake.read("crm_drift", LATEST)
        for said, spoilt in faults.items():
            lake.write("crm_drift", LATEST, spoilt(shown.copy()))
            assert said in (written_alone(installation).error or ""), said
        assert installation.writes() == 0

        lake.write("crm_drift", LATEST, shown)
        done = written_alone(installation)
        assert done.success, done.error
        assert done.number("crm_drift_updates", "written") == 2
