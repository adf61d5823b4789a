"""Values between JSON or CSV and the store.

The store keeps booleans as 0 and 1, datetimes as ``YYYY-MM-DDTHH:MM:SS.000Z``, an empty text as
NULL. The API answers datetimes as ``…+0000`` and takes them with ``Z`` or any offset.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

from bounce_sync.sandbox.salesforce.errors import RowError

IDS = frozenset({"id", "reference"})
TEXTS = frozenset(
    {"string", "email", "phone", "url", "picklist", "textarea", "combobox", "multipicklist"}
)
NUMBERS = frozenset({"double", "int", "currency", "percent", "long"})

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_EMAIL = re.compile(r"[^@\s,;:<>()\"\[\]\\]+@[^@\s.,;:<>()\"\[\]\\]+(?:\.[^@\s.,;:<>()\"\[\]\\]+)+")


class BadValue(Exception):
    """A value its field can't hold; ``error`` is what the row is told."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.message)
        self.error = error


def moment(text: str) -> datetime | None:
    """The instant an API datetime names, None of any other text. Without a zone it is UTC."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(number) for number in match.groups()[:6])
    fraction, zone = match.groups()[6:]
    offset: tzinfo = UTC
    if zone and zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        offset = timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))
    try:
        found = datetime(year, month, day, hour, minute, second, tzinfo=offset)
    except ValueError:
        return None
    return found + timedelta(milliseconds=int((fraction or "0").ljust(3, "0")[:3]))


def stored_moment(instant: datetime) -> str:
    """As the store keeps it."""
    utc = instant.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def stored_day(text: str) -> str | None:
    """A calendar day as the store keeps it, None of any other text."""
    try:
        return date.fromisoformat(text[:10]).isoformat() if len(text) >= 10 else None
    except ValueError:
        return None


def answered(kind: str, value: Any) -> Any:
    """A stored value as the API answers it."""
    if value is None:
        return False if kind == "boolean" else None
    if kind == "boolean":
        return bool(value)
    if kind == "datetime":
        return f"{value[:-1]}+0000"
    if kind in NUMBERS and kind != "int":
        return float(value)
    return value


def answered_csv(kind: str, value: Any) -> str:
    """A stored value as Bulk query results spell it."""
    if kind == "boolean":
        return "true" if value else "false"
    return "" if value is None else str(value)


def _wrong(name: str, kind: str, value: object) -> BadValue:
    what = {"datetime": "dateTime", "reference": "id"}.get(kind, kind)
    return BadValue(
        RowError(
            "JSON_PARSER_ERROR"
            if kind in ("datetime", "date")
            else "INVALID_TYPE_ON_FIELD_IN_RECORD",
            f"{name}: value not of required type: {value}"
            if kind not in ("datetime", "date")
            else f"Cannot deserialize instance of {what} from VALUE_STRING value {value}",
            (name,),
        )
    )


def taken(name: str, kind: str, length: int, value: Any) -> Any:
    """A JSON value as the store keeps it.

    Raises:
        BadValue: it is of the wrong type, too long, or malformed.
    """
    if value is None or value == "":
        if kind == "boolean":
            raise BadValue(
                RowError(
                    "INVALID_TYPE_ON_FIELD_IN_RECORD",
                    f"{name}: value not of required type: null",
                    (name,),
                )
            )
        return None
    if kind == "boolean":
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return int(value.lower() == "true")
        raise _wrong(name, kind, value)
    if kind == "datetime":
        instant = moment(value) if isinstance(value, str) else None
        if instant is None:
            raise _wrong(name, kind, value)
        return stored_moment(instant.replace(microsecond=0))
    if kind == "date":
        day = stored_day(value) if isinstance(value, str) else None
        if day is None:
            raise _wrong(name, kind, value)
        return day
    if kind in NUMBERS:
        return _number(name, kind, value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(name, kind, value)
    return _text(name, kind, length, str(value))


def _number(name: str, kind: str, value: Any) -> int | float:
    try:
        if isinstance(value, bool):
            raise ValueError(value)
        return int(value) if kind in ("int", "long") else float(value)
    except (TypeError, ValueError):
        raise _wrong(name, kind, value) from None


def _text(name: str, kind: str, length: int, text: str) -> str:
    if length and len(text) > length:
        raise BadValue(
            RowError(
                "STRING_TOO_LONG",
                f"{name}: data value too large: {text[:255]} (max length={length})",
                (name,),
            )
        )
    if kind == "email" and not _EMAIL.fullmatch(text):
        raise BadValue(
            RowError("INVALID_EMAIL_ADDRESS", f"{name}: invalid email address: {text}", (name,))
        )
    return text
