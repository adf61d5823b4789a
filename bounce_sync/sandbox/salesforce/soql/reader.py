"""Text of a SOQL statement → its tree.

The reader knows the grammar only: which objects and fields there are, and what the service
refuses although it can be read, is the compiler's business. Its judgement of what can be read
agrees with ``@jetstreamapp/soql-parser-js`` on the corpus of the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bounce_sync.sandbox.salesforce.soql.tokens import (
    SoqlError,
    Token,
    malformed,
    tokens_of,
    too_complicated,
)
from bounce_sync.sandbox.salesforce.soql.tree import (
    Call,
    Chain,
    Comparison,
    Condition,
    Literal,
    Membership,
    Name,
    Not,
    Order,
    Statement,
    TypeOf,
)

Part = TypeVar("Part")

LONGEST = 100_000
"""Characters in a statement (facts/salesforce.md §4)."""

RELATIVE_DATES = frozenset(
    f"{side}_{unit}"
    for side in ("LAST", "THIS", "NEXT")
    for unit in ("WEEK", "MONTH", "QUARTER", "YEAR")
) | {
    "YESTERDAY",
    "TODAY",
    "TOMORROW",
    "LAST_90_DAYS",
    "NEXT_90_DAYS",
    *(f"{side}_FISCAL_{unit}" for side in ("LAST", "THIS", "NEXT") for unit in ("QUARTER", "YEAR")),
}
COUNTED_DATES = frozenset(
    f"{side}_N_{unit}"
    for side in ("LAST", "NEXT")
    for unit in ("DAYS", "WEEKS", "MONTHS", "QUARTERS", "YEARS")
) | {f"N_{unit}_AGO" for unit in ("DAYS", "WEEKS", "MONTHS", "QUARTERS", "YEARS")}

_OPERATORS = {"=", "!=", "<>", "<", "<=", ">", ">="}
_FIELD_GROUPS = {"ALL", "STANDARD", "CUSTOM"}
_SETS = {"IN", "INCLUDES", "EXCLUDES"}
_AFTER_ENTITY = {
    "AS",
    "USING",
    "WHERE",
    "WITH",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FOR",
    "ALL",
}


def read(statement: str) -> Statement:
    """The tree of a statement.

    Raises:
        SoqlError: MALFORMED_QUERY with the place, or QUERY_TOO_COMPLICATED for one too long.
    """
    if len(statement) > LONGEST:
        raise too_complicated()
    try:
        reader = _Reader(statement)
        tree = reader.statement()
        reader.finish()
    except RecursionError:
        raise too_complicated() from None
    return tree


def read_condition(text: str) -> Condition:
    """A WHERE clause alone (validation rules of the sandbox are written so)."""
    reader = _Reader(text)
    tree = reader.condition()
    reader.finish()
    return tree


class _Reader:
    def __init__(self, statement: str) -> None:
        self.text = statement
        self.tokens = tokens_of(statement)
        self.index = 0

    # What comes next

    @property
    def next(self) -> Token:
        return self.tokens[self.index]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.index + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.next
        if token.kind != "end":
            self.index += 1
        return token

    def sees(self, *words: str) -> bool:
        return all(self.peek(n).word == word for n, word in enumerate(words)) and (
            self.next.kind in ("name", "sign")
        )

    def accept(self, *words: str) -> bool:
        if self.sees(*words):
            self.index += len(words)
            return True
        return False

    def unexpected(self, token: Token | None = None) -> SoqlError:
        token = token or self.next
        return malformed(f"unexpected token: '{token.text}'", self.text, token.at)

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.unexpected()

    def name(self, *, dotted: bool = True) -> Name:
        if self.next.kind != "name" or (not dotted and "." in self.next.text):
            raise self.unexpected()
        token = self.take()
        return Name(token.text, token.at)

    def finish(self) -> None:
        if self.next.kind != "end":
            raise self.unexpected()

    # SELECT …

    def statement(self) -> Statement:
        self.expect("SELECT")
        fields = tuple(self.several(self.selected))
        self.expect("FROM")
        entity = self.name()
        alias = self.entity_alias()
        if self.accept("USING", "SCOPE"):
            self.name(dotted=False)
        where = self.condition() if self.accept("WHERE") else None
        if self.accept("WITH"):
            self.name(dotted=False)
        group_by: tuple[Name | Call, ...] = ()
        having = None
        if self.accept("GROUP", "BY"):
            group_by = tuple(self.several(self.path_or_call))
            having = self.condition() if self.accept("HAVING") else None
        order_by = tuple(self.several(self.order)) if self.accept("ORDER", "BY") else ()
        limit = self.count() if self.accept("LIMIT") else None
        offset = self.count() if self.accept("OFFSET") else None
        while self.accept("FOR"):
            if self.next.word not in ("VIEW", "REFERENCE", "UPDATE"):
                raise self.unexpected()
            self.take()
        return Statement(fields, entity, alias, where, group_by, having, order_by, limit, offset)

    def entity_alias(self) -> str | None:
        if self.next.kind == "name" and self.next.word not in _AFTER_ENTITY:
            return self.name(dotted=False).text
        return None

    def several(self, one: Callable[[], Part]) -> list[Part]:
        parts = [one()]
        while self.accept(","):
            parts.append(one())
        return parts

    def selected(self) -> Name | Call | TypeOf | Statement:
        if self.accept("("):
            inner = self.statement()
            self.expect(")")
            return inner
        if self.sees("TYPEOF"):
            return self.type_of()
        if self.sees("FROM"):
            raise self.unexpected()
        return self.path_or_call(alias=True)

    def type_of(self) -> TypeOf:
        at = self.take().at
        relationship = self.name()
        self.expect("WHEN")
        while True:
            self.name()
            self.expect("THEN")
            self.several(self.name)
            if not self.accept("WHEN"):
                break
        if self.accept("ELSE"):
            self.several(self.name)
        self.expect("END")
        return TypeOf(relationship, at)

    def path_or_call(self, alias: bool = False) -> Name | Call:
        name = self.name()
        if not self.accept("("):
            return Name(name.text, name.at, self.alias() if alias else None)
        if name.text.upper() == "FIELDS" and self.next.word not in _FIELD_GROUPS:
            raise self.unexpected()
        argument = None if self.sees(")") else self.path_or_call()
        self.expect(")")
        return Call(name.text.upper(), argument, self.alias() if alias else None, name.at)

    def alias(self) -> str | None:
        if self.next.kind == "name" and self.next.word != "FROM":
            return self.name(dotted=False).text
        return None

    def order(self) -> Order:
        by = self.path_or_call()
        descending = self.accept("DESC")
        if not descending:
            self.accept("ASC")
        nulls_last = None
        if self.accept("NULLS"):
            nulls_last = self.accept("LAST")
            if not nulls_last:
                self.expect("FIRST")
        return Order(by, descending, nulls_last)

    def count(self) -> int:
        token = self.next
        if token.kind != "number" or not token.text.isdigit():
            raise self.unexpected()
        return int(self.take().text)

    # WHERE …

    def condition(self) -> Condition:
        ands: list[list[Condition]] = [[self.term()]]
        seen: str | None = None
        mixed_at: int | None = None
        while self.next.kind == "name" and self.next.word in ("AND", "OR"):
            token = self.take()
            if seen not in (None, token.word) and mixed_at is None:
                mixed_at = token.at
            seen = token.word
            if token.word == "AND":
                ands[-1].append(self.term())
            else:
                ands.append([self.term()])
        parts = [
            part[0] if len(part) == 1 else Chain("AND", tuple(part), mixed_at) for part in ands
        ]
        return parts[0] if len(parts) == 1 else Chain("OR", tuple(parts), mixed_at)

    def term(self) -> Condition:
        if self.accept("NOT"):
            return Not(self.term())
        if self.accept("("):
            inner = self.condition()
            self.expect(")")
            return inner
        return self.comparison()

    def comparison(self) -> Condition:
        field = self.path_or_call()
        if self.next.kind == "sign" and self.next.text in _OPERATORS:
            operator = self.take().text
            return Comparison(field, "!=" if operator == "<>" else operator, self.literal())
        if self.accept("LIKE"):
            return Comparison(field, "LIKE", self.literal())
        operator = "NOT IN" if self.accept("NOT", "IN") else self.next.word
        if operator != "NOT IN":
            if operator not in _SETS or self.next.kind != "name":
                raise self.unexpected()
            self.take()
        self.bind_variable()
        self.expect("(")
        within = self.statement() if self.sees("SELECT") else tuple(self.several(self.literal))
        self.expect(")")
        return Membership(field, operator, within)

    def bind_variable(self) -> None:
        if self.sees(":"):
            raise malformed("Bind variables only allowed in Apex code", self.text, self.next.at)

    def literal(self) -> Literal:
        self.bind_variable()
        token = self.next
        if token.kind in ("string", "number", "date", "datetime"):
            self.take()
            return Literal(token.kind, token.text, token.at)
        if token.kind != "name":
            raise self.unexpected()
        if token.word in ("TRUE", "FALSE"):
            return Literal("boolean", self.take().word, token.at)
        if token.word == "NULL":
            return Literal("null", self.take().word, token.at)
        if token.word in RELATIVE_DATES:
            return Literal("relative", self.take().word, token.at)
        if token.word in COUNTED_DATES:
            self.take()
            if not self.accept(":"):
                raise malformed(
                    f"expecting a colon, found '{self.next.text}'", self.text, self.next.at
                )
            return Literal("relative", f"{token.word}:{self.count()}", token.at)
        raise self.unexpected()
