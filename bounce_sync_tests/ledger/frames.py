"""Small frames for the ledger's tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from bounce_sync.tables import CrmFlagChanges, CrmRecords, shape

MONDAY = pd.Timestamp("2026-02-02T10:00:00Z")
TUESDAY = pd.Timestamp("2026-02-03T10:00:00Z")


@dataclass(frozen=True)
class Said:
    """What the CRM said of one row."""

    outcome: str
    error_code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Facts:
    """Of a CRM whose date field is a DateTime."""

    date_is_day: bool = False


def record_id(number: int) -> str:
    """An 18-character id of a Contact."""
    return f"003{number:012d}AAA"


def change(number: int = 1, **columns: Any) -> dict[str, Any]:
    """One row of the plan: a set on an unflagged Contact, unless `columns` say otherwise."""
    return {
        "subscriber_key": record_id(number),
        "object": "Contact",
        "record_id": record_id(number),
        "action": "set",
        "reason": "held",
        "flag_before": False,
        "flag_after": True,
        "date_after": MONDAY,
        "resolution": "own",
        "status": "Held",
        "bounced_at": MONDAY,
        "domain": "example.com",
        "email_hash": "0123456789abcdef",
        "staged": True,
        **columns,
    }


def changes(*rows: dict[str, Any]) -> pd.DataFrame:
    """`CrmFlagChanges` of `rows`."""
    return shape(CrmFlagChanges, pd.DataFrame(list(rows)))


def records(*rows: dict[str, Any]) -> pd.DataFrame:
    """`CrmRecords` of `rows`: record_id, flag and flag_date, live Contacts else."""
    live = {"object": "Contact", "is_deleted": False, "is_converted": False}
    return shape(CrmRecords, pd.DataFrame([{**live, **row} for row in rows]))
