"""Filters of a Retrieve, compiled to SQL (facts/marketing-cloud.md 4.4, wire.md 13).

Text is compared without case, as the service's database does; dates may come as Value or as
DateValue, with a zone or without.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from lxml import etree

from bounce_sync.sandbox.marketing_cloud.clock import read_date
from bounce_sync.sandbox.marketing_cloud.soap.errors import Refused, Unreadable
from bounce_sync.sandbox.marketing_cloud.soap.properties import Kind, Property
from bounce_sync.sandbox.marketing_cloud.soap.reading import (
    child,
    is_true,
    text,
    texts,
    type_of,
)


@dataclass(frozen=True)
class Condition:
    """A WHERE clause and its parameters; `names` are the properties that must all hold (joined by
    AND all the way up), which decides the order that pages are read in."""

    sql: str
    parameters: tuple[object, ...]
    names: frozenset[str] = frozenset()


EVERYTHING = Condition("1", ())


def compile_filter(
    element: etree._Element,
    properties: Mapping[str, Property],
    offset: timedelta,
    *,
    resumed: bool = False,
) -> Condition:
    """`resumed`: the filter of a later page, where the last row that was given bounds an index
    better than the filter does. Raises Refused or Unreadable."""
    kind = type_of(element)
    if kind == "ComplexFilterPart":
        return _complex(element, properties, offset, resumed)
    if kind != "SimpleFilterPart":
        raise Refused(f"Unknown filter of type {kind or 'FilterPart'} encountered")
    return _simple(element, properties, offset, resumed)


def _complex(
    element: etree._Element,
    properties: Mapping[str, Property],
    offset: timedelta,
    resumed: bool,
) -> Condition:
    left, right = child(element, "LeftOperand"), child(element, "RightOperand")
    logical = (text(element, "LogicalOperator") or "").strip()
    if left is None or right is None:
        raise Refused("Incorrect syntax near the keyword 'AND'.")
    if logical not in {"AND", "OR"}:
        raise Unreadable(f"'{logical}' is not a valid value for LogicalOperators.")
    first = compile_filter(left, properties, offset, resumed=resumed)
    second = compile_filter(right, properties, offset, resumed=resumed)
    return Condition(
        f"({first.sql} {logical} {second.sql})",
        first.parameters + second.parameters,
        first.names | second.names if logical == "AND" else frozenset(),
    )


def _simple(
    element: etree._Element,
    properties: Mapping[str, Property],
    offset: timedelta,
    resumed: bool,
) -> Condition:
    name = (text(element, "Property") or "").strip()
    operator = (text(element, "SimpleOperator") or "").strip()
    if operator not in OPERATORS:
        raise Unreadable(f"'{operator}' is not a valid value for SimpleOperators.")
    prop = properties.get(name)
    if prop is None:
        raise Refused(f"Invalid column name '{name}'.")
    values = texts(element, "DateValue") or texts(element, "Value")
    least, most, template = OPERATORS[operator]
    if not least <= len(values) <= (most or len(values)):
        if not values:
            raise Refused(
                f"Invalid argument for the {operator} operator. Filter array cannot be null."
            )
        raise Refused(f"Invalid argument for the {operator} operator.")
    if least == 0:
        values = []
    parameters = tuple(_stored(prop, operator, value, offset) for value in values)
    column = _compared(prop)
    # `+` keeps a lower bound from the choice of an index.
    lower = f"+{column}" if resumed and prop.kind is Kind.DATE else column
    return Condition(template(column, lower, len(values)), parameters, frozenset({name}))


def _compared(prop: Property) -> str:
    """The expression, so that its comparison is without case where it is one of text."""
    if prop.kind is Kind.TEXT and prop.stored is None:
        return f"{prop.sql} COLLATE NOCASE"
    return prop.sql


def _stored(prop: Property, operator: str, value: str, offset: timedelta) -> object:
    if operator in _PATTERNS:
        return _PATTERNS[operator](value)
    if prop.stored is not None:
        return prop.stored(value)
    try:
        return _CONVERSIONS[prop.kind](value, offset)
    except (ValueError, OverflowError) as error:
        raise Refused(_CONVERSION_FAILED[prop.kind].format(value), gap=False) from error


_CONVERSIONS: dict[Kind, Callable[[str, timedelta], object]] = {
    Kind.TEXT: lambda value, _: value,
    Kind.NIL: lambda value, _: value,
    Kind.NUMBER: lambda value, _: _whole(value),
    Kind.DATE: read_date,
    Kind.BOOLEAN: lambda value, _: int(is_true(value)),
}
_CONVERSION_FAILED = {
    Kind.NUMBER: "Conversion failed when converting the nvarchar value '{}' to data type int.",
    Kind.DATE: "Conversion failed when converting date and/or time from character string.",
}


def _whole(value: str) -> int:
    number = int(value)
    if abs(number) >= 2**63:
        raise OverflowError(value)
    return number


def _like(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


# What the value becomes as a LIKE pattern, by operator.
_PATTERNS: dict[str, Callable[[str], str]] = {
    "like": lambda value: value if "%" in value or "_" in value else f"%{_like(value)}%",
    "contains": lambda value: f"%{_like(value)}%",
    "notContains": lambda value: f"%{_like(value)}%",
    "existsInString": lambda value: f"%{_like(value)}%",
    "notExistsInString": lambda value: f"%{_like(value)}%",
    "existsInStringAsAWord": lambda value: f"% {_like(value)} %",
    "beginsWith": lambda value: f"{_like(value)}%",
    "endsWith": lambda value: f"%{_like(value)}",
}

_Template = Callable[[str, str, int], str]
"""SQL from the column, the same as a lower bound, and the number of values."""


def _operator(sql: str) -> _Template:
    return lambda column, lower, _: sql.format(column, lower=lower)


def _one_of(column: str, _: str, count: int) -> str:
    return f"{column} IN ({', '.join('?' * count)})"


_LIKE = "{0} LIKE ? ESCAPE '\\'"
_UNLIKE = "{0} NOT LIKE ? ESCAPE '\\'"

# Least and most values (most 0: no limit) and the SQL, by the WSDL's SimpleOperators.
OPERATORS: dict[str, tuple[int, int, _Template]] = {
    "equals": (1, 1, _operator("{0} = ?")),
    "notEquals": (1, 1, _operator("{0} <> ?")),
    "greaterThan": (1, 1, _operator("{lower} > ?")),
    "lessThan": (1, 1, _operator("{0} < ?")),
    "greaterThanOrEqual": (1, 1, _operator("{lower} >= ?")),
    "lessThanOrEqual": (1, 1, _operator("{0} <= ?")),
    "between": (2, 2, _operator("({lower} >= ? AND {0} <= ?)")),
    "IN": (1, 0, _one_of),
    "isNull": (0, 0, _operator("{0} IS NULL")),
    "isNotNull": (0, 0, _operator("{0} IS NOT NULL")),
    "like": (1, 1, _operator(_LIKE)),
    "contains": (1, 1, _operator(_LIKE)),
    "notContains": (1, 1, _operator(_UNLIKE)),
    "existsInString": (1, 1, _operator(_LIKE)),
    "notExistsInString": (1, 1, _operator(_UNLIKE)),
    "existsInStringAsAWord": (1, 1, _operator("' ' || {0} || ' ' LIKE ? ESCAPE '\\'")),
    "beginsWith": (1, 1, _operator(_LIKE)),
    "endsWith": (1, 1, _operator(_LIKE)),
    "isAnniversary": (1, 1, _operator("substr({0}, 6, 5) = substr(?, 6, 5)")),
    "isNotAnniversary": (1, 1, _operator("substr({0}, 6, 5) <> substr(?, 6, 5)")),
    "greaterThanAnniversary": (1, 1, _operator("substr({0}, 6, 5) > substr(?, 6, 5)")),
    "lessThanAnniversary": (1, 1, _operator("substr({0}, 6, 5) < substr(?, 6, 5)")),
}
