"""What the pages of the drift report and of its mends say: counts by finding, what to do, links.

Counts, domains, codes, record ids in links and dates may stand here; no address, key or text of a
mail server.
"""

from typing import Any

import pandas as pd

from bounce_sync.assets import catalogue
from bounce_sync.assets.descriptions import list_views
from bounce_sync.rules import drift
from bounce_sync.salesforce import links
from bounce_sync.tables import (
    AGREES,
    CLEAR,
    FINDINGS,
    NONE,
    OUTCOMES,
    REFRESH,
    SET,
)

EXAMPLES = 3
"""Records that are linked for each finding."""

_MENDS = (SET, REFRESH, CLEAR)


def what_findings_mean() -> dict[str, Any]:
    """Metadata of the definition."""
    rows = ((name, meaning, advice) for name, (meaning, advice) in FINDINGS.items())
    return {
        "what the findings mean": catalogue.page(
            catalogue.table(["finding", "meaning", "what to do"], rows)
        )
    }


def report(found: pd.DataFrame) -> dict[str, Any]:
    """Of `CrmDrift` with its attributes."""
    url, counts = found.attrs["instance_url"], drift.counts(found)
    told = {name: count for name, count in counts.items() if count and name != AGREES}
    actions = found["action"].value_counts()
    sets = found[found["action"] == SET]
    mends = found.loc[found["action"] != NONE, "finding"].value_counts()
    return {
        "findings": catalogue.page(
            catalogue.table(
                ["count", "to mend", "finding"],
                ([count, int(mends.get(name, 0)), name] for name, count in told.items()),
            )
        ),
        "what to do": catalogue.page(
            catalogue.table(["finding", "what to do"], ([name, FINDINGS[name][1]] for name in told))
        ),
        "look at these": catalogue.page(
            catalogue.table(
                ["finding", "records"], ([name, _examples(found, name, url)] for name in told)
            )
        ),
        **{name.replace("_", " "): count for name, count in counts.items()},
        **{f"to {action}": int(actions.get(action, 0)) for action in _MENDS},
        "sets without a date": int(sets["date_after"].isna().sum()),
        "sets by mail domain": catalogue.counts_table("domain", catalogue.by(sets, "domain")),
        "flagged records in the CRM": list_views(url),
    }


def would_write(plan: pd.DataFrame) -> dict[str, Any]:
    """Of `CrmFlagChanges` that aren't written."""
    changes = plan[plan["action"] != NONE]
    return {
        "dry run": True,
        "planned": len(changes),
        "would be written": catalogue.counts_table("action", catalogue.by(changes, "action")),
        **dict.fromkeys(OUTCOMES, 0),
    }


def written(updates: pd.DataFrame, found: pd.DataFrame) -> dict[str, Any]:
    """Of `CrmFlagUpdates` of one run and the `CrmDrift` that it carried out."""
    outcomes = updates["outcome"].value_counts()
    keys = ["subscriber_key", "object", "record_id"]
    findings = updates.merge(found[[*keys, "finding"]], on=keys, how="left")["finding"]
    return {
        "dry run": False,
        "planned": int((found["action"] != NONE).sum()),
        **{outcome: int(outcomes.get(outcome, 0)) for outcome in OUTCOMES},
        "by action": catalogue.counts_table("action", catalogue.by(updates, "action")),
        "by finding": catalogue.counts_table(
            "finding", catalogue.by(findings.to_frame(), "finding", tuple(FINDINGS))
        ),
        "flagged records in the CRM": list_views(found.attrs["instance_url"]),
    }


def _examples(found: pd.DataFrame, finding: str, url: str) -> str:
    rows = found[(found["finding"] == finding) & found["record_id"].notna()].head(EXAMPLES)
    return ", ".join(
        f"[{row.object} {row.record_id}]({links.record(url, str(row.object), str(row.record_id))})"
        for row in rows.itertuples()
    )
