"""What `explain` tells: plain values, as JSON can carry them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

BOUNCE, HELD, STATUS, ADDRESS = "bounce", "held", "status", "address"
STAGED, RECORD, DECISION, WRITE = "staged", "record", "decision", "write"


@dataclass(frozen=True)
class Event:
    """Something that happened, at a time (UTC) and possibly until another."""

    at: datetime
    kind: str
    who: str
    """The subscriber key or the record it happened to."""
    text: str
    until: datetime | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordNow:
    """A CRM record as it was last seen: today, where the CRM was asked."""

    object: str
    record_id: str
    email: str | None
    flag: bool | None
    flag_date: datetime | None
    seen_at: datetime
    today: bool


@dataclass(frozen=True)
class Story:
    """Everything that is known about one person."""

    asked: str
    answer: str
    """One or two sentences: flagged or not, and why."""
    keys: tuple[str, ...]
    addresses: tuple[str, ...]
    """Addresses in the order in which they were seen; the last one is the newest."""
    records: tuple[RecordNow, ...]
    statuses: dict[str, str]
    """Subscriber key → SFMC's status as last seen."""
    timeline: tuple[Event, ...]

    @property
    def known(self) -> bool:
        """Whether anything is known at all."""
        return bool(self.timeline or self.records)

    def plain(self) -> dict[str, Any]:
        """Values for JSON; times in ISO 8601, UTC."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
