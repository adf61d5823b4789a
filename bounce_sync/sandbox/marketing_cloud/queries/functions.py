"""T-SQL's scalar functions, as SQLite calls them.

Times are text in server time, ``YYYY-MM-DD HH:MM:SS.mmm``. A value that can't be converted ends
the whole activity, as it does there: what was wrong is kept in `Functions.error`, because SQLite
passes on only that something was.
"""

import calendar
import hashlib
import inspect
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bounce_sync.sandbox.marketing_cloud.clock import read_date
from bounce_sync.sandbox.marketing_cloud.queries.values import QueryError
from bounce_sync.sandbox.store import server_time

_UNITS = {
    "yy": "year", "yyyy": "year", "qq": "quarter", "q": "quarter", "mm": "month", "m": "month",
    "dy": "dayofyear", "y": "dayofyear", "dd": "day", "d": "day", "wk": "week", "ww": "week",
    "dw": "weekday", "w": "weekday", "hh": "hour", "mi": "minute", "n": "minute", "ss": "second",
    "s": "second", "ms": "millisecond",
}  # fmt: skip
_SECONDS = {"week": 604800, "day": 86400, "hour": 3600, "minute": 60, "second": 1}
_STYLES = {
    0: "%b %d %Y %I:%M%p", 1: "%m/%d/%y", 3: "%d/%m/%y", 4: "%d.%m.%y", 101: "%m/%d/%Y",
    103: "%d/%m/%Y", 104: "%d.%m.%Y", 105: "%d-%m-%Y", 108: "%H:%M:%S", 110: "%m-%d-%Y",
    111: "%Y/%m/%d", 112: "%Y%m%d", 120: "%Y-%m-%d %H:%M:%S", 23: "%Y-%m-%d",
}  # fmt: skip
_EN_US = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y", "%b %d %Y %I:%M%p", "%Y%m%d")


