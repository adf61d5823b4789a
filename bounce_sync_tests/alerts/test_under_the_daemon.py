"""What people are told, by a real Dagster daemon about real runs, over HTTP and by e-mail.

One daemon and one tenant serve all cases; the fixture runs them in order and keeps what was told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest

from bounce_sync.environment import LIVE
from bounce_sync.tables import DAILY_TABLES, empty
from bounce_sync_tests.alerts.launching import ended, freshness, launch, sensor
from bounce_sync_tests.alerts.receivers import PASSWORD, USER, Inbox, mail_server, web_hook
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.pipeline.dagster_ui import dagster_ui, eventually
from bounce_sync_tests.tenant import Tenant, day_before, last_day

DAY = last_day()
BEFORE, WRITTEN = day_before(DAY, 1), day_before(DAY, 2)
CHECKS = [("raw_bounces", "schema"), ("raw_bounces", "volume_is_usual")]
UI = "https://dagster.acme.example"
PERSON, REASON = "penelope.featherstonehaugh", "mailbox of the honourable recipient"
OUTAGE = "outage.example"
TOKEN = "hook-token-8e1f"
AT_ONCE = """\
run_coordinator:
  module: dagster._core.run_coordinator
  class: DefaultRunCoordinator
"""
"""Dagster's setting for runs that needn't queue: the queue is asked every five seconds."""


@dataclass
class Told:
    """The ids of the runs, and what became of them."""

    blocked: str
    quiet: str
    released: str
    crashed: str
    mended: str
    refused_ticks: list[str]
    hook: Inbox
    mail: Inbox
    freshness: str
    stored: bytes


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("alerts")
    with web_hook() as hook, mail_server() as mail:
        mail.ca.cert_pem.write_to_path(str(folder / "mail.pem"))
        alerts = (
            f"json://{USER}:{PASSWORD}@127.0.0.1:{hook.port}/{TOKEN} "
            f"mailtos://{USER}:{PASSWORD}@localhost:{mail.port}?smtp=localhost&mode=starttls"
            "&from=dagster@acme.example&to=crm-team@acme.example"
        )
        with installed(
            _tenant(),
            folder,
            BOUNCE_SYNC_ALERTS=alerts,
            BOUNCE_SYNC_UI_URL=UI + "/",
            SSL_CERT_FILE=str(folder / "mail.pem"),
        ) as installation:
            _prepare(installation)
            lake = installation.runner.lake
            with dagster_ui(folder) as ui:
                assert sensor(ui, "alerts_on_missing_days")["status"] == "RUNNING"
                eventually("a missing day to be told of", lambda: mail.inbox.about("missing"))
                quiet = launch(ui, WRITTEN, checks=CHECKS)
                assert ended(ui, quiet) == "SUCCESS"
                blocked = launch(ui, DAY, policy={"max_changes": 1})
                assert ended(ui, blocked) == "FAILURE"
                released = launch(ui, DAY, policy={"max_changes": 1}, allow_changes="true")
                assert ended(ui, released) == "SUCCESS"

                broken = lake.path("raw_bounces", BEFORE)
                whole = broken.read_bytes()
                broken.write_bytes(b"not a table")
                crashed = launch(ui, BEFORE, checks=CHECKS)
                assert ended(ui, crashed) == "FAILURE"
                broken.write_bytes(whole)
                for run in (blocked, released, crashed):
                    eventually("the hook to be told", lambda run=run: hook.inbox.about(run))

                hook.stop()
                mended = launch(ui, BEFORE, checks=CHECKS)
                assert ended(ui, mended) == "SUCCESS"

                def refused() -> list[str]:
                    ticks = sensor(ui, "alerts_on_success")["ticks"]
                    return [tick["error"]["message"] for tick in ticks if tick["error"]]

                refused_ticks = eventually("a failed tick", refused)
                hook.start()
                eventually("the hook to be told at last", lambda: hook.inbox.about(mended))
                fresh = eventually("freshness", lambda: freshness(ui, "crm_flag_updates"))
            home = installation.runner.settings.dagster_home
            stored = b"\0".join(file.read_bytes() for file in home.rglob("*") if file.is_file())
        yield Told(
            blocked,
            quiet,
            released,
            crashed,
            mended,
            refused_ticks,
            hook.inbox,
            mail.inbox,
            fresh,
            stored,
        )


def _tenant() -> Tenant:
    tenant = Tenant()
    for number in range(3):
        contact = tenant.contact(f"{PERSON}+{number}@people.example")
        tenant.bounce(tenant.subscriber(contact, "Held"), DAY, SMTPBounceReason=f"550 {REASON}")
    for day in (BEFORE, WRITTEN):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Active"), day)
    for number in range(60):
        contact = tenant.contact(f"{PERSON}.{number}@{OUTAGE}")
        tenant.bounce(tenant.subscriber(contact, "Held"), DAY, Domain=OUTAGE)
    return tenant


def _prepare(installation: Installation) -> None:
    """A past: ten decided days, two days written, and a record that the CRM refuses.

    Without the second of them the hour would decide whether the newest day is missing, too.
    """
    with (installation.runner.settings.dagster_home / "dagster.yaml").open("a") as configuration:
        configuration.write(AT_ONCE)
    lake = installation.runner.lake
    installation.has_fetched_nothing_before(WRITTEN)
    for days in range(3, 13):
        for name, model in DAILY_TABLES.items():
            lake.write(name, day_before(DAY, days), empty(model))
    assert installation.run(WRITTEN).success
    written = dg.AssetMaterialization("crm_flag_updates", partition=DAY)
    installation.runner.instance.report_runless_asset_event(written)
    assert installation.runner.materialise(BEFORE, ["raw_bounces"]).success
    with installation.store() as store:
        record = store.execute("SELECT min(Id) FROM Contact").fetchone()[0]
        store.insert(
            "crm_refusal",
            ["record_id", "code", "message", "alert"],
            [(record, "FIELD_CUSTOM_VALIDATION_EXCEPTION", f"{PERSON}@x.example is wrong", 0)],
        )


def _one(inbox: Inbox, run: str) -> tuple[str, str]:
    (message,) = inbox.about(run)
    return message


def test_a_blocked_run_says_which_check_stopped_it_and_what_never_reported(told: Told) -> None:
    title, body = _one(told.hook, told.blocked)
    assert title == f"bounce_sync ({LIVE}): daily_bounce_sync of {DAY} failed"
    assert (
        "crm_flag_changes, change_volume_is_plausible (stops the run): 3 sets and 0 clears" in body
    )
    assert "the policy allows 1 of each" in body
    assert "Checks that did not report (the run ended before)" in body
    assert "crm_flag_updates: crm_reads_back_as_written, no_update_was_rejected" in body
    assert "**Errors**" not in body
    assert f"{UI}/runs/{told.blocked}" in body


def test_a_green_run_with_failing_checks_is_told_of_with_codes_and_domains(told: Told) -> None:
    title, body = _one(told.hook, told.released)
    assert title.endswith(f"of {DAY} succeeded")
    assert "no_update_was_rejected (warning): 1 write(s) weren't taken" in body
    assert "FIELD_CUSTOM_VALIDATION_EXCEPTION (1)" in body
    assert f"{OUTAGE} (60)" in body
    assert "2 written, 1 rejected" in body
    assert "60 sets wait" in body


def test_a_released_guard_and_what_recovered_are_told_in_the_same_digest(told: Told) -> None:
    _, body = _one(told.hook, told.released)
    assert "change_volume_is_plausible: Released by the run tag" in body
    _, _, recovered = body.partition("**Recovered**")
    assert "crm_flag_changes, change_volume_is_plausible" in recovered
    _, _, again = recovered.partition("**Checks that report again**")
    assert "crm_flag_updates: " in again


def test_a_crashed_check_is_told_of_with_what_to_do(told: Told) -> None:
    title, body = _one(told.hook, told.crashed)
    assert title.endswith("failed")
    assert "raw_bounces_checks: " in body
    assert f"{BEFORE}.parquet is damaged: it can't be read as a table. Move it out" in body
    assert "raw_bounces: schema, volume_is_usual" in body


def test_nobody_is_told_of_a_run_without_news(told: Told) -> None:
    assert not told.hook.about(told.quiet)
    assert not told.mail.about(told.quiet)


def test_a_dead_receiver_fails_the_tick_and_is_told_later_and_nobody_twice(told: Told) -> None:
    assert all("1:json" in message for message in told.refused_ticks)
    assert not any("2:mailtos" in message for message in told.refused_ticks)
    for inbox in (told.hook, told.mail):
        title, body = _one(inbox, told.mended)
        assert title.endswith(f"of {BEFORE} succeeded")
        assert "report again" in body
        assert "raw_bounces: schema, volume_is_usual" in body


def test_a_missing_day_is_told_of_once(told: Told) -> None:
    for inbox in (told.hook, told.mail):
        ((title, body),) = inbox.about("missing")
        assert title == f"bounce_sync ({LIVE}): missing {BEFORE}"
        assert f"{BEFORE}: nothing of it reached the CRM" in body


def test_the_mail_says_what_the_hook_says(told: Told) -> None:
    assert [title for title, _ in told.mail.messages] == [title for title, _ in told.hook.messages]
    _, body = _one(told.mail, told.blocked)
    assert "change_volume_is_plausible" in body


def test_the_end_of_the_graph_is_fresh_once_it_was_written(told: Told) -> None:
    assert told.freshness == "HEALTHY"


def test_no_message_names_a_person_and_no_secret_is_stored(told: Told) -> None:
    sent = "\n".join(title + body for title, body in told.hook.messages + told.mail.messages)
    for word in (PERSON, REASON, PASSWORD, TOKEN):
        assert word not in sent
        assert word.encode() not in told.stored
    assert told.blocked.encode() in told.stored
