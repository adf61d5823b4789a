"""Plans made by hand, a journal in memory, and an org that answers Collections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bounce_sync import tables
from bounce_sync.salesforce.describe import OrgFacts
from bounce_sync.salesforce.journal import RowOutcome
from bounce_sync_tests.salesforce.scripted_org import Handler, Reply, Request

FACTS = OrgFacts(date_is_day=False, time_zone="UTC", is_sandbox=False)
BOUNCED = pd.Timestamp("2026-05-04T09:00:00Z")


def contact(number: int) -> str:
    return f"003{number:012d}AAA"


def account(number: int) -> str:
    return f"001{number:012d}AAA"


def changes(*rows: dict[str, Any]) -> pd.DataFrame:
    """A `CrmFlagChanges` frame; each row needs a record_id and takes defaults for the rest."""
    defaults = {
        "object": tables.CONTACT,
        "action": tables.SET,
        "reason": "held",
        "flag_before": False,
        "flag_after": True,
        "date_before": pd.NaT,
        "date_after": BOUNCED,
        "resolution": "own",
        "status": "Held",
        "bounced_at": BOUNCED,
        "staged": True,
    }
    full = [{"subscriber_key": row["record_id"], **defaults, **row} for row in rows]
    frame = pd.DataFrame(full)
    for column in ("date_before", "date_after", "bounced_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return tables.shape(tables.CrmFlagChanges, frame)


def sets(count: int) -> pd.DataFrame:
    return changes(*({"record_id": contact(number)} for number in range(count)))


@dataclass
class MemoryJournal:
    """What was intended and what became of it; refuses to settle what wasn't intended."""

    intended: list[str] = field(default_factory=list)
    outcomes: dict[str, RowOutcome] = field(default_factory=dict)
    jobs: dict[str, list[str]] = field(default_factory=dict)
    thread: int = field(default_factory=threading.get_ident)

    def intend(self, rows: pd.DataFrame) -> list[int]:
        assert threading.get_ident() == self.thread
        first = len(self.intended)
        self.intended += rows["record_id"].tolist()
        return list(range(first, len(self.intended)))

    def settle(self, ids: Sequence[int], outcomes: Sequence[RowOutcome]) -> None:
        assert threading.get_ident() == self.thread
        for number, outcome in zip(ids, outcomes, strict=True):
            self.outcomes[self.intended[number]] = outcome

    def job_sent(self, intent_ids: Sequence[int], job_id: str) -> None:
        self.jobs[job_id] = [self.intended[number] for number in intent_ids]

    @property
    def open(self) -> set[str]:
        return set(self.intended) - set(self.outcomes)


Verdict = Callable[[dict[str, Any]], dict[str, Any]]


def taken(record: dict[str, Any]) -> dict[str, Any]:
    return {"id": record["id"], "success": True, "errors": []}


def refused(code: str, message: str = "") -> dict[str, Any]:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}


def collections(
    verdict: Verdict, whole: Callable[[list[dict]], Reply | None] | None = None
) -> Handler:
    """An org that answers Collections updates, alone or in a Composite.

    `verdict` judges each record; `whole` may refuse a request as a whole.
    """

    def of(records: list[dict[str, Any]]) -> Reply:
        refusal = whole(records) if whole else None
        return refusal or Reply([verdict(record) for record in records])

    def answer(request: Request) -> Reply:
        body = request.json
        if request.path.endswith("/composite/sobjects"):
            assert request.method == "PATCH"
            return of(body["records"])
        assert request.path.endswith("/composite")
        parts = []
        for part in body["compositeRequest"]:
            assert part["method"] == "PATCH"
            assert part["httpHeaders"]["Sforce-Auto-Assign"] == "FALSE"
            reply = of(part["body"]["records"])
            parts.append(
                {
                    "referenceId": part["referenceId"],
                    "httpStatusCode": reply.status,
                    "body": reply.body,
                    "httpHeaders": {},
                }
            )
        return Reply({"compositeResponse": parts})

    return answer


def sent(requests: Sequence[Request]) -> list[list[dict[str, Any]]]:
    """The records of each Collections request, Composites opened."""
    chunks = []
    for request in requests:
        if request.path.endswith("/composite"):
            chunks += [part["body"]["records"] for part in request.json["compositeRequest"]]
        else:
            chunks.append(request.json["records"])
    return chunks
