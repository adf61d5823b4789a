"""One chunk of an ingest job: its rows written, its results kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bounce_sync.sandbox.salesforce.bulk.csv_rows import cells, columns_of, rendered
from bounce_sync.sandbox.salesforce.creating import create, delete
from bounce_sync.sandbox.salesforce.entities import Entity, Field, typed_entity
from bounce_sync.sandbox.salesforce.errors import RowError, ServiceError
from bounce_sync.sandbox.salesforce.ids import canonical
from bounce_sync.sandbox.salesforce.records import Change, Manner, identify, update

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.bulk.jobs import Job
    from bounce_sync.sandbox.salesforce.service import Service

Outcome = tuple[str, bool] | RowError
"""A row's id and whether the record was made, or why it failed."""

NO_ID = RowError("MISSING_ARGUMENT", "Id not specified", ("Id",))


def run_chunk(service: Service, job: Job, number: int) -> None:
    """Writes the rows of a chunk that is still to be done and keeps their results, all at once."""
    store = service.store
    row = store.execute(
        "SELECT rows FROM bulk_chunk WHERE job_id = ? AND number = ? AND done = 0",
        (job.id, number),
    ).fetchone()
    if row is None:
        return
    rows: list[list[str]] = json.loads(row[0])
    entity = typed_entity(store, job.object, job.created_by)
    columns = columns_of(entity, job.settings["header"])
    rule = job.settings.get("assignmentRuleId")
    manner = Manner(
        job.created_by,
        "bulk",
        rule,
        canonical(rule) if rule else None,
        lock_fault=bool(job.settings.get("locked")),
    )

    def keep(outcomes: list[Outcome]) -> None:
        _keep(service, job, number, rows, outcomes)

    if job.operation == "update":
        _updated(service, entity, columns, rows, manner, keep)
        return
    with service.writing, store.transaction():
        keep([_one(service, job, entity, columns, row, manner) for row in rows])


def _updated(
    service: Service,
    entity: Entity,
    columns: list[Field],
    rows: list[list[str]],
    manner: Manner,
    keep: Callable[[list[Outcome]], None],
) -> None:
    changes = [_change(entity, columns, row) for row in rows]

    def settled(errors: list[RowError | None]) -> None:
        keep([_outcome(*one) for one in zip(changes, errors, strict=True)])

    update(service, entity, changes, manner, settled)


def _outcome(change: Change | RowError, error: RowError | None) -> Outcome:
    if error is not None:
        return error
    return change if isinstance(change, RowError) else (change.record_id, False)


def _change(entity: Entity, columns: list[Field], row: list[str]) -> Change | RowError:
    key = _key(columns, row)
    if not key:
        return NO_ID
    found = identify(entity, key)
    if isinstance(found, RowError):
        return found
    wanted = cells(columns, row)
    return wanted if isinstance(wanted, RowError) else Change(found, wanted)


def _key(columns: list[Field], row: list[str]) -> str | None:
    return next(
        (cell for field, cell in zip(columns, row, strict=False) if field.type == "id"), None
    )


def _one(
    service: Service, job: Job, entity: Entity, columns: list[Field], row: list[str], manner: Manner
) -> Outcome:
    """A row of an insert, upsert or delete: its id and whether it was made, or its error."""
    if job.operation in ("delete", "hardDelete"):
        key = _key(columns, row)
        outcome = delete(service, entity, key, manner) if key else NO_ID
        return outcome if isinstance(outcome, RowError) else (outcome, False)
    wanted = cells(columns, row)
    if isinstance(wanted, RowError):
        return wanted
    if job.operation == "upsert":
        existing = _existing(service, job, entity, columns, row, wanted)
        if existing is not None:
            error = update(service, entity, [Change(existing, wanted)], manner)[0]
            return error or (existing, False)
    try:
        made = create(service, entity, wanted, manner)
    except ServiceError as error:
        return RowError(error.code, error.message)
    return made if isinstance(made, RowError) else (made, True)


def _existing(
    service: Service,
    job: Job,
    entity: Entity,
    columns: list[Field],
    row: list[str],
    wanted: dict[str, Any],
) -> str | None:
    field = entity.field(job.settings.get("externalIdFieldName") or "Id")
    if field is None or field.type == "id":
        return canonical(_key(columns, row))
    found = service.store.execute(
        f'SELECT t."Id" FROM "{entity.name}" t WHERE {field.sql} = ?', (wanted.get(field.name),)
    ).fetchone()
    return None if found is None else str(found[0])


def _keep(
    service: Service,
    job: Job,
    number: int,
    rows: list[list[str]],
    outcomes: list[Outcome],
) -> None:
    header = job.settings["header"]
    key_at = next((n for n, name in enumerate(header) if name.lower() == "id"), None)
    good: list[list[str]] = []
    bad: list[list[str]] = []
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, RowError):
            given = row[key_at] if key_at is not None and key_at < len(row) else ""
            bad.append([canonical(given) or given, outcome.in_csv(), *row])
        else:
            good.append([outcome[0], "true" if outcome[1] else "false", *row])
    service.store.execute(
        "UPDATE bulk_chunk SET done = 1, failed = ?, rows = NULL, successful_csv = ?,"
        " failed_csv = ? WHERE job_id = ? AND number = ?",
        (len(bad), rendered(job, good), rendered(job, bad), job.id, number),
    )
