"""Telling of one run: its digest goes once to each receiver.

Who has been told is kept as a tag of the run, so that a second attempt reaches only the others.
"""

import contextlib
import dataclasses

import dagster as dg

from bounce_sync.alerts import sending, stories
from bounce_sync.alerts.digest import digest
from bounce_sync.settings import AlertSettings

TOLD = "bounce_sync/told"
"""Run tag: the receivers that took the run's digest."""

LATER = 20
"""Runs that are gone on to while a receiver is down: the newest, so that each is one of them."""


class NotTold(dg.DagsterError):
    """A receiver didn't take a message.

    Of Dagster's own kind: any other exception would be noted by a run-status sensor, and its run
    passed by.
    """

    def __init__(self, refused: dict[str, str]) -> None:
        self.refused = refused
        super().__init__(
            "An alert wasn't delivered: "
            + "; ".join(f"{name} ({why})" for name, why in refused.items())
            + ". The number is the receiver's place in BOUNCE_SYNC_ALERTS."
        )


def tell(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: AlertSettings) -> None:
    """Sends the digest of a finished run to whoever hasn't got it yet. Raises `NotTold`."""
    told = run.tags.get(TOLD, "").split()
    waiting = [receiver for receiver in settings.receivers if receiver.name not in told]
    if not waiting:
        return
    message = digest(stories.story(instance, run, settings.target, settings.secrets), settings.ui)
    if message is None:
        return
    refused = sending.send(message, waiting)
    told += [receiver.name for receiver in waiting if receiver.name not in refused]
    instance.add_run_tags(run.run_id, {TOLD: " ".join(told)})
    if refused:
        raise NotTold(refused)


def tell_in_turn(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: AlertSettings) -> None:
    """As `tell`, for a caller that asks again for this run before it comes to a later one.

    While a receiver is down, the others are told of the later runs all the same. Raises `NotTold`.
    """
    try:
        tell(instance, run, settings)
    except NotTold as error:
        reached = tuple(each for each in settings.receivers if each.name not in error.refused)
        if reached:
            others = dataclasses.replace(settings, receivers=reached)
            for later in _later(instance, run):
                with contextlib.suppress(NotTold):
                    tell(instance, later, others)
        raise


def _later(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """The newest runs of this code location that ended like this one, after it; oldest first."""
    ended = {
        record.dagster_run.run_id: record
        for record in instance.get_run_records(
            dg.RunsFilter(statuses=[run.status]), limit=LATER, order_by="end_time"
        )
    }
    (own,) = instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
    ended.pop(run.run_id, None)
    return [
        record.dagster_run
        for record in reversed(ended.values())
        if (record.end_time or 0) >= (own.end_time or 0)
        and _place(record.dagster_run) == _place(run)
    ]


def _place(run: dg.DagsterRun) -> tuple[str, str] | None:
    """Code location and repository, as Dagster's sensors tell runs apart."""
    if run.remote_job_origin is None:
        return None
    origin = run.remote_job_origin.repository_origin
    return origin.code_location_origin.location_name, origin.repository_name
