"""Expressions of T-SQL as expressions of SQLite, with their types.

Types decide what SQL Server would: text compares without case, text beside a time is a time, `+`
joins texts and adds numbers, a division of whole numbers is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from bounce_sync.sandbox.marketing_cloud.queries.values import (
    Kind,
    QueryError,
    Value,
    text_literal,
)

if TYPE_CHECKING:
    from bounce_sync.sandbox.marketing_cloud.queries.statement import Scope

TEXT, INT, DECIMAL, BIT = Kind.TEXT, Kind.INT, Kind.DECIMAL, Kind.BIT
DATETIME, DATE, NULL = Kind.DATETIME, Kind.DATE, Kind.NULL

_CAST_KINDS = {
    "DATE": DATE, "DATETIME": DATETIME, "DATETIME2": DATETIME, "SMALLDATETIME": DATETIME,
    "TIMESTAMP": DATETIME, "TIMESTAMPTZ": DATETIME, "INT": INT, "BIGINT": INT, "SMALLINT": INT,
    "TINYINT": INT, "UTINYINT": INT, "BIT": BIT, "BOOLEAN": BIT, "DECIMAL": DECIMAL,
    "FLOAT": DECIMAL, "DOUBLE": DECIMAL, "MONEY": DECIMAL,
    "VARCHAR": TEXT, "NVARCHAR": TEXT, "CHAR": TEXT, "NCHAR": TEXT, "TEXT": TEXT, "UUID": TEXT,
}  # fmt: skip
_DEFAULT_LENGTH = 30
"""Of `CONVERT(varchar, x)`, which names none."""

# Minutes from UTC. SFMC's own zone has no daylight saving.
_ZONES = {
    "utc": 0,
    "central america standard time": -360,
    "canada central standard time": -360,
}
_COMPARISONS: dict[type[exp.Expression], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_ARITHMETIC: dict[type[exp.Expression], str] = {exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}


def compile_value(node: exp.Expression, scope: Scope) -> Value:
    """Raises QueryError with SQL Server's message."""
    for known, compiled in _NODES.items():
        if isinstance(node, known):
            return compiled(node, scope)
    name = node.sql("tsql").partition("(")[0]
    raise QueryError(f"'{name}' is not a recognized built-in function name.")


def compile_condition(node: exp.Expression, scope: Scope) -> str:
    """A search condition; a bare value is none in T-SQL. Raises QueryError."""
    for known, compiled in _CONDITIONS.items():
        if isinstance(node, known):
            return compiled(node, scope)
    raise QueryError(
        "An expression of non-boolean type specified in a context where a condition is expected."
    )


def unwrapped(node: exp.Expression) -> exp.Expression:
    """Without what sqlglot puts around the arguments of date and text functions."""
    while isinstance(node, (exp.TimeStrToTime, exp.TsOrDsToDate, exp.TsOrDsToTimestamp)):
        node = node.this
    if isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.TEXT:
        return unwrapped(node.this)
    return node


def as_text(value: Value) -> str:
    if value.kind in {TEXT, NULL}:
        return value.sql
    return f"ts_text({value.sql}, '{value.kind.value}', NULL, NULL)"


def as_time(value: Value) -> str:
    return value.sql if value.kind.is_time else f"ts_datetime({value.sql})"


def as_number(value: Value) -> str:
    return value.sql if value.kind.is_number or value.kind is NULL else f"ts_int({value.sql}, 0)"


def common(values: list[Value]) -> tuple[Kind, list[str]]:
    """The type that several values share, and each as one of it."""
    kinds = {value.kind for value in values} - {NULL}
    if not kinds:
        return NULL, [value.sql for value in values]
    if any(kind.is_time for kind in kinds):
        kind = DATE if kinds == {DATE} else DATETIME
        return kind, [v.sql if v.kind is NULL else as_time(v) for v in values]
    if any(kind.is_number for kind in kinds):
        kind = DECIMAL if DECIMAL in kinds else INT if INT in kinds else BIT
        return kind, [as_number(value) for value in values]
    return TEXT, [value.sql for value in values]


