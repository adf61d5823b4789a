"""Verdicts: is this table, or this plan, one that people would want carried out?

Pure, so that the asset checks and the writer judge by the same words. A message says what was found
and, of a failure, how to recover; numbers are for the checks' metadata. Neither holds an address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median

import pandas as pd

from bounce_sync.rules.policy import MIN_ADDRESSES_COMPARED, SyncPolicy
from bounce_sync.rules.server_time import days_window
from bounce_sync.rules.spikes import MIN_HISTORY_DAYS, decided_days
from bounce_sync.rules.texts import is_in
from bounce_sync.tables import CLEAR, NONE, SET

USUAL_FACTOR = 5
"""A count this many times above or below the median of its history is unusual."""


@dataclass(frozen=True)
class Verdict:
    """Whether a rule holds, in one sentence and in numbers."""

    passed: bool
    message: str
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)


def change_volume(changes: pd.DataFrame, policy: SyncPolicy) -> Verdict:
    """Neither more sets nor more clears (`CrmFlagChanges`) than the policy allows in one run."""
    counts = {name: int((changes["action"] == name).sum()) for name in (SET, CLEAR)}
    numbers = {"sets": counts[SET], "clears": counts[CLEAR], "max_changes": policy.max_changes}
    said = f"{counts[SET]:,} sets and {counts[CLEAR]:,} clears are planned"
    if max(counts.values()) <= policy.max_changes:
        return Verdict(
            True, f"{said}, at most {policy.max_changes:,} of each are allowed.", numbers
        )
    return Verdict(
        False,
        f"{said}, more than the {policy.max_changes:,} that the policy allows of either. Look at "
        "the plan; if it is right, run again with --allow-changes (tag bounce_sync/allow_changes) "
        "or raise max_changes.",
        numbers,
    )


def addresses_agree(changes: pd.DataFrame, policy: SyncPolicy) -> Verdict:
    """CRM and SFMC have mostly the same addresses, as far as `CrmFlagChanges` compared them."""
    compared = changes["address_agrees"].dropna()
    differing = int((~compared).sum())
    share = differing / len(compared) if len(compared) else 0.0
    numbers = {
        "compared": len(compared),
        "differing": differing,
        "share": round(share, 4),
        "max_address_mismatch": policy.max_address_mismatch,
    }
    said = f"{differing:,} of {len(compared):,} compared addresses differ"
    if len(compared) < MIN_ADDRESSES_COMPARED:
        return Verdict(True, f"{said}; under {MIN_ADDRESSES_COMPARED} say nothing.", numbers)
    if share <= policy.max_address_mismatch:
        return Verdict(True, f"{said}.", numbers)
    return Verdict(
        False,
        f"{said}: this looks like the wrong org or a masked sandbox. Check SALESFORCE_LOGIN_URL "
        "and SFMC_ACCOUNT_ID; if both are right, run again with the tag "
        "bounce_sync/allow_mismatch.",
        numbers,
    )


def accounted_for(changes: pd.DataFrame, staging: pd.DataFrame, state: pd.DataFrame) -> Verdict:
    """Each staged key has a row, each flagged record one decision, and other keys do nothing."""
    missing = int((~is_in(staging["subscriber_key"], changes["subscriber_key"])).sum())
    flagged = state.loc[state["flag"], ["object", "record_id"]].drop_duplicates()
    decisions = changes[(changes["reason"] != "other_key") & changes["record_id"].notna()]
    decisions = decisions.groupby(["object", "record_id"], as_index=False).size()
    sizes = flagged.merge(decisions, how="left", on=["object", "record_id"])["size"].fillna(0)
    acting = int(((changes["reason"] == "other_key") & (changes["action"] != NONE)).sum())
    holes = {
        "staged_keys_without_row": missing,
        "flagged_records_without_decision": int((sizes == 0).sum()),
        "records_with_several_decisions": int((decisions["size"] > 1).sum()),
        "other_keys_that_act": acting,
    }
    numbers = {"staged_keys": len(staging), "flagged_records": len(flagged), **holes}
    if not any(holes.values()):
        return Verdict(
            True,
            f"All {len(staging):,} staged keys and {len(flagged):,} flagged records are accounted "
            "for.",
            numbers,
        )
    found = ", ".join(f"{name.replace('_', ' ')}: {n:,}" for name, n in holes.items() if n)
    return Verdict(
        False,
        f"The plan has holes ({found}). Materialise crm_flag_state and crm_flag_changes together, "
        "from one reading of the CRM.",
        numbers,
    )


def domain_spikes(changes: pd.DataFrame, history: pd.DataFrame | None = None) -> Verdict:
    """No mail domain was quarantined; says so where `history` is too short to judge."""
    quarantined = changes.loc[changes["reason"] == "domain_spike", "domain"].value_counts()
    numbers: dict[str, int | float | str] = {
        "quarantined_domains": len(quarantined),
        "quarantined_sets": int(quarantined.sum()),
        "domains": ", ".join(quarantined.index),
    }
    if len(quarantined):
        listed = ", ".join(f"{domain} ({count:,})" for domain, count in quarantined.items())
        return Verdict(
            False,
            f"Far more sets than usual, quarantined: {listed}. This looks like an outage at the "
            "provider. They stay candidates; to release a domain, run again with --allow-domain "
            "(tag bounce_sync/allow_domains).",
            numbers,
        )
    if history is not None and (days := len(decided_days(history))) < MIN_HISTORY_DAYS:
        return Verdict(
            True,
            f"Can't judge yet: {days} decided days, {MIN_HISTORY_DAYS} are needed to know a "
            "domain's usual day.",
            numbers,
        )
    return Verdict(True, "No mail domain stands out.", numbers)


def usual_volume(count: int, history_counts: Sequence[int]) -> Verdict:
    """A table's row count against that of earlier partitions; no rows at all is a finding."""
    numbers: dict[str, int | float | str] = {"rows": count, "days_compared": len(history_counts)}
    if count == 0:
        return Verdict(
            False,
            "No rows at all. On a tenant that sends every day that is an outage or a missing "
            "permission; check with bounce-sync doctor.",
            numbers,
        )
    if len(history_counts) < MIN_HISTORY_DAYS:
        return Verdict(
            True, f"{count:,} rows; under {MIN_HISTORY_DAYS} earlier days to compare with.", numbers
        )
    usual = median(history_counts)
    numbers["usual"] = usual
    said = f"{count:,} rows, usually {usual:,.0f}"
    if usual / USUAL_FACTOR <= count <= max(usual, 1) * USUAL_FACTOR:
        return Verdict(True, f"{said}.", numbers)
    return Verdict(
        False,
        f"{said}: unusual by a factor of {USUAL_FACTOR}. Check in SFMC whether the sends were too; "
        "if a fetch was incomplete, materialise the partition again.",
        numbers,
    )


