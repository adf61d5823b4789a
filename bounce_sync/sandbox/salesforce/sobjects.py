"""Single records: read, update, make, delete, by id or by an external id."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.bodies import change_of, stored
from bounce_sync.sandbox.salesforce.creating import create, delete
from bounce_sync.sandbox.salesforce.entities import Entity, Field, entity
from bounce_sync.sandbox.salesforce.errors import (
    RowError,
    ServiceError,
    no_such_column_on_sobject,
    not_found,
)
from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.ids import canonical
from bounce_sync.sandbox.salesforce.records import Manner, update
from bounce_sync.sandbox.salesforce.rules import assignment
from bounce_sync.sandbox.salesforce.service import Service
from bounce_sync.sandbox.store import quoted

routes = Routes()

RECORD = f"{DATA}/sobjects/{{name}}/{{key}}"
BY_FIELD = f"{DATA}/sobjects/{{name}}/{{field}}/{{value}}"


def manner_of(call: Call, api: str) -> Manner:
    """How a writing call writes."""
    header = call.headers.get("sforce-auto-assign")
    duplicates = call.headers.get("sforce-duplicate-rule-header", "")
    return Manner(
        call.user.user_id,
        api,
        header,
        assignment(header),
        allow_save="allowsave=true" in duplicates.lower().replace(" ", ""),
        lock_fault=bool(call.take("lock_rows")),
    )


@routes("POST", f"{DATA}/sobjects/{{name}}")
def make(service: Service, call: Call, name: str) -> Answer:
    kind = entity(service.store, name, call.user.user_id)
    return _made(create(service, kind, call.json_object(), manner_of(call, "single")))


def _made(outcome: str | RowError) -> Answer:
    if isinstance(outcome, RowError):
        raise outcome.alone()
    return Answer({"id": outcome, "success": True, "errors": []}, 201)


@routes("GET", RECORD)
def read(service: Service, call: Call, name: str, key: str) -> Answer:
    kind = entity(service.store, name, call.user.user_id)
    return _shown(service, call, kind, _known_id(kind, key))


@routes("PATCH", RECORD)
def change(service: Service, call: Call, name: str, key: str) -> Answer:
    kind = entity(service.store, name, call.user.user_id)
    return _changed(service, call, kind, _known_id(kind, key))


@routes("DELETE", RECORD)
def remove(service: Service, call: Call, name: str, key: str) -> Answer:
    kind = entity(service.store, name, call.user.user_id)
    outcome = delete(service, kind, _known_id(kind, key), manner_of(call, "single"))
    if isinstance(outcome, RowError):
        raise _alone(outcome)
    return Answer(None, 204)


@routes("GET", BY_FIELD)
def read_by_field(service: Service, call: Call, name: str, field: str, value: str) -> Answer:
    kind = entity(service.store, name, call.user.user_id)
    found = by_external_id(service, kind, field, value)
    if found is None:
        raise not_found()
    return _shown(service, call, kind, found)


@routes("PATCH", BY_FIELD)
def upsert(service: Service, call: Call, name: str, field: str, value: str) -> Answer:
    """Updates the record of an external id (200) or makes it (201)."""
    kind = entity(service.store, name, call.user.user_id)
    found = by_external_id(service, kind, field, value)
    if found is None:
        return _made(
            create(service, kind, {**call.json_object(), field: value}, manner_of(call, "single"))
        )
    answer = _changed(service, call, kind, found)
    answer.status, answer.body = 200, {"id": found, "success": True, "errors": [], "created": False}
    return answer


def _known_id(kind: Entity, key: str) -> str:
    found = canonical(key)
    if found is None:
        raise not_found(f"Provided external ID field does not exist or is not accessible: {key}")
    if not found.startswith(kind.prefix):
        raise not_found()
    return found


def by_external_id(service: Service, kind: Entity, name: str, value: object) -> str | None:
    """The record with this value of an external id field (or ``Id``), None where there is none.

    Raises:
        ServiceError: 404 for a field that is no external id, 300 where several records have it.
    """
    field = kind.field(name)
    if field is None or not (field.external_id or field.type == "id"):
        raise not_found(f"Provided external ID field does not exist or is not accessible: {name}")
    try:
        wanted = stored(field, value)
    except values.BadValue as bad:
        raise bad.error.alone() from None
    rows = service.store.execute(
        f'SELECT t."Id" FROM {quoted(kind.name)} t WHERE {field.sql} = ? LIMIT 2', (wanted,)
    ).fetchall()
    if len(rows) > 1:
        raise ServiceError(300, "MULTIPLE_CHOICES", "More than one record has this external id")
    return rows[0][0] if rows else None


def _shown(service: Service, call: Call, kind: Entity, key: str) -> Answer:
    columns = _asked(kind, call.query.get("fields"))
    state = 't."IsDeleted"' if kind.has("IsDeleted") else "0"
    row = service.store.execute(
        f"SELECT {', '.join([state, *(column.sql for column in columns)])}"
        f' FROM {quoted(kind.name)} t WHERE t."Id" = ?',
        (key,),
    ).fetchone()
    if row is None:
        raise not_found()
    if row[0]:
        raise ServiceError(404, "ENTITY_IS_DELETED", "entity is deleted", [])
    body: dict[str, Any] = {
        "attributes": {
            "type": kind.name,
            "url": f"/services/data/v{call.version}/sobjects/{kind.name}/{key}",
        }
    }
    for number, column in enumerate(columns, 1):
        body[column.name] = values.answered(column.type, row[number])
    body.setdefault("Id", key)
    return Answer(body)


def _asked(kind: Entity, fields: str | None) -> list[Field]:
    if not fields:
        return list(kind.fields.values())
    found = []
    for name in fields.split(","):
        field = kind.field(name.strip())
        if field is None:
            raise no_such_column_on_sobject(name.strip(), kind.name)
        found.append(field)
    return found


def _changed(service: Service, call: Call, kind: Entity, key: str) -> Answer:
    body = call.json_object()
    if any(name.lower() == "id" for name in body):
        raise ServiceError(
            400,
            "INVALID_FIELD",
            "The Id field should not be specified in the sobject data.",
            ["Id"],
        )
    wanted = change_of(kind, body, key)
    if isinstance(wanted, RowError):
        raise wanted.alone()
    _refuse_if_changed(service, call, kind, key)
    error = update(service, kind, [wanted], manner_of(call, "single"))[0]
    if error is not None:
        raise _alone(error)
    return Answer(None, 204)


def _alone(error: RowError) -> ServiceError:
    """An unknown id is a resource that doesn't exist."""
    return not_found() if error.code == "INVALID_CROSS_REFERENCE_KEY" else error.alone()


def _refuse_if_changed(service: Service, call: Call, kind: Entity, key: str) -> None:
    """``If-Unmodified-Since``: 412 where the record was changed after that second."""
    header = call.headers.get("if-unmodified-since")
    if header is None or not kind.has("LastModifiedDate"):
        return
    try:
        since = parsedate_to_datetime(header)
    except ValueError:
        raise ServiceError(400, "INVALID_HEADER", f"If-Unmodified-Since: {header}") from None
    row = service.store.execute(
        f'SELECT "LastModifiedDate" FROM {quoted(kind.name)} WHERE "Id" = ?', (key,)
    ).fetchone()
    if row is not None and row[0] and row[0] > values.stored_moment(since):
        raise ServiceError(412, "PRECONDITION_FAILED", "The record was modified since that time")