def compared(left: Value, operator: str, right: Value) -> str:
    kind, (first, second) = common([left, right])
    exact = left.exact or right.exact
    if kind is TEXT:
        return f"({first} COLLATE {'BINARY' if exact else 'NOCASE'} {operator} {second})"
    return f"({first} {operator} {second})"


# -- conditions -------------------------------------------------------------------------------


def _comparison(node: exp.Expression, scope: Scope) -> str:
    left, right = compile_value(node.this, scope), compile_value(node.expression, scope)
    return compared(left, _COMPARISONS[type(node)], right)


def _connected(node: exp.Expression, scope: Scope) -> str:
    word = "AND" if isinstance(node, exp.And) else "OR"
    left = compile_condition(node.this, scope)
    return f"({left} {word} {compile_condition(node.expression, scope)})"


def _between(node: exp.Expression, scope: Scope) -> str:
    value = compile_value(node.this, scope)
    low, high = (compile_value(node.args[name], scope) for name in ("low", "high"))
    return f"({compared(value, '>=', low)} AND {compared(value, '<=', high)})"


def _in(node: exp.Expression, scope: Scope) -> str:
    value = compile_value(node.this, scope)
    collation = " COLLATE NOCASE" if value.kind is TEXT and not value.exact else ""
    if query := node.args.get("query"):
        inner = scope.subquery(query.this if isinstance(query, exp.Subquery) else query)
        if len(inner.columns) != 1:
            raise QueryError(
                "Only one expression can be specified in the select list when the subquery is not"
                " introduced with EXISTS."
            )
        return f"({value.sql}{collation} IN ({inner.sql}))"
    listed = [compile_value(each, scope) for each in node.expressions]
    _, said = common([value, *listed])
    return f"({said[0]}{collation} IN ({', '.join(said[1:])}))"


def _like(node: exp.Expression, scope: Scope, escape: str = "NULL") -> str:
    value, pattern = compile_value(node.this, scope), compile_value(node.expression, scope)
    return f"(ts_like({as_text(value)}, {as_text(pattern)}, {escape}) = 1)"


def _escaped(node: exp.Expression, scope: Scope) -> str:
    return _like(node.this, scope, compile_value(node.expression, scope).sql)


def _is(node: exp.Expression, scope: Scope) -> str:
    return f"({compile_value(node.this, scope).sql} IS NULL)"


def _exists(node: exp.Expression, scope: Scope) -> str:
    return f"EXISTS ({scope.subquery(node.this).sql})"


_CONDITIONS: dict[type[exp.Expression], Callable[[exp.Expression, Scope], str]] = {
    **dict.fromkeys(_COMPARISONS, _comparison),
    exp.And: _connected,
    exp.Or: _connected,
    exp.Not: lambda node, scope: f"(NOT {compile_condition(node.this, scope)})",
    exp.Paren: lambda node, scope: compile_condition(node.this, scope),
    exp.Between: _between,
    exp.In: _in,
    exp.Escape: _escaped,
    exp.Like: _like,
    exp.Is: _is,
    exp.Exists: _exists,
}


# -- values -----------------------------------------------------------------------------------


def _literal(node: exp.Expression, _: Scope) -> Value:
    if node.is_string:
        return Value(text_literal(node.name), TEXT)
    return Value(node.name, INT if node.name.isdecimal() else DECIMAL)


def _collate(node: exp.Expression, scope: Scope) -> Value:
    name = node.expression.name.upper()
    found = compile_value(node.this, scope)
    return Value(found.sql, found.kind, exact="_CS" in name or "_BIN" in name)


def _negative(node: exp.Expression, scope: Scope) -> Value:
    found = compile_value(node.this, scope)
    return Value(f"(-{as_number(found)})", found.kind)


