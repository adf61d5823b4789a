"""Open query cursors: which records a statement found, to be handed out page by page.

As in the service, a cursor is a snapshot of ids; the values are those of the moment in which a
page is fetched. Ids are kept as bytes, 18 for a record: a million records are 18 MB.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from bounce_sync.sandbox.salesforce.soql.compiler import Plan

ID_BYTES = 18
MOST = 1000
"""Cursors kept; the oldest gives way."""


@dataclass(frozen=True)
class Cursor:
    """One statement's result: the plan (for the values) and the ids it found, in order."""

    plan: Plan
    ids: bytes

    @property
    def total(self) -> int:
        """Number of records."""
        return len(self.ids) // ID_BYTES

    def page(self, start: int, size: int) -> list[str]:
        """The ids of a page."""
        text = self.ids[start * ID_BYTES : (start + size) * ID_BYTES].decode()
        return [text[at : at + ID_BYTES] for at in range(0, len(text), ID_BYTES)]


class Cursors:
    """The cursors of a served org by their locator."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Cursor] = OrderedDict()
        self._guard = threading.Lock()

    def keep(self, cursor: Cursor) -> str:
        """Keeps a cursor; gives its locator: 18 characters that begin ``0r8``."""
        locator = f"0r8{secrets.token_hex(8)[:15].upper()}"
        with self._guard:
            self._open[locator] = cursor
            while len(self._open) > MOST:
                self._open.popitem(last=False)
        return locator

    def find(self, locator: str) -> Cursor | None:
        """The cursor of a locator, None once it is gone."""
        return self._open.get(locator)
