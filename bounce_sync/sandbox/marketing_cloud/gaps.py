"""What was asked of the sandbox and isn't there: said on stderr, so that a gap is seen.

Clients get the service's own error for it. Each thing is listed once in a process.
"""

import sys
import threading

_seen: set[tuple[str, str]] = set()
_guard = threading.Lock()


def report(where: str, what: str) -> None:
    """Names an unknown endpoint, object, property or filter."""
    with _guard:
        if (where, what) in _seen:
            return
        _seen.add((where, what))
    print(f"sandbox Marketing Cloud, {where}: not known: {what}", file=sys.stderr, flush=True)
