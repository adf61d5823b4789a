"""How the cells of a CSV folder are read: one function per kind of value.

Each takes a cell that isn't empty and gives what the store keeps; raises ValueError that says what
is wrong and what was expected, without the file or line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from bounce_sync.sandbox import ids

Reader: TypeAlias = Callable[[str], str | int | float]

STATUSES = {name.lower(): name for name in ("Active", "Bounced", "Held", "Unsubscribed", "Deleted")}
_TRUTH = {"true": 1, "1": 1, "yes": 1, "false": 0, "0": 0, "no": 0}
_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[ T](?P<time>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
)
_US = re.compile(
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})"
    r"(?: (?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?: (?P<half>[AP]M))?)?",
    re.IGNORECASE,
)


def status(cell: str) -> str:
    """A subscriber's status in any case."""
    try:
        return STATUSES[cell.strip().lower()]
    except KeyError:
        raise ValueError(f"{cell!r} is none of {', '.join(STATUSES.values())}") from None


def boolean(cell: str) -> int:
    """true or false in any case."""
    try:
        return _TRUTH[cell.strip().lower()]
    except KeyError:
        raise ValueError(f"{cell!r} is neither true nor false") from None


def truth(cell: str) -> int:
    """The words true and false alone, in any case."""
    if cell.strip().lower() not in ("true", "false"):
        raise ValueError(f"{cell!r} is neither true nor false")
    return boolean(cell)


def integer(cell: str) -> int:
    """A whole number."""
    try:
        return int(cell)
    except ValueError:
        raise ValueError(f"{cell!r} is no whole number") from None


def number(cell: str) -> float:
    """A decimal number."""
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"{cell!r} is no number") from None


def key(cell: str) -> str:
    """A subscriber key as it stands."""
    if len(cell) > 254:
        raise ValueError("longer than 254 characters")
    return cell


def text_of(length: int) -> Reader:
    """Text of at most so many characters."""

    def read(cell: str) -> str:
        if len(cell) > length:
            raise ValueError(f"{len(cell)} characters, the field holds {length}")
        return cell

    return read


def server_time(offset: timedelta) -> Reader:
    """A time of SFMC: server time, unless it bears a zone of its own (milliseconds, cut)."""

    def read(cell: str) -> str:
        moment = _iso(cell) or _american(cell)
        if moment is None:
            raise ValueError(
                f"{cell!r} is no time: YYYY-MM-DD HH:MM:SS[.fff] or M/D/YYYY h:mm:ss AM"
            )
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None) + offset
        return moment.isoformat(" ", "milliseconds")

    return read


def utc_time(cell: str) -> str:
    """A time of the CRM: UTC, unless it bears another zone (whole seconds, cut)."""
    moment = _iso(cell)
    if moment is None:
        raise ValueError(f"{cell!r} is no time: YYYY-MM-DDTHH:MM:SSZ or YYYY-MM-DD")
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def day(cell: str) -> str:
    """A date of the CRM; of a time the day in UTC."""
    return utc_time(cell)[:10]


def plain_day(cell: str) -> str:
    """A date of the CRM without a time."""
    if len(cell.strip()) != len("YYYY-MM-DD"):
        raise ValueError(f"{cell!r} is no date")
    return day(cell)


def record_id(prefix: str) -> Reader:
    """The id of a record of one object, 15 or 18 characters."""

    def read(cell: str) -> str:
        if not cell.startswith(prefix):
            raise ValueError(f"{cell!r} doesn't begin with {prefix}")
        return ids.to_18(cell)

    return read


def reference(cell: str) -> str:
    """The id of any record; 18 characters whose suffix doesn't fit are kept as they are."""
    try:
        return ids.to_18(cell)
    except ValueError:
        if len(cell) == 18 and cell.isascii() and cell.isalnum():
            return cell
        raise


def _iso(cell: str) -> datetime | None:
    match = _ISO.fullmatch(cell.strip())
    if match is None:
        return None
    day_text, time, fraction, zone = match.groups()
    text = f"{day_text}T{time or '00:00:00'}.{(fraction or '0')[:6]:0<6}{zone or ''}"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _american(cell: str) -> datetime | None:
    match = _US.fullmatch(cell.strip())
    if match is None:
        return None
    hour, half = int(match["hour"] or 0), (match["half"] or "").upper()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "PM")
    try:
        return datetime(  # noqa: DTZ001 - server time is naive
            int(match["year"]),
            int(match["month"]),
            int(match["day"]),
            hour,
            int(match["minute"] or 0),
            int(match["second"] or 0),
        )
    except ValueError:
        return None
