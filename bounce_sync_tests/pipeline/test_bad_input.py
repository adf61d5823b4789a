"""What can't be read fails the day, says where, and leaves no table behind: no hole, no guess."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bounce_sync.alerts import stories
from bounce_sync.sandbox.store import DataExtensionField
from bounce_sync_tests.installation import Installation, environ, installed
from bounce_sync_tests.marketing_cloud.tenants import PARENT
from bounce_sync_tests.pipeline.test_roads import FILES, fill
from bounce_sync_tests.tenant import Tenant, last_day

DAY = last_day()
Spoil = Callable[[Installation, Path], object]


def nothing(installation: Installation, exports: Path) -> None:
    """The environment is wrong already."""


def cut(installation: Installation, exports: Path) -> None:
    fill(installation, exports)
    file = exports / f"Bounces-{DAY}.csv"
    file.write_bytes(file.read_bytes()[:-20])


def another_extension(installation: Installation, exports: Path) -> None:
    with installation.store() as store:
        store.create_data_extension("bounce_sync_bounces", [DataExtensionField("Mine", "Date")])


def unknown_category(installation: Installation, exports: Path) -> None:
    with installation.store() as store:
        store.execute("UPDATE bounce SET bounce_category = 'Sideways bounce'")


@pytest.mark.parametrize(
    ("road", "spoil", "told"),
    [
        (
            {"SFMC_BUSINESS_UNITS": f"{PARENT},999"},
            nothing,
            ["business unit 999", "SFMC_BUSINESS_UNITS"],
        ),
        (
            {"SFMC_SOURCE": "soap"},
            unknown_category,
            ["Retrieve BounceEvent", "page 1, row 1: BounceCategory isn't one", "Nothing was st"],
        ),
        (
            {"SFMC_SOURCE": "data_views"},
            another_extension,
            ["data extension bounce_sync_bounces", "SubscriberKey Text(254) is missing", "delete"],
        ),
        (
            FILES,
            cut,
            [f"file Bounces-{DAY}.csv, line 2: The file ends within a quoted", "Export it again"],
        ),
    ],
    ids=["a unit that isn't there", "soap", "data_views", "files"],
)
def test_a_day_that_cant_be_read_is_no_day(
    tmp_path: Path, road: dict[str, str], spoil: Spoil, told: list[str]
) -> None:
    tenant, exports = Tenant(), tmp_path / "sftp"
    tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), DAY)
    with installed(tenant, tmp_path, **road, SFMC_FILES=str(exports)) as installation:
        spoil(installation, exports)
        report = installation.runner.materialise(DAY)
        assert not report.success
        for part in told:
            assert part in (report.error or "")
        assert "raw_bounces" not in report.materialised
        assert "confirmed_bounce_staging" not in report.materialised
        assert not installation.runner.lake.has("raw_bounces", DAY)
        assert installation.writes() == 0


def test_a_filter_that_answers_with_nothing_is_found_out(tmp_path: Path) -> None:
    """Some tenants can't filter subscribers by status: that isn't a day on which nobody is Held."""
    tenant = Tenant()
    key = tenant.subscriber(tenant.contact(), "Held")
    tenant.bounce(key, DAY)
    with installed(tenant, tmp_path) as installation:
        installation.has_fetched_nothing_before(DAY)
        with installation.store() as store:
            store.set_setting("subscriber_status_filter", "silent")
        report = installation.runner.materialise(DAY)
        assert "SFMC_HELD=by_key" in (report.error or "")
        assert not installation.runner.lake.has("held_subscribers", DAY)
        with environ({"SFMC_HELD": "by_key"}):
            assert installation.runner.materialise(DAY).success
        assert installation.flags()[key][0]


def test_a_failed_run_says_what_and_where_not_how_the_library_put_it(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    garbled = {"service": "salesforce", "path": "/services/oauth2/token", "kind": "garble"}
    faults.write_text(json.dumps({"seed": 7, "faults": [garbled]}))
    tenant = Tenant()
    tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), DAY)
    with installed(tenant, tmp_path, faults=faults) as installation:
        installation.has_fetched_nothing_before(DAY)
        runner = installation.runner
        report = runner.materialise(DAY)
        run = runner.instance.get_run_by_id(report.run_id)
        assert run
        told = stories.story(runner.instance, run, "live", ()).errors
        for said in (report.error, *told.values()):
            assert "Salesforce, login: HTTP 200" in (said or "")
            assert "Check SALESFORCE_LOGIN_URL" in (said or "")
