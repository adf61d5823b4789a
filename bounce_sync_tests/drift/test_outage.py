"""Providers refuse living mailboxes for a day, in a simulated tenant: the guard that learns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta

import pandas as pd
import pytest
from click.testing import CliRunner

from bounce_sync.commands.explain import explain
from bounce_sync.commands.run import run
from bounce_sync.commands.runner import running
from bounce_sync.ledger import Ledger
from bounce_sync.sandbox import embedded
from bounce_sync.sandbox.server import serve
from bounce_sync.sandbox.simulation import Outage, advance, simulate
from bounce_sync.sandbox.store import Store
from bounce_sync.tables import (
    ConfirmedBounceStaging,
    CrmFlagChanges,
    RawBounces,
    empty,
)
from bounce_sync_tests.drift import mending
from bounce_sync_tests.installation import Installation, environ, environment
from bounce_sync_tests.tenant import day_before, last_day

LAST = last_day()
OUTAGE = day_before(LAST, 8)
DEAD, DOWN = "bluepost.example", "quickmail.example"
"""Of the first somebody knows that its mailboxes are gone; of the second nobody says anything."""


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("outage")
    day = date.fromisoformat(OUTAGE)
    with Store.create(folder / "sandbox") as store:
        simulate(
            store,
            subscribers=9_000,
            days=3,
            seed=3,
            until=day - timedelta(days=1),
            trusted_domains=[DEAD, DOWN],
        )
        outages = [Outage(each, day, from_hour=0, until_hour=24) for each in (DEAD, DOWN)]
        advance(store, 1, outages=outages)
    options = {
        "BOUNCE_SYNC_START_DATE": day_before(LAST, 30),
        "SFMC_BUSINESS_UNITS": ",".join(embedded.business_units(folder / "sandbox")),
    }
    with (
        serve(folder / "sandbox") as address,
        environ(environment(address, folder / "home", **options)),
        running() as runner,
    ):
        yield Installation(runner, folder / "sandbox", address)


def decided(installation: Installation, *days: str) -> None:
    """Days on which nothing bounced and nothing was to do."""
    for day in days:
        for asset, table in (
            ("raw_bounces", RawBounces),
            ("confirmed_bounce_staging", ConfirmedBounceStaging),
            ("crm_flag_changes", CrmFlagChanges),
        ):
            installation.runner.lake.write(asset, day, empty(table))


def somebody_dead_elsewhere(installation: Installation) -> str:
    """Somebody at another domain, Held after a bounce of the day."""
    with installation.store() as store:
        (key,) = store.execute(
            "SELECT s.subscriber_key FROM subscriber s JOIN Contact c ON c.Id = s.subscriber_key"
            " WHERE s.domain NOT IN (?, ?) AND s.status = 'Active' AND NOT c.IsDeleted"
            " AND c.Email = s.email_address ORDER BY 1 LIMIT 1",
            (DEAD, DOWN),
        ).fetchone()
        store.execute("UPDATE subscriber SET status = 'Held' WHERE subscriber_key = ?", (key,))
        store.execute(
            "INSERT INTO bounce (account_id, job_id, subscriber_key, event_date, bounce_category)"
            " VALUES (?, 1, ?, ?, 'Hard bounce')",
            (installation.address.account_id, key, f"{OUTAGE} 12:00:00.000"),
        )
    return str(key)


def waiting(plan: pd.DataFrame) -> dict[str, int]:
    return plan.loc[plan["reason"] == "domain_spike", "domain"].value_counts().to_dict()


def test_an_outage_waits_and_the_rest_is_written(tenant: Installation) -> None:
    lake, ledger = tenant.runner.lake, Ledger(tenant.runner.settings.ledger)
    decided(tenant, *(day_before(OUTAGE, days) for days in range(14, 0, -1)))
    elsewhere = somebody_dead_elsewhere(tenant)

    first = tenant.run(OUTAGE)
    assert first.success, first.error
    assert first.report is not None
    assert "no_domain_spike" in first.report.failed_checks
    quarantined = waiting(lake.read("crm_flag_changes", OUTAGE))
    assert set(quarantined) == {DEAD, DOWN}
    assert min(quarantined.values()) > 50
    assert first.line()["quarantined"] == sum(quarantined.values())
    assert tenant.flags()[elsewhere][0]
    line = first.line()
    assert line["written"] == line["set"] + line["refresh"] + line["clear"]

    # The drift report doesn't get round the quarantine.
    assert mending.check_drift(tenant).success
    plan = lake.read("crm_flag_changes", OUTAGE)
    found = mending.findings(tenant)
    wait = plan.loc[plan["reason"] == "domain_spike", "record_id"]
    assert {found[record] for record in wait} == {"quarantined"}

    # One is released by a person: one action, which leaves its trace.
    released = CliRunner().invoke(
        run, ["--partition", OUTAGE, "--allow-domain", DEAD.upper(), "--json"]
    )
    line = json.loads(released.stdout.splitlines()[-1])
    assert (line["set"], line["quarantined"]) == (quarantined[DEAD], quarantined[DOWN])
    assert line["written"] == quarantined[DEAD]
    runs = ledger.runs().set_index("run_id")
    assert runs.loc[line["run_id"], "released"] == ["no_domain_spike"]
    key = ledger.updates(line["run_id"])["subscriber_key"].iloc[0]
    told = CliRunner().invoke(explain, [key]).stdout
    assert "domain_allowed" in told
    assert "no_domain_spike" in told

    # The other waits, though the day after is calm ...
    after = tenant.run(day_before(LAST, 7))
    assert after.success, after.error
    assert waiting(lake.read("crm_flag_changes", after.partition)) == {DOWN: quarantined[DOWN]}

    # ... until the domain was calm for a week. Who is mailed again by then was never flagged.
    decided(tenant, *(day_before(LAST, days) for days in range(6, 0, -1)))
    plan = lake.read("crm_flag_changes", after.partition)
    wait = sorted(plan.loc[plan["reason"] == "domain_spike", "subscriber_key"])
    with tenant.store() as store:
        store.connection.executemany(
            "UPDATE subscriber SET status = 'Active' WHERE subscriber_key = ?",
            [(key,) for key in wait[::2]],
        )
    back = tenant.run(LAST)
    assert back.success, back.error
    assert back.line()["quarantined"] == 0
    assert back.line()["set"] == back.line()["written"] == len(wait[1::2])
    staging = lake.read("confirmed_bounce_staging", LAST)
    assert set(staging.loc[staging["carried_since"].notna(), "subscriber_key"]) >= set(wait[1::2])
