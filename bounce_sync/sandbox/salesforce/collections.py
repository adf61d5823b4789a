"""sObject Collections: up to 200 records updated, up to 2,000 retrieved, in one call.

A request that can be read answers 200 with one result per record in order, whatever became of
them; one that can't is refused whole (facts/salesforce.md §2).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, TypeVar

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.bodies import change_of
from bounce_sync.sandbox.salesforce.creating import create, delete
from bounce_sync.sandbox.salesforce.entities import PREFIXES, Entity, entity, typed_entity
from bounce_sync.sandbox.salesforce.errors import (
    RowError,
    ServiceError,
    bad_json,
    no_such_column_on_sobject,
)
from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.ids import canonical
from bounce_sync.sandbox.salesforce.records import ROLLED_BACK, Change, Manner, update
from bounce_sync.sandbox.salesforce.service import Service
from bounce_sync.sandbox.salesforce.sobjects import by_external_id, manner_of
from bounce_sync.sandbox.store import quoted

routes = Routes()

MOST_UPDATED = 200
MOST_RETRIEVED = 2000
MOST_RUNS = 10

Wanted = TypeVar("Wanted")


@routes("PATCH", f"{DATA}/composite/sobjects")
def update_collection(service: Service, call: Call) -> Answer:
    body = call.json_object()
    typed = _typed(body)
    manner = manner_of(call, "collections")
    runs = _runs(service, call, typed)
    if body.get("allOrNone", False) is True:
        return Answer(_all_or_none(service, runs, manner))
    return Answer(_one_by_one(service, runs, manner))


def _too_many(most: int) -> ServiceError:
    return ServiceError(
        400,
        "EXCEEDED_ID_LIMIT",
        f"record limit reached. cannot submit more than {most} records into this call",
    )


@routes("POST", f"{DATA}/composite/sobjects")
def create_collection(service: Service, call: Call) -> Answer:
    body = call.json_object()
    typed = _typed(body)
    manner = manner_of(call, "collections")

    def make(one: tuple[str, dict[str, Any]]) -> str | RowError:
        kind = typed_entity(service.store, one[0], call.user.user_id)
        return create(service, kind, one[1], manner)

    return Answer(_each(service, typed, make, all_or_none=body.get("allOrNone") is True))


@routes("PATCH", f"{DATA}/composite/sobjects/{{name}}/{{field}}")
def upsert_collection(service: Service, call: Call, name: str, field: str) -> Answer:
    """Updates the records that an external id finds, makes the others."""
    body = call.json_object()
    kind = entity(service.store, name, call.user.user_id)
    manner = manner_of(call, "collections")

    def put(one: tuple[str, dict[str, Any]]) -> str | RowError:
        record = {key: value for key, value in one[1].items() if key.lower() != field.lower()}
        given = next((v for key, v in one[1].items() if key.lower() == field.lower()), None)
        found = by_external_id(service, kind, field, given)
        if found is None:
            return create(service, kind, {**record, field: given}, manner)
        wanted = change_of(kind, record, found)
        return update(service, kind, [wanted], manner)[0] or found

    all_or_none = body.get("allOrNone") is True
    return Answer(_each(service, _typed(body), put, all_or_none=all_or_none))


@routes("DELETE", f"{DATA}/composite/sobjects")
def delete_collection(service: Service, call: Call) -> Answer:
    """The one collection whose allOrNone stands in the address."""
    ids = [one.strip() for one in call.query.get("ids", "").split(",") if one.strip()]
    if len(ids) > MOST_UPDATED:
        raise _too_many(MOST_UPDATED)
    manner = manner_of(call, "collections")
    kinds = {prefix: name for name, prefix in PREFIXES.items() if service.store.fields(name)}

    def remove(given: str) -> str | RowError:
        name = kinds.get((canonical(given) or "")[:3])
        if name is None:
            return RowError("MALFORMED_ID", f"malformed id {given}", ("Id",))
        return delete(service, entity(service.store, name, call.user.user_id), given, manner)

    all_or_none = call.query.get("allOrNone", "false").lower() == "true"
    return Answer(_each(service, ids, remove, all_or_none=all_or_none))


def _each(
    service: Service,
    wanted: list[Wanted],
    act: Callable[[Wanted], str | RowError],
    *,
    all_or_none: bool,
) -> list[dict[str, Any]]:
    """Makes or deletes one by one; the results in order."""
    with service.writing, service.store.transaction() as connection:
        connection.execute("SAVEPOINT each")
        outcomes = [act(one) for one in wanted]
        if all_or_none and any(isinstance(one, RowError) for one in outcomes):
            connection.execute("ROLLBACK TO each")
            outcomes = [one if isinstance(one, RowError) else ROLLED_BACK for one in outcomes]
        connection.execute("RELEASE each")
    return [
        {"success": False, "errors": [one.in_collection()]}
        if isinstance(one, RowError)
        else {"id": one, "success": True, "errors": []}
        for one in outcomes
    ]


Run = tuple[Entity, list[Change | RowError]]


def _typed(body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The records of a body with the types that their attributes name."""
    records = body.get("records")
    if not isinstance(records, list):
        raise bad_json("The request body must hold a list named records")
    if len(records) > MOST_UPDATED:
        raise _too_many(MOST_UPDATED)
    typed = []
    for record in records:
        attributes = record.get("attributes") if isinstance(record, dict) else None
        name = attributes.get("type") if isinstance(attributes, dict) else None
        if not isinstance(name, str):
            raise ServiceError(
                400, "INVALID_TYPE", "Record must have an attributes field that names its type"
            )
        typed.append((name, record))
    return typed


