"""What a day's tables say to people who never open them: flagged, released, left, refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from bounce_sync.rules.texts import is_in
from bounce_sync.storage import Lake
from bounce_sync.tables import (
    CLEAR,
    NONE,
    PENDING,
    REFRESH,
    REJECTED,
    SET,
    UNKNOWN,
    WRITTEN,
    CrmFlagUpdates,
    empty,
)

_KEYS = ["object", "record_id", "subscriber_key"]
_DATES = ["date_after", "date_before"]


@dataclass(frozen=True)
class Day:
    """One partition, as far as it was carried out.

    The frames list records: object, record_id, reason, bounced_at, category, domain, status, and
    email (the CRM's of that day).
    """

    partition: str
    run_ids: tuple[str, ...]
    instance_url: str
    new: pd.DataFrame
    released: pd.DataFrame
    refused: pd.DataFrame
    """With error_code and outcome."""
    conflicts: pd.DataFrame
    quarantined: pd.DataFrame
    refreshed: int
    left: dict[str, int]
    """Reason → records that were looked at and left."""
    funnel: dict[str, int]
    naive: dict[str, int]


def read(lake: Lake, partition: str, run_id: str | None = None) -> Day:
    """The day as the lake has it; with `run_id`, only what that run wrote.

    Raises `MissingTable` for a day that was never planned.
    """
    plan = lake.read("crm_flag_changes", partition)
    updates = empty(CrmFlagUpdates)
    if lake.has("crm_flag_updates", partition):
        updates = lake.read("crm_flag_updates", partition)
    if run_id is not None:
        updates = updates[updates["run_id"] == run_id]
    last = updates.sort_values("attempted_at").drop_duplicates(["object", "record_id"], keep="last")
    written = last[last["outcome"] == WRITTEN]
    refused = last[last["outcome"].isin([REJECTED, UNKNOWN, PENDING])]
    conflicts = plan[plan["reason"] == "conflict"]
    quarantined = plan[plan["reason"] == "domain_spike"]
    left = plan[plan["action"] == NONE]

    # A plan may have millions of rows, a page has few.
    listed = pd.concat([last["record_id"], conflicts["record_id"], quarantined["record_id"]])
    staging = lake.read(
        "confirmed_bounce_staging", partition, ["subscriber_key", "bounce_category"]
    )
    state = lake.read("crm_flag_state", partition, ["object", "record_id", "email"])
    known = _known(
        plan[is_in(plan["record_id"], listed)], staging, state[is_in(state["record_id"], listed)]
    )
    return Day(
        partition=partition,
        run_ids=tuple(updates.sort_values("attempted_at")["run_id"].unique()),
        instance_url=state.attrs["instance_url"],
        new=_listed(written[written["action"] == SET], known),
        released=_listed(written[written["action"] == CLEAR], known),
        refused=_listed(refused, known, ["outcome", "error_code"]),
        conflicts=_listed(conflicts, known),
        quarantined=_listed(quarantined, known),
        refreshed=int((written["action"] == REFRESH).sum()),
        left=_counts(left["reason"]),
        funnel=dict(staging.attrs["funnel"]),
        naive=dict(staging.attrs.get("naive", {})),
    )


def _known(plan: pd.DataFrame, staging: pd.DataFrame, state: pd.DataFrame) -> pd.DataFrame:
    emails = state.drop_duplicates(["object", "record_id"])
    return (
        plan[[*_KEYS, "bounced_at", "domain", "status"]]
        .merge(staging.rename(columns={"bounce_category": "category"}), "left")
        .merge(emails, "left", on=["object", "record_id"])
    )


def _listed(rows: pd.DataFrame, known: pd.DataFrame, more: list[str] | None = None) -> pd.DataFrame:
    listed = rows[[*_KEYS, "reason", *_DATES, *(more or [])]].merge(known, "left", on=_KEYS)
    # A later run of the day plans again, and knows no more of what was done before.
    for date in _DATES:
        listed["bounced_at"] = listed["bounced_at"].fillna(listed[date])
    return listed.sort_values(["bounced_at", "record_id"], ascending=[False, True])


def _counts(values: pd.Series) -> dict[str, Any]:
    return {str(value): int(count) for value, count in values.value_counts().items()}
