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
