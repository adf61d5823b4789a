"""Verdicts: is this table, or this plan, one that people would want carried out?

Pure, so that the asset checks and the writer judge alike. A message says what was found, and how to
recover is the check's to say. Neither message nor numbers hold an address, a key or a reason text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median

import pandas as pd

from bounce_sync.rules.policy import MIN_ADDRESSES_COMPARED, SyncPolicy
from bounce_sync.rules.server_time import days_window
from bounce_sync.rules.spikes import MIN_HISTORY_DAYS
from bounce_sync.rules.texts import is_in
from bounce_sync.tables import CLEAR, NONE, REFRESH, SET

USUAL_FACTOR = 5
"""A count more than this many times above or below the median of its history is unusual."""


@dataclass(frozen=True)
class Verdict:
    """Whether a rule holds, in one sentence and in numbers."""

    passed: bool
    message: str
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)


def change_volume(changes: pd.DataFrame, policy: SyncPolicy) -> Verdict:
    """Neither more sets nor more clears (`CrmFlagChanges`) than the policy allows in one run."""
    sets, clears = (int((changes["action"] == action).sum()) for action in (SET, CLEAR))
    return Verdict(
        max(sets, clears) <= policy.max_changes,
        f"{sets:,} sets and {clears:,} clears are planned; the policy allows "
        f"{policy.max_changes:,} of each.",
        {"sets": sets, "clears": clears, "max_changes": policy.max_changes},
    )


def addresses_agree(changes: pd.DataFrame, policy: SyncPolicy) -> Verdict:
    """CRM and SFMC have mostly the same addresses, as far as `CrmFlagChanges` compared them.

    If not, this looks like the wrong org, or like a sandbox org whose addresses are masked.
    """
    compared = changes["address_agrees"].dropna()
    differing = int((~compared).sum())
    share = differing / len(compared) if len(compared) else 0.0
    said = f"{differing:,} of {len(compared):,} compared addresses differ"
    numbers = {
        "compared": len(compared),
        "differing": differing,
        "share": round(share, 4),
        "max_address_mismatch": policy.max_address_mismatch,
    }
    if len(compared) < MIN_ADDRESSES_COMPARED:
        return Verdict(True, f"{said}; so few say nothing about the org.", numbers)
    return Verdict(
        share <= policy.max_address_mismatch,
        f"{said}; the policy allows {policy.max_address_mismatch:.0%}.",
        numbers,
    )


def accounted_for(changes: pd.DataFrame, staging: pd.DataFrame, state: pd.DataFrame) -> Verdict:
    """Each staged key has a row, each flagged record one decision, and other keys do nothing."""
    flagged = state.loc[state["flag"], ["object", "record_id"]].drop_duplicates()
    is_other = changes["reason"] == "other_key"
    decisions = changes[~is_other & changes["record_id"].notna()]
    decisions = decisions.groupby(["object", "record_id"], as_index=False).size()
    undecided = flagged.merge(decisions, how="left", on=["object", "record_id"])["size"].isna()
    rowless = ~is_in(staging["subscriber_key"], changes["subscriber_key"])
    holes = {
        "staged_keys_without_row": int(rowless.sum()),
        "flagged_records_without_decision": int(undecided.sum()),
        "records_with_several_decisions": int((decisions["size"] > 1).sum()),
        "other_keys_that_act": int((is_other & (changes["action"] != NONE)).sum()),
    }
    numbers = {"staged_keys": len(staging), "flagged_records": len(flagged), **holes}
    if any(holes.values()):
        found = ", ".join(f"{name.replace('_', ' ')}: {n:,}" for name, n in holes.items() if n)
        return Verdict(False, f"The plan has holes: {found}.", numbers)
    return Verdict(
        True,
        f"All {len(staging):,} staged keys and {len(flagged):,} flagged records are accounted for.",
        numbers,
    )


def domain_spikes(changes: pd.DataFrame, decided_days: int | None = None) -> Verdict:
    """No mail domain was quarantined; where `decided_days` are too few, nobody could judge."""
    quarantined, released = (
        changes.loc[changes["reason"] == reason, "domain"].value_counts()
        for reason in ("domain_spike", "domain_allowed")
    )
    numbers: dict[str, int | float | str] = {
        "quarantined_domains": len(quarantined),
        "quarantined_sets": int(quarantined.sum()),
    }
    said = ""
    if len(released):
        numbers["released"] = int(released.sum())
        said = f" Released by the run's tag: {_listed(released)}."
    if len(quarantined):
        return Verdict(
            False,
            "Far more sets than usual, as in an outage at the provider; quarantined: "
            f"{_listed(quarantined)}.{said}",
            numbers,
        )
    if decided_days is not None and decided_days < MIN_HISTORY_DAYS:
        return Verdict(
            True,
            f"Can't judge yet: {decided_days} days were decided before, a domain's usual day is "
            f"known after {MIN_HISTORY_DAYS}.{said}",
            numbers,
        )
    return Verdict(True, f"No {'other ' if said else ''}mail domain stands out.{said}", numbers)


def _listed(domains: pd.Series) -> str:
    return ", ".join(f"{domain} ({count:,})" for domain, count in domains.items())


def usual_volume(count: int, history_counts: Sequence[int]) -> Verdict:
    """A table's row count against that of earlier partitions; no rows at all is a finding."""
    numbers: dict[str, int | float | str] = {"rows": count, "days_compared": len(history_counts)}
    if count == 0:
        return Verdict(
            False, "No rows at all: an outage, or a permission that is missing?", numbers
        )
    if len(history_counts) < MIN_HISTORY_DAYS:
        return Verdict(True, f"{count:,} rows; too few earlier days to compare with.", numbers)
    usual = median(history_counts)
    return Verdict(
        usual / USUAL_FACTOR <= count <= max(usual, 1) * USUAL_FACTOR,
        f"{count:,} rows, usually {usual:,.0f}.",
        {**numbers, "usual": usual},
    )


