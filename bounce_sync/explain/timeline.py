"""Rows → events. Pure: frames in, events out; what repeats day after day is told once.

Each function takes rows of one table of the lake (its columns and `partition`), or of the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pandas as pd

from bounce_sync.explain.story import (
    ADDRESS,
    BOUNCE,
    DECISION,
    HELD,
    RECORD,
    STAGED,
    STATUS,
    WRITE,
    Event,
)
from bounce_sync.tables import DRIFT, NONE, REASONS, WRITTEN

EndOfDay = Callable[[str], datetime]
"""When a partition's day was over (UTC)."""

_LEADS = {
    "own": "by its own id or match field",
    "converted": "through a Lead that was converted into it",
    "merged": "through a record that was merged into it",
}


def bounces(rows: pd.DataFrame) -> Iterator[Event]:
    """Each bounce of `raw_bounces`."""
    for row in _dicts(rows.sort_values("event_at")):
        code = f" ({row['smtp_code']})" if row["smtp_code"] else ""
        at_domain = f" at {row['domain']}" if row["domain"] else ""
        said = f": {row['smtp_reason']}" if row["smtp_reason"] else ""
        yield Event(
            row["event_at"],
            BOUNCE,
            row["subscriber_key"],
            f"{row['bounce_category']}{code}{at_domain}, mail of unit {row['business_unit']}{said}",
            details=_without(row, "subscriber_key", "event_at"),
        )


def holds(rows: pd.DataFrame) -> Iterator[Event]:
    """Since when each key was Held, by `held_subscribers`: one event per unbroken time."""
    for key, since in _by_key(rows):
        for first, last in _runs(since, ["held_at"]):
            told = f"SFMC set Held; seen Held until {last['partition']}"
            seen = f"Seen Held in SFMC from {first['partition']} to {last['partition']}"
            yield Event(
                first["held_at"] or first["read_at"],
                HELD,
                key,
                told if first["held_at"] else seen,
                until=last["read_at"],
                details={"partitions": [first["partition"], last["partition"]]},
            )


def addresses(rows: pd.DataFrame) -> Iterator[Event]:
    """Each address that SFMC had for a Held key, from when it was first seen."""
    for key, since in _by_key(rows[rows["email_address"].notna()]):
        for first, last in _runs(since, ["email_address"]):
            yield Event(
                first["read_at"],
                ADDRESS,
                key,
                f"SFMC's address: {first['email_address']}",
                until=last["read_at"],
                details={"email_address": first["email_address"]},
            )


def statuses(rows: pd.DataFrame) -> Iterator[Event]:
    """What SFMC said of keys that it didn't hold, by `released_subscribers`."""
    for key, since in _by_key(rows):
        for first, last in _runs(since, ["status"]):
            yield Event(
                first["read_at"],
                STATUS,
                key,
                f"SFMC's status of {key}: {first['status']}",
                until=last["read_at"],
                details={"status": first["status"]},
            )


def staged(rows: pd.DataFrame, end_of: EndOfDay) -> Iterator[Event]:
    """Each bounce that confirmed a key, by `confirmed_bounce_staging`."""
    for key, since in _by_key(rows):
        for first, last in _runs(since, ["bounced_at"]):
            yield Event(
                end_of(first["partition"]),
                STAGED,
                key,
                f"Confirmed on {first['partition']} by the bounce of {_moment(first['bounced_at'])}"
                f" ({_count(first['evidence_count'], 'bounce')} in the evidence window)",
                until=end_of(last["partition"]),
                details=_without(first, "subscriber_key"),
            )


def records(rows: pd.DataFrame, end_of: EndOfDay) -> Iterator[Event]:
    """How keys led to records and what these held, by `crm_flag_state`."""
    seen = ["resolution", "email", "flag", "flag_date"]
    for _, since in rows.groupby(["record_id", "subscriber_key"], sort=True):
        for first, last in _runs(since, seen):
            yield Event(
                end_of(first["partition"]),
                RECORD,
                first["record_id"],
                f"The CRM's {first['object']} {first['record_id']}: "
                f"{_flag(first['flag'], first['flag_date'])}, address {first['email'] or 'empty'}; "
                f"{first['subscriber_key']} leads there {_LEADS[first['resolution']]}",
                until=end_of(last["partition"]),
                details=_without(first, "partition"),
            )


