"""The delivery `journey`: SFMC's own Journeys bring the plan to the CRM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bounce_sync.ledger import Ledger
from bounce_sync_tests.installation import installed
from bounce_sync_tests.tenant import Tenant, crm_time, last_day

DAY = last_day()
OLD = "2026-01-02T03:04:05.000Z"
JOURNEY = {"BOUNCE_SYNC_DELIVERY": "journey", "BOUNCE_SYNC_JOURNEY_WAIT": "60"}


def test_sets_refreshes_and_clears_arrive_as_by_the_api(tmp_path: Path) -> None:
    tenant, expected = Tenant(), {}
    noon = crm_time(DAY, "12:00:00")
    flagged = {"Hard_Bounce__c": "true", "Hard_Bounce_Date__c": OLD}
    for record, status, after in (
        (tenant.contact(), "Held", (True, noon)),
        (tenant.lead(), "Held", (True, noon)),
        (tenant.contact(**flagged), "Held", (True, noon)),
        (tenant.contact(**flagged), "Active", (False, OLD)),
        (tenant.lead(**flagged), "Bounced", (False, OLD)),
        (tenant.contact(), "Active", (False, None)),
    ):
        tenant.bounce(tenant.subscriber(record, status), DAY)
        expected[record] = after
    with installed(tenant, tmp_path, **JOURNEY) as installation:
        installation.has_fetched_nothing_before(DAY)
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        assert outcome.line()["written"] == 5
        assert installation.flags() == expected
        with installation.store() as store:
            assert {api for (api,) in store.execute("SELECT DISTINCT api FROM crm_write")} == {
                "journey"
            }
        assert Ledger(installation.runner.settings.ledger).open_intents().empty
        again = installation.run(DAY).line()
        assert (again["none"], again["written"]) == (3, 0)


def test_what_does_not_arrive_in_time_is_pending_and_settled_by_the_next_run(
    tmp_path: Path,
) -> None:
    tenant = Tenant()
    tenant.bounce(tenant.subscriber(tenant.contact(Other__c="0", Other_Date__c=OLD), "Held"), DAY)
    impatient = JOURNEY | {"BOUNCE_SYNC_JOURNEY_WAIT": "1"}
    with installed(tenant, tmp_path, **impatient) as installation:
        installation.has_fetched_nothing_before(DAY)
        with installation.store() as store:
            # A Journey that somebody pointed at other fields.
            store.set_setting("flag_field", "Other__c")
            store.set_setting("date_field", "Other_Date__c")
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        assert (outcome.line()["pending"], outcome.line()["written"]) == (1, 0)
        ledger = Ledger(installation.runner.settings.ledger)
        assert len(ledger.open_intents()) == 1

        with installation.store() as store:
            store.set_setting("flag_field", "Hard_Bounce__c")
            store.set_setting("date_field", "Hard_Bounce_Date__c")
        assert installation.run(DAY).line()["written"] == 1
        assert ledger.open_intents().empty
        assert all(flag for flag, _ in installation.flags().values())


def test_matching_by_email_is_refused_at_the_start(tmp_path: Path) -> None:
    with installed(Tenant(), tmp_path, **JOURNEY) as installation:
        report = installation.runner.materialise(DAY, policy={"match_field": "Email"})
        assert not report.success
        assert "can't match by Email" in (report.error or "")
        assert "confirmed_bounce_staging" not in report.materialised


def test_the_extra_assets_are_in_the_graph_only_where_journeys_write() -> None:
    program = (
        "from bounce_sync.definitions import defs\n"
        "keys = defs.resolve_asset_graph().get_all_asset_keys()\n"
        "print(sorted(key.path[-1] for key in keys if 'Hard_Bounce' in key.path[-1]))\n"
    )
    shown = {
        delivery: subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env={"PATH": os.environ["PATH"], "BOUNCE_SYNC_DELIVERY": delivery},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for delivery in ("api", "journey")
    }
    extensions = ["Hard_Bounce_Release_DE", "Hard_Bounce_Staging_DE"]
    assert shown == {"api": "[]", "journey": str(extensions)}
