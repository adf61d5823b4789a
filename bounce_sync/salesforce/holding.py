"""Whether the CRM holds what was written."""

from __future__ import annotations

import pandas as pd

from bounce_sync.salesforce.reading import RecordReader


def holds(rows: pd.DataFrame, reader: RecordReader) -> pd.Series:
    """For each row with an after-image, whether the CRM holds it now."""
    records = reader.reread(rows[["object", "record_id"]].drop_duplicates())
    now = records[["object", "record_id", "flag", "flag_date"]]
    both = rows.merge(now, on=["object", "record_id"], how="left")
    same_date = (both["flag_date"] == both["date_after"]) | (
        both["flag_date"].isna() & both["date_after"].isna()
    )
    return both["flag"].eq(both["flag_after"]).fillna(False).astype(bool) & same_date
