"""Record ids of the CRM: fifteen case-sensitive characters, three that restore their case."""

from __future__ import annotations

import string

_SUFFIX = string.ascii_uppercase + "012345"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


def suffix(id15: str) -> str:
    """The three characters that say which of the fifteen are upper-case."""
    return "".join(
        _SUFFIX[sum(1 << bit for bit, char in enumerate(id15[start : start + 5]) if char.isupper())]
        for start in (0, 5, 10)
    )


def to_18(record_id: str) -> str:
    """The 18-character form of a 15- or 18-character id, case restored from the suffix.

    Raises ValueError for anything that is no id.
    """
    if len(record_id) not in (15, 18) or not (record_id.isascii() and record_id.isalnum()):
        raise ValueError(f"{record_id!r} is no record id: 15 or 18 letters and digits")
    if len(record_id) == 15:
        return record_id + suffix(record_id)
    body, tail = record_id[:15], record_id[15:].upper()
    if any(char not in _SUFFIX for char in tail):
        raise ValueError(
            f"{record_id!r} is no record id: its last three characters aren't a suffix"
        )
    bits = "".join(format(_SUFFIX.index(char), "05b")[::-1] for char in tail)
    restored = "".join(
        char.upper() if bit == "1" else char.lower() for char, bit in zip(body, bits, strict=True)
    )
    if suffix(restored) != tail:
        raise ValueError(f"{record_id!r} is no record id: its suffix doesn't fit")
    return restored + tail


def new_id(prefix: str, number: int, instance: str = "bs0") -> str:
    """The id of the ``number``-th record of the object with this key prefix, 18 characters."""
    digits = ""
    for _ in range(15 - len(prefix) - len(instance)):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    body = prefix + instance + digits
    return body + suffix(body)
