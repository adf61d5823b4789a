"""What admins put between an API and a record: validation rules and lead assignment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bounce_sync.sandbox.salesforce.entities import Entity, Field
from bounce_sync.sandbox.salesforce.errors import RowError
from bounce_sync.sandbox.salesforce.ids import canonical
from bounce_sync.sandbox.salesforce.soql.filters import Filter
from bounce_sync.sandbox.salesforce.soql.reader import read_condition
from bounce_sync.sandbox.salesforce.soql.tokens import malformed
from bounce_sync.sandbox.salesforce.soql.tree import Call, Name, Statement
from bounce_sync.sandbox.store import quoted

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service


def assignment(header: str | None) -> str | None:
    """What ``Sforce-Auto-Assign`` asks for: None for no rule, else a rule's id or ``active``.

    A missing header is TRUE, on updates too (facts/salesforce.md §7).
    """
    if header is None or header.strip().lower() == "true":
        return "active"
    if header.strip().lower() == "false":
        return None
    return canonical(header.strip()) or "active"


def assignee(service: Service, rule: str) -> str | None:
    """Who a lead assignment rule gives leads to; None where no such rule is active."""
    row = service.store.execute(
        'SELECT "AssignTo" FROM "AssignmentRule" WHERE "SobjectType" = \'Lead\' AND "Active" = 1'
        " AND ? IN ('active', \"Id\")",
        (rule,),
    ).fetchone()
    return None if row is None else row[0]


def broken_rules(
    service: Service, entity: Entity, user_id: str, ids: Sequence[str]
) -> dict[str, RowError]:
    """Of records just written, those that a validation rule refuses.

    A rule is a row of ``ValidationRule``: its ``EntityDefinitionId`` the object's name, its
    ``Condition`` the SOQL condition under which a record is refused.
    """
    rules = service.store.execute(
        'SELECT "Condition", "ErrorMessage", "ErrorDisplayField" FROM "ValidationRule"'
        ' WHERE "EntityDefinitionId" = ? AND "Active" = 1',
        (entity.name,),
    ).fetchall()
    broken: dict[str, RowError] = {}
    for text, message, shown_at in rules:
        condition = Filter(
            text, _resolver(entity, text), _no_subselect, ZoneInfo("UTC"), datetime.now(UTC)
        )
        where = condition.sql(read_condition(text))
        found = service.store.execute(
            f'SELECT t."Id" FROM {quoted(entity.name)} t WHERE t."Id" IN'
            f" ({', '.join('?' * len(ids))}) AND {where}",
            (*ids, *condition.parameters),
        )
        error = RowError(
            "FIELD_CUSTOM_VALIDATION_EXCEPTION", message, (shown_at,) if shown_at else ()
        )
        for (record_id,) in found:
            broken.setdefault(record_id, error)
    return broken


def _resolver(entity: Entity, text: str) -> Any:
    def resolve(name: Name | Call) -> tuple[str, Field]:
        found = entity.field(name.text) if isinstance(name, Name) else None
        if found is None:
            raise malformed("the validation rule names no field of its object", text, name.at)
        return found.sql, found

    return resolve


def _no_subselect(statement: Statement, _: list[Any]) -> str:
    raise malformed("a validation rule can't select", "", statement.entity.at)
