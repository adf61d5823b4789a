"""Statuses of asked keys, matched to the keys as they were asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import pandas as pd

from bounce_sync.marketing_cloud.errors import Place, UnreadableAnswer
from bounce_sync.tables import UNKNOWN_STATUS, ReleasedSubscribers, shape

_ID_18 = re.compile(r"[0-9A-Za-z]{18}")


class Answers:
    """What SFMC said of subscribers, by key.

    SFMC compares keys without case. Two 15-character ids may differ by nothing else, so a key is
    matched exactly; only an 18-character id, whose case its suffix fixes, is matched without case.
    """

    def __init__(self) -> None:
        self._exact: dict[str, str] = {}
        self._folded: dict[str, str] = {}

    def add(self, keys: Iterable[str], statuses: Iterable[str], place: Place) -> None:
        """Remember a page's rows. Raises `UnreadableAnswer` if a key comes with two statuses."""
        for row, (key, status) in enumerate(zip(keys, statuses, strict=True), 1):
            known = self._exact.setdefault(key, status)
            if _ID_18.fullmatch(key):
                known = self._folded.setdefault(key.casefold(), known)
            if known != status:
                raise UnreadableAnswer(place.at(row), "One subscriber came with two statuses")

    def status(self, key: str) -> str:
        """The key's status, or ``Unknown``."""
        if key in self._exact:
            return self._exact[key]
        return self._folded.get(key.casefold(), UNKNOWN_STATUS)

    def frame(
        self, keys: Sequence[str], read_at: datetime, unasked: Mapping[str, str] | None = None
    ) -> pd.DataFrame:
        """One `ReleasedSubscribers` row per distinct key; `unasked` holds what wasn't asked for."""
        distinct = list(dict.fromkeys(keys))
        known = unasked or {}
        return shape(
            ReleasedSubscribers,
            {
                "subscriber_key": distinct,
                "status": [known.get(key) or self.status(key) for key in distinct],
                "read_at": pd.Series([read_at] * len(distinct), dtype="datetime64[us, UTC]"),
            },
        )
