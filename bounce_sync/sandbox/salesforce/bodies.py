"""Records in JSON bodies → changes, with the refusals that stop a whole request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.entities import Entity, Field
from bounce_sync.sandbox.salesforce.errors import (
    RowError,
    ServiceError,
    no_such_column_on_sobject,
)
from bounce_sync.sandbox.salesforce.records import Change, identify

REQUEST_STOPPERS = ("JSON_PARSER_ERROR", "INVALID_TYPE_ON_FIELD_IN_RECORD")
"""Errors of a value that the JSON resources refuse the whole request for."""


def change_of(entity: Entity, record: Mapping[str, Any], given_id: object) -> Change | RowError:
    """What one record of a body wants.

    Raises:
        ServiceError: 400 for the whole request: INVALID_FIELD where a field doesn't exist or is
            hidden, JSON_PARSER_ERROR or INVALID_TYPE_ON_FIELD_IN_RECORD for a value of a wrong
            type.
    """
    found = identify(entity, given_id)
    wanted: dict[str, Any] = {}
    spoilt: RowError | None = None
    for name, value in record.items():
        field = entity.spelt.get(name)
        if field is None:
            if name == "attributes" or name.lower() == "id":
                continue
            field = entity.field(name)
            if field is None:
                raise no_such_column_on_sobject(name, entity.name)
        try:
            wanted[field.name] = values.taken(field.name, field.type, field.length, value)
        except values.BadValue as bad:
            if bad.error.code in REQUEST_STOPPERS:
                raise ServiceError(400, bad.error.code, bad.error.message) from None
            spoilt = bad.error
    if isinstance(found, RowError):
        return found
    return spoilt or Change(found, wanted)


def stored(field: Field, value: Any) -> Any:
    """A value as the store keeps it; raises BadValue."""
    return values.taken(field.name, field.type, field.length, value)
