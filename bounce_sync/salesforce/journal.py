"""What the writer asks of the ledger: an intent before, an outcome after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from bounce_sync import tables


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one row: one of `tables.OUTCOMES`, with the CRM's code and message."""

    outcome: str
    error_code: str | None = None
    message: str | None = None


WRITTEN = RowOutcome(tables.WRITTEN)


class Journal(Protocol):
    """A durable record of writes. All calls come from the thread that called `FlagWriter.write`."""

    def intend(self, rows: pd.DataFrame) -> list[int]:
        """Commits what is about to be sent (columns of `CrmFlagChanges`), before it is sent.

        Returns one id per row, in order.
        """
        ...

    def settle(self, ids: Sequence[int], outcomes: Sequence[RowOutcome]) -> None:
        """Commits what became of them, in the order of `ids`."""
        ...

    def job_sent(self, intent_ids: Sequence[int], job_id: str) -> None:
        """Commits that these rows travel in this Bulk job, before its upload begins."""
        ...
