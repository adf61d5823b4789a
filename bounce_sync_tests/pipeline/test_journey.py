"""The delivery `journey`: SFMC's own Journeys bring the plan to the CRM."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd

from bounce_sync.journey_writing import JourneyWriter
from bounce_sync.ledger import Ledger
from bounce_sync.marketing_cloud import connection as marketing_cloud
from bounce_sync.marketing_cloud.journey import JourneyDelivery
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce import connection as salesforce
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.services import Services
from bounce_sync_tests.installation import DATE, FLAG, installed
from bounce_sync_tests.tenant import Tenant, crm_time, last_day, to_18

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
        line = outcome.line()
        assert line["written"] == 5
        assert installation.flags() == expected
        with installation.store() as store:
            assert {api for (api,) in store.execute("SELECT DISTINCT api FROM crm_write")} == {
                "journey"
            }
        assert Ledger(installation.runner.settings.ledger).open_intents().empty
        again = installation.run(DAY).line()
        assert (again["none"], again["written"]) == (3, 0)
        assert again["api_calls"]["sfmc"] < line["api_calls"]["sfmc"]


def test_what_does_not_arrive_in_time_is_pending_and_settled_by_the_next_run(
    tmp_path: Path,
) -> None:
    tenant = Tenant()
    late, never = (tenant.contact(Other__c="0", Other_Date__c=OLD) for _ in range(2))
    for contact in (late, never):
        tenant.bounce(tenant.subscriber(contact, "Held"), DAY)
    impatient = JOURNEY | {"BOUNCE_SYNC_JOURNEY_WAIT": "1"}
    with installed(tenant, tmp_path, **impatient) as installation:
        installation.has_fetched_nothing_before(DAY)
        with installation.store() as store:
            # A Journey that somebody pointed at other fields.
            store.set_setting("flag_field", "Other__c")
            store.set_setting("date_field", "Other_Date__c")
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        assert (outcome.line()["pending"], outcome.line()["written"]) == (2, 0)
        ledger = Ledger(installation.runner.settings.ledger)
        assert len(ledger.open_intents()) == 2

        with installation.store() as store:
            store.execute(
                f'UPDATE "Contact" SET "{FLAG}" = 1, "{DATE}" = ? WHERE "Id" = ?',
                (crm_time(DAY, "12:00:00"), late),
            )
            store.set_setting("flag_field", "Hard_Bounce__c")
            store.set_setting("date_field", "Hard_Bounce_Date__c")
        assert installation.run(DAY).line()["written"] == 1
        assert ledger.open_intents().empty
        assert all(flag for flag, _ in installation.flags().values())
        updates = installation.runner.lake.read("crm_flag_updates", DAY)
        told = updates.groupby("record_id")["outcome"].agg(list).to_dict()
        assert told == {late: ["written"], never: ["rejected", "written"]}


def test_each_round_is_looked_at_again_before_it_is_sent(tmp_path: Path) -> None:
    tenant = Tenant()
    for key in ("003Dn00000Aabcq", "003Dn00000AaBCq"):  # one primary key, to SFMC
        tenant.contacts.append({"Id": to_18(key), "Email": "twin@ok.example"})
        tenant.bounce(tenant.subscriber(key, "Held", "twin@ok.example"), DAY)
    with installed(tenant, tmp_path, **JOURNEY) as installation, contextlib.ExitStack() as stack:
        installation.has_fetched_nothing_before(DAY)
        installation.run(DAY, dry_run=True)
        settings, lake = installation.runner.settings, installation.runner.lake
        plan, ledger = lake.read("crm_flag_changes", DAY), Ledger(settings.ledger)
        services = stack.enter_context(Services(settings))
        crm = stack.enter_context(salesforce.Connection(services.org()))
        sfmc = stack.enter_context(
            contextlib.closing(marketing_cloud.Connection(services.account()))
        )
        stack.enter_context(ledger.writer(60))
        writer = JourneyWriter(
            JourneyDelivery(sfmc),
            RecordReader(crm),
            ledger.run_journal("run", DAY),
            lake.read("confirmed_bounce_staging", DAY),
            "run",
            settings.journey_wait,
            lambda _: None,
            threading.Event(),
        )
        flagged: list[int] = []

        def second_is_overtaken(rows: pd.DataFrame) -> pd.DataFrame:
            flagged.append(sum(flag for flag, _ in installation.flags().values()))
            return rows if len(flagged) == 1 else rows.iloc[:0]

        facts = CrmFacts(**plan.attrs["facts"])
        assert len(writer.write(plan, facts, review=second_is_overtaken)) == 1
        assert flagged == [0, 1]
        assert sum(flag for flag, _ in installation.flags().values()) == 1


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
