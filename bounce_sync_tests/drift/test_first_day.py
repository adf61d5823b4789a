"""A tenant that held addresses for years before we came: years of flags in one mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bounce_sync.assets.rule import ALLOW_CHANGES
from bounce_sync.ledger import Ledger
from bounce_sync_tests.drift import mending
from bounce_sync_tests.installation import installed
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

YEARS_AGO = day_before(last_day(), 900)
RECENT = day_before(last_day(), 60)


class Years:
    """Held for years with and without a time of Held, and lately with a bounce."""

    def __init__(self) -> None:
        self.tenant = tenant = Tenant()
        self.dated, self.undated, self.bounced = tenant.contact(), tenant.lead(), tenant.contact()
        self.released = tenant.contact(Hard_Bounce__c="true")
        tenant.subscriber(self.dated, "Held", DateUndeliverable=f"{YEARS_AGO} 10:00:00")
        tenant.subscriber(self.undated, "Held")
        tenant.subscriber(self.bounced, "Held", DateUndeliverable=f"{RECENT} 12:00:30")
        tenant.subscriber(self.released, "Active")
        tenant.bounce(self.bounced, RECENT)

    @property
    def flagged(self) -> dict[str, tuple[bool, str | None]]:
        return {
            self.dated: (True, crm_time(YEARS_AGO, "10:00:00")),
            self.undated: (True, None),
            self.bounced: (True, crm_time(RECENT, "12:00:00")),
            self.released: (False, None),
        }


@pytest.fixture
def years() -> Years:
    return Years()


ROADS = {
    "data_views": {"SFMC_SOURCE": "data_views"},
    "data_views, journey": {
        "SFMC_SOURCE": "data_views",
        "BOUNCE_SYNC_DELIVERY": "journey",
        "BOUNCE_SYNC_JOURNEY_WAIT": "60",
    },
    "soap, bulk": {"SALESFORCE_BULK_FROM": "1"},
}


@pytest.mark.parametrize("road", ROADS)
def test_no_bounce_left_dates_by_the_hold_or_not_at_all(
    years: Years, tmp_path: Path, road: str
) -> None:
    with installed(years.tenant, tmp_path, **ROADS[road]) as installation:
        mended = mending.mend(installation, held_without_bounce="flag")
        assert mended.success
        assert installation.flags() == years.flagged
        assert mended.number("crm_drift_updates", "written") == 4
        assert mended.number("crm_drift", "sets without a date") == 1
        assert mended.checks["crm_reads_back_as_written"]
        before = installation.writes()
        again = mending.mend(installation, held_without_bounce="flag")
        assert again.number("crm_drift_updates", "planned") == 0
        assert installation.writes() == before
        ledger = Ledger(installation.runner.settings.ledger)
        assert ledger.open_intents().empty
        updates = ledger.updates(mended.run_id).set_index("record_id")
        assert updates["outcome"].eq("written").all()
        assert updates.loc[years.undated, ["date_before", "date_after"]].isna().all()


def test_they_are_only_listed_unless_told_otherwise(years: Years, tmp_path: Path) -> None:
    with installed(years.tenant, tmp_path) as installation:
        mended = mending.mend(installation)
        assert mended.number("crm_drift", "held without bounce") == 2
        flags = installation.flags()
        assert {record: flags[record] for record in (years.dated, years.undated)} == {
            years.dated: (False, None),
            years.undated: (False, None),
        }
        assert flags[years.bounced] == years.flagged[years.bounced]


def test_a_big_mend_is_stopped_and_a_tag_releases_it(years: Years, tmp_path: Path) -> None:
    options: dict[str, Any] = {"held_without_bounce": "flag", "policy": {"max_changes": 2}}
    with installed(years.tenant, tmp_path) as installation:
        stopped = mending.mend(installation, **options)
        assert not stopped.success
        assert not stopped.checks["change_volume_is_plausible"]
        assert "crm_drift_updates" not in stopped.metadata
        assert installation.writes() == 0
        released = mending.mend(installation, **options, tags={ALLOW_CHANGES: "true"})
        assert released.success
        told = released.metadata["crm_drift_updates"]["released guards"]
        assert "change_volume_is_plausible" in told
        runs = Ledger(installation.runner.settings.ledger).runs().set_index("run_id")
        assert runs.loc[released.run_id, "released"] == ["change_volume_is_plausible"]
        assert installation.flags() == years.flagged
