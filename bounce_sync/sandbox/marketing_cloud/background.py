"""What goes on after its request was answered: activities, automations, asynchronous rows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_pool = ThreadPoolExecutor(4, thread_name_prefix="sandbox-marketing-cloud")


def start(work: Callable[..., object], *arguments: object) -> None:
    """Runs it on a thread that is kept, so that its connection to the store is, too."""
    _pool.submit(work, *arguments)