def drift_accounted_for(drift: pd.DataFrame, held: int, flagged: int) -> Verdict:
    """Each of the `held` keys is in `CrmDrift`, each of the `flagged` records has one decision."""
    decisions = drift[(drift["reason"] != "other_key") & drift["record_id"].notna()]
    counts = decisions.groupby(["object", "record_id"], as_index=False).agg(
        decisions=("reason", "size"), flagged=("flag_before", "any")
    )
    holes = {
        "held_keys_without_row": held - int(drift.loc[drift["staged"], "subscriber_key"].nunique()),
        "flagged_records_without_decision": flagged - int(counts["flagged"].sum()),
        "records_with_several_decisions": int((counts["decisions"] > 1).sum()),
    }
    numbers = {"held_keys": held, "flagged_records": flagged, **holes}
    if any(holes.values()):
        found = ", ".join(f"{name.replace('_', ' ')}: {n:,}" for name, n in holes.items() if n)
        return Verdict(False, f"The report has holes: {found}.", numbers)
    return Verdict(
        True, f"All {held:,} Held keys and {flagged:,} flagged records are accounted for.", numbers
    )


def agreement(drift: pd.DataFrame) -> Verdict:
    """SFMC and the CRM agree, as far as the policy lets a mend bring it about (`CrmDrift`)."""
    actions = drift["action"].value_counts()
    numbers = {action: int(actions.get(action, 0)) for action in (SET, REFRESH, CLEAR)}
    return Verdict(
        not any(numbers.values()),
        ", ".join(f"{count:,} to {action}" for action, count in numbers.items())
        + f"; {len(drift):,} keys and records compared.",
        numbers,
    )


def evidence_window(staging: pd.DataFrame, days: list[str], offset: timedelta) -> Verdict:
    """Every staged bounce lies in the window of `days` (server time), or was carried over."""
    window, bounced = days_window(days, offset), staging["bounced_at"]
    carried = staging["carried_since"].notna()
    outside = ~carried & ((bounced < window.start) | (bounced >= window.end))
    return Verdict(
        not outside.any(),
        f"{outside.sum():,} bounces lie outside of {window}; {carried.sum():,} were carried over.",
        {"outside": int(outside.sum()), "carried": int(carried.sum()), "window": str(window)},
    )


def only_held(staging: pd.DataFrame, held: pd.DataFrame) -> Verdict:
    """Every staged key is in `HeldSubscribers`."""
    is_held = is_in(staging["subscriber_key"], held["subscriber_key"])
    return _none_of(staging, ~is_held, "staged subscribers aren't Held")


def reason_length(staging: pd.DataFrame, policy: SyncPolicy) -> Verdict:
    """No bounce reason is longer than the policy says, in Unicode characters."""
    is_long = staging["bounce_reason"].str.len() > policy.reason_length
    return _none_of(
        staging, is_long, f"bounce reasons have more than {policy.reason_length} characters"
    )


def unique_keys(frame: pd.DataFrame) -> Verdict:
    """Every subscriber_key is there once."""
    return _none_of(frame, frame["subscriber_key"].duplicated(), "rows repeat a subscriber_key")


def _none_of(frame: pd.DataFrame, wrong: pd.Series, what: str) -> Verdict:
    count = int(wrong.sum())
    return Verdict(
        count == 0, f"{count:,} of {len(frame):,} {what}.", {"wrong": count, "rows": len(frame)}
    )
