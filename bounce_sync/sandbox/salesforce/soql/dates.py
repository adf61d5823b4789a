"""SOQL's relative dates as ranges of days in the user's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_UNITS = {"DAYS": "DAY", "WEEKS": "WEEK", "MONTHS": "MONTH", "QUARTERS": "QUARTER", "YEARS": "YEAR"}


@dataclass(frozen=True)
class Days:
    """Whole days, ``first`` to before ``end``."""

    first: date
    end: date

    def in_utc(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The same range as instants: midnights of the user's zone."""
        first, end = (
            datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
            for day in (self.first, self.end)
        )
        return first, end


def _start(day: date, unit: str) -> date:
    if unit == "WEEK":  # a week begins on Sunday in the default locale
        return day - timedelta(days=(day.weekday() + 1) % 7)
    if unit == "MONTH":
        return day.replace(day=1)
    if unit == "QUARTER":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    if unit == "YEAR":
        return day.replace(month=1, day=1)
    return day


def _shifted(start: date, unit: str, count: int) -> date:
    if unit in ("DAY", "WEEK"):
        return start + timedelta(days=count * (7 if unit == "WEEK" else 1))
    months = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}[unit] * count
    total = start.year * 12 + start.month - 1 + months
    return date(total // 12, total % 12 + 1, 1)


def days_of(literal: str, today: date) -> Days:
    """The days a relative date names (``YESTERDAY``, ``LAST_N_DAYS:7``).

    ``LAST_N_DAYS:n`` begins n days ago and includes today; the larger units leave the current one
    out; fiscal years are calendar years.

    Raises:
        OverflowError, ValueError: a count that leaves the calendar.
    """
    name, _, number = literal.partition(":")
    name = name.replace("_FISCAL", "")
    if name in ("LAST_90_DAYS", "NEXT_90_DAYS"):
        name, number = name.replace("90", "N"), "90"
    near = {"YESTERDAY": -1, "TODAY": 0, "TOMORROW": 1}
    if name in near:
        first = today + timedelta(days=near[name])
        return Days(first, first + timedelta(days=1))
    if not number:
        side, unit = name.split("_")
        start = _start(today, unit)
        shift = {"LAST": -1, "THIS": 0, "NEXT": 1}[side]
        return Days(_shifted(start, unit, shift), _shifted(start, unit, shift + 1))
    count = int(number)
    if name.endswith("_AGO"):
        unit = _UNITS[name.removeprefix("N_").removesuffix("_AGO")]
        start = _start(today, unit)
        return Days(_shifted(start, unit, -count), _shifted(start, unit, 1 - count))
    side, _, units = name.split("_")
    unit = _UNITS[units]
    start = _start(today, unit)
    if side == "NEXT":
        first = _shifted(start, unit, 1)
        return Days(first, _shifted(first, unit, count))
    return Days(
        _shifted(start, unit, -count), today + timedelta(days=1) if unit == "DAY" else start
    )
