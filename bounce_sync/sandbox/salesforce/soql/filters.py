"""WHERE and HAVING → SQL, with the service's semantics.

Text compares without case (the store's columns do), a record without a value differs from every
value, ids are equal in both forms, relative dates are ranges in the user's time zone. Conditions
are two-valued: NOT keeps the records that have no value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.entities import Field
from bounce_sync.sandbox.salesforce.ids import canonical
from bounce_sync.sandbox.salesforce.soql.dates import days_of
from bounce_sync.sandbox.salesforce.soql.tokens import SoqlError, malformed, text_of
from bounce_sync.sandbox.salesforce.soql.tree import (
    Call,
    Chain,
    Comparison,
    Condition,
    Literal,
    Membership,
    Name,
    Not,
    Statement,
)

_KINDS = {"datetime": "dateTime", "reference": "id", "int": "int", "currency": "double"}
_ORDERED = ("<", "<=", ">", ">=")


@dataclass
class Filter:
    """Builds one condition. ``resolve`` finds a field or raises; ``subselect`` writes the SQL of
    an inner SELECT of one id column and adds its parameters to the list it is given."""

    statement: str
    resolve: Callable[[Name | Call], tuple[str, Field]]
    subselect: Callable[[Statement, list[Any]], str]
    zone: ZoneInfo
    now: datetime
    parameters: list[Any] = field(default_factory=list)

    def sql(self, condition: Condition, *, negated: bool = False) -> str:
        """The condition as SQL; its values are appended to ``parameters``."""
        if isinstance(condition, Not):
            return f"NOT {self.sql(condition.condition, negated=True)}"
        if isinstance(condition, Chain):
            if condition.mixed_at is not None:
                word = self.statement[condition.mixed_at :].split(None, 1)[0]
                raise malformed(f"unexpected token: '{word}'", self.statement, condition.mixed_at)
            parts = [self.sql(part, negated=negated) for part in condition.conditions]
            return _joined(parts, condition.connective)
        if isinstance(condition, Membership):
            made = self._membership(condition)
        else:
            made = self._comparison(condition)
        return f"ifnull({made}, 0)" if negated else f"({made})"

    # Errors

    def _refuse(self, at: int, message: str, code: str = "INVALID_FIELD") -> SoqlError:
        return SoqlError(code, message, self.statement, at)

    def _mistyped(self, target: Field, at: int) -> SoqlError:
        quoting = "should" if target.type in values.TEXTS | values.IDS else "should not"
        kind = _KINDS.get(target.type, "string" if target.type in values.TEXTS else target.type)
        return self._refuse(
            at,
            f"value of filter criterion for field '{target.name}' must be of type {kind} and "
            f"{quoting} be enclosed in quotes",
        )

    def _find(self, name: Name | Call) -> tuple[str, Field]:
        sql, target = self.resolve(name)
        if not target.filterable:
            raise self._refuse(
                name.at, f"field '{target.name}' can not be filtered in a query call"
            )
        return sql, target

    # field operator value

    def _comparison(self, condition: Comparison) -> str:
        column, target = self._find(condition.field)
        operator, literal = condition.operator, condition.value
        if literal.kind == "null":
            return self._empty(column, target, condition)
        if operator == "LIKE":
            return self._like(column, target, condition)
        if target.type in ("date", "datetime"):
            return self._dated(column, target, operator, literal)
        if operator in _ORDERED and target.type in ("boolean", *values.IDS):
            raise self._operator(target, condition.field.at)
        value = self._value(target, literal)
        if value is None:
            return self._empty(column, target, condition)
        if target.type == "boolean":  # written out, so that an index on the flagged rows is used
            return f"{column} {operator} {value}"
        column, (value,) = _caseless(column, [value])
        self.parameters.append(value)
        if operator == "!=":
            return f"{column} IS NOT ?"
        return f"{column} {operator} ?"

    def _empty(self, column: str, target: Field, condition: Comparison) -> str:
        """A comparison with null, or with an empty text, which is the same."""
        if condition.operator not in ("=", "!="):
            raise self._operator(target, condition.field.at)
        return f"{column} IS {'NOT ' if condition.operator == '!=' else ''}NULL"

    def _operator(self, target: Field, at: int) -> SoqlError:
        kind = _KINDS.get(target.type, target.type)
        return self._refuse(
            at, f"invalid operator on {kind} field", "INVALID_QUERY_FILTER_OPERATOR"
        )

    def _like(self, column: str, target: Field, condition: Comparison) -> str:
        if target.type not in values.TEXTS:
            raise self._operator(target, condition.field.at)
        if condition.value.kind != "string":
            raise self._mistyped(target, condition.value.at)
        column, pattern = _caseless(column, [text_of(condition.value.text, pattern=True)])
        self.parameters += pattern
        return f"{column} LIKE ? ESCAPE '\\'"

    def _value(self, target: Field, literal: Literal) -> Any:
        if target.type in values.IDS:
            if literal.kind != "string":
                raise self._mistyped(target, literal.at)
            found = canonical(text := text_of(literal.text))
            if found is None and text:
                raise self._refuse(
                    literal.at, f"invalid ID field: {text}", "INVALID_QUERY_FILTER_OPERATOR"
                )
            return found
        if target.type in values.TEXTS:
            if literal.kind != "string":
                raise self._mistyped(target, literal.at)
            text = text_of(literal.text)
            if len(text) > 4000:
                raise self._refuse(literal.at, "string literal is too long", "MALFORMED_QUERY")
            return text or None
        if target.type == "boolean":
            if literal.kind != "boolean":
                raise self._mistyped(target, literal.at)
            return int(literal.text == "TRUE")
        if literal.kind != "number":
            raise self._mistyped(target, literal.at)
        return float(literal.text)

    # Dates

    def _range(self, target: Field, literal: Literal) -> tuple[str, str] | str:
        """First value and first value after, of a relative date; the value of a plain one."""
        if literal.kind == "relative":
            try:
                days = days_of(literal.text, self.now.astimezone(self.zone).date())
                first, end = days.in_utc(self.zone)
            except (OverflowError, ValueError):
                raise malformed("date out of range", self.statement, literal.at) from None
            if target.type == "date":
                return days.first.isoformat(), days.end.isoformat()
            return values.stored_moment(first), values.stored_moment(end)
        if literal.kind != target.type:
            raise self._mistyped(target, literal.at)
        if target.type == "date":
            day = values.stored_day(literal.text)
            if day is None:
                raise malformed(f"Invalid date: {literal.text}", self.statement, literal.at)
            return day
        instant = values.moment(literal.text)
        if instant is None:
            raise malformed(f"Invalid datetime: {literal.text}", self.statement, literal.at)
        return values.stored_moment(instant)

    def _dated(self, column: str, target: Field, operator: str, literal: Literal) -> str:
        found = self._range(target, literal)
        if isinstance(found, str):
            self.parameters.append(found)
            return f"{column} {'IS NOT' if operator == '!=' else operator} ?"
        first, end = found
        if operator == "=":
            self.parameters += [first, end]
            return f"({column} >= ? AND {column} < ?)"
        if operator == "!=":
            self.parameters += [first, end]
            return f"({column} IS NULL OR {column} < ? OR {column} >= ?)"
        bound = {"<": ("<", first), "<=": ("<", end), ">": (">=", end), ">=": (">=", first)}
        sign, value = bound[operator]
        self.parameters.append(value)
        return f"{column} {sign} ?"

    # field IN (…)

    def _membership(self, condition: Membership) -> str:
        column, target = self._find(condition.field)
        if condition.operator in ("INCLUDES", "EXCLUDES"):
            return self._includes(column, target, condition)
        positive = condition.operator == "IN"
        if isinstance(condition.within, Statement):
            if target.type not in values.IDS:
                raise self._refuse(
                    condition.field.at,
                    f"The inner and outer selects should not be on different types of field: "
                    f"'{target.name}' is no id",
                )
            inner = self.subselect(condition.within, self.parameters)
            made = f"{column} IN ({inner})"
            return made if positive else f"({column} IS NULL OR NOT {made})"
        if target.type == "boolean":
            raise self._operator(target, condition.field.at)
        found: list[Any] = []
        ranges: list[str] = []
        for literal in condition.within:
            if literal.kind == "null":
                value: Any = None
            elif target.type in ("date", "datetime"):
                value = self._range(target, literal)
                if not isinstance(value, str):
                    raise self._refuse(literal.at, "relative dates can't stand in a list")
            else:
                value = self._value(target, literal)
            if value is None:
                ranges.append(f"{column} IS NULL")
            else:
                found.append(value)
        if found:
            column, found = _caseless(column, found)
            ranges.append(f"{column} IN ({', '.join('?' * len(found))})")
            self.parameters += found
        made = ranges[0] if len(ranges) == 1 else f"({' OR '.join(ranges)})"
        return made if positive else f"NOT ifnull({made}, 0)"

    def _includes(self, column: str, target: Field, condition: Membership) -> str:
        if target.type != "multipicklist" or isinstance(condition.within, Statement):
            raise self._operator(target, condition.field.at)
        parts = []
        for literal in condition.within:
            wanted = str(self._value(target, literal) or "").split(";")
            parts.append(
                "(" + " AND ".join(f"instr(';' || {column} || ';', ?) > 0" for _ in wanted) + ")"
            )
            self.parameters += [f";{value};" for value in wanted]
        made = " OR ".join(parts)
        return f"({made})" if condition.operator == "INCLUDES" else f"NOT ifnull(({made}), 0)"


def _caseless(column: str, found: list[Any]) -> tuple[str, list[Any]]:
    """Column and values such that letters beyond ASCII compare without case, too.

    The columns themselves know only ASCII's; the function is slower and can use no index.
    """
    if all(not isinstance(value, str) or value.isascii() for value in found):
        return column, found
    return f"lower_case({column})", [str(value).lower() for value in found]


def _joined(parts: list[str], connective: str) -> str:
    """Conditions joined as a balanced tree: SQLite refuses expressions deeper than 1,000."""
    if len(parts) > 64:
        half = len(parts) // 2
        parts = [_joined(parts[:half], connective), _joined(parts[half:], connective)]
    return f"({f' {connective} '.join(parts)})"
