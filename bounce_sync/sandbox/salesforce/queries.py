"""SOQL over REST: ``/query``, ``/queryAll`` and the pages that follow."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from bounce_sync.sandbox.salesforce import record_access, values
from bounce_sync.sandbox.salesforce.cursors import Cursor
from bounce_sync.sandbox.salesforce.entities import find_entity
from bounce_sync.sandbox.salesforce.errors import ServiceError
from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.service import Service
from bounce_sync.sandbox.salesforce.soql.compiler import Catalogue, Plan, plan
from bounce_sync.sandbox.salesforce.soql.tokens import SoqlError, too_complicated
from bounce_sync.sandbox.store import quoted

routes = Routes()

PAGE = 2000
LONG = 5000
SMALLEST_PAGE = 200
_BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)
_LOCATOR = re.compile(r"(0r8\w{15})-(\d+)", re.ASCII)


def planned(
    service: Service, user_id: str, text: str, *, deleted_too: bool, find: Catalogue | None = None
) -> Plan:
    """A statement ready to run, over the org's objects or those that ``find`` knows.

    Raises:
        ServiceError: 400 with the service's own message.
    """
    try:
        made = plan(
            text,
            find or (lambda name: find_entity(service.store, name, user_id)),
            deleted_too=deleted_too,
            zone=service.time_zone(user_id),
        )
        record_access.demand_few(made.entity.name, len(made.parameters))
        if len(text) > LONG:
            _try_out(service, made)
    except SoqlError as error:
        raise ServiceError(400, error.code, str(error)) from None
    return made


def _try_out(service: Service, made: Plan) -> None:
    """Has the database look at a long statement, which may be beyond its limits."""
    try:
        service.store.execute(f"EXPLAIN {made.select('1')}", made.parameters)
    except sqlite3.OperationalError:
        raise too_complicated() from None


@routes("GET", f"{DATA}/query")
def query(service: Service, call: Call) -> Answer:
    return answer_query(service, call, "query")


@routes("GET", f"{DATA}/queryAll")
def query_all(service: Service, call: Call) -> Answer:
    return answer_query(service, call, "queryAll")


@routes("GET", f"{DATA}/query/{{locator}}")
def more(service: Service, call: Call, locator: str) -> Answer:
    return _next_page(service, call, locator, "query")


@routes("GET", f"{DATA}/queryAll/{{locator}}")
def more_of_all(service: Service, call: Call, locator: str) -> Answer:
    return _next_page(service, call, locator, "queryAll")


def answer_query(
    service: Service, call: Call, resource: str, find: Catalogue | None = None
) -> Answer:
    """The first page of a statement; ``queryAll`` sees deleted records too."""
    text = call.query.get("q")
    if text is None:
        raise ServiceError(400, "MALFORMED_QUERY", "The query parameter q is required")
    if call.take("query_timeout"):
        raise ServiceError(400, "QUERY_TIMEOUT", "Your query request was running for too long.")
    made = planned(service, call.user.user_id, text, deleted_too=resource == "queryAll", find=find)
    connection = service.store.connection
    if made.counts_only:
        counted = connection.execute(
            f"SELECT count(*) FROM ({made.select('1')})", made.parameters
        ).fetchone()[0]
        return Answer({"totalSize": counted, "done": True, "records": []})
    if made.grouped:
        rows = connection.execute(made.sql, made.parameters).fetchall()
        if len(rows) > PAGE:
            raise ServiceError(
                400,
                "EXCEEDED_MAX_SIZE_REQUEST",
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results "
                "to a single batch",
            )
        return _answer(made, call.version, rows, len(rows), None)
    size = _page_size(service, call)
    rows = _rows(service, made, size + 1)
    if len(rows) <= size:
        return _answer(made, call.version, rows, len(rows), None)
    found = connection.execute(made.select('t."Id"'), made.parameters)
    cursor = Cursor(made, b"".join(record_id.encode() for (record_id,) in found))
    locator = service.cursors.keep(cursor)
    return _page(service, cursor, call.version, resource, locator, 0, size)


def _next_page(service: Service, call: Call, locator: str, resource: str) -> Answer:
    match = _LOCATOR.fullmatch(locator)
    cursor = service.cursors.find(match.group(1)) if match else None
    if match is None or cursor is None or int(match.group(2)) > cursor.total:
        raise ServiceError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(
        service,
        cursor,
        call.version,
        resource,
        match.group(1),
        int(match.group(2)),
        _page_size(service, call),
    )


def _page_size(service: Service, call: Call) -> int:
    """``Sforce-Query-Options: batchSize=n``, from 200 to the page size of the org."""
    largest = int(service.store.setting("query_page", str(PAGE)))
    asked = _BATCH_SIZE.search(call.headers.get("sforce-query-options", ""))
    if asked is None:
        return largest
    return min(max(int(asked.group(1)), min(SMALLEST_PAGE, largest)), largest)


def _rows(service: Service, made: Plan, limit: int) -> list[Any]:
    """The first rows of a statement, each its values and, last, its id."""
    expressions = [column.sql for column in made.columns] + ['t."Id"']
    cursor = service.store.execute(made.select(*expressions), made.parameters)
    rows = cursor.fetchmany(limit)
    cursor.close()
    return rows


def rows_by_id(service: Service, made: Plan, ids: Sequence[str]) -> list[Any]:
    """The rows of given records in the order of the ids; those that are gone are left out."""
    expressions = ", ".join([*(column.sql for column in made.columns), 't."Id"'])
    found = service.store.execute(
        f"SELECT {expressions} FROM {quoted(made.entity.name)} t"
        f' WHERE t."Id" IN ({", ".join("?" * len(ids))})',
        ids,
    )
    by_id = {row[-1]: row for row in found}
    return [by_id[record_id] for record_id in ids if record_id in by_id]


def _page(
    service: Service,
    cursor: Cursor,
    version: str,
    resource: str,
    locator: str,
    start: int,
    size: int,
) -> Answer:
    ids = cursor.page(start, size)
    following = start + len(ids)
    more_url = None
    if following < cursor.total:
        more_url = f"/services/data/v{version}/{resource}/{locator}-{following}"
    return _answer(
        cursor.plan, version, rows_by_id(service, cursor.plan, ids), cursor.total, more_url
    )


def _answer(
    made: Plan, version: str, rows: Iterable[Any], total: int, more_url: str | None
) -> Answer:
    body: dict[str, Any] = {"totalSize": total, "done": more_url is None}
    if more_url is not None:
        body["nextRecordsUrl"] = more_url
    body["records"] = records(made, version, rows)
    return Answer(body)


def records(made: Plan, version: str, rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Rows as the JSON records of an answer."""
    columns = [(n, column.name, column.type) for n, column in enumerate(made.columns)]
    answered = values.answered
    if made.grouped:
        return [
            {
                "attributes": {"type": "AggregateResult"},
                **{name: answered(kind, row[n]) for n, name, kind in columns},
            }
            for row in rows
        ]
    entity = made.entity.name
    prefix = f"/services/data/v{version}/sobjects/{entity}/"
    return [
        {
            "attributes": {"type": entity, "url": prefix + row[-1]},
            **{name: answered(kind, row[n]) for n, name, kind in columns},
        }
        for row in rows
    ]
