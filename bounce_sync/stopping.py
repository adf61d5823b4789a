"""The wish to stop, as SIGTERM brings it: work in flight ends first, nothing new is begun."""

from __future__ import annotations

import contextlib
import signal
import socket
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


@contextlib.contextmanager
def noticed() -> Iterator[None]:
    """Around code that puts signal handlers of its own in place, as Dagster's runs do: it may drop
    a SIGTERM or a Ctrl-C that comes between two steps. `requested` is set all the same, and the
    handler of SIGTERM is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    told, telling = socket.socketpair()
    told.setblocking(False)
    telling.setblocking(False)
    before = signal.set_wakeup_fd(telling.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGTERM, handler)
        with told, telling, contextlib.suppress(BlockingIOError):
            if not {signal.SIGTERM, signal.SIGINT}.isdisjoint(told.recv(4096)):
                requested.set()
