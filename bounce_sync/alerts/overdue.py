"""Days that should have been written to the CRM by now and weren't.

A freshness policy knows no partitions: a backfill of an old day makes its asset fresh. So the days
themselves are compared with the calendar.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from bounce_sync.alerts.digest import Level, Message

LOOK_BACK = 7
"""Days that are looked at; an older gap is a decision, or a case for `crm_drift`."""


def looked_at(last_due: date) -> list[str]:
    """The last seven days that are due, oldest first; `last_due` is the newest that should be
    there."""
    return [(last_due - timedelta(days=n)).isoformat() for n in reversed(range(LOOK_BACK))]


def missing(
    days: Collection[str], written: Collection[str], evidence: Collection[str]
) -> list[str]:
    """The missing ones among `days`.

    Args:
        written: the days that were ever written; before the first of them nothing is missing, so
            that an installation that only plans is never told to write.
        evidence: the days whose bounces went into what was written: a run that catches up writes
            one day for all.
    """
    there = {*written, *evidence}
    return [day for day in days if written and min(written) < day and day not in there]


def message(now: Collection[str], told: Collection[str], target: str, ui: str) -> Message | None:
    """What to tell somebody who was `told` of some missing days; None where nothing changed."""
    new, made_up = sorted(set(now) - set(told)), sorted(set(told) - set(now))
    if not new and not made_up:
        return None
    said = []
    if new:
        said.append(
            f"{', '.join(new)}: nothing of it reached the CRM. Look at the schedule and at the "
            "failed runs; then run the day, or launch a backfill."
        )
    if made_up:
        said.append(f"{', '.join(made_up)}: no longer missing.")
    if ui:
        said.append(f"[crm_flag_updates]({ui}/assets/crm_flag_updates)")
    what = f"missing {', '.join(new)}" if new else f"made up for {', '.join(made_up)}"
    return Message(
        f"bounce_sync ({target}): {what}",
        "\n\n".join(said),
        Level.FAILURE if new else Level.SUCCESS,
    )