def _plus_or_minus(node: exp.Expression, scope: Scope) -> Value:
    left, right = compile_value(node.this, scope), compile_value(node.expression, scope)
    sign = "+" if isinstance(node, exp.Add) else "-"
    if left.kind.is_time and right.kind.is_number:
        number = right.sql if sign == "+" else f"-({right.sql})"
        return Value(f"ts_dateadd('day', {number}, {left.sql})", left.kind)
    if sign == "+" and {left.kind, right.kind} <= {TEXT, NULL}:
        return Value(f"({left.sql} || {right.sql})", TEXT)
    kind, (first, second) = common([left, right])
    if kind.is_time:
        raise QueryError("Operand data type datetime is invalid for this operator.")
    return Value(f"({first} {sign} {second})", kind)


def _arithmetic(node: exp.Expression, scope: Scope) -> Value:
    values = [compile_value(node.this, scope), compile_value(node.expression, scope)]
    kind = DECIMAL if DECIMAL in {value.kind for value in values} else INT
    first, second = (as_number(value) for value in values)
    return Value(f"({first} {_ARITHMETIC[type(node)]} {second})", kind)


def _case(node: exp.Expression, scope: Scope) -> Value:
    subject = compile_value(node.this, scope) if node.this is not None else None
    tests, results = [], []
    for branch in node.args["ifs"]:
        if subject is None:
            tests.append(compile_condition(branch.this, scope))
        else:
            tests.append(compared(subject, "=", compile_value(branch.this, scope)))
        results.append(compile_value(branch.args["true"], scope))
    default = node.args.get("default")
    results.append(compile_value(default, scope) if default is not None else Value("NULL", NULL))
    kind, said = common(results)
    branches = " ".join(f"WHEN {t} THEN {r}" for t, r in zip(tests, said, strict=False))
    return Value(f"(CASE {branches} ELSE {said[-1]} END)", kind)


def _if(node: exp.Expression, scope: Scope) -> Value:
    results = [compile_value(node.args[name], scope) for name in ("true", "false")]
    kind, (first, second) = common(results)
    test = compile_condition(node.this, scope)
    return Value(f"(CASE WHEN {test} THEN {first} ELSE {second} END)", kind)


def _coalesce(node: exp.Expression, scope: Scope) -> Value:
    values = [compile_value(each, scope) for each in [node.this, *node.expressions]]
    kind, said = common(values)
    return Value(f"coalesce({', '.join(said)})", kind)


def _nullif(node: exp.Expression, scope: Scope) -> Value:
    left, right = compile_value(node.this, scope), compile_value(node.expression, scope)
    return Value(
        f"(CASE WHEN {compared(left, '=', right)} THEN NULL ELSE {left.sql} END)", left.kind
    )


def _cast(node: exp.Expression, scope: Scope) -> Value:
    """CAST, CONVERT and their TRY_ forms."""
    is_convert = isinstance(node, exp.Convert)
    target = node.this if is_convert else node.args["to"]
    found = compile_value(node.expression if is_convert else node.this, scope)
    safe = int(bool(node.args.get("safe")) or isinstance(node, exp.TryCast))
    kind = _CAST_KINDS.get(target.this.name if hasattr(target.this, "name") else str(target.this))
    if kind is None:
        raise QueryError(f"Type {target.sql('tsql')} is not a defined system type.")
    if kind is TEXT:
        style = node.args.get("style")
        said = "NULL" if style is None else compile_value(style, scope).sql
        return Value(f"ts_text({found.sql}, '{found.kind.value}', {_length(target)}, {said})", TEXT)
    if kind.is_time:
        time = found.sql
        if not found.kind.is_time:
            time = f"ts_try_datetime({time})" if safe else f"ts_datetime({time})"
        return Value(f"ts_date({time})" if kind is DATE else time, kind)
    name = {INT: "ts_int", DECIMAL: "ts_decimal", BIT: "ts_bit"}[kind]
    return Value(f"{name}({found.sql}, {safe})", kind)


def _length(target: exp.DataType) -> str:
    if target.this == exp.DataType.Type.TEXT:
        return "NULL"
    if not target.expressions:
        return str(_DEFAULT_LENGTH)
    said = target.expressions[0].name
    return said if said.isdecimal() else "NULL"


def _date_add(node: exp.Expression, scope: Scope) -> Value:
    found = compile_value(unwrapped(node.this), scope)
    number = as_number(compile_value(node.expression, scope))
    kind = found.kind if found.kind.is_time else DATETIME
    unit = text_literal(node.args["unit"].name)
    return Value(f"ts_dateadd({unit}, {number}, {as_time(found)})", kind)


