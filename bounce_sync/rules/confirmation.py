"""Bounces × Held → staging: which subscribers SFMC has given up on, and the bounce that shows it.

Held is the signal, the bounce is the evidence. A subscriber without evidence in the window isn't
staged, nor is a bounce whose subscriber SFMC still mails.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bounce_sync.rules.addresses import domains_of, normalised_domains
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.texts import is_in
from bounce_sync.tables import HARD_BOUNCE, ConfirmedBounceStaging, shape

# Of bounces at one instant the first by these is the newest, so that neither row order nor the
# source decides: what some sources don't carry comes last.
_TIES = ["job_id", "business_unit", "bounce_category", "smtp_code", "smtp_reason"]
_TIES += ["domain", "email_address", "bounce_subcategory"]


def confirm(
    bounces: pd.DataFrame, held: pd.DataFrame, carried: pd.DataFrame, policy: SyncPolicy
) -> pd.DataFrame:
    """One row per Held subscriber with a confirming bounce (`ConfirmedBounceStaging`), by key.

    `bounces` (`RawBounces`) are those of the evidence window's days and no others; `held` is
    `HeldSubscribers`. `carried` are staging rows of earlier partitions whose decision was
    quarantined or whose write was rejected: they stay staged while Held, and evidence of the window
    replaces all of them but the day since when they are carried.
    """
    # Millions may be Held of whom few bounced lately: the rest is left aside at once.
    named = pd.concat([bounces["subscriber_key"], carried["subscriber_key"]])
    held = held[is_in(held["subscriber_key"], named)]
    carried = carried[is_in(carried["subscriber_key"], held["subscriber_key"])]
    evidence = bounces[is_in(bounces["subscriber_key"], held["subscriber_key"])]
    if policy.confirm == "held_with_hard_bounce":
        hard = evidence.loc[evidence["bounce_category"] == HARD_BOUNCE, "subscriber_key"]
        evidence = evidence[is_in(evidence["subscriber_key"], hard)]

    addresses = held[["subscriber_key", "email_address"]]
    addresses = addresses.rename(columns={"email_address": "held_address"})
    newest = _newest(evidence).merge(addresses, on="subscriber_key")
    counts = evidence["subscriber_key"].value_counts()
    since = carried.set_index("subscriber_key")["carried_since"]
    confirmed = pd.DataFrame(
        {
            "subscriber_key": newest["subscriber_key"],
            **_where_it_bounced(newest),
            "bounce_category": newest["bounce_category"],
            "smtp_code": newest["smtp_code"],
            "bounce_reason": newest["smtp_reason"],
            "bounced_at": newest["event_at"].dt.floor("s"),
            "evidence_count": newest["subscriber_key"].map(counts),
            "business_unit": newest["business_unit"],
            "carried_since": newest["subscriber_key"].map(since),
        }
    )
    kept = carried[~is_in(carried["subscriber_key"], confirmed["subscriber_key"])]
    staging = pd.concat([shape(ConfirmedBounceStaging, confirmed), kept], ignore_index=True)
    staging["bounce_reason"] = (
        staging["bounce_reason"]
        .str.replace("\r\n", "\n", regex=False)
        .str.replace("\r", "\n", regex=False)
        .str.slice(0, policy.reason_length)
    )
    return shape(ConfirmedBounceStaging, staging.sort_values("subscriber_key"))


def _newest(evidence: pd.DataFrame) -> pd.DataFrame:
    """The newest bounce of each key, to the millisecond."""
    latest = evidence.groupby("subscriber_key")["event_at"].transform("max")
    newest = evidence[evidence["event_at"] == latest]
    tied = newest["subscriber_key"].duplicated(keep=False)
    decided = newest[tied].sort_values(_TIES, ascending=[False] + [True] * (len(_TIES) - 1))
    return pd.concat([newest[~tied], decided.drop_duplicates("subscriber_key")], ignore_index=True)


def _where_it_bounced(newest: pd.DataFrame) -> dict[str, pd.Series]:
    """Address and mail domain of each bounce, as far as they are known.

    The event's own, else SFMC's address of today; but not where the event names another domain than
    that: it bounced at an older address, which SFMC no longer tells.
    """
    event_domain = normalised_domains(newest["domain"]).fillna(domains_of(newest["email_address"]))
    held_domain = domains_of(newest["held_address"])
    older = event_domain.notna() & held_domain.notna() & (event_domain != held_domain)
    return {
        "email_address": newest["email_address"].fillna(newest["held_address"].mask(older)),
        "domain": event_domain.fillna(held_domain),
    }


def funnel(bounces: pd.DataFrame, held: pd.DataFrame, staging: pd.DataFrame) -> dict[str, int]:
    """How few of the day's `bounces` (`RawBounces`) mean a dead address, as counts in order.

    `naive_false_flags` is what a sync of every hard bounce would have flagged wrongly: subscribers
    with a hard bounce in `bounces` whom SFMC still mails, or doesn't call Held.
    """
    hard = bounces["bounce_category"] == HARD_BOUNCE
    is_held = is_in(bounces["subscriber_key"], held["subscriber_key"])
    return {
        "raw_bounces": len(bounces),
        "hard_bounces": int(hard.sum()),
        "bounces_of_held": int(is_held.sum()),
        "held_subscribers": int(bounces.loc[is_held, "subscriber_key"].nunique()),
        "staged": len(staging),
        "naive_false_flags": int(bounces.loc[hard & ~is_held, "subscriber_key"].nunique()),
    }


FUNNEL = {
    "raw_bounces": "bounces in the evidence window",
    "hard_bounces": "of these hard bounces",
    "bounces_of_held": "bounces of subscribers that are Held now",
    "held_subscribers": "Held subscribers among those that bounced",
    "staged": "staged: Held, with evidence",
    "naive_false_flags": "mailed by SFMC, yet flagged by a sync of every hard bounce",
}
"""The numbers of `funnel`, in words."""


def in_words(funnel: Mapping[str, int]) -> dict[str, int]:
    """A funnel with its names as people read them."""
    return {FUNNEL[name]: count for name, count in funnel.items()}