class Functions:
    """The functions on one connection, at one moment in one time zone."""

    def __init__(self, connection: sqlite3.Connection, offset: timedelta) -> None:
        self._offset = offset
        self.error: str | None = None
        for name, made in inspect.getmembers(self, inspect.ismethod):
            if name.startswith("ts_"):
                count = len(inspect.signature(made).parameters)
                connection.create_function(name, count, self._watched(made), deterministic=True)

    def _watched(self, made: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any) -> Any:
            try:
                return made(*values)
            except QueryError as error:
                self.error = str(error)
                raise

        return call

    # -- times --------------------------------------------------------------------------------

    def ts_datetime(self, value: Any) -> str | None:
        """A text, or a number of days since 1900, as a time."""
        if value is None:
            return None
        if isinstance(value, (int, float)):
            return server_time(datetime(1900, 1, 1) + timedelta(days=value))  # noqa: DTZ001
        text = str(value).strip()
        for form in _EN_US:
            try:
                return server_time(datetime.strptime(text, form))  # noqa: DTZ007
            except ValueError:
                continue
        try:
            return read_date(text or "1900-01-01", self._offset)
        except ValueError as error:
            raise QueryError(
                "Conversion failed when converting date and/or time from character string."
            ) from error

    def ts_date(self, value: Any) -> str | None:
        found = self.ts_datetime(value)
        return None if found is None else f"{found[:10]} 00:00:00.000"

    def ts_dateadd(self, unit: str, number: Any, value: Any) -> str | None:
        if number is None or value is None:
            return None
        moment, count, unit = _moment(self.ts_datetime(value)), int(number), _unit(unit)
        if unit in {"year", "quarter", "month"}:
            months = count * {"year": 12, "quarter": 3, "month": 1}[unit]
            year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
            day = min(moment.day, calendar.monthrange(year, month + 1)[1])
            return server_time(moment.replace(year=year, month=month + 1, day=day))
        if unit == "millisecond":
            return server_time(moment + timedelta(milliseconds=count))
        unit = "day" if unit in {"dayofyear", "weekday"} else unit
        try:
            return server_time(moment + timedelta(seconds=count * _SECONDS[unit]))
        except OverflowError as error:
            raise QueryError("Adding a value to a 'datetime' column caused an overflow.") from error

    def ts_datediff(self, unit: str, start: Any, end: Any) -> int | None:
        """How many boundaries of the unit lie between."""
        if start is None or end is None:
            return None
        first, last = _moment(self.ts_datetime(start)), _moment(self.ts_datetime(end))
        unit = _unit(unit)
        if unit == "year":
            return last.year - first.year
        if unit in {"quarter", "month"}:
            size = 3 if unit == "quarter" else 1
            return _month(last) // size - _month(first) // size
        if unit == "millisecond":
            return int((last - first) / timedelta(milliseconds=1))
        if unit == "week":
            return _sunday(last) - _sunday(first)
        seconds = _SECONDS["day" if unit in {"dayofyear", "weekday"} else unit]
        return _since(last) // seconds - _since(first) // seconds

    def ts_datepart(self, unit: str, value: Any) -> int | None:
        if value is None:
            return None
        moment, unit = _moment(self.ts_datetime(value)), _unit(unit)
        if unit == "weekday":
            return moment.isoweekday() % 7 + 1
        parts = {
            "quarter": (moment.month + 2) // 3,
            "dayofyear": moment.timetuple().tm_yday,
            "week": int(moment.strftime("%U")) + 1,
            "millisecond": moment.microsecond // 1000,
        }
        return parts[unit] if unit in parts else int(getattr(moment, unit))

    def ts_eomonth(self, value: Any) -> str | None:
        if value is None:
            return None
        moment = _moment(self.ts_datetime(value))
        last = calendar.monthrange(moment.year, moment.month)[1]
        return f"{moment.year:04}-{moment.month:02}-{last:02} 00:00:00.000"

    def ts_strftime(self, value: Any, form: str) -> str | None:
        return None if value is None else _moment(self.ts_datetime(value)).strftime(form)

    # -- conversions --------------------------------------------------------------------------

    def ts_text(self, value: Any, kind: str, length: Any, style: Any) -> str | None:
        """A value of this kind as text of at most that length, in a style of CONVERT."""
        if value is None:
            return None
        text = str(value)
        if kind in {"datetime", "date"}:
            text = _styled(text, kind, style)
        return text if length is None else text[: int(length)]

    def ts_int(self, value: Any, is_safe: int) -> int | None:
        if value is None or isinstance(value, int):
            return value
        if isinstance(value, float):
            return int(value)
        try:
            return int(str(value).strip() or 0)
        except ValueError as error:
            if is_safe:
                return None
            raise QueryError(
                f"Conversion failed when converting the nvarchar value '{value}' to data type int."
            ) from error

    def ts_decimal(self, value: Any, is_safe: int) -> float | None:
        if value is None:
            return None
        try:
            return float(value)
        except ValueError as error:
            if is_safe:
                return None
            raise QueryError("Error converting data type nvarchar to numeric.") from error

    def ts_bit(self, value: Any, is_safe: int) -> int | None:
        if value is None:
            return None
        if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
            return int(value.strip().lower() == "true")
        number = self.ts_decimal(value, is_safe)
        return None if number is None else int(number != 0)

    def ts_try_datetime(self, value: Any) -> str | None:
        try:
            return self.ts_datetime(value)
        except QueryError:
            return None

    # -- text ---------------------------------------------------------------------------------

    def ts_len(self, value: Any) -> int | None:
        """In UTF-16 units, without trailing spaces."""
        return None if value is None else len(str(value).rstrip(" ").encode("utf-16-le")) // 2

    def ts_left(self, value: Any, count: Any) -> str | None:
        return None if value is None or count is None else str(value)[: max(int(count), 0)]

    def ts_right(self, value: Any, count: Any) -> str | None:
        if value is None or count is None:
            return None
        return str(value)[-int(count) :] if int(count) > 0 else ""

    def ts_replace(self, value: Any, found: Any, wanted: Any) -> str | None:
        """Without case, as everything is compared there."""
        if value is None or found is None or wanted is None:
            return None
        if found == "":
            return str(value)
        pattern = re.escape(str(found))
        return re.sub(pattern, lambda _: str(wanted), str(value), flags=re.IGNORECASE)

    def ts_charindex(self, found: Any, value: Any, start: Any) -> int | None:
        if found is None or value is None:
            return None
        return str(value).lower().find(str(found).lower(), max(int(start or 1), 1) - 1) + 1

    def ts_patindex(self, pattern: Any, value: Any) -> int | None:
        if pattern is None or value is None:
            return None
        core = str(pattern)
        regex = like_regex(core.removeprefix("%").removesuffix("%"))
        if core.endswith("%"):
            regex = regex.removesuffix(r"\Z")
        search = re.search if core.startswith("%") else re.match
        match = search(regex, str(value), re.IGNORECASE | re.DOTALL)
        return match.start() + 1 if match else 0

    def ts_like(self, value: Any, pattern: Any, escape: Any) -> int | None:
        if value is None or pattern is None:
            return None
        regex = like_regex(str(pattern), escape)
        return int(re.match(regex, str(value), re.IGNORECASE | re.DOTALL) is not None)

    def ts_stuff(self, value: Any, start: Any, length: Any, new: Any) -> str | None:
        if value is None or not 1 <= int(start) <= len(str(value)):
            return None
        text, at = str(value), int(start) - 1
        return text[:at] + ("" if new is None else str(new)) + text[at + int(length) :]

    def ts_upper(self, value: Any) -> str | None:
        return None if value is None else str(value).upper()

    def ts_lower(self, value: Any) -> str | None:
        return None if value is None else str(value).lower()

    def ts_reverse(self, value: Any) -> str | None:
        return None if value is None else str(value)[::-1]

    def ts_replicate(self, value: Any, count: Any) -> str | None:
        return None if value is None or count is None else str(value) * max(int(count), 0)

    def ts_isnumeric(self, value: Any) -> int:
        try:
            float(value)
        except (TypeError, ValueError):
            return 0
        return 1

    def ts_isdate(self, value: Any) -> int:
        return int(value is not None and self.ts_try_datetime(value) is not None)

    def ts_sha2(self, value: Any, length: Any) -> bytes | None:
        if value is None:
            return None
        return hashlib.new(f"sha{int(length)}", str(value).encode("utf-16-le")).digest()


