"""The wish to stop, as SIGTERM brings it: work in flight ends first, nothing new is begun."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

requested = threading.Event()
"""Set once this process was asked to stop."""


@contextlib.contextmanager
def on_sigterm() -> Iterator[threading.Event]:
    """SIGTERM sets `requested` instead of ending the process, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield requested
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        requested.set()

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield requested
    finally:
        signal.signal(signal.SIGTERM, before)
