"""What the compiler knows of an expression: its SQLite text and the T-SQL type it has."""

from dataclasses import dataclass
from enum import Enum


class QueryError(Exception):
    """What SQL Server says about a statement or a row; the message is what validation shows."""


class Kind(Enum):
    TEXT = "nvarchar"
    INT = "int"
    DECIMAL = "decimal"
    BIT = "bit"
    DATETIME = "datetime"
    DATE = "date"
    NULL = "null"

    @property
    def is_number(self) -> bool:
        return self in {Kind.INT, Kind.DECIMAL, Kind.BIT}

    @property
    def is_time(self) -> bool:
        return self in {Kind.DATETIME, Kind.DATE}


@dataclass(frozen=True)
class Value:
    """An expression. Times are text in the store's form, a date that of its midnight."""

    sql: str
    kind: Kind
    exact: bool = False
    """Compared with case, because a binary or case-sensitive collation was asked for."""


@dataclass(frozen=True)
class Relation:
    """A table of a FROM clause: its SQL, and its columns by lower-case name in their order."""

    sql: str
    columns: dict[str, Kind]


def text_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.lower().replace('"', '""') + '"'


def as_text(value: Value) -> str:
    if value.kind in {Kind.TEXT, Kind.NULL}:
        return value.sql
    return f"ts_text({value.sql}, '{value.kind.value}', NULL, NULL)"


def as_time(value: Value) -> str:
    return value.sql if value.kind.is_time else f"ts_datetime({value.sql})"


def as_number(value: Value) -> str:
    return (
        value.sql if value.kind.is_number or value.kind is Kind.NULL else f"ts_int({value.sql}, 0)"
    )


def common(values: list[Value]) -> tuple[Kind, list[str]]:
    """The type that several values share, and each as one of it."""
    kinds = {value.kind for value in values} - {Kind.NULL}
    if not kinds:
        return Kind.NULL, [value.sql for value in values]
    if any(kind.is_time for kind in kinds):
        kind = Kind.DATE if kinds == {Kind.DATE} else Kind.DATETIME
        return kind, [v.sql if v.kind is Kind.NULL else as_time(v) for v in values]
    if any(kind.is_number for kind in kinds):
        kind = (
            Kind.DECIMAL if Kind.DECIMAL in kinds else Kind.INT if Kind.INT in kinds else Kind.BIT
        )
        return kind, [as_number(value) for value in values]
    return Kind.TEXT, [value.sql for value in values]


def compared(left: Value, operator: str, right: Value) -> str:
    kind, (first, second) = common([left, right])
    exact = left.exact or right.exact
    if kind is Kind.TEXT:
        return f"({first} COLLATE {'BINARY' if exact else 'NOCASE'} {operator} {second})"
    return f"({first} {operator} {second})"


def collated(value: Value) -> str:
    """For grouping and ordering, where text has no case either."""
    return f"{value.sql} COLLATE NOCASE" if value.kind is Kind.TEXT else value.sql
