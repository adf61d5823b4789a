"""The jobs, and what runs without a person: the daily one by its schedule, alerts by sensors."""

from __future__ import annotations

import dagster as dg

from bounce_sync.alerts import sensors
from bounce_sync.assets.doctor import doctor
from bounce_sync.assets.partitions import DAILY, IMPORTED
from bounce_sync.assets.report import sync_report
from bounce_sync.assets.undo import undo_run
from bounce_sync.environment import LIVE
from bounce_sync.tables import DAILY_TABLES

DAILY_JOB = "daily_bounce_sync"
DRIFT_JOB = "check_crm_drift"
MEND_JOB = "mend_crm_drift"

daily_job = dg.define_asset_job(
    DAILY_JOB,
    selection=dg.AssetSelection.assets(*DAILY_TABLES, sync_report),
    description="Everything of one SFMC day: bounces, Held, staging, plan, checks, writes, page.",
)

drift_job = dg.define_asset_job(
    DRIFT_JOB,
    selection=dg.AssetSelection.assets("crm_drift"),
    description="Compares everything that SFMC holds with everything that is flagged. Reads only.",
)

mend_job = dg.define_asset_job(
    MEND_JOB,
    selection=dg.AssetSelection.assets("crm_drift", "crm_drift_updates"),
    description="Compares anew and mends what the policy allows. Starts as a dry run; set dry_run "
    "of crm_drift_updates to false to write.",
)

_ONLY_LIVE = (
    dg.DefaultScheduleStatus.RUNNING
    if IMPORTED.target == LIVE
    else dg.DefaultScheduleStatus.STOPPED
)

daily_schedule = dg.build_schedule_from_partitioned_job(
    daily_job,
    hour_of_day=3,
    default_status=_ONLY_LIVE,
    description="At 03:00 server time the day before: by then 99 % of its events have arrived.",
)

drift_schedule = dg.ScheduleDefinition(
    "weekly_drift_report",
    job=drift_job,
    cron_schedule="0 6 * * 0",
    execution_timezone=DAILY.timezone,
    default_status=_ONLY_LIVE,
    description="On Sundays at 06:00 server time, when the daily run is long over.",
)

JOBS = (daily_job, drift_job, mend_job, undo_run, doctor)
SCHEDULES = (daily_schedule, drift_schedule)
SENSORS = tuple(sensors.SENSORS)
