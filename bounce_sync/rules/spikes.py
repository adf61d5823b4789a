"""A mail domain that explodes looks like an outage at that provider, not like dead mailboxes."""

from __future__ import annotations

import pandas as pd

from bounce_sync.rules.policy import MIN_DOMAIN_SPIKE, SyncPolicy

HISTORY_DAYS = 30
"""A domain's usual day is the median of this many decided days, the newest ones."""

MIN_HISTORY_DAYS = 7
"""With fewer decided days nobody can say what is usual."""

CALM_DAYS = 7
"""Quarantined sets wait until the domain hasn't exploded for so many decided days: time for SFMC's
support to make the addresses Active again that an outage has held."""


def decided_days(history: pd.DataFrame) -> list[str]:
    """The days that count in a `DomainHistory`, newest last."""
    return sorted(history["day"].unique())[-HISTORY_DAYS:]


def exploding(
    domains: pd.Series, came_up: pd.Series, history: pd.DataFrame, policy: SyncPolicy
) -> pd.Series:
    """Whether each of these sets, given its mail domain, looks like part of an outage.

    What came up today does where its domain explodes today. What came up earlier was quarantined
    then, and does until its domain was calm for `CALM_DAYS` decided days.

    `history` is `DomainHistory`, without today; a day on which a domain isn't named counts as zero.
    """
    explodes = domains.isin(_spiking(domains[came_up], history, policy))
    return (came_up & explodes) | (~came_up & domains.isin(_restless(history)))


def _spiking(domains: pd.Series, history: pd.DataFrame, policy: SyncPolicy) -> set[str]:
    days = decided_days(history)
    if len(days) < MIN_HISTORY_DAYS:
        return set()
    today = domains.value_counts()
    many = today[today > MIN_DOMAIN_SPIKE]
    known = history[history["day"].isin(days) & history["domain"].isin(many.index)]
    daily = known.pivot_table(index="day", columns="domain", values="sets", aggfunc="sum")
    usual = daily.reindex(index=days, columns=many.index).fillna(0).median()
    return set(many.index[many > policy.max_domain_spike * usual])


def _restless(history: pd.DataFrame) -> set[str]:
    lately = history["day"].isin(decided_days(history)[-CALM_DAYS:])
    return set(history.loc[lately & (history["quarantined"] > 0), "domain"].dropna())
