"""How many API calls a run takes, and how many it may.

Salesforce says with each answer how many of the day's calls the org has used
(``Sforce-Limit-Info``, facts/salesforce.md §7); ``GET /limits`` needs a permission that the
integration user shouldn't have.
"""

from __future__ import annotations

import re
import threading

from bounce_sync.salesforce.errors import BudgetSpent

_USAGE = re.compile(r"(?:^|;|,)\s*api-usage=(\d+)/(\d+)")


class Budget:
    """Counts the calls of one connection and refuses those beyond its share of what was left."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._lock = threading.Lock()
        self._taken = 0
        self._left_at_start: int | None = None
        self._told: tuple[int, int] | None = None

    @property
    def taken(self) -> int:
        """Calls sent so far, retries included; logins don't count against the org's limit."""
        return self._taken

    @property
    def told(self) -> tuple[int, int] | None:
        """Calls used and allowed in the day, as the org said last; None before its first answer."""
        return self._told

    def left(self) -> int | None:
        """Calls that may still be sent; None before the first answer told the org's limit."""
        with self._lock:
            return self._left()

    def take(self, request: str) -> None:
        """Counts one call. Raises ``BudgetSpent`` where the share is used up."""
        with self._lock:
            left = self._left()
            if left is not None and left <= 0:
                raise self._spent(request)
            self._taken += 1

    def require(self, calls: int, request: str) -> None:
        """Raises ``BudgetSpent`` unless so many calls are left: asked before announcing."""
        left = self.left()
        if left is not None and left < calls:
            raise self._spent(request)

    def note(self, limit_info: str | None) -> None:
        """Learns from an answer's ``Sforce-Limit-Info``; the first one fixes the allowance."""
        found = _USAGE.search(limit_info or "")
        if found is None:
            return
        used, most = int(found[1]), int(found[2])
        with self._lock:
            self._told = used, most
            if self._left_at_start is None:
                self._left_at_start = max(0, most - used + self._taken)

    def _left(self) -> int | None:
        if self._left_at_start is None:
            return None
        return int(self._left_at_start * self._share) - self._taken

    def _spent(self, request: str) -> BudgetSpent:
        return BudgetSpent(request, self._taken, self._left_at_start or 0, self._share)
