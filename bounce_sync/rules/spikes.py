"""A mail domain that explodes looks like an outage at that provider, not like dead mailboxes."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from bounce_sync.rules.addresses import normalised_domains
from bounce_sync.rules.policy import MIN_DOMAIN_SPIKE, SyncPolicy

HISTORY_DAYS = 30
"""A domain's usual day is the median of this many decided days, the newest ones."""

MIN_HISTORY_DAYS = 7
"""With fewer decided days nobody can say what is usual."""


def decided_days(history: pd.DataFrame) -> list[str]:
    """The days that count in a `DomainHistory`, newest last."""
    return sorted(history["day"].unique())[-HISTORY_DAYS:]


def spiking(
    domains: pd.Series,
    history: pd.DataFrame,
    policy: SyncPolicy,
    allowed: Collection[str] = (),
) -> set[str]:
    """The domains among today's sets (one entry per set) that are to be quarantined.

    `history` is `DomainHistory`, without today. A day on which a domain isn't named counts as zero.
    """
    days = decided_days(history)
    if len(days) < MIN_HISTORY_DAYS:
        return set()
    released = normalised_domains(pd.Series(list(allowed), dtype="str"))
    today = domains[~domains.isin(released)].value_counts()
    many = today[today > MIN_DOMAIN_SPIKE]
    known = history[history["day"].isin(days) & history["domain"].isin(many.index)]
    daily = known.pivot_table(index="day", columns="domain", values="sets", aggfunc="sum")
    usual = daily.reindex(index=days, columns=many.index).fillna(0).median()
    return set(many.index[many > policy.max_domain_spike * usual])
