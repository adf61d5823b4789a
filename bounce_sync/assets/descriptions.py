"""What each asset's page says after a run: what happened today, whether that is normal, what next.

Numbers by themselves become Dagster's own plots over the partitions; pictures are drawn where
several numbers say more together. The UI shows markdown of up to 1,000 characters in its place and
more behind a click, so tables stay short and every picture has an entry of its own. Counts,
domains, categories, codes, dates and links may stand here; no address, key or text of a mail
server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from bounce_sync import pictures
from bounce_sync.assets import catalogue
from bounce_sync.rules import confirmation, precision
from bounce_sync.salesforce import links
from bounce_sync.storage import Lake
from bounce_sync.tables import (
    ACTIONS,
    BOUNCE_CATEGORIES,
    CLEAR,
    HARD_BOUNCE,
    NONE,
    OUTCOMES,
    REFRESH,
    REJECTED,
    SET,
    STATUSES,
    UNKNOWN_STATUS,
    WRITTEN,
)
from bounce_sync.trends import BY_ACTION, BY_CATEGORY, FUNNEL, last_days

Metadata = dict[str, Any]

WRONG = "naive_false_flags"
"""The number of a funnel that counts what shouldn't be."""

EVIDENCE = "evidence days"
"""Metadata of `crm_flag_updates`: the days whose bounces went into the plan that was written."""


def raw_bounces(bounces: pd.DataFrame, lake: Lake, day: str, window: str) -> Metadata:
    """Of `RawBounces` with the attribute `by_category`."""
    return {
        "bounces": len(bounces),
        "hard bounces": int((bounces["bounce_category"] == HARD_BOUNCE).sum()),
        "subscribers": int(bounces["subscriber_key"].nunique()),
        "window (UTC)": window,
        "by category": catalogue.counts_table("category", bounces.attrs[BY_CATEGORY]),
        **_trend(
            "categories over the last days",
            last_days(lake, "raw_bounces", BY_CATEGORY, day, bounces.attrs[BY_CATEGORY]),
            BOUNCE_CATEGORIES,
            pictures.stacked_days,
        ),
        "SMTP codes by category": catalogue.page(
            catalogue.by_category(bounces, "smtp_code", catalogue.SMTP_CODE)
        ),
        "by business unit": catalogue.counts_table(
            "business unit", catalogue.by(bounces, "business_unit")
        ),
    }


def held_subscribers(held: pd.DataFrame) -> Metadata:
    return {
        "held subscribers": len(held),
        "with a time of Held": int(held["held_at"].notna().sum()),
    }


def confirmed_bounce_staging(staging: pd.DataFrame, lake: Lake, day: str) -> Metadata:
    """Of `ConfirmedBounceStaging` with its attributes."""
    funnel, naive = staging.attrs[FUNNEL], staging.attrs["naive"]
    days = staging.attrs["days"]
    return {
        "staged": len(staging),
        "carried over": int(staging["carried_since"].notna().sum()),
        "missing days": len(staging.attrs["missing_days"]),
        **_funnel("funnel", confirmation.in_words(funnel), f"{days[0]} to {day}"),
        "false flags avoided": _said_of_naive(naive),
        **_trend(
            "flags and false flags over the last days",
            last_days(lake, "confirmed_bounce_staging", FUNNEL, day, funnel),
            ("staged", WRONG),
            pictures.lines_over_days,
        ),
        "flags of a sync of every hard bounce": naive["flagged"],
        "of these wrong": naive["wrong"],
        "precision of a sync of every hard bounce": _share(naive["right"], naive["flagged"]),
        "mail domains by category": catalogue.page(
            catalogue.by_category(staging, "domain", catalogue.DOMAIN)
        ),
        "SMTP codes by category": catalogue.page(
            catalogue.by_category(staging, "smtp_code", catalogue.SMTP_CODE)
        ),
    }


def crm_flag_state(state: pd.DataFrame) -> Metadata:
    """Of `CrmFlagState` with its attributes."""
    people = state.drop_duplicates(["object", "record_id"])
    return {
        "records": len(people),
        "flagged": int(people["flag"].sum()),
        "keys": len(state),
        "by object": catalogue.page(
            catalogue.table(
                ["count", "flagged", "object"],
                (
                    [len(rows), int(rows["flag"].sum()), name]
                    for name, rows in people.groupby("object")
                ),
            )
        ),
        "how keys lead there": catalogue.counts_table(
            "resolution", catalogue.by(state, "resolution")
        ),
        "flagged records in the CRM": list_views(state.attrs["instance_url"]),
    }


def released_subscribers(released: pd.DataFrame) -> Metadata:
    return {
        "keys asked": len(released),
        "known to SFMC": int((released["status"] != UNKNOWN_STATUS).sum()),
        "by status": catalogue.counts_table(
            "status", catalogue.by(released, "status", (*STATUSES, UNKNOWN_STATUS))
        ),
    }


