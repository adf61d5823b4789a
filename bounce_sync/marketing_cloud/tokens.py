"""Access tokens: one per business unit, got once however many threads want it.

A token is bound to its one account (facts/marketing-cloud.md §3) and brings the addresses of the
REST and SOAP services with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_MARGIN = 120.0
"""Seconds before its end at which a token is no longer used: longer than any call takes."""


@dataclass(frozen=True)
class Token:
    """A bearer token and where it is good for; `stale_at` is monotonic seconds."""

    value: str = field(repr=False)
    rest_url: str
    soap_url: str
    stale_at: float
    scopes: frozenset[str] = frozenset()
    """What it allows; empty where the service doesn't say."""


def stale_at(asked_at: float, expires_in: float) -> float:
    """When to stop using a token that was asked for at `asked_at` (monotonic seconds)."""
    return asked_at + expires_in - min(_MARGIN, expires_in / 4)


class TokenKeeper:
    """Hands out each unit's token; one thread renews it while the others wait for the result."""

    def __init__(
        self, fetch: Callable[[str], Token], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def token(self, unit: str, refused: Token | None = None) -> Token:
        """The unit's token; a new one if there is none, it is about to end, or it was `refused`."""
        with self._lock:
            lock = self._locks.setdefault(unit, threading.Lock())
        with lock:
            token = self._tokens.get(unit)
            if token is None or token is refused or self._clock() >= token.stale_at:
                token = self._tokens[unit] = self._fetch(unit)
            return token
