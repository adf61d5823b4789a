"""The sensors that tell people: what became of each run, and which days are missing.

Dagster's run-status sensors go on to the next run when one could not be told of. Here a failed send
fails the tick as a whole, so that the daemon asks again: nothing is lost while a receiver is down.
Who has been told already is kept as a tag of the run, so that nobody is told twice.
"""

import json
from datetime import UTC, datetime

import dagster as dg

from bounce_sync.alerts import overdue, sending, stories
from bounce_sync.alerts.digest import digest
from bounce_sync.assets.partitions import DUE_AFTER, IMPORTED, OFFSET
from bounce_sync.environment import LIVE
from bounce_sync.rules import server_time
from bounce_sync.settings import AlertSettings

TOLD = "bounce_sync/told"
"""Run tag: the receivers that took the run's digest."""

NOBODY = "BOUNCE_SYNC_ALERTS is empty: nobody is told."

_WRITES = dg.AssetKey("crm_flag_updates")
_STATUS = (
    dg.DefaultSensorStatus.RUNNING if IMPORTED.target == LIVE else dg.DefaultSensorStatus.STOPPED
)


class NotTold(dg.DagsterError):
    """A receiver didn't take a message.

    Of Dagster's own kind: any other exception would be noted by a run-status sensor, and its run
    passed by.
    """

    def __init__(self, refused: dict[str, str]) -> None:
        super().__init__(
            "Not delivered, tried again at the next tick: "
            + "; ".join(f"{name} ({why})" for name, why in refused.items())
            + ". The number is the receiver's place in BOUNCE_SYNC_ALERTS."
        )


def tell(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: AlertSettings) -> None:
    """Sends the digest of a finished run to whoever hasn't got it yet. Raises `NotTold`."""
    message = digest(stories.story(instance, run, settings.target, settings.secrets), settings.ui)
    if message is None:
        return
    told = run.tags.get(TOLD, "").split()
    waiting = [receiver for receiver in settings.receivers if receiver.name not in told]
    refused = sending.send(message, waiting)
    told += [receiver.name for receiver in waiting if receiver.name not in refused]
    instance.add_run_tags(run.run_id, {TOLD: " ".join(told)})
    if refused:
        raise NotTold(refused)


def _sensor(status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=f"alerts_on_{status.value.lower()}",
        minimum_interval_seconds=15,
        default_status=_STATUS,
        description="One message per run that has something to tell: failed and silent checks, "
        "errors, rejected updates, quarantined domains, released guards, recovered checks.",
    )
    def alerts(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        settings = AlertSettings.load()
        if not settings.receivers:
            return dg.SkipReason(NOBODY)
        tell(context.instance, context.dagster_run, settings)
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
    missing = overdue.missing(context.instance.get_materialized_partitions(_WRITES), last_due)
    told: dict[str, list[str]] = json.loads(context.cursor or "{}")
    refused: dict[str, str] = {}
    reached = False
    for receiver in settings.receivers:
        before = told.get(receiver.name, [])
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


SENSORS = [*(_sensor(status) for status in stories.STATUSES), missing_days]
