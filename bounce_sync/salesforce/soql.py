"""SOQL: statements that fit, and pages that add up (facts/salesforce.md §4, facts/wire.md 31)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from simple_salesforce.format import format_soql

from bounce_sync.salesforce import bulk_query, composite
from bounce_sync.salesforce.composite import MOST_COLLECTIONS, Part, PartAnswer
from bounce_sync.salesforce.errors import UnreadableAnswer
from bounce_sync.salesforce.retrying import refusal
from bounce_sync.salesforce.transport import Answer, with_parameters

if TYPE_CHECKING:
    from bounce_sync.salesforce.connection import Connection

PAGE = 2000
"""Records on a full page; the header that asks for it is only a hint."""
LONGEST_STATEMENT = 95_000
"""Characters of a statement, a little under the 100,000 that are allowed."""
LONGEST_ADDRESS = 6_000
"""Encoded characters of a statement that still goes into the address (the limit is 16,384)."""

T = TypeVar("T")

_PAGE_HINT = {"Sforce-Query-Options": f"batchSize={PAGE}"}


@dataclass(frozen=True)
class _Page:
    records: list[dict[str, Any]]
    total: int
    following: str | None


def run(
    connection: Connection,
    statements: Sequence[str],
    *,
    deleted_too: bool = False,
    take: Callable[[int, list[dict[str, Any]]], T],
) -> list[list[T]]:
    """What `take` makes of each page, by statement: it gets the statement's number and records.

    A result of many pages is read by a Bulk query job, where that costs fewer calls. Raises
    ``UnreadableAnswer`` where pages don't add up to the count that the CRM gave.
    """
    resource = "queryAll" if deleted_too else "query"
    first: list[_Page] = []
    for start in range(0, len(statements), MOST_COLLECTIONS):
        group = statements[start : start + MOST_COLLECTIONS]
        first += _first_pages(connection, resource, group)
    results = []
    for number, (page, statement) in enumerate(zip(first, statements, strict=True)):
        name = _named(statement)
        if _pages_of(page.total) > 1 + _job_calls(page.total):
            found = bulk_query.pages(
                connection, statement, deleted_too=deleted_too, like=page.records[0], what=name
            )
        else:
            found = _pages(connection, page, name)
        results.append([take(number, records) for records in found])
    return results


def calls_for(records: int) -> int:
    """Calls that it takes to read so many records, the cheaper way."""
    return min(_pages_of(records), 1 + _job_calls(records))


def _pages_of(records: int) -> int:
    return math.ceil(records / PAGE)


def _job_calls(records: int) -> int:
    return bulk_query.CALLS + math.ceil(records / bulk_query.PAGE)


def count_many(
    connection: Connection, conditions: Sequence[str], *, deleted_too: bool = False
) -> list[int]:
    """The number of records of each ``FROM … WHERE …``: one call for up to five."""
    resource = "queryAll" if deleted_too else "query"
    counts: list[int] = []
    for start in range(0, len(conditions), MOST_COLLECTIONS):
        group = [
            f"SELECT COUNT() {condition}" for condition in conditions[start:][:MOST_COLLECTIONS]
        ]
        counts += [page.total for page in _first_pages(connection, resource, group)]
    return counts


def in_lists(head: str, values: Sequence[Any], tail: str = "") -> Iterator[str]:
    """Statements ``head (…) tail`` that hold all values between them, each as long as allowed.

    Values are quoted by simple-salesforce's `format_soql`; text is escaped, numbers are not quoted.
    """
    room = LONGEST_STATEMENT - len(head) - len(tail) - 2
    part: list[str] = []
    used = 0
    for value in values:
        quoted = format_soql("{}", value)
        if part and used + len(quoted) + 1 > room:
            yield f"{head}({','.join(part)}){tail}"
            part, used = [], 0
        part.append(quoted)
        used += len(quoted) + 1
    if part:
        yield f"{head}({','.join(part)}){tail}"


def _first_pages(connection: Connection, resource: str, statements: Sequence[str]) -> list[_Page]:
    paths = [with_parameters(resource, {"q": statement}) for statement in statements]
    names = [_named(statement) for statement in statements]
    if len(statements) == 1 and len(paths[0]) <= LONGEST_ADDRESS:
        return [
            connection.request(
                "GET",
                paths[0],
                what=names[0],
                headers=_PAGE_HINT,
                read=lambda answer: _page(answer.json(), names[0]),
            )
        ]
    parts = [Part("GET", f"{connection.data_path}/{path}", headers=_PAGE_HINT) for path in paths]

    def read(answers: list[PartAnswer]) -> list[_Page]:
        pages = []
        for answer, name in zip(answers, names, strict=True):
            if answer.status != 200:
                raise refusal(name, answer.status, answer.body)
            pages.append(_page(answer.body, name))
        return pages

    return composite.send(connection, parts, what=", ".join(dict.fromkeys(names)), read=read)


def _pages(connection: Connection, page: _Page, name: str) -> Iterator[list[dict[str, Any]]]:
    """A first page and all that follow it, to the end of the result."""
    total, came, number = page.total, 0, 1
    seen: set[str] = set()
    while True:
        came += len(page.records)
        yield page.records
        if not page.following:
            break
        number += 1
        request = f"{name}, page {number}"
        if page.following in seen or not page.records:
            raise UnreadableAnswer(request, "the CRM gave the same page again.")
        seen.add(page.following)

        def read(answer: Answer, request: str = request) -> _Page:
            return _page(answer.json(), request)

        page = connection.request(
            "GET", page.following, what=request, headers=_PAGE_HINT, read=read
        )
        if page.total != total:
            raise UnreadableAnswer(request, f"totalSize {page.total}, on page 1 it was {total}.")
    if came != total:
        raise UnreadableAnswer(name, f"{came} records of {total} came.")


def _page(body: Any, name: str) -> _Page:
    if not isinstance(body, dict):
        raise UnreadableAnswer(name, "not a query result.")
    records, total, done = (body.get(key) for key in ("records", "totalSize", "done"))
    following = body.get("nextRecordsUrl")
    if not isinstance(records, list) or not isinstance(total, int) or not isinstance(done, bool):
        raise UnreadableAnswer(name, "no records, totalSize or done in it.")
    if not all(isinstance(record, dict) for record in records):
        raise UnreadableAnswer(name, "a record that isn't one.")
    if done == bool(following):
        raise UnreadableAnswer(name, "done and nextRecordsUrl contradict each other.")
    if following and not str(following).startswith("/services/data/"):
        raise UnreadableAnswer(name, "nextRecordsUrl isn't an address of this API.")
    return _Page(records, total, following)


def _named(statement: str) -> str:
    """A statement's name in errors: what it reads, never its values."""
    words = statement.split()
    source = words[words.index("FROM") + 1] if "FROM" in words else "?"
    return f"query of {source}"
