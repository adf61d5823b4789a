"""Days: empty ones, missing ones, forgotten ones, older ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from bounce_sync.commands.run import daily
from bounce_sync.sandbox.export import export
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, day_before, last_day

DAY = last_day()
FIRST = day_before(DAY, 40)


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Installation]:
    """One Held subscriber who bounced forty days ago and another who bounced on the day."""
    tenant = Tenant()
    for day in (FIRST, DAY):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), day)
    with installed(tenant, tmp_path) as installation:
        yield installation


def test_an_empty_day_is_run_like_any_other(quiet: Installation) -> None:
    outcome = quiet.run(day_before(DAY, 3))
    assert outcome.success, outcome.error
    assert outcome.line()["raw_bounces"] == 0
    assert outcome.line()["missing_days"] == []
    assert outcome.report is not None
    assert "volume_is_usual" in outcome.report.failed_checks


def test_a_day_that_was_never_fetched_is_named_and_stops_nothing(quiet: Installation) -> None:
    report = quiet.runner.materialise(DAY)
    assert report.success, report.error
    assert "evidence_is_complete" in report.failed_checks
    assert quiet.runner.lake.read("confirmed_bounce_staging", DAY).attrs["missing_days"] == [
        day_before(DAY, days) for days in range(14, 0, -1)
    ]


def test_a_day_that_cant_be_fetched_says_why_and_stops_nothing(tmp_path: Path) -> None:
    exports, lost = tmp_path / "exports", day_before(DAY, 2)
    files = {
        "SFMC_SOURCE": "files",
        "SFMC_FILES": str(exports),
        "SFMC_FILES_FORMAT": '{"settle_seconds": 0}',
        "BOUNCE_SYNC_START_DATE": day_before(DAY, 3),
    }
    with installed(Tenant(), tmp_path, **files) as here:
        with here.store() as store:
            export(store, exports, date.fromisoformat(day_before(DAY, 3)), date.fromisoformat(DAY))
        (exports / f"Bounces-{lost}.csv").unlink()
        said: list[str] = []
        outcome = daily(here.runner, DAY, say=said.append)
        assert outcome.success, outcome.error
        assert here.runner.lake.has("raw_bounces", day_before(DAY, 1))
    told = [line for line in said if line.startswith(f"{lost} wasn't fetched: ")]
    assert len(told) == 1
    assert f"There is no file of bounces dated {lost}" in told[0]


def test_a_failure_that_isnt_the_days_is_not_tried_for_each_of_them(tmp_path: Path) -> None:
    with installed(Tenant(), tmp_path, SFMC_CLIENT_SECRET="another") as here:
        said: list[str] = []
        outcome = daily(here.runner, DAY, say=said.append)
        assert not outcome.success
        assert len(outcome.line()["missing_days"]) == 14
    told = [line for line in said if "wasn't fetched" in line]
    assert len(told) == 2
    assert all("SFMC_CLIENT_SECRET" in line for line in told)


def test_a_day_that_sfmc_has_forgotten_is_refused(quiet: Installation) -> None:
    report = quiet.runner.materialise(day_before(DAY, 181), ["raw_bounces"])
    assert not report.success
    assert "more than 180 days ago" in (report.error or "")


def test_evidence_that_sfmc_has_forgotten_is_named_and_not_asked_for(quiet: Installation) -> None:
    outcome = quiet.run(day_before(DAY, 178), dry_run=True)
    assert outcome.success, outcome.error
    assert outcome.fetched == []
    assert outcome.missing_days == [day_before(DAY, 178 + days) for days in range(14, 0, -1)]


def test_a_day_is_not_replaced_by_one_with_fewer_events(quiet: Installation) -> None:
    assert quiet.runner.materialise(DAY, ["raw_bounces"]).success
    with quiet.store() as store:
        store.execute("DELETE FROM bounce")
    report = quiet.runner.materialise(DAY, ["raw_bounces"])
    assert "a day isn't replaced by one with fewer events" in (report.error or "")
    assert quiet.runner.lake.count("raw_bounces", DAY) == 1


def test_an_older_partition_run_after_a_newer_one_moves_no_date_back(quiet: Installation) -> None:
    with quiet.store() as store:
        store.execute("UPDATE bounce SET event_date = ? WHERE event_date LIKE ?",
                      (f"{day_before(DAY, 2)} 12:00:00.000", f"{FIRST}%"))  # fmt: skip
    assert quiet.run(DAY).line()["written"] == 2
    flags = quiet.flags()
    older = quiet.run(day_before(DAY, 1))
    assert older.success, older.error
    assert older.line()["written"] == 0
    assert quiet.flags() == flags
