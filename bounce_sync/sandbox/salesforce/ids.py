"""Record ids as they come in: either form, possibly with its case lost, or no id at all."""

from __future__ import annotations

import secrets
from functools import lru_cache

from bounce_sync.sandbox import ids


@lru_cache(maxsize=1 << 16)
def _canonical(value: str) -> str | None:
    try:
        return ids.to_18(value)
    except ValueError:
        return None


def canonical(value: object) -> str | None:
    """The 18-character form of an id in either form, None of what is no id."""
    return _canonical(value) if isinstance(value, str) else None


def new_id(prefix: str) -> str:
    """A fresh id of an object's key prefix."""
    return ids.new_id(prefix, secrets.randbelow(62**8), instance="SB0")
