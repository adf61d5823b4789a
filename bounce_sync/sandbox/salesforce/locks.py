"""Row locks: concurrent writes to children of one Account get in each other's way.

A write holds its records and their Accounts while it lasts. Off unless the tenant's setting
``lock_accounts`` is on; then another request that needs one of them waits ``lock_wait_ms`` (0)
and its row fails with UNABLE_TO_LOCK_ROW. ``write_ms`` (0) is how long a write takes at least, so
that collisions can be had at will (facts/salesforce.md §3.1).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Locks:
    """What is being written right now in this served org."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, wanted: Iterable[str], wait: float) -> Iterator[frozenset[str]]:
        """Takes what is free, waits ``wait`` seconds for the rest; gives what it didn't get."""
        wanted = frozenset(wanted)
        deadline = time.monotonic() + wait
        with self._changed:
            taken = wanted - self._held
            self._held |= taken
            while taken != wanted and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
                more = (wanted - taken) - self._held
                self._held |= more
                taken |= more
        try:
            yield wanted - taken
        finally:
            with self._changed:
                self._held -= taken
                self._changed.notify_all()
