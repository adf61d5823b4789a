"""Retrieve: which rows, in pages of at most 2,500 (facts/marketing-cloud.md 4.5, wire.md 7-11)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from lxml import etree

from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.data_extensions import page_cursor
from bounce_sync.sandbox.marketing_cloud.soap.errors import Refused
from bounce_sync.sandbox.marketing_cloud.soap.filters import (
    EVERYTHING,
    Condition,
    compile_filter,
)
from bounce_sync.sandbox.marketing_cloud.soap.objects import OBJECTS, SUBSCRIBER, Retrievable
from bounce_sync.sandbox.marketing_cloud.soap.reading import child, is_true, text, texts
from bounce_sync.sandbox.marketing_cloud.soap.rows import data_extension_rows
from bounce_sync.sandbox.marketing_cloud.soap.writing import element, message, new_id
from bounce_sync.sandbox.store import server_time

PAGE = 2500
NO_HANDLER = (
    "Unable to find a handler for object type: {}. Object types are case-sensitive, check spelling."
)


TIMED_OUT = (
    "Timeout expired.  The timeout period elapsed prior to completion of the operation or the"
    " server is not responding."
)


@dataclass(frozen=True)
class Plan:
    """One compiled request: `after` are the order columns of the last row that was given, of which
    the last is unique by itself."""

    target: Retrievable
    names: Sequence[str]
    condition: Condition
    order: tuple[str, ...]
    batch: int
    after: tuple[object, ...] = ()

    def statement(self) -> tuple[str, tuple[object, ...]]:
        """Rows and their keys, one more than the page holds. Keyset paging: a late page costs
        what the first did."""
        where, parameters = self.condition.sql, self.condition.parameters
        order = ", ".join(self.order)
        if self.after:
            # The first column alone bounds the index, which SQLite wouldn't do for the three.
            keys = f"({order}) > ({', '.join('?' * len(self.after))})"
            where = f"{self.order[0]} >= ? AND {keys} AND {where}"
            parameters = (self.after[0], *self.after, *parameters)
        return (
            f"SELECT CAST({self.target.row(self.names)} AS BLOB), {self.order[-1]}"
            f" FROM {self.target.source} WHERE {where} ORDER BY {order} LIMIT {self.batch + 1}",
            parameters,
        )

    def position(self, key: object) -> tuple[str, tuple[object, ...]]:
        """The order columns of one row."""
        return (
            f"SELECT {', '.join(self.order)} FROM {self.target.source} WHERE {self.order[-1]} = ?",
            (key,),
        )


def retrieve(call: Call, asked: etree._Element) -> bytes:
    """The answer to one RetrieveRequestMsg. Raises Refused."""
    request = child(asked, "RetrieveRequest")
    if request is None:
        raise Refused("The RetrieveRequest is missing.")
    goes_on = text(request, "ContinueRequest")
    after: tuple[object, ...] = ()
    if goes_on:
        request, after = _continued(call, goes_on.strip())
    plan = _plan(call, request, after)
    if call.fault("query_timeout"):
        raise Refused(TIMED_OUT, gap=False)
    cursor = page_cursor(call.store)
    rows = cursor.execute(*plan.statement()).fetchall()
    request_id, status = new_id(), "OK"
    if len(rows) > plan.batch:
        status = "MoreDataAvailable"
        _remember(
            call,
            request_id,
            request,
            cursor.execute(*plan.position(rows[plan.batch - 1][1])).fetchone(),
        )
    elif is_true(text(request, "RetrieveAllSinceLastBatch")):
        _reached(call, plan.target)
    return message(
        "RetrieveResponseMsg",
        element("OverallStatus", status),
        element("RequestID", request_id),
        plan.target.page(plan.names, [row[0] for row in rows[: plan.batch]]),
        action="RetrieveResponse",
    )


def _plan(call: Call, request: etree._Element, after: tuple[object, ...]) -> Plan:
    target = _target(call, (text(request, "ObjectType") or "").strip())
    if not call.caller.may(target.scope):
        raise Refused(
            f"API Permission Failed. Operation: Retrieve; ObjectType: {target.name}", gap=False
        )
    names = [name.strip() for name in texts(request, "Properties")]
    if names == ["*"] and target.name not in OBJECTS:
        # Every column of a data extension: answered, with no rows (facts/marketing-cloud.md 4.7).
        return Plan(target, (), Condition("0", ()), target.order, PAGE)
    if unknown := target.unknown(names):
        raise Refused(
            f"The Request Property(s) {','.join(unknown)} do not match with the fields of"
            f" {target.name} retrieve"
        )
    condition = _condition(call, target, request, resumed=bool(after))
    parts = [condition, *_scope(call, target, request), *_seen(call, target)]
    if is_true(text(request, "RetrieveAllSinceLastBatch")):
        parts += _since_last(call, target)
    whole = Condition(
        " AND ".join(part.sql for part in parts),
        tuple(value for part in parts for value in part.parameters),
    )
    order = target.order
    if target.time is not None and target.time[0] in condition.names:
        order = (target.time[1], *order)
    return Plan(target, names, whole, order, _batch(request), after)


def _target(call: Call, name: str) -> Retrievable:
    found = OBJECTS.get(name) or data_extension_rows(call.store, call.mid, name)
    absent = call.store.setting("absent_objects", "").split()
    if found is None or found.name in absent:
        raise Refused(NO_HANDLER.format(name))
    return found


def _condition(
    call: Call, target: Retrievable, request: etree._Element, *, resumed: bool
) -> Condition:
    part = child(request, "Filter")
    if part is None:
        return EVERYTHING
    condition = compile_filter(part, target.readable, call.store.utc_offset, resumed=resumed)
    silent = call.store.setting("subscriber_status_filter", "answers") == "silent"
    if silent and target is SUBSCRIBER and "Status" in condition.names:
        # Some tenants answer such a filter with nothing at all (facts/marketing-cloud.md 4.3).
        return Condition("0", ())
    return condition


def _scope(call: Call, target: Retrievable, request: etree._Element) -> list[Condition]:
    """Own rows only, unless the enterprise asks for those of others."""
    if target.account is None:
        return []
    accounts = [call.mid]
    if call.mid == call.store.account_id:
        clients = [
            int(value)
            for ids in request.iterchildren("{*}ClientIDs")
            for name in ("ClientID", "ID")
            for value in texts(ids, name)
            if value.strip().isdecimal()
        ]
        if clients:
            accounts = clients
        elif is_true(text(request, "QueryAllAccounts")):
            return []
    marks = ", ".join("?" * len(accounts))
    # Hidden from the choice of an index, whose order would otherwise be lost.
    return [Condition(f"+{target.account} IN ({marks})", tuple(accounts))]


def _seen(call: Call, target: Retrievable) -> list[Condition]:
    """Events are recorded late: those of the last minutes may not be there yet."""
    if not target.source.endswith(" AS e") or not (late := call.fault("late_events")):
        return []
    until = server_time(call.store.now() - timedelta(minutes=late.minutes))
    return [Condition(f"{target.order[0]} <= ?", (until,))]


def _since_last(call: Call, target: Retrievable) -> list[Condition]:
    row = call.store.execute(
        "SELECT reached FROM soap_high_water WHERE mid = ? AND object = ?",
        (call.mid, target.name),
    ).fetchone()
    return [Condition(f"{target.order[0]} > ?", (row[0],))] if row else []


def _reached(call: Call, target: Retrievable) -> None:
    call.store.execute(
        "INSERT INTO soap_high_water SELECT ?, ?, m FROM"
        f" (SELECT max({target.order[0]}) AS m FROM {target.source}) WHERE m IS NOT NULL"
        " ON CONFLICT (mid, object) DO UPDATE SET reached = excluded.reached",
        (call.mid, target.name),
    )


def _batch(request: etree._Element) -> int:
    asked = (text(request, "Options", "BatchSize") or "").strip()
    return min(int(asked), PAGE) if asked.isdecimal() and int(asked) > 0 else PAGE


def _continued(call: Call, request_id: str) -> tuple[etree._Element, tuple[object, ...]]:
    """The request as it was first sent: a ContinueRequest may come with nothing else, and what
    comes with it changes nothing."""
    row = call.store.execute(
        "SELECT request, after FROM soap_continuation WHERE request_id = ? AND mid = ?",
        (request_id, call.mid),
    ).fetchone()
    if row is None:
        raise Refused("The RequestID sent through ContinueRequest does not exist.", gap=False)
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    return etree.fromstring(row["request"], parser), tuple(json.loads(row["after"]))


def _remember(
    call: Call,
    request_id: str,
    request: etree._Element,
    after: tuple[object, ...],
) -> None:
    call.store.execute(
        "INSERT INTO soap_continuation VALUES (?, ?, ?, ?)",
        (request_id, call.mid, etree.tostring(request, encoding="unicode"), json.dumps(after)),
    )
