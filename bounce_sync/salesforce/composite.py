"""Composite: several requests that cost one API call (facts/salesforce.md §2.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bounce_sync.salesforce.errors import UnreadableAnswer
from bounce_sync.salesforce.transport import READ_SECONDS, Answer

if TYPE_CHECKING:
    from bounce_sync.salesforce.connection import Connection

MOST_COLLECTIONS = 5
"""Collections and queries that one Composite takes."""

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One subrequest; `url` is absolute from ``/services/``."""

    method: str
    url: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PartAnswer:
    """What a subrequest got; a refusal of one leaves the others standing."""

    status: int
    body: Any


def send(
    connection: Connection,
    parts: Sequence[Part],
    *,
    what: str,
    read: Callable[[list[PartAnswer]], T],
    seconds: float = READ_SECONDS,
) -> T:
    """Sends up to five parts in one call; `read` gets their answers in order."""
    requests = [
        {
            "method": part.method,
            "url": part.url,
            "referenceId": f"part{number}",
            **({"httpHeaders": dict(part.headers)} if part.headers else {}),
            **({"body": part.body} if part.body is not None else {}),
        }
        for number, part in enumerate(parts)
    ]

    def read_parts(answer: Answer) -> T:
        body = answer.json()
        answers = body.get("compositeResponse") if isinstance(body, dict) else None
        if not isinstance(answers, list) or len(answers) != len(parts):
            raise UnreadableAnswer(what, "not one compositeResponse for each part.")
        by_reference = {
            entry.get("referenceId"): entry for entry in answers if isinstance(entry, dict)
        }
        ordered = [by_reference.get(f"part{number}") for number in range(len(parts))]
        if not all(entry and isinstance(entry.get("httpStatusCode"), int) for entry in ordered):
            raise UnreadableAnswer(what, "a part without its referenceId or httpStatusCode.")
        return read(
            [PartAnswer(entry["httpStatusCode"], entry.get("body")) for entry in ordered if entry]
        )

    return connection.request(
        "POST",
        "composite",
        what=what,
        json={"allOrNone": False, "compositeRequest": requests},
        read=read_parts,
        seconds=seconds,
    )
