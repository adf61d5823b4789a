"""What became of a write whose answer never came: judged by what the record says now. Pure."""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from bounce_sync.tables import REJECTED, UNKNOWN, WRITTEN

NOT_SENT = "NOT_SENT"
"""Error code of an intent whose record still shows the before-image: it will be planned again."""

_RECORD = ["object", "record_id"]


class DateFacts(Protocol):
    """What must be known of the CRM's date field to compare its values."""

    @property
    def date_is_day(self) -> bool: ...


def judge(intents: pd.DataFrame, records: pd.DataFrame, facts: DateFacts) -> pd.DataFrame:
    """outcome, error_code, message for each of `intents` (same index), by today's `records`.

    `intents` has object, record_id and both images; `records` is `CrmRecords`. Only the fields
    that the write would have changed are compared.
    """
    now = records.loc[~records["is_deleted"], [*_RECORD, "flag", "flag_date"]]
    seen = intents[_RECORD].merge(now, on=_RECORD, how="left").set_axis(intents.index)
    found = seen["flag"].notna()
    as_after = found & holds(intents, seen, "after", facts)
    as_before = found & ~as_after & holds(intents, seen, "before", facts)
    verdict = pd.DataFrame(
        {
            "outcome": pd.Series(UNKNOWN, index=intents.index, dtype="str"),
            "error_code": pd.Series(pd.NA, index=intents.index, dtype="str"),
            "message": pd.Series(
                "No answer came, and the record has changed since: neither the old values nor the "
                "new ones.",
                index=intents.index,
                dtype="str",
            ),
        }
    )
    verdict.loc[~found, "message"] = (
        "No answer came, and the record is gone or hidden from the integration user."
    )
    verdict.loc[as_after, "outcome"] = WRITTEN
    verdict.loc[as_after, "message"] = pd.NA
    verdict.loc[as_before, ["outcome", "error_code"]] = [REJECTED, NOT_SENT]
    verdict.loc[as_before, "message"] = "Never reached the CRM; it is planned again."
    return verdict


def holds(writes: pd.DataFrame, records: pd.DataFrame, image: str, facts: DateFacts) -> pd.Series:
    """Whether each row of `records` (flag, flag_date) shows the `image` ("before" or "after").

    Both frames have the same index. A field that the write doesn't change isn't compared.
    """
    flag_moves = ~same(writes["flag_before"], writes["flag_after"])
    date_moves = ~same(precise(writes["date_before"], facts), precise(writes["date_after"], facts))
    flag_agrees = same(records["flag"].astype("boolean"), writes[f"flag_{image}"])
    date_agrees = same(
        precise(records["flag_date"], facts), precise(writes[f"date_{image}"], facts)
    )
    return (flag_agrees | ~flag_moves) & (date_agrees | ~date_moves)


def precise(moments: pd.Series, facts: DateFacts) -> pd.Series:
    """Times as the CRM's field keeps them: whole seconds, or the day of a Date field."""
    return moments.dt.floor("D" if facts.date_is_day else "s")


def same(left: pd.Series, right: pd.Series) -> pd.Series:
    """Equal, or both empty; never missing."""
    return ((left == right).fillna(False) | (left.isna() & right.isna())).astype(bool)
