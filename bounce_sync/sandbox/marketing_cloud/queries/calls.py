"""Functions, aggregates and windows of T-SQL as SQLite's, most of them those of `functions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from bounce_sync.sandbox.marketing_cloud.queries.scalars import unwrapped
from bounce_sync.sandbox.marketing_cloud.queries.values import (
    Kind,
    QueryError,
    Value,
    as_number,
    as_text,
    as_time,
    collated,
    text_literal,
)

if TYPE_CHECKING:
    from bounce_sync.sandbox.marketing_cloud.queries.statement import Scope

TEXT, INT, DECIMAL, BIT = Kind.TEXT, Kind.INT, Kind.DECIMAL, Kind.BIT
DATETIME, DATE, NULL = Kind.DATETIME, Kind.DATE, Kind.NULL


def _trim(node: exp.Expression, scope: Scope) -> Value:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")), "trim")
    return Value(f"{name}({as_text(scope.value(unwrapped(node.this)))})", TEXT)


def _concat(node: exp.Expression, scope: Scope) -> Value:
    parts = (as_text(scope.value(unwrapped(each))) for each in node.expressions)
    return Value("(" + " || ".join(f"coalesce({part}, '')" for part in parts) + ")", TEXT)


def _aggregate(node: exp.Expression, scope: Scope) -> Value:
    name = type(node).__name__.lower()
    inner, distinct = node.this, ""
    if isinstance(inner, exp.Star):
        return Value("count(*)", INT)
    if isinstance(inner, exp.Distinct):
        inner, distinct = inner.expressions[0], "DISTINCT "
    found = scope.value(inner)
    collated = f"{found.sql} COLLATE NOCASE" if found.kind is TEXT else found.sql
    kind = {"count": INT, "sum": found.kind, "avg": found.kind}.get(name, found.kind)
    if name == "avg" and found.kind is INT:
        return Value(f"CAST(avg({distinct}{collated}) AS INTEGER)", INT)
    return Value(f"{name}({distinct}{collated})", kind)


def _joined(node: exp.Expression, scope: Scope) -> Value:
    separator = node.args.get("separator")
    said = scope.value(separator).sql if separator is not None else "','"
    return Value(f"group_concat({as_text(scope.value(node.this))}, {said})", TEXT)


def _window(node: exp.Expression, scope: Scope) -> Value:
    ranks = {exp.RowNumber: "row_number()", exp.Rank: "rank()", exp.DenseRank: "dense_rank()"}
    if type(node.this) in ranks:
        found = Value(ranks[type(node.this)], INT)
        if node.args.get("order") is None:
            name = found.sql.removesuffix("()").upper()
            raise QueryError(f"The function '{name}' must have an OVER clause with ORDER BY.")
    elif isinstance(node.this, (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue)):
        inner = scope.value(node.this.this)
        name = {"Lag": "lag", "Lead": "lead", "FirstValue": "first_value"}.get(
            type(node.this).__name__, "last_value"
        )
        offset = node.this.args.get("offset")
        more = f", {scope.value(offset).sql}" if offset is not None else ""
        found = Value(f"{name}({inner.sql}{more})", inner.kind)
    else:
        found = scope.value(node.this)
    over = []
    if parts := node.args.get("partition_by"):
        said = ", ".join(collated(scope.value(part)) for part in parts)
        over.append(f"PARTITION BY {said}")
    if order := node.args.get("order"):
        over.append(f"ORDER BY {ordering(order, scope)}")
    if frame := node.args.get("spec"):
        over.append(frame.sql("sqlite"))
    return Value(f"{found.sql} OVER ({' '.join(over)})", found.kind)


def ordering(order: exp.Expression, scope: Scope) -> str:
    """NULLs first, as SQL Server and SQLite both have it."""
    said = (
        f"{collated(scope.value(each.this))}{' DESC' if each.args.get('desc') else ''}"
        for each in order.expressions
    )
    return ", ".join(said)


def _call(name: str, kind: Kind, *arguments: str) -> Callable[..., Value]:
    """A function whose arguments are these parts of the node, each turned into its type:
    `text:this`, `time:this`, `number:start`. Those that are missing are NULL."""

    def compiled(node: exp.Expression, scope: Scope) -> Value:
        said = []
        for argument in arguments:
            wanted, _, part = argument.partition(":")
            inner = node.args.get(part)
            if inner is None:
                said.append("NULL")
                continue
            found = scope.value(unwrapped(inner))
            said.append(_AS[wanted](found))
        return Value(f"{name}({', '.join(said)})", kind)

    return compiled


_AS = {"text": as_text, "time": as_time, "number": as_number, "any": lambda value: value.sql}


def _substring(node: exp.Expression, scope: Scope) -> Value:
    found = as_text(scope.value(unwrapped(node.this)))
    start = as_number(scope.value(node.args["start"]))
    length = as_number(scope.value(node.args["length"]))
    return Value(f"substr({found}, {start}, {length})", TEXT)


_ANONYMOUS: dict[str, tuple[str, Kind, tuple[str, ...]]] = {
    "PATINDEX": ("ts_patindex", INT, ("text", "text")),
    "ISNUMERIC": ("ts_isnumeric", INT, ("any",)),
    "ISDATE": ("ts_isdate", INT, ("any",)),
    "NCHAR": ("char", TEXT, ("number",)),
}


def _anonymous(node: exp.Expression, scope: Scope) -> Value:
    name = node.name.upper()
    if name in {"GETUTCDATE", "SYSUTCDATETIME"}:
        return Value(text_literal(scope.now_utc), DATETIME)
    if name not in _ANONYMOUS or len(node.expressions) != len(_ANONYMOUS[name][2]):
        raise QueryError(f"'{node.name}' is not a recognized built-in function name.")
    function, kind, wanted = _ANONYMOUS[name]
    found = (scope.value(each) for each in node.expressions)
    said = [_AS[how](value) for how, value in zip(wanted, found, strict=True)]
    return Value(f"{function}({', '.join(said)})", kind)


CALLS: dict[type[exp.Expression], Callable[[exp.Expression, Scope], Value]] = {
    exp.LastDay: _call("ts_eomonth", DATE, "time:this"),
    exp.TimeToStr: _call("ts_strftime", TEXT, "time:this", "text:format"),
    exp.Left: _call("ts_left", TEXT, "text:this", "number:expression"),
    exp.Right: _call("ts_right", TEXT, "text:this", "number:expression"),
    exp.Length: _call("ts_len", INT, "text:this"),
    exp.Replace: _call("ts_replace", TEXT, "text:this", "text:expression", "text:replacement"),
    exp.StrPosition: _call("ts_charindex", INT, "text:substr", "text:this", "number:position"),
    exp.Substring: _substring,
    exp.Stuff: _call(
        "ts_stuff", TEXT, "text:this", "number:start", "number:length", "text:expression"
    ),
    exp.Upper: _call("ts_upper", TEXT, "text:this"),
    exp.Lower: _call("ts_lower", TEXT, "text:this"),
    exp.Trim: _trim,
    exp.Concat: _concat,
    exp.Repeat: _call("ts_replicate", TEXT, "text:this", "number:times"),
    exp.Space: lambda node, scope: Value(
        f"ts_replicate(' ', {as_number(scope.value(node.this))})", TEXT
    ),
    exp.Reverse: _call("ts_reverse", TEXT, "text:this"),
    exp.Ascii: _call("unicode", INT, "text:this"),
    exp.Unicode: _call("unicode", INT, "text:this"),
    exp.Chr: lambda node, scope: Value(
        f"char({as_number(scope.value(node.expressions[0]))})", TEXT
    ),
    exp.Abs: _call("abs", INT, "number:this"),
    exp.Round: _call("round", DECIMAL, "number:this", "number:decimals"),
    exp.Floor: _call("floor", INT, "number:this"),
    exp.Ceil: _call("ceil", INT, "number:this"),
    exp.SHA2: _call("ts_sha2", TEXT, "text:this", "number:length"),
    exp.Uuid: lambda *_: Value("lower(hex(randomblob(16)))", TEXT),
    exp.Count: _aggregate,
    exp.Min: _aggregate,
    exp.Max: _aggregate,
    exp.Sum: _aggregate,
    exp.Avg: _aggregate,
    exp.GroupConcat: _joined,
    exp.Window: _window,
    exp.Anonymous: _anonymous,
}
