"""Counts of the last days, as the lake remembers them: they travel with the tables."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from bounce_sync.storage import Lake

BY_CATEGORY, BY_ACTION, FUNNEL = "by_category", "by_action", "funnel"
"""Attributes of `raw_bounces`, `crm_flag_changes` and `confirmed_bounce_staging`: counts."""

DAYS = 30
_AT_ONCE = 8


def last_days(
    lake: Lake, asset: str, name: str, until: str, today: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """The counts that stand under `name` in the attributes of `asset`, for up to 30 stored days.

    Index: days (partitions) up to `until`, oldest first; a day stored without such counts isn't
    in it. Columns: the names of the counts, a missing one is zero. `today` stands for the day
    `until`, whose table may not be stored yet.
    """
    days = [day for day in lake.partitions(asset) if day <= until]
    if today is not None:
        days = [day for day in days if day != until]
    days = days[-DAYS:]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        stored = pool.map(lambda day: lake.attributes(asset, day).get(name), days)
        counts = {day: found for day, found in zip(days, stored, strict=True) if found is not None}
    if today is not None:
        counts[until] = dict(today)
    frame = pd.DataFrame.from_dict(counts, orient="index", dtype="Int64")
    return frame.fillna(0).tail(DAYS)
