"""The sensor of missing days: each receiver is told once of each day, also after it was down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from bounce_sync.alerts.sensors import NOBODY, missing_days
from bounce_sync.alerts.telling import NotTold
from bounce_sync.assets.descriptions import EVIDENCE
from bounce_sync_tests.alerts.receivers import WebHook, web_hook
from bounce_sync_tests.installation import environ
from bounce_sync_tests.tenant import SERVER, day_before

Tick = Callable[[str | None], dg.SensorResult]


def newest_due() -> str:
    """The newest day that ended six hours ago or more, in server time."""
    return (
        (datetime.now(UTC) + SERVER - timedelta(hours=6)).date() - timedelta(days=1)
    ).isoformat()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Three days ago was written, and yesterday; the two days between weren't."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for days in (3, 0):
            _write(instance, days)
        yield instance


def _write(instance: dg.DagsterInstance, days: int, *evidence: int) -> None:
    """One day, `days` before the newest, with the bounces of that one and others."""
    day, *others = (day_before(newest_due(), each) for each in (days, *evidence))
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            "crm_flag_updates",
            partition=day,
            metadata={EVIDENCE: dg.MetadataValue.json([*others, day])},
        )
    )


@pytest.fixture
def receivers() -> Iterator[tuple[WebHook, WebHook]]:
    with web_hook() as first, web_hook() as second:
        yield first, second


@pytest.fixture
def tick(instance: dg.DagsterInstance, receivers: tuple[WebHook, WebHook]) -> Iterator[Tick]:
    """Asks the sensor with a cursor, as the daemon does."""

    def asked(cursor: str | None) -> dg.SensorResult:
        with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
            result = missing_days(context)
        assert isinstance(result, dg.SensorResult)
        return result

    alerts = " ".join(f"json://127.0.0.1:{each.port}/" for each in receivers)
    with environ({"BOUNCE_SYNC_ALERTS": alerts}):
        yield asked


def test_a_receiver_that_was_down_is_told_later_and_the_other_not_again(
    tick: Tick, receivers: tuple[WebHook, WebHook]
) -> None:
    up, down = receivers
    down.stop()
    reached = tick(None)
    with pytest.raises(NotTold, match="2:json"):
        tick(reached.cursor)
    down.start()
    tick(tick(reached.cursor).cursor)
    for receiver in (up, down):
        ((title, _),) = receiver.inbox.messages
        missing = f"{day_before(newest_due(), 2)}, {day_before(newest_due(), 1)}"
        assert title == f"bounce_sync (sandbox): missing {missing}"


def test_a_day_that_was_made_up_for_is_told_of(
    tick: Tick, instance: dg.DagsterInstance, receivers: tuple[WebHook, WebHook]
) -> None:
    told = tick(None)
    _write(instance, 2)
    tick(told.cursor)
    for receiver in receivers:
        _, (title, _) = receiver.inbox.messages
        assert title == f"bounce_sync (sandbox): made up for {day_before(newest_due(), 2)}"


def test_a_catch_up_makes_up_for_all_of_its_days(
    tick: Tick, instance: dg.DagsterInstance, receivers: tuple[WebHook, WebHook]
) -> None:
    told = tick(None)
    _write(instance, 0, 1, 2)
    tick(told.cursor)
    for receiver in receivers:
        _, (title, _) = receiver.inbox.messages
        caught_up = f"{day_before(newest_due(), 2)}, {day_before(newest_due(), 1)}"
        assert title == f"bounce_sync (sandbox): made up for {caught_up}"


def test_a_day_that_is_too_old_to_be_looked_at_was_not_made_up_for(
    tick: Tick, receivers: tuple[WebHook, WebHook]
) -> None:
    missing = [day_before(newest_due(), days) for days in (2, 1)]
    told = [day_before(newest_due(), 7), *missing]
    after = tick(json.dumps({"1:json": told, "2:json": told}))
    assert json.loads(after.cursor or "") == {"1:json": missing, "2:json": missing}
    for receiver in receivers:
        assert receiver.inbox.messages == []


def test_without_receivers_the_tick_says_so(instance: dg.DagsterInstance) -> None:
    with dg.build_sensor_context(instance=instance) as context:
        skipped = missing_days(context)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == NOBODY
