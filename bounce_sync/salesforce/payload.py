"""What a change writes: the same two values for Collections and for Bulk.

Only a field whose value differs from the before-image is written; no other field exists here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bounce_sync.salesforce.connection import Org
from bounce_sync.salesforce.describe import person_field
from bounce_sync.tables import ACCOUNT

LEFT_ALONE = ""
"""The field isn't written. (Bulk ignores an empty cell, facts/salesforce.md §3.1.)"""
EMPTIED = "#N/A"
"""The field is set to null, in Bulk's own spelling."""

CSV_ROW = 64
"""No row of a Bulk file is longer than this, in bytes."""


@dataclass(frozen=True)
class Payload:
    """Rows to write; columns object, record_id, flag and date, as text of a Bulk file."""

    cells: pd.DataFrame
    flag_field: str
    date_field: str

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def ids(self) -> list[str]:
        """Id of each row."""
        return self.cells["record_id"].tolist()

    @cached_property
    def _rows(self) -> list[tuple[str, str, str, str]]:
        return list(self.cells.itertuples(index=False, name=None))

    def records(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """These rows as sObject Collections take them."""
        records = []
        for name, record_id, flag, date in (self._rows[row] for row in rows):
            record: dict[str, Any] = {"attributes": {"type": name}, "id": record_id}
            flag_field, date_field = self.fields_of(name)
            if flag != LEFT_ALONE:
                record[flag_field] = flag == "true"
            if date != LEFT_ALONE:
                record[date_field] = None if date == EMPTIED else date
            records.append(record)
        return records

    def csv(self, name: str, with_header: bool) -> bytes:
        """All rows, which are of the object `name`, as a Bulk file: UTF-8, commas, LF."""
        # Not pyarrow's writer: it garbles a column whose first chunk is empty (pyarrow 26).
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        if with_header:
            writer.writerow(("Id", *self.fields_of(name)))
        writer.writerows(row[1:] for row in self._rows)
        return file.getvalue().encode()

    def fields_of(self, name: str) -> tuple[str, str]:
        """Flag and date field of an object."""
        if name == ACCOUNT:
            return person_field(self.flag_field), person_field(self.date_field)
        return self.flag_field, self.date_field


def payload(changes: pd.DataFrame, org: Org, *, date_is_day: bool) -> Payload:
    """What these changes (columns of `CrmFlagChanges`) write.

    A DateTime is written in UTC with whole seconds, a Date as its day. A Person Account is written
    through its Account.
    """
    flag = pd.Series(LEFT_ALONE, index=changes.index, dtype="str")
    flag_differs = differ(changes["flag_before"], changes["flag_after"])
    flag[flag_differs & changes["flag_after"].eq(True).fillna(False)] = "true"
    flag[flag_differs & ~changes["flag_after"].eq(True).fillna(False)] = "false"
    date_differs = differ(changes["date_before"], changes["date_after"])
    date = _written(changes["date_after"], date_is_day).where(date_differs, LEFT_ALONE)
    name, record_id = targets(changes, org)
    cells = pd.DataFrame({"object": name, "record_id": record_id, "flag": flag, "date": date})
    return Payload(cells.reset_index(drop=True), org.flag_field, org.date_field)


def targets(changes: pd.DataFrame, org: Org) -> tuple[pd.Series, pd.Series]:
    """sObject and id that each change is written to."""
    through_account = changes["person_account_id"].notna() & org.person_accounts
    return (
        changes["object"].mask(through_account, ACCOUNT),
        changes["record_id"].mask(through_account, changes["person_account_id"]),
    )


def differ(before: pd.Series, after: pd.Series) -> pd.Series:
    """Where a value changes; nothing and nothing are the same."""
    same = (before == after).fillna(False) | (before.isna() & after.isna())
    return ~same.astype(bool)


def _written(times: pd.Series, date_is_day: bool) -> pd.Series:
    layout = "%Y-%m-%d" if date_is_day else "%Y-%m-%dT%H:%M:%S.000Z"
    seconds = pa.array(times.dt.floor("s").dt.tz_localize(None).astype("datetime64[s]"))
    text = pc.strftime(seconds, format=layout).fill_null(EMPTIED)
    return pd.Series(text.to_pandas().array, index=times.index, dtype="str")
