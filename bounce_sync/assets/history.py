"""What the lake's past decisions say of mail domains."""

import pandas as pd

from bounce_sync.rules.spikes import HISTORY_DAYS
from bounce_sync.storage import Lake
from bounce_sync.tables import SET, DomainHistory, empty, shape


def domain_history(lake: Lake, before: str | None = None) -> pd.DataFrame:
    """Sets that came up at each mail domain on the last decided days (`DomainHistory`).

    Those `before` a partition, or all. A set that was carried over from an earlier day came up
    then, and counts there.
    """
    decided = [day for day in lake.partitions("crm_flag_changes") if not before or day < before]
    return pd.concat(
        [empty(DomainHistory), *(_day(lake, day) for day in decided[-HISTORY_DAYS:])],
        ignore_index=True,
    )


def _day(lake: Lake, day: str) -> pd.DataFrame:
    plan = lake.read("crm_flag_changes", day, ["subscriber_key", "action", "reason", "domain"])
    staged = lake.read("confirmed_bounce_staging", day, ["subscriber_key", "carried_since"])
    carried = staged.dropna()["subscriber_key"]
    waits = plan["reason"] == "domain_spike"
    came_up = ~plan["subscriber_key"].isin(carried)
    sets = plan.assign(waits=waits)[((plan["action"] == SET) | waits) & came_up]
    if sets.empty:
        return shape(DomainHistory, {"day": [day], "sets": [0], "quarantined": [0]})
    counts = sets.groupby("domain", as_index=False).agg(
        sets=("waits", "size"), quarantined=("waits", "sum")
    )
    return shape(DomainHistory, counts.assign(day=day))
