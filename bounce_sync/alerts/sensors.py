"""The sensors that tell people: what became of each run, and which days are missing.

Dagster's run-status sensors go on to the next run when one could not be told of. Here a failed send
fails the tick as a whole, so that the daemon asks again: nothing is lost while a receiver is down,
and the others are told of later runs meanwhile.
"""

import json
from collections.abc import Collection
from datetime import UTC, datetime

import dagster as dg

from bounce_sync.alerts import overdue, sending, stories
from bounce_sync.alerts.telling import NotTold, tell_in_turn
from bounce_sync.assets.descriptions import EVIDENCE
from bounce_sync.assets.partitions import DUE_AFTER, IMPORTED, OFFSET
from bounce_sync.environment import LIVE
from bounce_sync.rules import server_time
from bounce_sync.settings import AlertSettings

NOBODY = "BOUNCE_SYNC_ALERTS is empty: nobody is told."

_WRITES = dg.AssetKey("crm_flag_updates")
_RUNS = 100
"""Writing runs of the last days that are asked for their evidence, the newest."""

_STATUS = (
    dg.DefaultSensorStatus.RUNNING if IMPORTED.target == LIVE else dg.DefaultSensorStatus.STOPPED
)


def _sensor(status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=f"alerts_on_{status.value.lower()}",
        minimum_interval_seconds=10,
        default_status=_STATUS,
        description="One message per run that has something to tell: failed and silent checks, "
        "errors, rejected updates, quarantined domains, released guards, recovered checks.",
    )
    def alerts(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        settings = AlertSettings.load()
        if not settings.receivers:
            return dg.SkipReason(NOBODY)
        tell_in_turn(context.instance, context.dagster_run, settings)
        return None

    return alerts


@dg.sensor(
    name="alerts_on_missing_days",
    minimum_interval_seconds=300,
    default_status=_STATUS,
    description="A message when a day of the last week isn't written although it is due, and one "
    "when it was made up for.",
)
def missing_days(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """The cursor holds, for each receiver, the missing days it was told of."""
    settings = AlertSettings.load()
    if not settings.receivers:
        return dg.SkipReason(NOBODY)
    last_due = server_time.last_finished_day(datetime.now(UTC) - DUE_AFTER, OFFSET)
    days = overdue.looked_at(last_due)
    written = context.instance.get_materialized_partitions(_WRITES)
    missing = overdue.missing(days, written, _evidence(context.instance, written, days[0]))
    told: dict[str, list[str]] = json.loads(context.cursor or "{}")
    refused: dict[str, str] = {}
    reached = False
    for receiver in settings.receivers:
        # A day that isn't looked at any more wasn't made up for.
        before = [day for day in told.get(receiver.name, []) if day in days]
        message = overdue.message(missing, before, settings.target, settings.ui)
        refusal = sending.send(message, [receiver]) if message else {}
        if not refusal:
            reached |= before != missing
            told[receiver.name] = missing
        refused |= refusal
    if refused and not reached:  # a tick that fails forgets whom it reached
        raise NotTold(refused)
    said = ", ".join(missing) or f"No day is missing up to {last_due}"
    return dg.SensorResult(skip_reason=f"{said}.", cursor=json.dumps(told))


def _evidence(instance: dg.DagsterInstance, written: Collection[str], first: str) -> set[str]:
    """The days whose bounces went into the days that were written since `first`."""
    since = [day for day in written if day >= first]
    if not since:
        return set()
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=_WRITES, asset_partitions=since), limit=_RUNS
    ).records
    days: set[str] = set()
    for record in records:
        stored = record.asset_materialization
        evidence = stored.metadata.get(EVIDENCE) if stored else None
        if isinstance(evidence, dg.JsonMetadataValue):
            days.update(map(str, evidence.data or ()))
    return days


SENSORS = [*(_sensor(status) for status in stories.STATUSES), missing_days]
