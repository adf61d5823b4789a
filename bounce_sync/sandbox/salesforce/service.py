"""What the handlers of one served org share."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bounce_sync.sandbox.salesforce.errors import ServiceError
from bounce_sync.sandbox.salesforce.locks import Locks
from bounce_sync.sandbox.salesforce.sessions import Sessions

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.cursors import Cursors
    from bounce_sync.sandbox.salesforce.http import Call, Table
    from bounce_sync.sandbox.store import Store

FIRST_VERSION, LAST_VERSION = 31, 68
"""API versions that are served; older ones answer 410, unknown ones 404."""


@dataclass
class Service:
    """A served org: its store, its address without a trailing slash, and what only lives while
    it is served (tokens, locks, query cursors, the count of calls).

    ``writing`` lets this process's threads queue for the database's one writer without polling;
    ``workers`` are the threads of its Bulk jobs, which stop once ``ending`` is set.
    """

    store: Store
    base_url: str
    sessions: Sessions
    cursors: Cursors
    table: Table
    locks: Locks = field(default_factory=Locks)
    writing: threading.RLock = field(default_factory=threading.RLock)
    ending: threading.Event = field(default_factory=threading.Event)
    workers: set[threading.Thread] = field(default_factory=set)
    calls: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def count(self, calls: int = 1) -> None:
        """Counts API calls against the day's allowance.

        Raises:
            ServiceError: 403 REQUEST_LIMIT_EXCEEDED once it is used up.
        """
        used, limit = self.usage()
        if used + calls > limit:
            raise limit_exceeded()
        with self._counting:
            self.calls += calls

    def usage(self) -> tuple[int, int]:
        """Calls used and allowed in the day."""
        used = int(self.store.setting("api_used", "0")) + self.calls
        return used, int(self.store.setting("api_limit", "100000"))

    def lacks(self, permission: str) -> bool:
        """Whether the user was denied a permission (setting ``missing_permissions``)."""
        return permission in self.store.setting("missing_permissions", "").split()

    def user(self, user_id: str) -> dict[str, str]:
        """Name, address and time zone of a user."""
        row = self.store.execute('SELECT * FROM "User" WHERE "Id" = ?', (user_id,)).fetchone()
        return (
            {}
            if row is None
            else {
                key: str(row[key])
                for key in row.keys()  # noqa: SIM118  (a row iterates over its values)
                if row[key] is not None
            }
        )

    def time_zone(self, user_id: str) -> str:
        """The user's time zone, in which days begin."""
        return self.user(user_id).get("TimeZoneSidKey") or "UTC"


def limit_exceeded() -> ServiceError:
    """The day's calls are used up."""
    return ServiceError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


_UNKNOWN_NAMES = ("INVALID_TYPE", "INVALID_FIELD")


def report_gap(call: Call, error: ServiceError) -> None:
    """Names an answer that may mean a gap: an unknown address, object, field or grammar."""
    if error.code in _UNKNOWN_NAMES:
        name = error.message.splitlines()[-1].split(". ")[0]  # the lines before quote the statement
        report(call, f"{error.status} {error.code}: {name}")
    elif error.status in (404, 405) or error.code == "MALFORMED_QUERY":
        report(call, f"{error.status} {error.code}")


def report(call: Call, what: str) -> None:
    """Names on standard error what this sandbox doesn't know, so that a gap is seen."""
    print(f"sandbox salesforce: {call.method} {call.path} -> {what}", file=sys.stderr, flush=True)
