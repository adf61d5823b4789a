"""Writing by sObject Collections: 200 rows a request, up to five requests in one Composite call.

facts/salesforce.md §2.1: the answer is 200 even where every row failed, its entries are in the
order of the request, and a failed one may lack its id; they are told apart by position alone.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bounce_sync import tables
from bounce_sync.salesforce import composite
from bounce_sync.salesforce.batches import CHUNK
from bounce_sync.salesforce.composite import MOST_COLLECTIONS, Part, PartAnswer
from bounce_sync.salesforce.connection import HEADERS, Connection
from bounce_sync.salesforce.errors import (
    NO_ANSWER,
    Action,
    RequestRejected,
    SalesforceError,
    UnreadableAnswer,
    remedy_of_row,
)
from bounce_sync.salesforce.journal import WRITTEN, RowOutcome
from bounce_sync.salesforce.payload import Payload
from bounce_sync.salesforce.retrying import rejection
from bounce_sync.salesforce.transport import Answer

WRITE_SECONDS = 300.0
"""A thousand rows with the org's triggers on each take their time."""
CHUNKS_BY_ATTEMPT = (CHUNK, 50, 10, 1)
"""Rows a request: after a lock a smaller transaction has better chances."""

AUTO_ASSIGN = {"Sforce-Auto-Assign": HEADERS["Sforce-Auto-Assign"]}
SAVE_DUPLICATES = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}

UNHEARD = RowOutcome(tables.UNKNOWN, NO_ANSWER, "Sent, but no answer told what became of it.")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the CRM didn't take a row."""

    code: str
    message: str

    @property
    def outcome(self) -> RowOutcome:
        return RowOutcome(tables.REJECTED, self.code, self.message)


@dataclass
class BatchResult:
    """Outcome by row, and the error that forbids to send anything more, if there is one."""

    outcomes: dict[int, RowOutcome] = field(default_factory=dict)
    stop: SalesforceError | None = None

    def in_order(self, rows: int) -> list[RowOutcome]:
        """The outcome of each row; what nothing was heard of is unknown."""
        return [self.outcomes.get(row, UNHEARD) for row in range(rows)]


ChunkAnswer = list[Refusal | None] | SalesforceError
"""Of one Collections request: an entry for each row, None where it was written; or an error."""


