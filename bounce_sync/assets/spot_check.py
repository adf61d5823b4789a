"""A few written records as people check them by hand: SFMC's bounce beside what the CRM holds."""

from __future__ import annotations

import pandas as pd

from bounce_sync.assets import catalogue
from bounce_sync.rules.addresses import masked
from bounce_sync.salesforce import links
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.storage import Lake, MissingTable
from bounce_sync.tables import BOUNCE_CATEGORIES, WRITTEN

RECORDS = 5

_NEVER_BACK = "A date never moves back: where the CRM's is the later one, it was there before."

_KEYS = ["object", "record_id", "subscriber_key"]


def sample(updates: pd.DataFrame) -> pd.DataFrame:
    """Up to five written rows of `CrmFlagUpdates`, at random, of as many actions as there are."""
    written = updates[updates["outcome"] == WRITTEN].sample(frac=1, random_state=0)
    turn = written.groupby("action").cumcount()
    return written.iloc[turn.argsort(kind="stable")].head(RECORDS)


def page(
    updates: pd.DataFrame, plan: pd.DataFrame, lake: Lake, day: str, reader: RecordReader
) -> str:
    """The sample of `updates` as a table in markdown, read again in the CRM.

    What can't be read is said in words: the writes are done, and this must not hide them.
    """
    rows, url = sample(updates), plan.attrs.get("instance_url", "")
    if rows.empty:
        return "Nothing was written."
    try:
        now = reader.reread(rows[["object", "record_id"]])
        bounces = lake.read("confirmed_bounce_staging", day, ["subscriber_key", "bounce_category"])
    except (SalesforceError, MissingTable) as error:
        return f"The records can't be read again: {error}"
    found = (
        rows[[*_KEYS, "action", "reason"]]
        .merge(plan[[*_KEYS, "status", "bounced_at"]], how="left", on=_KEYS)
        .merge(bounces, how="left", on="subscriber_key")
        .merge(now[["object", "record_id", "email", "flag", "flag_date"]], how="left")
    )
    return f"{_NEVER_BACK}\n\n" + catalogue.table(
        [
            "record",
            "written",
            "SFMC says",
            "SFMC's bounce (UTC)",
            "CRM date (UTC)",
            "CRM flag",
            "category",
            "CRM e-mail",
        ],
        (
            [
                f"[{row.object} {row.record_id}]"
                f"({links.record(url, str(row.object), str(row.record_id))})",
                f"{row.action} ({row.reason})",
                row.status,
                _time(row.bounced_at),
                _time(row.flag_date),
                _flag(row.flag),
                row.bounce_category if row.bounce_category in BOUNCE_CATEGORIES else "",
                masked(str(row.email)) if isinstance(row.email, str) else "",
            ]
            for row in found.itertuples()
        ),
    )


def _time(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if isinstance(at, pd.Timestamp) else ""


def _flag(flag: object) -> str:
    return "gone" if not isinstance(flag, bool) else "☑" if flag else "☐"
