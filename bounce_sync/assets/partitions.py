"""The calendar of the graph: one partition per SFMC server day.

The only values of the environment that are needed before a run are read here, once, at import.
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from bounce_sync.environment import SettingsError
from bounce_sync.rules import server_time
from bounce_sync.settings import ImportSettings

IMPORTED = ImportSettings.load()
OFFSET: timedelta = server_time.parse_offset(IMPORTED.utc_offset)


def _fixed_zone(offset: timedelta) -> str:
    """The IANA name of a fixed offset; POSIX inverts its sign (facts/dagster.md §B1)."""
    hours, rest = divmod(round(offset.total_seconds()), 3600)
    if rest:
        raise SettingsError(
            f"SFMC_UTC_OFFSET: {IMPORTED.utc_offset} isn't a whole number of hours; SFMC's server "
            "time always is."
        )
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"


DAILY = dg.DailyPartitionsDefinition(
    start_date=IMPORTED.start_date.isoformat(), timezone=_fixed_zone(OFFSET)
)

DUE_AFTER = timedelta(hours=6)
"""A day is written by then, counted from its end: three hours after the schedule starts it."""

WRITTEN_DAILY = dg.FreshnessPolicy.cron(
    deadline_cron=f"0 {DUE_AFTER // timedelta(hours=1)} * * *",
    lower_bound_delta=DUE_AFTER,
    timezone=_fixed_zone(OFFSET),
)
