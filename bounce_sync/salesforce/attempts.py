"""The writes of a run as they are settled: what the writer hands back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from bounce_sync import tables
from bounce_sync.salesforce.journal import RowOutcome

UPDATES = [name for name in tables.CrmFlagUpdates.to_schema().columns if name != "run_id"]
"""Columns of `CrmFlagUpdates` that the writer knows."""


@dataclass
class Attempts:
    """What was settled so far; of several attempts on one record the last one stands."""

    frames: list[pd.DataFrame] = field(default_factory=list)
    rows: int = 0

    def add(
        self, rows: pd.DataFrame, outcomes: Sequence[RowOutcome], attempted_at: datetime
    ) -> None:
        """Takes rows of `CrmFlagChanges` with what became of each (`attempted_at` in UTC)."""
        frame = rows[[name for name in UPDATES if name in rows.columns]].reset_index(drop=True)
        frame["outcome"] = [each.outcome for each in outcomes]
        frame["error_code"] = [each.error_code for each in outcomes]
        frame["message"] = [each.message for each in outcomes]
        frame["attempted_at"] = attempted_at
        self.frames.append(tables.shape(tables.CrmFlagUpdates, frame)[UPDATES])
        self.rows += len(frame)

    def updates(self, *, repeated: bool) -> pd.DataFrame:
        """`CrmFlagUpdates` without its run_id; `repeated`: some rows may have been sent twice."""
        if not self.frames:
            return tables.empty(tables.CrmFlagUpdates)[UPDATES]
        together = pd.concat(self.frames, ignore_index=True)
        if not repeated:
            return together
        return together.drop_duplicates(["object", "record_id"], keep="last").reset_index(drop=True)
