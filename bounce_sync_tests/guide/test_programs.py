"""The Python of the guide does what the page says."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from bounce_sync.rules.policy import SyncPolicy
from bounce_sync_tests.guide.pages import programs
from bounce_sync_tests.tenant import last_day


# Dagster's own partitioned schedules still call it.
@pytest.mark.filterwarnings("ignore:Function `JobDefinition.run_request_for_partition`")
def test_a_policy_for_good_is_that_of_every_scheduled_day(tmp_path: Path) -> None:
    (program,) = programs("operating.md")
    (tmp_path / "our_bounce_sync.py").write_text(program, encoding="utf-8")
    written = runpy.run_path(str(tmp_path / "our_bounce_sync.py"))
    repository = written["defs"].get_repository_def()
    schedule = repository.get_schedule_def("our_bounce_sync_schedule")
    due = datetime.fromisoformat(last_day()).replace(tzinfo=UTC) + timedelta(days=1, hours=9)
    with dg.build_schedule_context(
        scheduled_execution_time=due, repository_def=repository
    ) as context:
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.partition_key == last_day()
    assert request.run_config == {"resources": {"policy": {"config": written["policy"]}}}
    assert SyncPolicy(**written["policy"]) != SyncPolicy()
    whole = repository.get_job("daily_bounce_sync").asset_layer.executable_asset_keys
    assert repository.get_job("our_bounce_sync").asset_layer.executable_asset_keys == whole