def _date_diff(node: exp.Expression, scope: Scope) -> Value:
    end = as_time(compile_value(unwrapped(node.this), scope))
    start = as_time(compile_value(unwrapped(node.expression), scope))
    return Value(f"ts_datediff({text_literal(node.args['unit'].name)}, {start}, {end})", INT)


def _zoned(node: exp.Expression, scope: Scope) -> Value:
    """A time in a zone is named first and moved next: `x AT TIME ZONE 'a' AT TIME ZONE 'b'`."""
    zone = node.args["zone"].name
    minutes = _ZONES.get(zone.lower())
    if minutes is None:
        raise QueryError(
            f"The time zone parameter '{zone}' provided to AT TIME ZONE clause is invalid."
        )
    found = compile_value(node.this, scope)
    if not isinstance(node.this, exp.AtTimeZone):
        return Value(as_time(found), DATETIME)
    moved = minutes - _ZONES[node.this.args["zone"].name.lower()]
    return Value(f"ts_dateadd('minute', {moved}, {as_time(found)})", DATETIME)


def _trim(node: exp.Expression, scope: Scope) -> Value:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")), "trim")
    return Value(f"{name}({as_text(compile_value(unwrapped(node.this), scope))})", TEXT)


def _concat(node: exp.Expression, scope: Scope) -> Value:
    parts = (as_text(compile_value(unwrapped(each), scope)) for each in node.expressions)
    return Value("(" + " || ".join(f"coalesce({part}, '')" for part in parts) + ")", TEXT)


def _aggregate(node: exp.Expression, scope: Scope) -> Value:
    name = type(node).__name__.lower()
    inner, distinct = node.this, ""
    if isinstance(inner, exp.Star):
        return Value("count(*)", INT)
    if isinstance(inner, exp.Distinct):
        inner, distinct = inner.expressions[0], "DISTINCT "
    found = compile_value(inner, scope)
    collated = f"{found.sql} COLLATE NOCASE" if found.kind is TEXT else found.sql
    kind = {"count": INT, "sum": found.kind, "avg": found.kind}.get(name, found.kind)
    if name == "avg" and found.kind is INT:
        return Value(f"CAST(avg({distinct}{collated}) AS INTEGER)", INT)
    return Value(f"{name}({distinct}{collated})", kind)


def _joined(node: exp.Expression, scope: Scope) -> Value:
    separator = node.args.get("separator")
    said = compile_value(separator, scope).sql if separator is not None else "','"
    return Value(f"group_concat({as_text(compile_value(node.this, scope))}, {said})", TEXT)


def _window(node: exp.Expression, scope: Scope) -> Value:
    ranks = {exp.RowNumber: "row_number()", exp.Rank: "rank()", exp.DenseRank: "dense_rank()"}
    if type(node.this) in ranks:
        found = Value(ranks[type(node.this)], INT)
        if node.args.get("order") is None:
            name = found.sql.removesuffix("()").upper()
            raise QueryError(f"The function '{name}' must have an OVER clause with ORDER BY.")
    elif isinstance(node.this, (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue)):
        inner = compile_value(node.this.this, scope)
        name = {"Lag": "lag", "Lead": "lead", "FirstValue": "first_value"}.get(
            type(node.this).__name__, "last_value"
        )
        offset = node.this.args.get("offset")
        more = f", {compile_value(offset, scope).sql}" if offset is not None else ""
        found = Value(f"{name}({inner.sql}{more})", inner.kind)
    else:
        found = compile_value(node.this, scope)
    over = []
    if parts := node.args.get("partition_by"):
        said = ", ".join(collated(compile_value(part, scope)) for part in parts)
        over.append(f"PARTITION BY {said}")
    if order := node.args.get("order"):
        over.append(f"ORDER BY {ordering(order, scope)}")
    return Value(f"{found.sql} OVER ({' '.join(over)})", found.kind)