def crm_flag_changes(plan: pd.DataFrame, lake: Lake, day: str) -> Metadata:
    """Of `CrmFlagChanges` with the attribute `by_action`."""
    actions, quarantined = plan.attrs[BY_ACTION], _quarantined(plan)
    flags = precision.flags_by_status(plan)
    shares = {name: precision.precision(flags[name]) for name in ("before", "after")}
    return {
        **{action: int(actions.get(action, 0)) for action in ACTIONS},
        "unmatched": int((plan["reason"] == "unmatched").sum()),
        "quarantined": len(quarantined),
        "decisions": catalogue.decisions_table(plan),
        **_trend(
            "changes over the last days",
            last_days(lake, "crm_flag_changes", BY_ACTION, day, actions),
            (SET, REFRESH, CLEAR),
            pictures.stacked_days,
        ),
        "flags by SFMC's own status": catalogue.page(
            "Right where SFMC says Held, wrong where SFMC mails the address.",
            catalogue.table(
                ["before", "after", "SFMC says"],
                (
                    [int(row["before"]), int(row["after"]), status]
                    for status, row in flags.iterrows()
                ),
            ),
        ),
        **{
            f"precision of the flags {name}": round(share, 4)
            for name, share in shares.items()
            if share is not None
        },
        "sets by mail domain": catalogue.counts_table(
            "domain", catalogue.by(plan[plan["action"] == SET], "domain")
        ),
        **_domains_of(quarantined),
    }


def crm_flag_updates(written: pd.DataFrame, plan: pd.DataFrame, day: str) -> Metadata:
    """Of one run's `CrmFlagUpdates` and the `CrmFlagChanges` that it carried out."""
    outcomes = written["outcome"].value_counts()
    rejected = written[written["outcome"] == REJECTED]
    quarantined = _quarantined(plan)
    steps = {
        **confirmation.in_words({n: c for n, c in plan.attrs[FUNNEL].items() if n != WRONG}),
        "changes planned": int((plan["action"] != NONE).sum()),
        "changes written": int(outcomes.get(WRITTEN, 0)),
    }
    return {
        **{outcome: int(outcomes.get(outcome, 0)) for outcome in OUTCOMES},
        **_funnel("from bounce to flag", steps, day),
        "by action": catalogue.page(
            catalogue.table(
                ["count", "action", "outcome"],
                (
                    [len(rows), action, outcome]
                    for (action, outcome), rows in written.groupby(["action", "outcome"])
                ),
            )
        ),
        **(
            {
                "rejected, by code": catalogue.counts_table(
                    "code", catalogue.by(rejected, "error_code")
                )
            }
            if len(rejected)
            else {}
        ),
        "quarantined": len(quarantined),
        **_domains_of(quarantined),
        "flagged records in the CRM": list_views(plan.attrs.get("instance_url", "")),
        EVIDENCE: dg.MetadataValue.json(plan.attrs.get("evidence", [])),
    }


def released_guards(released: Mapping[str, Any]) -> Metadata:
    """Guards that the run's tags released, with what they would have said; nothing where none."""
    return {"released guards": dg.MetadataValue.json(dict(released))} if released else {}


def list_views(instance_url: str) -> dg.MarkdownMetadataValue:
    """Links to the flagged records in the CRM, one for each object."""
    return catalogue.page(
        " · ".join(f"[{name}s]({links.flagged(instance_url, name)})" for name in links.LIST_VIEWS)
    )


def _quarantined(plan: pd.DataFrame) -> pd.DataFrame:
    return plan[plan["reason"] == "domain_spike"]


def _domains_of(quarantined: pd.DataFrame) -> Metadata:
    if quarantined.empty:
        return {}
    domains = catalogue.by(quarantined, "domain")
    return {"quarantined domains": catalogue.counts_table("domain", domains)}


def _funnel(name: str, steps: Mapping[str, int], title: str) -> Metadata:
    return {
        name: catalogue.counts_table(title, steps),
        f"{name}, drawn": _picture(
            name, lambda: pictures.bars(steps, wrong=confirmation.FUNNEL[WRONG])
        ),
    }


def _picture(name: str, draw: Callable[[], bytes]) -> dg.MetadataValue:
    """A picture; a sentence where it can't be drawn, as the CRM may be written already."""
    try:
        return catalogue.page(catalogue.picture(draw(), name))
    except Exception as error:
        return dg.MetadataValue.text(f"The picture can't be drawn ({type(error).__name__}).")


def _said_of_naive(naive: Mapping[str, int]) -> str:
    said = (
        f"A sync of every hard bounce would flag {naive['flagged']:,} subscribers; SFMC holds "
        f"{naive['right']:,} of them and mails, or at least doesn't hold, the other "
        f"{naive['wrong']:,}. It would miss {naive['missed']:,} that are Held after other bounces."
    )
    return said if naive["flagged"] else "No hard bounce in the evidence window."


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0


def _trend(
    name: str, counts: pd.DataFrame, shown: Sequence[str], draw: Callable[[pd.DataFrame], bytes]
) -> Metadata:
    """A picture of some of the counts over days; nothing where there is but one day."""
    if len(counts) < 2:
        return {}
    named = counts.reindex(columns=list(shown), fill_value=0).rename(columns=confirmation.FUNNEL)
    return {name: _picture(name, lambda: draw(named))}
