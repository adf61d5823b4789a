"""How right flags are, judged by SFMC's own status: those that we keep, and those of a naive sync.

A flag says that SFMC has given up on an address. It is right where SFMC says Held, wrong where SFMC
mails the address, and neither where SFMC says nothing about it.
"""

from __future__ import annotations

import pandas as pd

from bounce_sync.rules.texts import is_in
from bounce_sync.tables import HARD_BOUNCE, HELD

MAILED = ("Active", "Bounced")
"""SFMC mails these (facts/marketing-cloud.md §1.2)."""


def of_every_hard_bounce(bounces: pd.DataFrame, held: pd.DataFrame) -> dict[str, int]:
    """What a sync that flags every hard bounce in `bounces` (`RawBounces`) would get right.

    Subscribers: `flagged` by it, `right` among them (in `held`, `HeldSubscribers`), `wrong`, and
    `missed`: Held, and bounced in other categories only.
    """
    hard = bounces.loc[
        bounces["bounce_category"] == HARD_BOUNCE, "subscriber_key"
    ].drop_duplicates()
    bounced = bounces["subscriber_key"].drop_duplicates()
    right = int(is_in(hard, held["subscriber_key"]).sum())
    return {
        "flagged": len(hard),
        "right": right,
        "wrong": len(hard) - right,
        "missed": int(is_in(bounced, held["subscriber_key"]).sum()) - right,
    }


def flags_by_status(plan: pd.DataFrame) -> pd.DataFrame:
    """Flagged records by SFMC's status, as the plan (`CrmFlagChanges`) found and leaves them.

    Index `status`, columns `before` and `after`; Held comes first, then the commonest.
    """
    decided = plan[plan["record_id"].notna() & (plan["reason"] != "other_key")]
    flags = pd.DataFrame(
        {
            "status": decided["status"],
            "before": decided["flag_before"].fillna(value=False).astype(int),
            "after": decided["flag_after"].fillna(value=False).astype(int),
        }
    )
    counts = flags.groupby("status")[["before", "after"]].sum()
    counts = counts[counts.any(axis="columns")].sort_values("before", ascending=False)
    return counts.loc[sorted(counts.index, key=lambda status: status != HELD)]


def precision(flagged: pd.Series) -> float | None:
    """The share of Held among the flags about which SFMC says something; None where it does of
    none. `flagged` is a column of `flags_by_status`."""
    right = int(flagged.get(HELD, 0))
    judged = right + sum(int(flagged.get(status, 0)) for status in MAILED)
    return right / judged if judged else None