def ordering(order: exp.Expression, scope: Scope) -> str:
    """NULLs first, as SQL Server and SQLite both have it."""
    said = (
        f"{collated(compile_value(each.this, scope))}{' DESC' if each.args.get('desc') else ''}"
        for each in order.expressions
    )
    return ", ".join(said)


def collated(value: Value) -> str:
    """For grouping and ordering, where text has no case either."""
    return f"{value.sql} COLLATE NOCASE" if value.kind is TEXT else value.sql


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
            found = compile_value(unwrapped(inner), scope)
            said.append(_AS[wanted](found))
        return Value(f"{name}({', '.join(said)})", kind)

    return compiled


_AS = {"text": as_text, "time": as_time, "number": as_number, "any": lambda value: value.sql}


def _substring(node: exp.Expression, scope: Scope) -> Value:
    found = as_text(compile_value(unwrapped(node.this), scope))
    start = as_number(compile_value(node.args["start"], scope))
    length = as_number(compile_value(node.args["length"], scope))
    return Value(f"substr({found}, {start}, {length})", TEXT)


def _extract(node: exp.Expression, scope: Scope) -> Value:
    time = as_time(compile_value(unwrapped(node.expression), scope))
    return Value(f"ts_datepart({text_literal(node.name)}, {time})", INT)


def _part(unit: str) -> Callable[[exp.Expression, Scope], Value]:
    return lambda node, scope: Value(
        f"ts_datepart('{unit}', {as_time(compile_value(unwrapped(node.this), scope))})", INT
    )


def _from_parts(node: exp.Expression, scope: Scope) -> Value:
    year, month, day = (
        as_number(compile_value(node.args[name], scope)) for name in ("year", "month", "day")
    )
    return Value(f"printf('%04d-%02d-%02d 00:00:00.000', {year}, {month}, {day})", DATE)


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
    found = (compile_value(each, scope) for each in node.expressions)
    said = [_AS[how](value) for how, value in zip(wanted, found, strict=True)]
    return Value(f"{function}({', '.join(said)})", kind)


def _now(_: exp.Expression, scope: Scope) -> Value:
    return Value(text_literal(scope.now), DATETIME)


_NODES: dict[type[exp.Expression], Callable[[exp.Expression, Scope], Value]] = {
    exp.Literal: _literal,
    exp.National: lambda node, _: Value(text_literal(node.name), TEXT),
    exp.Null: lambda *_: Value("NULL", NULL),
    exp.Column: lambda node, scope: scope.column(node),
    exp.Paren: lambda node, scope: compile_value(node.this, scope),
    exp.Collate: _collate,
    exp.Neg: _negative,
    exp.Add: _plus_or_minus,
    exp.Sub: _plus_or_minus,
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    exp.Case: _case,
    exp.If: _if,
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
    exp.Convert: _cast,
    exp.Cast: _cast,
    exp.DateAdd: _date_add,
    exp.DateDiff: _date_diff,
    exp.AtTimeZone: _zoned,
    exp.CurrentTimestamp: _now,
    exp.CurrentTimestampLTZ: _now,
    exp.Extract: _extract,
    exp.Year: _part("year"),
    exp.Month: _part("month"),
    exp.Day: _part("day"),
    exp.DateFromParts: _from_parts,
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
    exp.Upper: _call("upper", TEXT, "text:this"),
    exp.Lower: _call("lower", TEXT, "text:this"),
    exp.Trim: _trim,
    exp.Concat: _concat,
    exp.Repeat: _call("ts_replicate", TEXT, "text:this", "number:times"),
    exp.Space: lambda node, scope: Value(
        f"ts_replicate(' ', {as_number(compile_value(node.this, scope))})", TEXT
    ),
    exp.Reverse: _call("ts_reverse", TEXT, "text:this"),
    exp.Ascii: _call("unicode", INT, "text:this"),
    exp.Unicode: _call("unicode", INT, "text:this"),
    exp.Chr: lambda node, scope: Value(
        f"char({as_number(compile_value(node.expressions[0], scope))})", TEXT
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
    exp.Subquery: lambda node, scope: scope.single(node),
    exp.Anonymous: _anonymous,
}
