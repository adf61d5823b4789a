"""What goes on after its request was answered: activities, automations, asynchronous rows."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

from bounce_sync.sandbox.store import Store

_THREADS = 4


class Background:
    """The work on one store. It ends when the store is closed: what waits is dropped, what
    sleeps or runs a query is woken, and the rest is waited for."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox-marketing-cloud")
        self._ending = threading.Event()

    @property
    def ending(self) -> bool:
        return self._ending.is_set()

    def start(self, work: Callable[..., object], *arguments: object) -> None:
        if not self.ending:
            self._pool.submit(work, *arguments)

    def sleep(self, seconds: float) -> None:
        """As long, or until the end."""
        self._ending.wait(max(seconds, 0))

    def end(self) -> None:
        self._ending.set()
        self._pool.shutdown(cancel_futures=True)


_all: WeakKeyDictionary[Store, Background] = WeakKeyDictionary()
_guard = threading.Lock()


def of(store: Store) -> Background:
    """The one of this store."""
    with _guard:
        if store not in _all:
            _all[store] = Background()
            store.before_close(_all[store].end)
        return _all[store]


def lives(process: int) -> bool:
    """Whether a process is there: what it had in the background ended with it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
