"""The whole of Held against the whole of flagged: where SFMC and the CRM say different things.

The same rules as of a day, over everything: what confirms is any bounce that is still known, and
where none is, the hold itself, if the caller says so.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from bounce_sync.rules import changes, confirmation
from bounce_sync.rules.addresses import domains_of
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.server_time import to_server
from bounce_sync.rules.spikes import CALM_DAYS, exploding
from bounce_sync.rules.texts import is_in, look_up
from bounce_sync.tables import (
    AGREES,
    CLEAR,
    FINDINGS,
    HELD,
    REFRESH,
    SET,
    ConfirmedBounceStaging,
    CrmDrift,
    DomainHistory,
    empty,
    shape,
)

HeldWithoutBounce = Literal["report", "flag"]

LATE_BOUNCE_WOULD_TELL = ("not_flagged", "held_without_bounce", "date_behind", "date_ahead")
"""Findings that a bounce which was recorded late, or never fetched, may change."""

LATELY = timedelta(days=60)
"""So long after a bounce a newer one may have been recorded that the lake lacks."""

_BY_REASON = {
    "held": "not_flagged",
    "domain_allowed": "not_flagged",
    "held_without_bounce": "held_without_bounce",
    "newer_bounce": "date_behind",
    "email_changed": "other_address",
    "email_removed": "other_address",
    "conflict": "conflict",
    "undone": "conflict",
    "foreign_flag": "conflict",
    "unmatched": "unmatched",
    "ambiguous": "ambiguous",
    "person_account": "person_account",
    "domain_spike": "quarantined",
}
_SAYS_NOTHING = ("unsubscribed", "deleted", "unknown_subscriber", "not_judged", "status_kept")


@dataclass(frozen=True)
class Sides:
    """What SFMC and the CRM say, as one moment saw it."""

    held: pd.DataFrame
    """`HeldSubscribers`."""
    state: pd.DataFrame
    """`CrmFlagState` of every Held key and every flagged record."""
    released: pd.DataFrame
    """`ReleasedSubscribers`."""
    knowledge: pd.DataFrame
    """`LedgerKnowledge`."""
    history: pd.DataFrame
    """`DomainHistory` of every decided day."""
    facts: CrmFacts
    read_at: datetime
    """When the CRM was read (UTC)."""


def compare(
    sides: Sides,
    bounces: pd.DataFrame,
    policy: SyncPolicy,
    held_without_bounce: HeldWithoutBounce,
    offset: timedelta,
    allowed_domains: Collection[str] = frozenset(),
) -> pd.DataFrame:
    """A decision and a finding for every Held key and every flagged record (`CrmDrift`).

    Args:
        bounces: `RawBounces`, any that are known of the Held keys; the policy's window of evidence
            doesn't count here.
        held_without_bounce: whether a Held subscriber of whom no bounce at all is known is flagged,
            with `held_at` for a date or none, or reported only. One whose bounces don't confirm by
            the policy is reported only.
        offset: of SFMC's server time; an outage is seen by its days.
        allowed_domains: mail domains that aren't quarantined.
    """
    evidence = _evidence(sides.held, bounces, policy)
    plan = changes.plan(
        evidence,
        sides.state,
        sides.held,
        sides.released,
        sides.knowledge,
        empty(DomainHistory),
        policy,
        sides.facts,
    )
    plan = changes.quarantined(plan, _outages(plan, sides, policy, offset), allowed_domains)
    bare = plan["reason"] == "held_without_bounce"
    if held_without_bounce == "flag":
        unconfirmed = evidence["bounced_at"].isna() & (evidence["evidence_count"] > 0)
        bare &= is_in(plan["subscriber_key"], evidence.loc[unconfirmed, "subscriber_key"])
    plan = changes.left(plan, bare, "held_without_bounce")
    since = sides.held.drop_duplicates("subscriber_key").set_index("subscriber_key")["held_at"]
    plan = plan.assign(held_at=look_up(plan["subscriber_key"], since), read_at=sides.read_at)
    return shape(CrmDrift, plan.assign(finding=_findings(plan, sides)))


def to_ask(drift: pd.DataFrame) -> list[str]:
    """Held keys of `CrmDrift` of whom SFMC may know a bounce that would change the finding: whose
    record isn't as the known bounces say it should be, of whom none is known, or who bounced within
    the last 60 days. (Nobody is mailed while Held, so that of the others none comes any more.)"""
    none_known, newest = drift["bounced_at"].isna(), drift["bounced_at"]
    may_be_newer = (drift["status"] == HELD) & drift["finding"].isin([AGREES, "conflict"])
    asked = drift["finding"].isin(LATE_BOUNCE_WOULD_TELL)
    asked |= may_be_newer & (none_known | (newest >= drift["read_at"] - LATELY))
    return drift.loc[asked, "subscriber_key"].drop_duplicates().tolist()


def _evidence(held: pd.DataFrame, bounces: pd.DataFrame, policy: SyncPolicy) -> pd.DataFrame:
    """A row like `ConfirmedBounceStaging` for every Held key, without a bounce where none confirms.

    Of such a row evidence_count says how many bounces don't.
    """
    confirmed = confirmation.confirm(bounces, held, empty(ConfirmedBounceStaging), policy)
    rest = held[~is_in(held["subscriber_key"], confirmed["subscriber_key"])]
    bare = pd.DataFrame(
        {
            "subscriber_key": rest["subscriber_key"],
            "email_address": rest["email_address"],
            "domain": domains_of(rest["email_address"]),
            "evidence_count": rest["subscriber_key"].map(bounces["subscriber_key"].value_counts()),
        }
    )
    return pd.concat([confirmed, shape(ConfirmedBounceStaging, bare)], ignore_index=True)


def _outages(plan: pd.DataFrame, sides: Sides, policy: SyncPolicy, offset: timedelta) -> pd.Index:
    """The sets that look like an outage: of domains that still wait, and of days that explode.

    A day longer ago than a quarantine lasts is none any more: SFMC's support had its time.
    """
    sets = plan[(plan["action"] == SET) & plan["bounced_at"].notna()]
    came_up = pd.Series(data=False, index=sets.index)
    waits = exploding(sets["domain"], came_up, sides.history, policy)
    recent = sets[sets["bounced_at"] >= sides.read_at - timedelta(days=CALM_DAYS)]
    for _, day in recent.groupby(to_server(recent["bounced_at"], offset).dt.date):
        waits |= exploding(day["domain"], ~came_up[day.index], sides.history, policy).reindex(
            waits.index, fill_value=False
        )
    return waits.index[waits]


def _findings(plan: pd.DataFrame, sides: Sides) -> np.ndarray:
    flagged = plan["flag_before"].fillna(value=False).astype(bool)
    date = sides.facts.comparable(plan["date_before"])
    known = plan[["bounced_at", "held_at"]].max(axis=1)
    latest = sides.facts.as_stored(known.where(plan["bounced_at"].notna(), plan["read_at"]))
    ahead = (plan["reason"] == "still_held") & (date > latest)
    rules = [  # the first that fits speaks
        (flagged & (plan["action"] == REFRESH), "date_behind"),
        *((plan["reason"] == reason, finding) for reason, finding in _BY_REASON.items()),
        (plan["action"] == CLEAR, "still_flagged"),
        (flagged & ahead, "date_ahead"),
        (flagged & plan["reason"].isin(_SAYS_NOTHING), "no_statement"),
    ]
    return np.select([rule for rule, _ in rules], [finding for _, finding in rules], AGREES)


def counts(drift: pd.DataFrame) -> dict[str, int]:
    """How often each finding was made (`FINDINGS`), in their order; once for each record, and for
    each key that leads nowhere."""
    found = drift.loc[drift["reason"] != "other_key", "finding"].value_counts()
    return {finding: int(found.get(finding, 0)) for finding in FINDINGS}
