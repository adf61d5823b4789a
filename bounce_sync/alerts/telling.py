"""Telling of one run: its digest goes once to each receiver.

Who has been told is kept as a tag of the run, so that a second attempt reaches only the others.
"""

import dagster as dg

from bounce_sync.alerts import sending, stories
from bounce_sync.alerts.digest import digest
from bounce_sync.settings import AlertSettings

TOLD = "bounce_sync/told"
"""Run tag: the receivers that took the run's digest."""


class NotTold(dg.DagsterError):
    """A receiver didn't take a message.

    Of Dagster's own kind: any other exception would be noted by a run-status sensor, and its run
    passed by.
    """

    def __init__(self, refused: dict[str, str]) -> None:
        super().__init__(
            "An alert wasn't delivered: "
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
