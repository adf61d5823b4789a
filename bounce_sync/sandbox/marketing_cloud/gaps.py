"""What was asked of the sandbox and isn't there: said on stderr, so that a gap is seen.

Clients get the service's own error for it. Each thing is listed once in a process.
"""

import re
import sys
import threading

_ADDRESS = re.compile(r"[^\s'\"<>@]+@[^\s'\"<>@]+")
_seen: set[tuple[str, str]] = set()
_guard = threading.Lock()


def report(where: str, what: str) -> None:
    """Names an unknown endpoint, object, property or filter; addresses in it aren't shown."""
    shown = _ADDRESS.sub("…@…", what)
    with _guard:
        if (where, shown) in _seen:
            return
        _seen.add((where, shown))
    print(f"sandbox marketing cloud, {where}: not known: {shown}", file=sys.stderr, flush=True)