class CollectionsWriter:
    """Writes a payload to the end: every row has an outcome, whatever the CRM answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, payload: Payload) -> BatchResult:
        """Writes all rows, those again for which the table of errors says so.

        Errors become outcomes; one after which nothing more may be sent stands in the result.
        """
        result = BatchResult()
        waiting, duplicates = list(range(len(payload))), list[int]()
        attempt = 0
        while waiting and result.stop is None:
            if attempt:
                longest = min(0.25 * 2**attempt, 10)
                self._connection.sleep(random.uniform(longest / 2, longest))  # noqa: S311
            size = CHUNKS_BY_ATTEMPT[min(attempt, len(CHUNKS_BY_ATTEMPT) - 1)]
            attempt += 1
            refused = self._send(payload, waiting, size, AUTO_ASSIGN, result)
            waiting = []
            for row, refusal in refused.items():
                result.outcomes[row] = refusal.outcome
                remedy = remedy_of_row(refusal.code, refusal.message)
                if remedy.action is Action.RETRY and attempt < remedy.attempts:
                    waiting.append(row)
                elif remedy.action is Action.SAVE_DUPLICATE:
                    duplicates.append(row)
                elif remedy.action is Action.STOP and result.stop is None:
                    result.stop = RequestRejected(
                        "Collections update", 200, refusal.code, refusal.message, remedy
                    )
        if duplicates and result.stop is None:
            headers = AUTO_ASSIGN | SAVE_DUPLICATES
            refused = self._send(payload, duplicates, CHUNK, headers, result)
            result.outcomes |= {row: refusal.outcome for row, refusal in refused.items()}
        return result

    def _send(
        self,
        payload: Payload,
        rows: Sequence[int],
        size: int,
        headers: Mapping[str, str],
        result: BatchResult,
    ) -> dict[int, Refusal]:
        """Sends the rows once, `size` a request, and gives the refused ones.

        A request that was refused as a whole for what a single row may have caused is sent again in
        halves, so that one bad record never stops the others.
        """
        refused: dict[int, Refusal] = {}
        chunks = deque(rows[at : at + size] for at in range(0, len(rows), size))
        while chunks and result.stop is None:
            call = [chunks.popleft() for _ in range(min(len(chunks), MOST_COLLECTIONS))]
            for chunk, answer in zip(call, self._call(payload, call, headers), strict=True):
                if isinstance(answer, list):
                    for row, refusal in zip(chunk, answer, strict=True):
                        if refusal is None:
                            result.outcomes[row] = WRITTEN
                        else:
                            refused[row] = refusal
                elif _may_be_one_row(answer) and len(chunk) > 1:
                    half = len(chunk) // 2
                    chunks.extend((chunk[:half], chunk[half:]))
                elif isinstance(answer, RequestRejected) and not answer.after_drop:
                    code = answer.code or f"HTTP_{answer.status}"
                    refused |= dict.fromkeys(chunk, Refusal(code, answer.message))
                    if answer.remedy.action is Action.STOP:
                        result.stop = answer
                else:
                    result.outcomes |= dict.fromkeys(chunk, UNHEARD)
                    result.stop = answer
        return refused

    def _call(
        self, payload: Payload, chunks: Sequence[Sequence[int]], headers: Mapping[str, str]
    ) -> list[ChunkAnswer]:
        """One API call: a Collections request, or several of them in a Composite."""
        bodies = [{"allOrNone": False, "records": payload.records(chunk)} for chunk in chunks]
        ids = [[payload.ids[row] for row in chunk] for chunk in chunks]
        whats = [f"Collections update of {len(each):,} records from {each[0]} on" for each in ids]
        try:
            if len(chunks) == 1:

                def read(answer: Answer) -> list[ChunkAnswer]:
                    return [_rows(answer.json(), ids[0], whats[0])]

                return self._connection.request(
                    "PATCH",
                    "composite/sobjects",
                    what=whats[0],
                    json=bodies[0],
                    headers=headers,
                    read=read,
                    seconds=WRITE_SECONDS,
                )

            def read_parts(answers: list[PartAnswer]) -> list[ChunkAnswer]:
                return [
                    _rows(answer.body, asked, what)
                    if answer.status == 200
                    else rejection(what, answer.status, answer.body)
                    for answer, asked, what in zip(answers, ids, whats, strict=True)
                ]

            url = f"{self._connection.data_path}/composite/sobjects"
            return composite.send(
                self._connection,
                [Part("PATCH", url, body, headers) for body in bodies],
                what=f"Composite of {len(chunks)} Collections updates from {ids[0][0]} on",
                read=read_parts,
                seconds=WRITE_SECONDS,
            )
        except SalesforceError as error:
            return [error] * len(chunks)


def _may_be_one_row(error: SalesforceError) -> bool:
    """A whole request refused with a code that says something of rows, or of their number."""
    return isinstance(error, RequestRejected) and error.remedy.action not in (
        Action.STOP,
        Action.RETRY,
        Action.REFRESH,
    )


def _rows(body: Any, ids: Sequence[str], what: str) -> list[Refusal | None]:
    """The entry of each row, taken literally or not at all."""
    if not isinstance(body, list) or len(body) != len(ids):
        raise UnreadableAnswer(what, "not one entry for each record.")
    return [
        _row(entry, asked, f"{what}, entry {number}")
        for number, (entry, asked) in enumerate(zip(body, ids, strict=True), 1)
    ]


def _row(entry: Any, asked: str, what: str) -> Refusal | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("success"), bool):
        raise UnreadableAnswer(what, "it doesn't say whether it succeeded.")
    if entry["success"]:
        # The id comes back in either of its forms.
        if str(entry.get("id", ""))[:15] != asked[:15]:
            raise UnreadableAnswer(what, f"another record in the place of {asked}.")
        return None
    errors = entry.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict) or not first.get("statusCode"):
        raise UnreadableAnswer(what, "it failed without a statusCode.")
    return Refusal(str(first["statusCode"]), str(first.get("message") or ""))
