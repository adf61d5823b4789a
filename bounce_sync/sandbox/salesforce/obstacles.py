"""What stands in the way of writing a record, apart from the values it is to get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bounce_sync.sandbox.salesforce.entities import Entity, person_accounts
from bounce_sync.sandbox.salesforce.errors import RowError

if TYPE_CHECKING:
    import sqlite3

    from bounce_sync.sandbox.salesforce.records import Change, Manner
    from bounce_sync.sandbox.salesforce.service import Service

NO_EDIT = RowError("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
MISSING = RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
DELETED = RowError("ENTITY_IS_DELETED", "entity is deleted")
CONVERTED = RowError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
PERSON = RowError(
    "INVALID_PERSON_ACCOUNT_OPERATION",
    "The contact of a person account is updated through its account",
)

STATE = {
    "Contact": ("IsDeleted", "AccountId", "IsPersonAccount"),
    "Lead": ("IsDeleted", "IsConverted", "OwnerId"),
    "Account": ("IsDeleted", "PersonContactId"),
}
"""Columns that decide what may be done with a record, whoever may see them."""


def obstacles(
    service: Service,
    entity: Entity,
    manner: Manner,
    changes: Sequence[Change],
    found: Mapping[str, sqlite3.Row],
) -> dict[str, RowError]:
    """Of some changes of one object, those that can't be made, by record id.

    ``found`` are the records as they are, with the columns of ``STATE``.
    """
    store = service.store
    converted_too = store.setting("edit_converted_leads", "false") == "true"
    persons = entity.name == "Contact" and person_accounts(store)
    refused = _refusals(store.connection, changes, manner)
    standing: dict[str, RowError] = {}
    for change in changes:
        row = found.get(change.record_id)
        error: RowError | None
        if row is None:
            error = MISSING
        elif entity.name in STATE and row["IsDeleted"]:
            error = DELETED
        elif entity.name == "Lead" and row["IsConverted"] and not converted_too:
            error = CONVERTED
        elif persons and row["IsPersonAccount"]:
            error = PERSON
        elif not entity.updateable:
            error = NO_EDIT
        else:
            error = _fixed(entity, change) or refused.get(change.record_id)
        if error is not None:
            standing[change.record_id] = error
    return standing


def _fixed(entity: Entity, change: Change) -> RowError | None:
    names = [name for name in change.values if not entity.fields[name.lower()].updateable]
    return read_only(names) if names else None


def read_only(names: Sequence[str]) -> RowError:
    """Fields that are there and may not be written."""
    return RowError(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Unable to create/update fields: {', '.join(names)}. Please check the security settings "
        "of this field and verify that it is read/write for your profile or permission set.",
        tuple(names),
    )


def _refusals(
    connection: sqlite3.Connection, changes: Sequence[Change], manner: Manner
) -> dict[str, RowError]:
    if connection.execute("SELECT 1 FROM crm_refusal LIMIT 1").fetchone() is None:
        return {}
    ids = [change.record_id for change in changes]
    rows = connection.execute(
        "SELECT record_id, code, message, fields FROM crm_refusal"
        f" WHERE alert <= ? AND record_id IN ({', '.join('?' * len(ids))})",
        (not manner.allow_save, *ids),
    )
    return {
        record_id: RowError(code, message, tuple((fields or "").split()))
        for record_id, code, message, fields in rows
    }
