"""What failed a blocking check reaches the CRM in no way: same run, lone run, later run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.assets.rule import ALLOW_CHANGES
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, day_before, last_day

DAY = last_day()
EARLIER = day_before(DAY, 1)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Installation]:
    """Three people to flag, nothing flagged yet, evidence days fetched."""
    tenant = Tenant()
    for day in (EARLIER, DAY, DAY):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), day)
    with installed(tenant, tmp_path) as installation:
        installation.has_fetched_nothing_before(DAY)
        assert installation.runner.materialise(EARLIER, ["raw_bounces"]).success
        yield installation


def _spoil(installation: Installation, asset: str, day: str, change: Callable) -> None:
    lake = installation.runner.lake
    stored = lake.read(asset, day)
    spoilt = change(stored)
    spoilt.attrs = stored.attrs
    lake.write(asset, day, spoilt)


def _twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame], ignore_index=True)


def _verbose(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(bounce_reason="x" * 501)


def _unknown_category(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(bounce_category="Bouncy bounce")


def _strangers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(subscriber_key=frame["subscriber_key"] + "x")


def _long_ago(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(bounced_at=frame["bounced_at"] - pd.Timedelta(days=40))


STAGING_FAULTS = {
    "schema": _unknown_category,
    "subscriber_key_is_unique": _twice,
    "bounce_reason_is_truncated": _verbose,
    "only_held_subscribers": _strangers,
    "bounces_lie_in_the_evidence_window": _long_ago,
}


@pytest.mark.parametrize("rule", STAGING_FAULTS)
def test_a_bad_staging_table_stops_its_own_run(
    held: Installation, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bounce_sync.rules import confirmation

    confirm = confirmation.confirm
    monkeypatch.setattr(
        confirmation, "confirm", lambda *tables: STAGING_FAULTS[rule](confirm(*tables))
    )
    outcome = held.run(DAY)
    assert not outcome.success
    assert outcome.report is not None
    assert rule in outcome.report.failed_checks
    assert "crm_flag_state" not in outcome.report.materialised
    assert held.runner.lake.has("confirmed_bounce_staging", DAY)
    assert held.writes() == 0


@pytest.mark.parametrize("rule", STAGING_FAULTS)
def test_a_bad_staging_table_is_refused_by_name_when_it_is_loaded_alone(
    held: Installation, rule: str
) -> None:
    assert held.run(DAY, dry_run=True).success
    _spoil(held, "confirmed_bounce_staging", DAY, STAGING_FAULTS[rule])
    report = held.runner.materialise(DAY, ["crm_flag_state", "crm_flag_changes"])
    assert not report.success
    assert f"confirmed_bounce_staging of {DAY} breaks its contract" in (report.error or "")


def test_the_writing_asset_alone_refuses_a_bad_plan(held: Installation) -> None:
    assert held.run(DAY, dry_run=True).success
    _spoil(held, "crm_flag_changes", DAY, lambda plan: plan.iloc[1:].reset_index(drop=True))
    report = held.runner.materialise(DAY, ["crm_flag_updates"])
    assert not report.success
    assert f"crm_flag_changes of {DAY} breaks its contract" in (report.error or "")
    assert held.writes() == 0


def test_a_stopped_plan_is_not_written_alone_nor_under_a_looser_policy(held: Installation) -> None:
    strict = held.runner.materialise(DAY, policy={"max_changes": 1})
    assert strict.blocked_by == "change_volume_is_plausible"
    assert held.writes() == 0
    for policy in ({}, {"max_changes": 100_000}):
        alone = held.runner.materialise(DAY, ["crm_flag_updates"], policy=policy)
        assert not alone.success
        assert "change_volume_is_plausible" in (alone.error or "")
    assert held.writes() == 0


def test_a_stricter_policy_given_to_the_writer_holds(held: Installation) -> None:
    assert held.run(DAY, dry_run=True).success
    alone = held.runner.materialise(DAY, ["crm_flag_updates"], policy={"max_changes": 1})
    assert "change_volume_is_plausible" in (alone.error or "")
    assert held.writes() == 0


def test_a_tag_releases_the_guard_for_its_run_and_leaves_a_trace(held: Installation) -> None:
    assert held.runner.materialise(DAY, policy={"max_changes": 1}).blocked_by
    released = held.runner.materialise(DAY, policy={"max_changes": 1}, tags={ALLOW_CHANGES: "true"})
    assert released.success, released.error
    assert (
        "change_volume_is_plausible" in released.materialised["crm_flag_updates"]["released guards"]
    )
    assert held.writes() > 0


def test_a_tag_that_says_no_releases_nothing(held: Installation) -> None:
    for no in ("false", "FALSE", "no", "0"):
        kept = held.runner.materialise(DAY, policy={"max_changes": 1}, tags={ALLOW_CHANGES: no})
        assert kept.blocked_by == "change_volume_is_plausible"
    assert held.writes() == 0


def test_a_bad_day_of_bounces_is_refused_by_the_next_day(held: Installation) -> None:
    held.run(DAY, dry_run=True)
    _spoil(held, "raw_bounces", EARLIER, _unknown_category)
    outcome = held.run(DAY)
    assert not outcome.success
    assert f"raw_bounces of {EARLIER} breaks its contract" in (outcome.error or "")
    assert held.writes() == 0


def test_a_plan_older_than_a_day_is_not_written(held: Installation) -> None:
    assert held.run(DAY, dry_run=True).success
    lake = held.runner.lake
    plan = lake.read("crm_flag_changes", DAY)
    planned_at = pd.Timestamp(plan.attrs["planned_at"]) - pd.Timedelta(hours=25)
    plan.attrs = {**plan.attrs, "planned_at": planned_at.isoformat()}
    lake.write("crm_flag_changes", DAY, plan)
    report = held.runner.materialise(DAY, ["crm_flag_updates"])
    assert "more than a day" in (report.error or "")
    assert held.writes() == 0


def test_the_writer_has_no_rule_of_its_own_to_be_looser_by() -> None:
    plan, given = SyncPolicy(max_changes=10), SyncPolicy(max_changes=1_000)
    assert plan.tightened_by(given).max_changes == 10
    assert given.tightened_by(plan).max_changes == 10
