"""What a SOQL statement says, as a tree. Positions are offsets into the statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Name:
    """A field path as written (``Email``, ``c.Email``, ``Account.Name``), maybe with an alias."""

    text: str
    at: int
    alias: str | None = None


@dataclass(frozen=True)
class Call:
    """``COUNT()``, ``COUNT(Id) n``, ``toLabel(Status)``; ``argument`` is None in ``COUNT()``."""

    function: str
    argument: Name | Call | None
    alias: str | None
    at: int


@dataclass(frozen=True)
class TypeOf:
    """``TYPEOF Owner WHEN User THEN Id ELSE Name END``: polymorphic relationships."""

    relationship: Name
    at: int


@dataclass(frozen=True)
class Literal:
    """A value. ``kind``: string (raw, quotes and escapes kept), number, date, datetime, boolean,
    null, or relative (``LAST_N_DAYS:7``)."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Comparison:
    """``field operator value``; LIKE is an operator here."""

    field: Name | Call
    operator: str
    value: Literal


@dataclass(frozen=True)
class Membership:
    """``field IN (…)``, NOT IN, INCLUDES, EXCLUDES; ``within`` is a tuple or a statement."""

    field: Name | Call
    operator: str
    within: tuple[Literal, ...] | Statement


@dataclass(frozen=True)
class Not:
    """``NOT condition``."""

    condition: Condition


@dataclass(frozen=True)
class Chain:
    """Conditions joined by AND or OR without parentheses between them.

    ``mixed_at`` is where the second kind of connective stands, where both occur: the grammar
    can be read (AND binds tighter), the service refuses it.
    """

    connective: str
    conditions: tuple[Condition, ...]
    mixed_at: int | None = None


Condition = Comparison | Membership | Not | Chain


@dataclass(frozen=True)
class Order:
    """One ORDER BY term; ``nulls_last`` is None where it isn't said (then nulls come first)."""

    by: Name | Call
    descending: bool
    nulls_last: bool | None


@dataclass(frozen=True)
class Statement:
    """A whole SELECT."""

    fields: tuple[Name | Call | TypeOf | Statement, ...]
    entity: Name
    alias: str | None = None
    where: Condition | None = None
    group_by: tuple[Name | Call, ...] = ()
    having: Condition | None = None
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None

    @property
    def counts_only(self) -> bool:
        """``SELECT COUNT() FROM …``: answers with a number and no records."""
        return len(self.fields) == 1 and is_bare_count(self.fields[0])


def is_bare_count(field: object) -> bool:
    """``COUNT()`` without an argument."""
    return isinstance(field, Call) and field.function == "COUNT" and field.argument is None


def conditions_of(condition: Condition | None) -> Iterator[Condition]:
    """A condition and everything inside it."""
    if condition is None:
        return
    yield condition
    if isinstance(condition, Not):
        yield from conditions_of(condition.condition)
    elif isinstance(condition, Chain):
        for part in condition.conditions:
            yield from conditions_of(part)
