"""SFMC's server time: a fixed offset from UTC, never daylight saving.

Every time that SFMC shows or filters by is in it (facts/marketing-cloud.md §1.4), and a partition
is one calendar day of it. Everything else in this package is UTC; this module is the only bridge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import overload

import pandas as pd

from bounce_sync.rules.policy import SyncPolicy

_OFFSET = re.compile(r"([+-])(\d{2}):([0-5]\d)")
_FARTHEST = timedelta(hours=14)

_DAY = timedelta(days=1)

RETENTION = timedelta(days=180)
"""SFMC forgets bounces after six months (facts/marketing-cloud.md §1.4)."""


def parse_offset(text: str) -> timedelta:
    """An offset from UTC, written like ``-06:00``. Raises `ValueError` for anything else."""
    found = _OFFSET.fullmatch(text.strip())
    offset = found and timedelta(hours=int(found[2]), minutes=int(found[3]))
    if not found or offset is None or offset > _FARTHEST:
        raise ValueError(f"{text!r} is no UTC offset; write it like -06:00")
    return -offset if found[1] == "-" else offset


@dataclass(frozen=True)
class Window:
    """A span of time, in UTC, with its start and without its end."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            raise ValueError("A window's bounds carry a time zone.")
        if self.start >= self.end:
            raise ValueError(f"A window ends after it starts; {self} doesn't.")

    def __str__(self) -> str:
        return f"{self.start.isoformat()} to {self.end.isoformat()}"

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def halves(self) -> tuple[Window, Window]:
        """Two windows that meet in the middle, at a whole millisecond: SFMC's resolution.

        Raises `ValueError` for a window of a millisecond, which has no middle.
        """
        half = timedelta(milliseconds=self.length // timedelta(milliseconds=2))
        return Window(self.start, self.start + half), Window(self.start + half, self.end)


def day_window(day: str | date, offset: timedelta) -> Window:
    """The server's calendar day as a span of UTC."""
    midnight = datetime.combine(as_day(day), time(), UTC) - offset
    return Window(midnight, midnight + _DAY)


def days_window(days: list[str], offset: timedelta) -> Window:
    """From the start of the first of `days` to the end of the last; they are in order."""
    return Window(day_window(days[0], offset).start, day_window(days[-1], offset).end)


@overload
def to_utc(naive: datetime, offset: timedelta) -> datetime: ...
@overload
def to_utc(naive: pd.Series, offset: timedelta) -> pd.Series: ...
def to_utc(naive: datetime | pd.Series, offset: timedelta) -> datetime | pd.Series:
    """Server times without a zone, in UTC; a Series comes back as ``datetime64[us, UTC]``."""
    if isinstance(naive, pd.Series):
        return (naive.astype("datetime64[us]") - pd.Timedelta(offset)).dt.tz_localize(UTC)
    return (naive - offset).replace(tzinfo=UTC)


@overload
def to_server(utc: datetime, offset: timedelta) -> datetime: ...
@overload
def to_server(utc: pd.Series, offset: timedelta) -> pd.Series: ...
def to_server(utc: datetime | pd.Series, offset: timedelta) -> datetime | pd.Series:
    """UTC times as the server shows them, without a zone; a Series as ``datetime64[us]``."""
    if isinstance(utc, pd.Series):
        return utc.dt.tz_convert(UTC).dt.tz_localize(None).astype("datetime64[us]") + pd.Timedelta(
            offset
        )
    return utc.astimezone(UTC).replace(tzinfo=None) + offset


def last_finished_day(now_utc: datetime, offset: timedelta) -> date:
    """The newest server day that is over at `now_utc`."""
    return to_server(now_utc, offset).date() - _DAY


def is_forgotten(day: str | date, now_utc: datetime, offset: timedelta) -> bool:
    """Whether SFMC no longer has the events of a server day."""
    return day_window(day, offset).start < now_utc - RETENTION


def evidence_days(partition: str | date, policy: SyncPolicy) -> list[str]:
    """The days whose bounces confirm in this partition, oldest first, the partition's own last.

    Raises `ValueError` if the policy's `evidence_from` is after the partition.
    """
    last = as_day(partition)
    first = (
        date.fromisoformat(policy.evidence_from)
        if policy.evidence_from
        else last - (policy.evidence_days - 1) * _DAY
    )
    if first > last:
        raise ValueError(
            f"The policy's evidence_from ({first}) is after the partition ({last}): "
            "there is no day of evidence. Leave evidence_from empty, or set it to an earlier day."
        )
    return [(first + n * _DAY).isoformat() for n in range((last - first).days + 1)]


def as_day(day: str | date) -> date:
    """A day from its ISO form (YYYY-MM-DD) or as it is."""
    if isinstance(day, datetime):
        raise TypeError("A day is a date, not a time.")
    return day if isinstance(day, date) else date.fromisoformat(day)
