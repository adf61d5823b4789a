"""Values of T-SQL as SQLite's: literals, arithmetic, CASE, conversions and dates.

Types decide what SQL Server would: `+` joins texts and adds numbers, a division of whole numbers is
whole, text beside a time is a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from bounce_sync.sandbox.marketing_cloud.queries.values import (
    Kind,
    QueryError,
    Value,
    as_number,
    as_time,
    common,
    compared,
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
_ARITHMETIC: dict[type[exp.Expression], str] = {exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}


def unwrapped(node: exp.Expression) -> exp.Expression:
    """Without what sqlglot puts around the arguments of date and text functions."""
    while isinstance(node, (exp.TimeStrToTime, exp.TsOrDsToDate, exp.TsOrDsToTimestamp)):
        node = node.this
    if isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.TEXT:
        return unwrapped(node.this)
    return node


def _literal(node: exp.Expression, _: Scope) -> Value:
    if node.is_string:
        return Value(text_literal(node.name), TEXT)
    return Value(node.name, INT if node.name.isdecimal() else DECIMAL)


def _collate(node: exp.Expression, scope: Scope) -> Value:
    name = node.expression.name.upper()
    found = scope.value(node.this)
    return Value(found.sql, found.kind, exact="_CS" in name or "_BIN" in name)


def _negative(node: exp.Expression, scope: Scope) -> Value:
    found = scope.value(node.this)
    return Value(f"(-{as_number(found)})", found.kind)


def _plus_or_minus(node: exp.Expression, scope: Scope) -> Value:
    left, right = scope.value(node.this), scope.value(node.expression)
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
    values = [scope.value(node.this), scope.value(node.expression)]
    kind = DECIMAL if DECIMAL in {value.kind for value in values} else INT
    first, second = (as_number(value) for value in values)
    return Value(f"({first} {_ARITHMETIC[type(node)]} {second})", kind)


def _case(node: exp.Expression, scope: Scope) -> Value:
    subject = scope.value(node.this) if node.this is not None else None
    tests, results = [], []
    for branch in node.args["ifs"]:
        if subject is None:
            tests.append(scope.condition(branch.this))
        else:
            tests.append(compared(subject, "=", scope.value(branch.this)))
        results.append(scope.value(branch.args["true"]))
    default = node.args.get("default")
    results.append(scope.value(default) if default is not None else Value("NULL", NULL))
    kind, said = common(results)
    branches = " ".join(f"WHEN {t} THEN {r}" for t, r in zip(tests, said, strict=False))
    return Value(f"(CASE {branches} ELSE {said[-1]} END)", kind)


def _if(node: exp.Expression, scope: Scope) -> Value:
    results = [scope.value(node.args[name]) for name in ("true", "false")]
    kind, (first, second) = common(results)
    test = scope.condition(node.this)
    return Value(f"(CASE WHEN {test} THEN {first} ELSE {second} END)", kind)


def _coalesce(node: exp.Expression, scope: Scope) -> Value:
    values = [scope.value(each) for each in [node.this, *node.expressions]]
    kind, said = common(values)
    return Value(f"coalesce({', '.join(said)})", kind)


def _nullif(node: exp.Expression, scope: Scope) -> Value:
    left, right = scope.value(node.this), scope.value(node.expression)
    return Value(
        f"(CASE WHEN {compared(left, '=', right)} THEN NULL ELSE {left.sql} END)", left.kind
    )


def _cast(node: exp.Expression, scope: Scope) -> Value:
    """CAST, CONVERT and their TRY_ forms."""
    is_convert = isinstance(node, exp.Convert)
    target = node.this if is_convert else node.args["to"]
    found = scope.value(node.expression if is_convert else node.this)
    safe = int(bool(node.args.get("safe")) or isinstance(node, exp.TryCast))
    kind = _CAST_KINDS.get(target.this.name if hasattr(target.this, "name") else str(target.this))
    if kind is None:
        raise QueryError(f"Type {target.sql('tsql')} is not a defined system type.")
    if kind is TEXT:
        style = node.args.get("style")
        said = "NULL" if style is None else scope.value(style).sql
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
    found = scope.value(unwrapped(node.this))
    number = as_number(scope.value(node.expression))
    kind = found.kind if found.kind.is_time else DATETIME
    unit = text_literal(node.args["unit"].name)
    return Value(f"ts_dateadd({unit}, {number}, {as_time(found)})", kind)


def _date_diff(node: exp.Expression, scope: Scope) -> Value:
    end = as_time(scope.value(unwrapped(node.this)))
    start = as_time(scope.value(unwrapped(node.expression)))
    return Value(f"ts_datediff({text_literal(node.args['unit'].name)}, {start}, {end})", INT)


def _zoned(node: exp.Expression, scope: Scope) -> Value:
    """A time in a zone is named first and moved next: `x AT TIME ZONE 'a' AT TIME ZONE 'b'`."""
    zone = node.args["zone"].name
    minutes = _ZONES.get(zone.lower())
    if minutes is None:
        raise QueryError(
            f"The time zone parameter '{zone}' provided to AT TIME ZONE clause is invalid."
        )
    found = scope.value(node.this)
    if not isinstance(node.this, exp.AtTimeZone):
        return Value(as_time(found), DATETIME)
    moved = minutes - _ZONES[node.this.args["zone"].name.lower()]
    return Value(f"ts_dateadd('minute', {moved}, {as_time(found)})", DATETIME)


def _extract(node: exp.Expression, scope: Scope) -> Value:
    time = as_time(scope.value(unwrapped(node.expression)))
    return Value(f"ts_datepart({text_literal(node.name)}, {time})", INT)


def _part(unit: str) -> Callable[[exp.Expression, Scope], Value]:
    return lambda node, scope: Value(
        f"ts_datepart('{unit}', {as_time(scope.value(unwrapped(node.this)))})", INT
    )


def _from_parts(node: exp.Expression, scope: Scope) -> Value:
    year, month, day = (
        as_number(scope.value(node.args[name])) for name in ("year", "month", "day")
    )
    return Value(f"printf('%04d-%02d-%02d 00:00:00.000', {year}, {month}, {day})", DATE)


def _now(_: exp.Expression, scope: Scope) -> Value:
    return Value(text_literal(scope.now), DATETIME)


VALUES: dict[type[exp.Expression], Callable[[exp.Expression, Scope], Value]] = {
    exp.Literal: _literal,
    exp.National: lambda node, _: Value(text_literal(node.name), TEXT),
    exp.Null: lambda *_: Value("NULL", NULL),
    exp.Column: lambda node, scope: scope.column(node),
    exp.Paren: lambda node, scope: scope.value(node.this),
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
    exp.Subquery: lambda node, scope: scope.single(node),
}