def evidence_window(staging: pd.DataFrame, days: list[str], offset: timedelta) -> Verdict:
    """Every staged bounce lies in the window of `days` (server time), or was carried over."""
    window = days_window(days, offset)
    bounced = staging["bounced_at"]
    outside = ((bounced < window.start) | (bounced >= window.end)) & staging["carried_since"].isna()
    numbers: dict[str, int | float | str] = {
        "outside": int(outside.sum()),
        "carried": int(staging["carried_since"].notna().sum()),
        "window": str(window),
    }
    if not outside.any():
        return Verdict(True, f"All bounces lie between {window}.", numbers)
    return Verdict(
        False,
        f"{outside.sum():,} bounces lie outside of {window}. Materialise raw_bounces of the "
        "evidence days and this partition again; check SFMC_UTC_OFFSET.",
        numbers,
    )


def only_held(staging: pd.DataFrame, held: pd.DataFrame) -> Verdict:
    """Every staged key is in `HeldSubscribers`."""
    strangers = int((~is_in(staging["subscriber_key"], held["subscriber_key"])).sum())
    return _none(
        strangers,
        f"All {len(staging):,} staged subscribers are Held.",
        "staged subscribers aren't Held. Materialise held_subscribers and this partition again.",
    )


def reason_length(staging: pd.DataFrame, policy: SyncPolicy) -> Verdict:
    """No bounce reason is longer than the policy says, in Unicode characters."""
    return _none(
        int((staging["bounce_reason"].str.len() > policy.reason_length).sum()),
        f"No bounce reason has more than {policy.reason_length} characters.",
        f"bounce reasons have more than {policy.reason_length} characters. Materialise this "
        "partition again under the policy that it is checked by.",
    )


def unique_keys(frame: pd.DataFrame) -> Verdict:
    """Every subscriber_key is there once."""
    return _none(
        int(frame["subscriber_key"].duplicated().sum()),
        f"Each of the {len(frame):,} subscribers is there once.",
        "rows repeat a subscriber_key. Materialise this partition again.",
    )


def _none(count: int, passed: str, failed: str) -> Verdict:
    return Verdict(count == 0, f"{count:,} {failed}" if count else passed, {"wrong": count})