def _runs(service: Service, call: Call, typed: list[tuple[str, dict[str, Any]]]) -> list[Run]:
    """The records by runs of one type, in order; what stops a request is found here."""
    grouped = [(name, list(group)) for name, group in groupby(typed, lambda one: one[0].lower())]
    if len(grouped) > MOST_RUNS:
        raise ServiceError(
            400,
            "INVALID_INPUT",
            f"Too many chunks: records of one type must follow each other, at most {MOST_RUNS} "
            "changes of type are allowed",
        )
    runs: list[Run] = []
    seen: set[str] = set()
    for name, group in grouped:
        kind = typed_entity(service.store, name, call.user.user_id)
        changes = [change_of(kind, record, _id_of(record)) for _, record in group]
        runs.append((kind, [_once(change, seen) for change in changes]))
    return runs


def _id_of(record: dict[str, Any]) -> object:
    """``id`` or ``Id``: clients differ (facts/wire.md 34)."""
    return record["id"] if "id" in record else record.get("Id")


def _once(change: Change | RowError, seen: set[str]) -> Change | RowError:
    if isinstance(change, RowError):
        return change
    if change.record_id in seen:
        return RowError("DUPLICATE_VALUE", f"duplicate id specified: {change.record_id}", ("Id",))
    seen.add(change.record_id)
    return change


def _one_by_one(service: Service, runs: list[Run], manner: Manner) -> list[dict[str, Any]]:
    results = []
    for kind, changes in runs:
        errors = update(service, kind, changes, manner)
        results += [_result(change, error) for change, error in zip(changes, errors, strict=True)]
    return results


def _all_or_none(service: Service, runs: list[Run], manner: Manner) -> list[dict[str, Any]]:
    with service.writing, service.store.transaction() as connection:
        connection.execute("SAVEPOINT all_or_none")
        outcomes = [
            (change, error)
            for kind, changes in runs
            for change, error in zip(changes, update(service, kind, changes, manner), strict=True)
        ]
        failed = any(error for _, error in outcomes)
        if failed:
            connection.execute("ROLLBACK TO all_or_none")
        connection.execute("RELEASE all_or_none")
    if not failed:
        return [_result(change, None) for change, _ in outcomes]
    return [_result(change, error or ROLLED_BACK) for change, error in outcomes]


def _result(change: Change | RowError, error: RowError | None) -> dict[str, Any]:
    """A rolled-back row keeps its id; one that failed by itself has none (facts §2.1)."""
    result: dict[str, Any] = {}
    if isinstance(change, Change) and error in (None, ROLLED_BACK):
        result["id"] = change.record_id
    result["success"] = error is None
    result["errors"] = [] if error is None else [error.in_collection()]
    return result


@routes("POST", f"{DATA}/composite/sobjects/{{name}}")
def retrieve(service: Service, call: Call, name: str) -> Answer:
    body = call.json_object()
    ids, fields = body.get("ids"), body.get("fields")
    if not isinstance(ids, list) or not isinstance(fields, list):
        raise bad_json("The request body must hold the lists ids and fields")
    return _retrieved(service, call, name, ids, [str(field) for field in fields])


@routes("GET", f"{DATA}/composite/sobjects/{{name}}")
def retrieve_by_get(service: Service, call: Call, name: str) -> Answer:
    ids = [one.strip() for one in call.query.get("ids", "").split(",") if one.strip()]
    fields = [one.strip() for one in call.query.get("fields", "").split(",") if one.strip()]
    return _retrieved(service, call, name, ids, fields)


def _retrieved(
    service: Service, call: Call, name: str, ids: list[Any], fields: list[str]
) -> Answer:
    kind = entity(service.store, name, call.user.user_id)
    if len(ids) > MOST_RETRIEVED:
        raise _too_many(MOST_RETRIEVED)
    columns = []
    for field in fields:
        found = kind.field(field)
        if found is None:
            raise no_such_column_on_sobject(field, kind.name)
        columns.append(found)
    keys = [canonical(one) for one in ids]
    wanted = [key for key in keys if key is not None and key.startswith(kind.prefix)]
    expressions = ", ".join(['t."Id"', *(column.sql for column in columns)])
    alive = ' AND t."IsDeleted" = 0' if kind.has("IsDeleted") else ""
    rows = service.store.execute(
        f"SELECT {expressions} FROM {quoted(kind.name)} t"
        f' WHERE t."Id" IN ({", ".join("?" * len(wanted))}){alive}',
        wanted,
    )
    shapes = [(n, column.name, column.type) for n, column in enumerate(columns, 1)]
    prefix = f"/services/data/v{call.version}/sobjects/{kind.name}/"
    by_id = {
        row[0]: {
            "attributes": {"type": kind.name, "url": prefix + row[0]},
            **{name: values.answered(type_, row[n]) for n, name, type_ in shapes},
        }
        for row in rows
    }
    return Answer([by_id.get(key) if key else None for key in keys])
