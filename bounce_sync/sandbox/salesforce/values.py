"""Values between JSON or CSV and the store.

The store keeps booleans as 0 and 1, datetimes as ``YYYY-MM-DDTHH:MM:SS.000Z``, an empty text as
NULL. The API answers datetimes as ``…+0000`` and takes them with ``Z`` or any offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from bounce_sync.sandbox.salesforce.errors import RowError
from bounce_sync.sandbox.salesforce.ids import canonical

IDS = frozenset({"id", "reference"})
TEXTS = frozenset(
    {"string", "email", "phone", "url", "picklist", "textarea", "combobox", "multipicklist"}
)
NUMBERS = frozenset({"double", "int", "currency", "percent", "long"})

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)
_EMAIL = re.compile(r"[^@\s,;:<>()\"\[\]\\]+@[^@\s.,;:<>()\"\[\]\\]+(?:\.[^@\s.,;:<>()\"\[\]\\]+)+")


class BadValue(Exception):
    """A value its field can't hold; ``error`` is what the row is told."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.message)
        self.error = error


def moment(text: str) -> datetime | None:
    """The instant an API datetime names, in UTC; None of any other text. No zone means UTC."""
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is UTC:
            return found
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


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


def taken(name: str, kind: str, length: int, value: Any) -> Any:
    """A value of a JSON body as the store keeps it; an empty text is no value.

    Raises:
        BadValue: it is of the wrong type, too long, or malformed.
    """
    if value is None or value == "":
        if kind == "boolean":
            raise _wrong(name, "null")
        return None
    return _TAKERS.get(kind, _text)(name, kind, length, value)


def _wrong(name: str, value: object) -> BadValue:
    return BadValue(
        RowError(
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            f"{name}: value not of required type: {value}",
            (name,),
        )
    )


def _unparsable(name: str, kind: str, value: object) -> BadValue:
    message = f"Cannot deserialize instance of {kind} from VALUE_STRING value {value}"
    return BadValue(RowError("JSON_PARSER_ERROR", message, (name,)))


def _boolean(name: str, kind: str, length: int, value: Any) -> int:
    del kind, length
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return int(value.lower() == "true")
    raise _wrong(name, value)


def _datetime(name: str, kind: str, length: int, value: Any) -> str:
    """Whole seconds: the field keeps no more."""
    del kind, length
    instant = moment(value) if isinstance(value, str) else None
    if instant is None:
        raise _unparsable(name, "datetime", value)
    return f"{instant.isoformat()[:19]}.000Z"


def _date(name: str, kind: str, length: int, value: Any) -> str:
    del length
    day = stored_day(value) if isinstance(value, str) else None
    if day is None:
        raise _unparsable(name, kind, value)
    return day


def _number(name: str, kind: str, length: int, value: Any) -> int | float:
    del length
    try:
        if isinstance(value, bool):
            raise _wrong(name, value)
        return int(value) if kind in ("int", "long") else float(value)
    except (TypeError, ValueError):
        raise _wrong(name, value) from None


def _reference(name: str, kind: str, length: int, value: Any) -> str:
    del kind, length
    found = canonical(value)
    if found is None:
        message = f"{name}: id value of incorrect type: {value}"
        raise BadValue(RowError("MALFORMED_ID", message, (name,)))
    return found


def _text(name: str, kind: str, length: int, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(name, value)
    text = str(value)
    if length and len(text) > length:
        message = f"{name}: data value too large: {text[:255]} (max length={length})"
        raise BadValue(RowError("STRING_TOO_LONG", message, (name,)))
    if kind == "email" and not _EMAIL.fullmatch(text):
        message = f"{name}: invalid email address: {text}"
        raise BadValue(RowError("INVALID_EMAIL_ADDRESS", message, (name,)))
    return text


_TAKERS: dict[str, Callable[[str, str, int, Any], Any]] = {
    "boolean": _boolean,
    "datetime": _datetime,
    "date": _date,
    **dict.fromkeys(NUMBERS, _number),
    **dict.fromkeys(IDS, _reference),
}
"""How a type takes its values; every other type is text."""
