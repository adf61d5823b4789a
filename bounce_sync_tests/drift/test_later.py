"""What comes after a mend, and what a mend finds that the days didn't: one tenant, step by step."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from click.testing import CliRunner

from bounce_sync.commands.explain import explain
from bounce_sync.commands.report import report
from bounce_sync.commands.undo import undo
from bounce_sync.ledger import Ledger
from bounce_sync.tables import RawBounces, empty
from bounce_sync_tests.crashes.dying import Killed, dies
from bounce_sync_tests.drift import mending
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

DAY = last_day()
PAST = day_before(DAY, 30)


def record_late(installation: Installation, key: str, day: str) -> None:
    """SFMC records a bounce of a day that was fetched long ago."""
    row = {
        "account_id": installation.address.account_id,
        "job_id": 100,
        "subscriber_key": key,
        "event_date": f"{day} 12:00:00.000",
        "bounce_category": "Hard bounce",
        "smtp_code": 550,
        "smtp_bounce_reason": "550 5.1.1 user unknown",
    }
    with installation.store() as store:
        store.insert("bounce", list(row), [list(row.values())])


def test_a_bounce_that_was_recorded_late_is_found_by_key(tmp_path: Path) -> None:
    tenant = Tenant()
    late = tenant.contact("late@late.example")
    tenant.subscriber(late, "Held")
    with installed(tenant, tmp_path) as installation:
        installation.has_fetched_nothing_before(DAY)
        installation.runner.lake.write("raw_bounces", PAST, empty(RawBounces))
        mending.check_drift(installation)
        assert mending.findings(installation) == {late: "held_without_bounce"}

        record_late(installation, late, PAST)
        mended = mending.mend(installation)
        assert mended.number("crm_drift", "bounces that the lake lacks") == 1
        assert installation.flags() == {late: (True, crm_time(PAST, "12:00:00"))}
        assert installation.run(DAY).line()["written"] == 0, "the day agrees"

        told = json.loads(CliRunner().invoke(explain, [late, "--json"]).stdout)["timeline"]
        compared = [event["text"] for event in told if "drift report" in event["text"]]
        assert [text.split(": ")[1].split(";")[0] for text in compared] == [
            "held_without_bounce",
            "not_flagged",
        ]
        write = next(event["text"] for event in told if event["kind"] == "write")
        assert f"run {mended.run_id}, which mended drift" in write

        no_page = CliRunner().invoke(report, ["--run", mended.run_id])
        assert no_page.exit_code == 1
        assert "mended drift, which is of no day" in no_page.output

        undone = CliRunner().invoke(undo, [mended.run_id, "--yes", "--json"])
        assert json.loads(undone.stdout)["written"] == 1, undone.output
        assert installation.flags() == {late: (False, None)}
        again = mending.mend(installation)
        assert again.number("crm_drift_updates", "planned") == 0, "left as undo left it"
        assert mending.findings(installation) == {late: "conflict"}


def test_a_late_bounce_of_somebody_who_is_flagged_moves_the_date(tmp_path: Path) -> None:
    tenant = Tenant()
    flagged = tenant.contact("flagged@late.example")
    tenant.bounce(tenant.subscriber(flagged, "Held"), DAY, "10:00:00")
    with installed(tenant, tmp_path) as installation:
        installation.has_fetched_nothing_before(DAY)
        assert installation.run(DAY).line()["written"] == 1
        record_late(installation, flagged, DAY)
        mending.mend(installation)
        assert mending.findings(installation) == {flagged: "date_behind"}
        assert installation.flags() == {flagged: (True, crm_time(DAY, "12:00:00"))}
        assert installation.run(DAY).line()["written"] == 0, "the day agrees"


def test_a_mend_that_dies_is_settled_by_the_daily_run_and_done_by_the_next(tmp_path: Path) -> None:
    tenant = Tenant()
    held = tenant.contact()
    tenant.bounce(tenant.subscriber(held, "Held"), PAST)
    with installed(tenant, tmp_path) as installation:
        with contextlib.suppress(Killed), dies(2, noted=False):
            mending.mend(installation)
        ledger = Ledger(installation.runner.settings.ledger)
        assert len(ledger.open_intents()) == 1
        with installation.store() as store:  # it never arrived
            store.execute("UPDATE Contact SET Hard_Bounce__c = 0, Hard_Bounce_Date__c = NULL")
        installation.has_fetched_nothing_before(DAY)
        assert installation.run(DAY).success
        assert ledger.open_intents().empty
        assert mending.mend(installation).success
        assert installation.flags() == {held: (True, crm_time(PAST, "12:00:00"))}


def test_files_say_clearly_that_they_cant_be_asked_by_key(tmp_path: Path) -> None:
    tenant = Tenant()
    held = tenant.contact()
    tenant.subscriber(held, "Held")
    files = tmp_path / "sftp"
    files.mkdir()
    (files / "Subscribers.csv").write_text(
        f"SubscriberKey,EmailAddress,Status\n{held},{tenant.email_of(held)},Held\nx,x@ok.example,Active\n"
    )
    options = {
        "SFMC_SOURCE": "files",
        "SFMC_FILES": str(files),
        "SFMC_FILES_FORMAT": '{"settle_seconds": 0}',
    }
    with installed(tenant, tmp_path, **options) as installation:
        told = mending.check_drift(installation)
        assert told.success
        assert "recorded late aren't found" in told.metadata["crm_drift"]["not asked"]
        assert mending.findings(installation) == {held: "held_without_bounce"}


def test_a_tenant_that_cant_list_held_is_asked_for_what_is_known(tmp_path: Path) -> None:
    tenant = Tenant()
    bounced, unknown = tenant.contact(), tenant.contact()
    flagged = tenant.lead(Hard_Bounce__c="true")
    for record in (bounced, unknown, flagged):
        tenant.subscriber(record, "Held")
    tenant.bounce(bounced, PAST)
    tenant.bounce(flagged, PAST)
    with installed(tenant, tmp_path, SFMC_HELD="by_key") as installation:
        assert installation.runner.materialise(PAST, ["raw_bounces"]).success
        assert mending.check_drift(installation).success
        assert mending.findings(installation) == {bounced: "not_flagged", flagged: "date_behind"}
