"""Rows of a data extension by REST, a page at a time (facts/marketing-cloud.md 5.1).

By key, or by the token that the first page gave; both go to any page at once, so that pages can
be read side by side. Where each page starts is worked out once for each state of the rows.
"""

import json
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from bounce_sync.sandbox.marketing_cloud import data_extensions
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.data_extensions import DataExtension
from bounce_sync.sandbox.marketing_cloud.marked import JSON, Markup
from bounce_sync.sandbox.marketing_cloud.rest import rowset_filter
from bounce_sync.sandbox.marketing_cloud.rest.requests import Asked, Said, not_found
from bounce_sync.sandbox.marketing_cloud.soap.writing import new_id
from bounce_sync.sandbox.store import DataExtensionField

PAGE, MOST = 50, 2500
_TOKEN_LIFE = timedelta(hours=24)
_PARAMETERS = ("pagesize", "filter", "orderby", "fields", "top")

_Pages = tuple[int, list[int] | range]
"""The number of rows, and the row that each page starts with."""
_pages: OrderedDict[tuple[object, ...], _Pages] = OrderedDict()
_pages_guard = threading.Lock()


def by_key(call: Call, asked: Asked) -> Said:
    """`GET /data/v1/customobjectdata/key/{key}/rowset`."""
    given = {name: asked.query[name] for name in _PARAMETERS if name in asked.query}
    return _page(call, asked, asked.place["key"], given)


def by_token(call: Call, asked: Asked) -> Said:
    """`GET /data/v1/customobjectdata/token/{token}/rowset`: the same query as before."""
    row = call.store.execute(
        "SELECT customer_key, parameters FROM rowset_token WHERE token = ? AND mid = ?",
        (asked.place["token"].lower(), call.mid),
    ).fetchone()
    if row is None:
        raise not_found()
    given = json.loads(row["parameters"])
    given |= {name: asked.query[name] for name in ("pagesize",) if name in asked.query}
    return _page(call, asked, row["customer_key"], given, asked.place["token"].lower())


def _page(
    call: Call, asked: Asked, key: str, given: dict[str, str], token: str | None = None
) -> Said:
    target = data_extensions.find(call.store, call.mid, key)
    version, readable_at = (0, 0.0) if target is None else _state(call, target)
    if target is None or readable_at > time.time():
        # Data views are never reached, and a data extension lags behind the query that filled it.
        raise not_found(gap=target is None)
    size = min(Asked({}, given, b"").number("pagesize", PAGE), MOST)
    page, top = asked.number("page", 1), Asked({}, given, b"").number("top", 0)
    count, rows = _rows(call, target, given, version, page, size, top)
    if token is None:
        token = new_id()
        call.store.execute(
            "INSERT INTO rowset_token VALUES (?, ?, ?, ?)",
            (token, call.mid, key, json.dumps(given)),
        )
    place = f"/v1/customobjectdata/token/{token}/rowset?$page="
    links = {"self": f"{place}{page}"}
    if page * size < count:
        links["next"] = f"{place}{page + 1}"
    head = {
        "links": links,
        "requestToken": token,
        "tokenExpireDateUtc": (datetime.now(UTC) + _TOKEN_LIFE)
        .replace(tzinfo=None)
        .isoformat(timespec="milliseconds"),
        "customObjectId": target.object_id,
        "customObjectKey": target.customer_key,
        "pageSize": size,
        "page": page,
        "count": count,
        "top": top,
    }
    said = Said(head).body
    if count:
        # An empty data extension has no `items` at all.
        said = said[:-1] + b',"items":[' + JSON.finished(rows, b",") + b"]}"
    return Said(said)


def _rows(
    call: Call,
    target: DataExtension,
    given: dict[str, str],
    version: int,
    page: int,
    size: int,
    top: int,
) -> tuple[int, list[bytes]]:
    """How many rows the query has, and those of the page."""
    printed = f"CAST({_printed(target, given.get('fields', ''))} AS BLOB)"
    cursor = data_extensions.page_cursor(call.store)
    if given.get("filter") or given.get("orderby") or top:
        where, values = rowset_filter.where(given.get("filter", ""), target, call.store.utc_offset)
        order = rowset_filter.order(given.get("orderby", ""), target)
        count = cursor.execute(f"SELECT count(*) FROM {target.rows} WHERE {where}", values)
        number = count.fetchone()[0]
        number = min(number, top) if top else number
        first = (page - 1) * size
        cursor.execute(
            f"SELECT {printed} FROM {target.rows} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",
            (*values, max(min(size, number - first), 0), first),
        )
    else:
        number, starts = _starts(call, target, version, size)
        if page > len(starts):
            return number, []
        cursor.execute(
            f"SELECT {printed} FROM {target.rows} WHERE _row >= ? ORDER BY _row LIMIT ?",
            (starts[page - 1], size),
        )
    return number, [row[0] for row in cursor.fetchall()]


def _printed(target: DataExtension, asked: str) -> str:
    """SQL of one row: names in lower case, the primary key apart, every value text."""
    wanted = {name.strip().lower() for name in asked.split(",") if name.strip()}
    for name in wanted:
        rowset_filter.named(name, target)
    shown = [f for f in target.fields if not wanted or f.name.lower() in wanted]
    keys = [field for field in shown if field.is_primary_key]
    values = [field for field in shown if not field.is_primary_key]
    return JSON.printed(
        [
            Markup('{"keys":{'),
            *_members(keys),
            Markup('},"values":{'),
            *_members(values),
            Markup("}}"),
        ]
    )


def _members(fields: list[DataExtensionField]) -> list[str]:
    parts: list[str] = []
    for number, field in enumerate(fields):
        name = json.dumps(field.name.lower(), ensure_ascii=False)
        comma = "," if number else ""
        parts += [Markup(f'{comma}{name}:"'), data_extensions.shown(field), Markup('"')]
    return parts


def _state(call: Call, target: DataExtension) -> tuple[int, float]:
    row = call.store.execute(
        "SELECT version, readable_at FROM data_extension_version WHERE object_id = ?",
        (target.object_id,),
    ).fetchone()
    return (row["version"], row["readable_at"]) if row else (0, 0.0)


def _starts(call: Call, target: DataExtension, version: int, size: int) -> _Pages:
    """Where the pages start; kept for as long as the rows stay what they are."""
    last = call.store.execute(f"SELECT max(_row) FROM {target.rows}").fetchone()[0]
    state = (call.store.path, target.object_id, version, last, size)
    with _pages_guard:
        if state in _pages:
            _pages.move_to_end(state)
            return _pages[state]
    found = _found_starts(call, target, size)
    with _pages_guard:
        _pages[state] = found
        while len(_pages) > 64:
            _pages.popitem(last=False)
    return found


def _found_starts(call: Call, target: DataExtension, size: int) -> _Pages:
    count, first, last = call.store.execute(
        f"SELECT (SELECT count(*) FROM {target.rows}), (SELECT min(_row) FROM {target.rows}),"
        f" (SELECT max(_row) FROM {target.rows})"
    ).fetchone()
    if not count:
        return 0, []
    if last - first + 1 == count:
        return count, range(first, last + 1, size)
    starts = call.store.execute(
        f"SELECT _row FROM (SELECT _row, row_number() OVER (ORDER BY _row) AS n"
        f" FROM {target.rows}) WHERE (n - 1) % ? = 0",
        (size,),
    )
    return count, [row[0] for row in starts]