def like_regex(pattern: str, escape: Any = None) -> str:
    """T-SQL's LIKE: `%`, `_`, `[a-c]`, `[^a]`."""
    parts, at = [], 0
    while at < len(pattern):
        sign = pattern[at]
        closing = pattern.find("]", at + 1)
        if escape and sign == escape and at + 1 < len(pattern):
            at += 1
            parts.append(re.escape(pattern[at]))
        elif sign == "%":
            parts.append(".*")
        elif sign == "_":
            parts.append(".")
        elif sign == "[" and closing > at + 1:
            inside = pattern[at + 1 : closing].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[{inside}]")
            at = closing
        else:
            parts.append(re.escape(sign))
        at += 1
    return "".join(parts) + r"\Z"


def _styled(text: str, kind: str, style: Any) -> str:
    if style in {121, 21, 25} or (style is None and kind == "date"):
        return text[:10] if kind == "date" else text
    if style in {126, 127}:
        return text[:10] if kind == "date" else text.replace(" ", "T").removesuffix(".000")
    moment = _moment(text)
    form = _STYLES.get(int(style or 0))
    if form is None:
        raise QueryError(
            f"{style} is not a valid style number when converting from datetime to a character"
            " string."
        )
    said = moment.strftime(form)
    # Style 0 pads its numbers with spaces: `Jan  5 2026  9:04AM`.
    return re.sub(r" 0(\d)", r"  \1", said) if int(style or 0) == 0 else said


def _moment(text: str | None) -> datetime:
    return datetime.fromisoformat(str(text))


def _unit(name: str) -> str:
    unit = _UNITS.get(name.lower(), name.lower())
    if unit not in {*_SECONDS, *_UNITS.values()}:
        raise QueryError(f"'{name}' is not a recognized datepart option.")
    return unit


def _month(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _since(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() // 1)


def _sunday(moment: datetime) -> int:
    return (moment.toordinal()) // 7
