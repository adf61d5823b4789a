"""A lake written by hand: a few days of a few people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bounce_sync.tables import TABLES, shape


def store(root: Path, asset: str, partition: str, *rows: dict[str, Any]) -> None:
    """One partition of one table, as the pipeline stores it."""
    file = root / asset / f"{partition}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    shape(TABLES[asset], pd.DataFrame(list(rows))).to_parquet(file, index=False)


def at(text: str) -> pd.Timestamp:
    """A UTC time."""
    return pd.Timestamp(text, tz="UTC")


def bounce(key: str, moment: str, **columns: Any) -> dict[str, Any]:
    return {
        "business_unit": "7281698",
        "subscriber_key": key,
        "event_at": at(moment),
        "bounce_category": "Hard bounce",
        "smtp_code": "550",
        "smtp_reason": "5.1.1 [user] unknown",
        "domain": "old.example",
        **columns,
    }


def held(key: str, address: str, read_at: str, **columns: Any) -> dict[str, Any]:
    return {
        "subscriber_key": key,
        "email_address": address,
        "read_at": at(read_at),
        **columns,
    }


def released(key: str, status: str, read_at: str) -> dict[str, Any]:
    return {"subscriber_key": key, "status": status, "read_at": at(read_at)}


def state(key: str, record: str, **columns: Any) -> dict[str, Any]:
    return {
        "object": "Contact",
        "record_id": record,
        "subscriber_key": key,
        "resolution": "own",
        "flag": False,
        "is_converted": False,
        **columns,
    }


def decision(key: str, record: str | None, action: str, reason: str, **columns: Any) -> dict:
    return {
        "subscriber_key": key,
        "object": "Contact" if record else None,
        "record_id": record,
        "action": action,
        "reason": reason,
        "status": "Held",
        "staged": True,
        **columns,
    }
