"""SELECT statements: names resolved, subqueries nested, the result's columns known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from bounce_sync.sandbox.marketing_cloud import gaps
from bounce_sync.sandbox.marketing_cloud.queries.calls import CALLS
from bounce_sync.sandbox.marketing_cloud.queries.conditions import CONDITIONS
from bounce_sync.sandbox.marketing_cloud.queries.scalars import VALUES
from bounce_sync.sandbox.marketing_cloud.queries.values import (
    QueryError,
    Relation,
    Value,
    collated,
    identifier,
)

Tables = Callable[[str, bool], Relation]
"""A table by its name, and whether `Ent.` stands before it. Raises QueryError."""


def compile_query(text: str, tables: Tables, now: str, now_utc: str) -> Relation:
    """One SELECT of T-SQL as one of SQLite. Raises QueryError with SQL Server's message.

    `now` and `now_utc` are what GETDATE() and GETUTCDATE() say, in the store's form.
    """
    try:
        statements = [found for found in sqlglot.parse(text, read="tsql") if found is not None]
    except SqlglotError as error:
        raise QueryError(_syntax(error)) from error
    if len(statements) != 1 or not isinstance(statements[0], (exp.Select, exp.SetOperation)):
        raise QueryError("Only SELECT statements are allowed in a query activity.")
    query = statements[0]
    if query.args.get("with_"):
        raise QueryError("Incorrect syntax near the keyword 'WITH'.")
    return Scope(tables, now, now_utc).compiled(query, "querydef")


_CLAUSES = {
    "expressions",
    "from_",
    "joins",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "distinct",
    "options",
}


def _not_served(what: str) -> QueryError:
    gaps.report("query", what)
    return QueryError(f"Incorrect syntax near the keyword '{what}'.")


@dataclass
class Scope:
    """The tables that a SELECT sees, inside those that the statement around it sees."""

    tables: Tables
    now: str
    now_utc: str
    outer: Scope | None = None
    sources: dict[str, Relation] = field(default_factory=dict)

    # -- expressions --------------------------------------------------------------------------

    def value(self, node: exp.Expression) -> Value:
        """Raises QueryError, as all of these do."""
        for known, compiled in (VALUES | CALLS).items():
            if isinstance(node, known):
                return compiled(node, self)
        name = node.sql("tsql").partition("(")[0].strip()
        gaps.report("query", f"function {name}")
        raise QueryError(f"'{name}' is not a recognized built-in function name.")

    def condition(self, node: exp.Expression) -> str:
        """A search condition; a bare value is none in T-SQL."""
        for known, compiled in CONDITIONS.items():
            if isinstance(node, known):
                return compiled(node, self)
        raise QueryError(
            "An expression of non-boolean type specified in a context where a condition is"
            " expected."
        )

    def column(self, node: exp.Expression) -> Value:
        name, table = node.name.lower(), node.args.get("table")
        if table is not None:
            return self._qualified(node.name, table.name)
        found = [alias for alias, source in self.sources.items() if name in source.columns]
        if len(found) > 1:
            raise QueryError(f"Ambiguous column name '{node.name}'.")
        if found:
            return self._value(found[0], name)
        if self.outer is not None:
            return self.outer.column(node)
        raise QueryError(f"Invalid column name '{node.name}'.")

    def subquery(self, node: exp.Expression) -> Relation:
        return self._inner().compiled(node, None)

    def single(self, node: exp.Expression) -> Value:
        found = self.subquery(node.this)
        if len(found.columns) != 1:
            raise QueryError(
                "Only one expression can be specified in the select list when the subquery is not"
                " introduced with EXISTS."
            )
        return Value(f"({found.sql})", next(iter(found.columns.values())))

    # -- statements ---------------------------------------------------------------------------

    def compiled(self, node: exp.Expression, alias: str | None) -> Relation:
        """`alias` is the table's name where the result is one: its columns then need names."""
        if isinstance(node, exp.Subquery):
            return self.compiled(node.this, alias)
        if isinstance(node, exp.SetOperation):
            return self._set(node, alias)
        if isinstance(node, exp.Select):
            return self._select(node, alias)
        raise QueryError(f"Incorrect syntax near '{node.sql('tsql')[:40]}'.")

    def _set(self, node: exp.SetOperation, alias: str | None) -> Relation:
        left = self._inner().compiled(node.this, alias)
        right = self._inner().compiled(node.expression, None)
        if len(left.columns) != len(right.columns):
            raise QueryError(
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an"
                " equal number of expressions in their target lists."
            )
        word = type(node).__name__.upper()
        if word == "UNION" and not node.args.get("distinct"):
            word = "UNION ALL"
        sql = f"SELECT * FROM ({left.sql}) {word} SELECT * FROM ({right.sql})"
        return Relation(sql, left.columns)

    def _select(self, node: exp.Select, alias: str | None) -> Relation:
        for name, value in node.args.items():
            if value and name not in _CLAUSES:
                raise _not_served(name.rstrip("_").upper())
        source = self._from(node)
        shown = self._shown(node, alias)
        parts = ["SELECT"]
        if node.args.get("distinct"):
            parts.append("DISTINCT")
        parts.append(", ".join(f"{value.sql} AS {identifier(name)}" for name, value in shown))
        parts += source
        if where := node.args.get("where"):
            parts += ["WHERE", self.condition(where.this)]
        if group := node.args.get("group"):
            grouped = (self.value(each) for each in group.expressions)
            parts += ["GROUP BY", ", ".join(collated(value) for value in grouped)]
        if having := node.args.get("having"):
            parts += ["HAVING", self.condition(having.this)]
        if order := node.args.get("order"):
            parts += ["ORDER BY", self._order(order, shown)]
        sql = " ".join(parts)
        if limit := node.args.get("limit"):
            sql = self._limited(sql, limit, node.args.get("offset"))
        return Relation(sql, {name: value.kind for name, value in shown})

    # -- their parts --------------------------------------------------------------------------

    def _from(self, node: exp.Select) -> list[str]:
        first = node.args.get("from_")
        if first is None:
            return []
        parts = ["FROM", self._source(first.this)]
        for join in node.args.get("joins") or []:
            kind = " ".join(filter(None, [join.side, join.kind])).upper()
            parts += [f"{kind} JOIN" if kind else "JOIN" if join.args.get("on") else "CROSS JOIN"]
            parts.append(self._source(join.this))
            if on := join.args.get("on"):
                parts += ["ON", self.condition(on)]
        return parts

    def _source(self, node: exp.Expression) -> str:
        alias = node.alias or node.name
        if isinstance(node, exp.Table):
            owner = node.args.get("db")
            if owner is not None and owner.name.lower() != "ent":
                raise QueryError(f"Invalid object name '{owner.name}.{node.name}'.")
            found = self.tables(node.name, owner is not None)
            said = found.sql
        elif isinstance(node, exp.Subquery):
            if not node.alias:
                raise QueryError("Incorrect syntax near ')'.")
            found = Scope(self.tables, self.now, self.now_utc, self.outer).compiled(
                node.this, node.alias
            )
            said = f"({found.sql})"
        else:
            raise QueryError(f"Incorrect syntax near '{node.sql('tsql')[:40]}'.")
        if alias.lower() in self.sources:
            raise QueryError(
                f'The objects "{alias}" and "{alias}" in the FROM clause have the same exposed'
                " names. Use correlation names to distinguish them."
            )
        self.sources[alias.lower()] = found
        return f"{said} AS {identifier(alias)}"

    def _shown(self, node: exp.Select, alias: str | None) -> list[tuple[str, Value]]:
        """Names and values of the select list."""
        shown: list[tuple[str, Value]] = []
        for number, each in enumerate(node.expressions, 1):
            if isinstance(each, exp.Star):
                shown += [pair for source in self.sources for pair in self._all(source)]
            elif isinstance(each, exp.Column) and isinstance(each.this, exp.Star):
                shown += self._all(each.table.lower())
            else:
                inner = each.this if isinstance(each, exp.Alias) else each
                name = each.alias or (inner.name if isinstance(inner, exp.Column) else "")
                if not name and alias is not None:
                    raise QueryError(
                        f"No column name was specified for column {number} of '{alias}'."
                    )
                shown.append((name.lower() or f"_{number}", self.value(inner)))
        seen: set[str] = set()
        for name, _ in shown:
            if name in seen and alias is not None:
                raise QueryError(f"The column '{name}' was specified multiple times for '{alias}'.")
            seen.add(name)
        return shown

    def _order(self, order: exp.Expression, shown: list[tuple[str, Value]]) -> str:
        """ORDER BY knows the select list's aliases too."""
        named = dict(shown)
        said = []
        for each in order.expressions:
            value = each.this
            if isinstance(value, exp.Column) and not value.table and value.name.lower() in named:
                found = named[value.name.lower()]
            else:
                found = self.value(value)
            said.append(collated(found) + (" DESC" if each.args.get("desc") else ""))
        return ", ".join(said)

    def _limited(self, sql: str, limit: exp.Expression, offset: exp.Expression | None) -> str:
        """TOP, TOP … PERCENT, or OFFSET … FETCH."""
        said = limit.args.get("expression") or limit.args.get("count")
        options = limit.args.get("limit_options")
        if said is None or (options is not None and options.args.get("with_ties")):
            raise _not_served("TOP … WITH TIES")
        count = self.value(said).sql
        if options is not None and options.args.get("percent"):
            count = f"(SELECT (count(*) * {count} + 99) / 100 FROM ({sql}))"
        after = "" if offset is None else f" OFFSET {self.value(offset.expression).sql}"
        return f"{sql} LIMIT {count}{after}"

    def _all(self, alias: str) -> list[tuple[str, Value]]:
        if alias not in self.sources:
            raise QueryError(
                f"The column prefix '{alias}' does not match with a table name or alias name used"
                " in the query."
            )
        return [(name, self._value(alias, name)) for name in self.sources[alias].columns]

    def _qualified(self, name: str, alias: str) -> Value:
        source = self.sources.get(alias.lower())
        if source is None:
            if self.outer is not None:
                return self.outer._qualified(name, alias)
            raise QueryError(f'The multi-part identifier "{alias}.{name}" could not be bound.')
        if name.lower() not in source.columns:
            raise QueryError(f"Invalid column name '{name}'.")
        return self._value(alias.lower(), name.lower())

    def _value(self, alias: str, name: str) -> Value:
        kind = self.sources[alias].columns[name]
        return Value(f"{identifier(alias)}.{identifier(name)}", kind)

    def _inner(self) -> Scope:
        return Scope(self.tables, self.now, self.now_utc, self)


def _syntax(error: SqlglotError) -> str:
    found = getattr(error, "errors", None) or [{}]
    near = found[0].get("highlight") or ""
    return f"Incorrect syntax near '{near}'."
