"""Search conditions of T-SQL as SQLite's: text without case, literals in the type beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from bounce_sync.sandbox.marketing_cloud.queries.values import (
    Kind,
    QueryError,
    as_text,
    common,
    compared,
)

if TYPE_CHECKING:
    from bounce_sync.sandbox.marketing_cloud.queries.statement import Scope

_COMPARISONS: dict[type[exp.Expression], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}


def _comparison(node: exp.Expression, scope: Scope) -> str:
    left, right = scope.value(node.this), scope.value(node.expression)
    return compared(left, _COMPARISONS[type(node)], right)


def _connected(node: exp.Expression, scope: Scope) -> str:
    word = "AND" if isinstance(node, exp.And) else "OR"
    left = scope.condition(node.this)
    return f"({left} {word} {scope.condition(node.expression)})"


def _between(node: exp.Expression, scope: Scope) -> str:
    value = scope.value(node.this)
    low, high = (scope.value(node.args[name]) for name in ("low", "high"))
    return f"({compared(value, '>=', low)} AND {compared(value, '<=', high)})"


def _in(node: exp.Expression, scope: Scope) -> str:
    value = scope.value(node.this)
    collation = " COLLATE NOCASE" if value.kind is Kind.TEXT and not value.exact else ""
    if query := node.args.get("query"):
        inner = scope.subquery(query.this if isinstance(query, exp.Subquery) else query)
        if len(inner.columns) != 1:
            raise QueryError(
                "Only one expression can be specified in the select list when the subquery is not"
                " introduced with EXISTS."
            )
        return f"({value.sql}{collation} IN ({inner.sql}))"
    listed = [scope.value(each) for each in node.expressions]
    _, said = common([value, *listed])
    return f"({said[0]}{collation} IN ({', '.join(said[1:])}))"


def _like(node: exp.Expression, scope: Scope, escape: str = "NULL") -> str:
    value, pattern = scope.value(node.this), scope.value(node.expression)
    wanted = 0 if node.args.get("negate") else 1
    return f"(ts_like({as_text(value)}, {as_text(pattern)}, {escape}) = {wanted})"


def _escaped(node: exp.Expression, scope: Scope) -> str:
    return _like(node.this, scope, scope.value(node.expression).sql)


def _is(node: exp.Expression, scope: Scope) -> str:
    return f"({scope.value(node.this).sql} IS NULL)"


def _exists(node: exp.Expression, scope: Scope) -> str:
    return f"EXISTS ({scope.subquery(node.this).sql})"


CONDITIONS: dict[type[exp.Expression], Callable[[exp.Expression, Scope], str]] = {
    **dict.fromkeys(_COMPARISONS, _comparison),
    exp.And: _connected,
    exp.Or: _connected,
    exp.Not: lambda node, scope: f"(NOT {scope.condition(node.this)})",
    exp.Paren: lambda node, scope: scope.condition(node.this),
    exp.Between: _between,
    exp.In: _in,
    exp.Escape: _escaped,
    exp.Like: _like,
    exp.Is: _is,
    exp.Exists: _exists,
}