def decisions(rows: pd.DataFrame, end_of: EndOfDay) -> Iterator[Event]:
    """Each day's decision and reason, by `crm_flag_changes`."""
    rows = rows.assign(who=rows["record_id"].fillna(rows["subscriber_key"]))
    for _, since in rows.groupby(["who", "subscriber_key"], sort=True):
        for first, last in _runs(since, ["action", "reason"]):
            what = "nothing to do" if first["action"] == NONE else first["action"]
            days = first["partition"]
            if last["partition"] != days:
                days += f" to {last['partition']}"
            yield Event(
                end_of(first["partition"]),
                DECISION,
                first["who"],
                f"Decided for {days}: {what}, {first['reason']}. {REASONS[first['reason']]}",
                until=end_of(last["partition"]),
                details={**_without(first, "who"), "until_partition": last["partition"]},
            )


def drift(rows: pd.DataFrame) -> Iterator[Event]:
    """Each drift report's finding and decision, by `crm_drift`; rows in any order."""
    rows = rows.assign(who=rows["record_id"].fillna(rows["subscriber_key"]))
    for _, since in rows.groupby(["who", "subscriber_key"], sort=True):
        for first, last in _runs(since, ["finding", "action", "reason"], by="read_at"):
            what = "nothing to do" if first["action"] == NONE else first["action"]
            yield Event(
                first["read_at"],
                DECISION,
                first["who"],
                f"Compared by the drift report: {first['finding']}; {what}, {first['reason']}. "
                f"{REASONS[first['reason']]}",
                until=last["read_at"],
                details=_without(first, "who", "partition"),
            )


def writes(history: pd.DataFrame) -> Iterator[Event]:
    """Each write with its answer, by the ledger."""
    for row in _dicts(history):
        fields = []
        if row["flag_before"] != row["flag_after"]:
            fields.append(f"flag {_truth(row['flag_before'])} to {_truth(row['flag_after'])}")
        if row["date_before"] != row["date_after"]:
            fields.append(f"date {_moment(row['date_before'])} to {_moment(row['date_after'])}")
        mended = row["partition"] == DRIFT
        by = f"run {row['run_id']}{', which mended drift' if mended else ' of ' + row['partition']}"
        if row["released"]:
            by += f", with guards released ({', '.join(row['released'])})"
        if row["undoes"]:
            by += f", which undoes run {row['undoes']}"
        answer = row["outcome"] or "no answer yet; the next run settles it"
        if row["error_code"]:
            answer += f", {row['error_code']}"
        if row["message"]:
            answer += f": {row['message'].rstrip('.')}"
        yield Event(
            row["created_at"],
            WRITE,
            row["record_id"],
            f"{'Wrote' if row['outcome'] == WRITTEN else 'Sent'} {' and '.join(fields)} "
            f"({row['action']}, {row['reason']}) by {by}: {answer}",
            details=_without(row, "record_id", "created_at"),
        )


def _by_key(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for key, since in rows.groupby("subscriber_key", sort=True):
        yield str(key), since


def _runs(
    rows: pd.DataFrame, columns: list[str], by: str = "partition"
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """First and last row of each stretch of partitions with the same values in `columns`."""
    first = last = None
    for row in _dicts(rows.sort_values(by, kind="stable")):
        if first is None or last is None:
            first = row
        elif any(row[name] != last[name] for name in columns):
            yield first, last
            first = row
        last = row
    if first is not None and last is not None:
        yield first, last


def _dicts(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows as plain values: None where there is none, `datetime` for times."""
    for row in rows.to_dict("records"):
        yield {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if not isinstance(value, list | dict) and pd.isna(value):
        return None
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names and value is not None}


def _flag(flag: bool, date: datetime | None) -> str:
    return f"{'flagged' if flag else 'not flagged'}, date {_moment(date)}"


def _truth(flag: bool | None) -> str:
    return {True: "on", False: "off"}.get(bool(flag), "off") if flag is not None else "unknown"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "empty"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
