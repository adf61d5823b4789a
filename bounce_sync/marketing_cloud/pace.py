"""Keeping within the call rates that Salesforce advises."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

_SPAN = 60.0


class Pace:
    """At most `per_minute` calls in any 60 seconds; bursts pass, what is above waits its turn.

    Threads share one pace. `clock` is monotonic seconds.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._calls: deque[float] = deque(maxlen=per_minute)
        self._lock = threading.Lock()
        self._clock, self._sleep = clock, sleep

    def wait(self) -> None:
        """Return when one more call is allowed, and count it."""
        with self._lock:
            now = self._clock()
            full = len(self._calls) == self._calls.maxlen
            at = max(now, self._calls[0] + _SPAN) if full else now
            self._calls.append(at)
        if at > now:
            self._sleep(at - now)
