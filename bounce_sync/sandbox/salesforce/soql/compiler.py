"""A statement's tree and the org's objects → one SQL statement over the store."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bounce_sync.sandbox.salesforce.entities import Entity, Field
from bounce_sync.sandbox.salesforce.errors import no_such_column, no_such_type
from bounce_sync.sandbox.salesforce.soql.filters import Filter
from bounce_sync.sandbox.salesforce.soql.reader import read
from bounce_sync.sandbox.salesforce.soql.tokens import SoqlError, malformed, too_complicated
from bounce_sync.sandbox.salesforce.soql.tree import (
    Call,
    Name,
    Statement,
    TypeOf,
    is_bare_count,
)
from bounce_sync.sandbox.store import quoted

LARGEST_OFFSET = 2000

_AGGREGATES = {"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"}
_DATE_PARTS = {
    "CALENDAR_YEAR": "%Y",
    "CALENDAR_MONTH": "%m",
    "DAY_IN_MONTH": "%d",
    "DAY_IN_YEAR": "%j",
    "HOUR_IN_DAY": "%H",
}


@dataclass(frozen=True)
class Column:
    """One value of each answered record: its name in the answer and the type to answer it as."""

    name: str
    type: str
    sql: str


@dataclass(frozen=True)
class Plan:
    """What to run. ``tail`` is everything from FROM on; ``grouped`` rows are AggregateResults;
    ``counts_only`` asks for the number alone."""

    entity: Entity
    columns: tuple[Column, ...]
    tail: str
    parameters: tuple[Any, ...]
    grouped: bool
    counts_only: bool

    def select(self, *expressions: str) -> str:
        """The statement with another select list."""
        return f"SELECT {', '.join(expressions)} {self.tail}"

    @property
    def sql(self) -> str:
        """The statement that answers ``columns``."""
        return self.select(*(column.sql for column in self.columns))


Catalogue = Callable[[str], Entity | None]


def plan(
    text: str, find: Catalogue, *, deleted_too: bool, zone: str, now: datetime | None = None
) -> Plan:
    """Reads and checks a statement.

    ``deleted_too`` is queryAll; ``zone`` the user's time zone; relative dates count from ``now``.

    Raises:
        SoqlError: with the service's code and wording.
    """
    statement = read(text)
    compiler = _Compiler(text, find, deleted_too, ZoneInfo(zone), now or datetime.now(UTC))
    try:
        return compiler.plan(statement)
    except RecursionError:
        raise too_complicated() from None


class _Compiler:
    def __init__(
        self, text: str, find: Catalogue, deleted_too: bool, zone: ZoneInfo, now: datetime
    ) -> None:
        self.text = text
        self.find = find
        self.deleted_too = deleted_too
        self.zone = zone
        self.now = now

    def refuse(self, at: int, message: str, code: str = "INVALID_FIELD") -> SoqlError:
        return SoqlError(code, message, self.text, at)

    def plan(self, statement: Statement, parameters: list[Any] | None = None) -> Plan:
        entity = self.entity(statement)
        scope = _Scope(self, entity, statement)
        parameters = [] if parameters is None else parameters
        grouped = bool(statement.group_by) or any(
            isinstance(field, Call) and field.function in _AGGREGATES and field.argument
            for field in statement.fields
        )
        columns = () if statement.counts_only else scope.columns(grouped)
        tail = f"FROM {quoted(entity.name)} t"
        filtered = Filter(self.text, scope.resolve, self.subselect, self.zone, self.now, parameters)
        conditions = []
        if entity.has("IsDeleted") and not self.deleted_too:
            conditions.append('t."IsDeleted" = 0')
        if statement.where is not None:
            conditions.append(filtered.sql(statement.where))
        if conditions:
            tail += f" WHERE {' AND '.join(conditions)}"
        if statement.group_by:
            tail += f" GROUP BY {', '.join(scope.group_key(key) for key in statement.group_by)}"
            if statement.having is not None:
                filtered.resolve = scope.resolve_grouped
                tail += f" HAVING {filtered.sql(statement.having)}"
        if statement.order_by and not statement.counts_only:
            resolve = scope.resolve_grouped if grouped else scope.resolve
            terms = [
                f"{resolve(term.by)[0]} {'DESC' if term.descending else 'ASC'} "
                f"NULLS {'LAST' if term.nulls_last else 'FIRST'}"
                for term in statement.order_by
            ]
            tail += f" ORDER BY {', '.join(terms)}"
        tail += self.slice(statement)
        return Plan(entity, columns, tail, tuple(parameters), grouped, statement.counts_only)

    def entity(self, statement: Statement) -> Entity:
        name = statement.entity
        entity = self.find(name.text)
        if entity is None:
            raise self.refuse(name.at, no_such_type(name.text), "INVALID_TYPE")
        return entity

    def slice(self, statement: Statement) -> str:
        if statement.offset is not None and statement.offset > LARGEST_OFFSET:
            raise SoqlError(
                "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {LARGEST_OFFSET}"
            )
        if statement.limit is None and statement.offset is None:
            return ""
        limit = -1 if statement.limit is None else min(statement.limit, sys.maxsize)
        return f" LIMIT {limit} OFFSET {statement.offset or 0}"

    def subselect(self, statement: Statement, parameters: list[Any]) -> str:
        if len(statement.fields) != 1 or not isinstance(statement.fields[0], Name):
            raise malformed("the inner select must name one field", self.text, statement.entity.at)
        return f"SELECT * FROM ({self.plan(statement, parameters).sql})"


class _Scope:
    """Names inside one SELECT."""

    def __init__(self, compiler: _Compiler, entity: Entity, statement: Statement) -> None:
        self.compiler = compiler
        self.entity = entity
        self.statement = statement

    def field(self, name: Name) -> Field:
        path = name.text.split(".")
        aliases = {self.entity.name.lower(), (self.statement.alias or "").lower()}
        if len(path) > 1 and path[0].lower() in aliases:
            path = path[1:]
        if len(path) > 1:
            raise self.compiler.refuse(
                name.at,
                f"Didn't understand relationship '{path[0]}' in field path. If you are "
                "attempting to use a custom relationship, be sure to append the '__r' after the "
                "custom relationship name. Please reference your WSDL or the describe call for "
                "the appropriate names.",
            )
        found = self.entity.field(path[0])
        if found is None:
            raise self.compiler.refuse(name.at, no_such_column(path[0], self.entity.name))
        return found

    def resolve(self, name: Name | Call) -> tuple[str, Field]:
        """SQL and field of something that stands in WHERE, ORDER BY or GROUP BY."""
        if isinstance(name, Name):
            found = self.field(name)
            return found.sql, found
        if name.function in _AGGREGATES:
            raise self.compiler.refuse(
                name.at, "Grouped query cannot use an aggregate here", "MALFORMED_QUERY"
            )
        return self.call(name)

    def resolve_grouped(self, name: Name | Call) -> tuple[str, Field]:
        """The same in HAVING and in the ORDER BY of a grouped statement."""
        if isinstance(name, Call) and name.function in _AGGREGATES:
            return self.call(name)
        return self.resolve(name)

    def call(self, call: Call) -> tuple[str, Field]:
        """A function over a field."""
        if is_bare_count(call):
            return "count(*)", _number(self.entity, "expr")
        if not isinstance(call.argument, Name):
            raise malformed(f"unexpected token: '{call.function}'", self.compiler.text, call.at)
        found = self.field(call.argument)
        sql = found.sql
        if call.function in ("COUNT", "COUNT_DISTINCT"):
            distinct = "DISTINCT " if call.function == "COUNT_DISTINCT" else ""
            return f"count({distinct}{sql})", _number(self.entity, "expr")
        if call.function in ("MIN", "MAX"):
            return f"{call.function.lower()}({sql})", found
        if call.function in ("SUM", "AVG"):
            if found.type not in ("double", "int", "currency", "percent"):
                raise self.compiler.refuse(
                    call.at,
                    f"field {found.name} does not support aggregate operator {call.function}",
                    "MALFORMED_QUERY",
                )
            return f"{call.function.lower()}({sql})", found
        if call.function in _DATE_PARTS and found.type in ("date", "datetime"):
            part = f"CAST(strftime('{_DATE_PARTS[call.function]}', {sql}) AS INTEGER)"
            return part, _number(self.entity, call.function)
        if call.function in ("TOLABEL", "FORMAT"):
            return sql, found
        raise malformed(f"Invalid function: {call.function}", self.compiler.text, call.at)

    def group_key(self, name: Name | Call) -> str:
        return self.resolve(name)[0]

    def columns(self, grouped: bool) -> tuple[Column, ...]:
        """The select list."""
        found: list[Column] = []
        expressions = 0
        for field in self.statement.fields:
            if isinstance(field, Statement):
                raise self.compiler.refuse(
                    field.entity.at,
                    f"Didn't understand relationship '{field.entity.text}' in FROM part of query "
                    "call. Please reference your WSDL or the describe call for the appropriate "
                    "names.",
                    "INVALID_TYPE",
                )
            if isinstance(field, TypeOf):
                raise malformed("TYPEOF isn't available in this org", self.compiler.text, field.at)
            if isinstance(field, Call) and field.function == "FIELDS":
                found += self.all_fields(field)
                continue
            found.append(self.column(field, grouped, expressions))
            expressions += isinstance(field, Call) and not field.alias
        if not grouped:
            self.refuse_repeats(found)
        return tuple(found)

    def column(self, field: Name | Call, grouped: bool, expressions: int) -> Column:
        if field.alias and not (grouped or isinstance(field, Call)):
            raise malformed(
                "only aggregate expressions use field aliasing", self.compiler.text, field.at
            )
        if isinstance(field, Call):
            if is_bare_count(field):
                raise malformed("unexpected token: 'COUNT'", self.compiler.text, field.at)
            sql, target = self.call(field)
            name = field.alias or (f"expr{expressions}" if grouped else target.name)
            return Column(name, target.type, sql)
        target = self.field(field)
        if grouped and target.sql not in [self.group_key(key) for key in self.statement.group_by]:
            raise malformed(
                f"Field must be grouped or aggregated: {target.name}", self.compiler.text, field.at
            )
        return Column(field.alias or target.name, target.type, target.sql)

    def all_fields(self, call: Call) -> list[Column]:
        which = call.argument.text.upper() if isinstance(call.argument, Name) else ""
        if which != "STANDARD" and (self.statement.limit is None or self.statement.limit > 200):
            raise malformed("The SOQL FIELDS function must have a LIMIT of at most 200")
        return [
            Column(field.name, field.type, field.sql)
            for field in self.entity.fields.values()
            if which == "ALL" or field.custom == (which == "CUSTOM")
        ]

    def refuse_repeats(self, columns: list[Column]) -> None:
        names = [column.name for column in columns]
        for name in names:
            if names.count(name) > 1:
                raise SoqlError("INVALID_FIELD", f"duplicate field selected: {name}")


def _number(entity: Entity, name: str) -> Field:
    return Field(name, name, "int", 0, 0, 0, True, False, False, False, False, None)
