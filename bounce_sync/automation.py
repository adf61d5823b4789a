"""The jobs, and what runs without a person: the daily one by its schedule, alerts by sensors."""

from __future__ import annotations

import dagster as dg

from bounce_sync.alerts import sensors
from bounce_sync.assets.partitions import IMPORTED
from bounce_sync.assets.undo import undo_run
from bounce_sync.environment import LIVE
from bounce_sync.tables import TABLES

DAILY_JOB = "daily_bounce_sync"

daily_job = dg.define_asset_job(
    DAILY_JOB,
    selection=dg.AssetSelection.assets(*TABLES),
    description="Everything of one SFMC day: bounces, Held, staging, plan, checks, writes.",
)

daily_schedule = dg.build_schedule_from_partitioned_job(
    daily_job,
    hour_of_day=3,
    default_status=dg.DefaultScheduleStatus.RUNNING
    if IMPORTED.target == LIVE
    else dg.DefaultScheduleStatus.STOPPED,
    description="At 03:00 server time the day before: by then 99 % of its events have arrived.",
)

JOBS = (daily_job, undo_run)
SCHEDULES = (daily_schedule,)
SENSORS = tuple(sensors.SENSORS)
