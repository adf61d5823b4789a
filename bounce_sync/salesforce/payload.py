"""What a change writes: the same two values for Collections and for Bulk.

Only a field whose value differs from the before-image is written; no other field exists here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bounce_sync.salesforce.connection import Org
from bounce_sync.salesforce.describe import person_field
from bounce_sync.tables import ACCOUNT

LEFT_ALONE = ""
"""In `Payload.flag` and `Payload.date`: this field isn't written."""
EMPTIED = "#N/A"
"""In `Payload.date`: the field is set to null (Bulk's own spelling, facts/salesforce.md §3.1)."""


@dataclass(frozen=True)
class Payload:
    """Rows to write, as parallel arrays of text: each value as it stands in a Bulk file."""

    object: np.ndarray
    record_id: np.ndarray
    flag: np.ndarray
    date: np.ndarray
    names: dict[str, tuple[str, str]]
    """sObject → names of its flag and date field."""

    def records(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The rows as sObject Collections take them."""
        records = []
        for row in rows:
            name = self.object[row]
            record: dict[str, Any] = {"attributes": {"type": name}, "id": self.record_id[row]}
            flag_field, date_field = self.names[name]
            if self.flag[row] != LEFT_ALONE:
                record[flag_field] = self.flag[row] == "true"
            if self.date[row] != LEFT_ALONE:
                record[date_field] = None if self.date[row] == EMPTIED else self.date[row]
            records.append(record)
        return records


def payload(changes: pd.DataFrame, org: Org, *, date_is_day: bool) -> Payload:
    """What these changes (columns of `CrmFlagChanges`) write.

    A DateTime is written in UTC with whole seconds, a Date as its day. A Person Account is written
    through its Account.
    """
    flag = np.where(
        differ(changes["flag_before"], changes["flag_after"]),
        np.where(changes["flag_after"].fillna(False).astype(bool), "true", "false"),
        LEFT_ALONE,
    ).astype(object)
    before = _written(changes["date_before"], date_is_day)
    after = _written(changes["date_after"], date_is_day)
    date = np.where(before == after, LEFT_ALONE, after).astype(object)
    target, record_id = targets(changes, org)
    own = (org.flag_field, org.date_field)
    names = dict.fromkeys(set(target) - {ACCOUNT}, own)
    names[ACCOUNT] = (person_field(own[0]), person_field(own[1]))
    return Payload(target, record_id, flag, date, names)


def targets(changes: pd.DataFrame, org: Org) -> tuple[np.ndarray, np.ndarray]:
    """sObject and id that each change is written to."""
    through_account = (changes["person_account_id"].notna() & org.person_accounts).to_numpy()
    target = np.where(through_account, ACCOUNT, changes["object"].to_numpy(object))
    record_id = np.where(
        through_account,
        changes["person_account_id"].to_numpy(object),
        changes["record_id"].to_numpy(object),
    )
    return target.astype(object), record_id.astype(object)


def differ(before: pd.Series, after: pd.Series) -> np.ndarray:
    """Where a value changes; nothing and nothing are the same."""
    same = (before == after) | (before.isna() & after.isna())
    return ~same.fillna(False).to_numpy(bool)


def _written(times: pd.Series, date_is_day: bool) -> np.ndarray:
    layout = "%Y-%m-%d" if date_is_day else "%Y-%m-%dT%H:%M:%S.000Z"
    return times.dt.strftime(layout).astype(object).where(times.notna(), EMPTIED).to_numpy(object)
