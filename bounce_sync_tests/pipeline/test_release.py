"""A mail domain explodes, as people without the UI meet it: on the terminal, on the day's page and
in an alert, before and after somebody lets it through.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bounce_sync.cli import cli
from bounce_sync.report import making
from bounce_sync.tables import DAILY_TABLES, empty
from bounce_sync_tests.alerts.receivers import WebHook, web_hook
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, day_before, last_day

DAY = last_day()
DOWN, SETS = "outage.example", 60
LET_THROUGH = f"{SETS} of these looked like an outage"


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with web_hook() as served:
        yield served


@pytest.fixture
def exploded(hook: WebHook, tmp_path: Path) -> Iterator[Installation]:
    """The day of an outage, after ten on which nothing was to do; the CRM refuses one record."""
    tenant = Tenant()
    for number in range(SETS):
        contact = tenant.contact(f"n{number}@{DOWN}")
        tenant.bounce(tenant.subscriber(contact, "Held"), DAY)
    refused = tenant.contact()
    tenant.bounce(tenant.subscriber(refused, "Held"), DAY)
    alerts = f"json://127.0.0.1:{hook.port}/"
    with installed(tenant, tmp_path, BOUNCE_SYNC_ALERTS=alerts) as installation:
        with installation.store() as store:
            store.insert(
                "crm_refusal",
                ["record_id", "code", "message", "alert"],
                [(refused, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "no", 0)],
            )
        for days in range(1, 15):
            for name, model in DAILY_TABLES.items():
                if days <= 10 or name == "raw_bounces":
                    installation.runner.lake.write(name, day_before(DAY, days), empty(model))
        yield installation


def terminal(*options: str) -> str:
    """What `bounce-sync run` says of the day, its blanks made even."""
    result = CliRunner().invoke(cli, ["run", "--partition", DAY, *options])
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def page(installation: Installation) -> str:
    return making.path(installation.runner.lake, DAY).read_text(encoding="utf-8")


def test_who_runs_it_on_a_terminal_sees_what_waits_and_how_to_let_it_through(
    exploded: Installation, hook: WebHook
) -> None:
    said = terminal()
    assert f"set 1 refresh 0 clear 0 none {SETS} unmatched 0 quarantined {SETS}" in said
    assert "written 0 rejected 1 unknown 0 pending 0" in said
    assert (
        f"crm_flag_changes, no_domain_spike: Far more sets than usual, as in an outage at the "
        f"provider; quarantined: {DOWN} ({SETS})." in said
    )
    assert "--allow-domain DOMAIN" in said
    assert "crm_flag_updates, no_update_was_rejected: 1 write(s) weren't taken" in said
    assert LET_THROUGH not in page(exploded)

    said = terminal("--allow-domain", DOWN)
    assert f"set {SETS + 1}" in said
    assert "no_domain_spike" not in said
    assert f"{LET_THROUGH}, and whoever runs the sync let them through: {DOWN} ({SETS})." in page(
        exploded
    )
    _, (_, told) = hook.inbox.messages
    _, _, released = told.partition("**Released guards**")
    assert (
        f"no_domain_spike: No other mail domain stands out. Released by the run's tag: {DOWN} "
        f"({SETS})." in released
    )
