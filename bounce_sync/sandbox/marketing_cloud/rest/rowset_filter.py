"""`$filter` and `$orderBy` of a rowset: `Field eq 'value' and Other gt 5`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from bounce_sync.sandbox.marketing_cloud import saving
from bounce_sync.sandbox.marketing_cloud.data_extensions import DataExtension
from bounce_sync.sandbox.marketing_cloud.rest.requests import RestError
from bounce_sync.sandbox.store import DataExtensionField, quoted

_TOKEN = re.compile(r"\s*(?:(\()|(\))|'((?:[^']|'')*)'|\"([^\"]*)\"|([^\s()']+))")
_OPERATORS = {
    "eq": "=",
    "ne": "<>",
    "neq": "<>",
    "lt": "<",
    "le": "<=",
    "lte": "<=",
    "gt": ">",
    "ge": ">=",
    "gte": ">=",
    "like": "LIKE",
}


def where(text: str, target: DataExtension, offset: timedelta) -> tuple[str, list[object]]:
    """SQL and parameters. Raises RestError 10003 for what can't be read."""
    if not text.strip():
        return "1", []
    condition, rest = _either(_words(text), target)
    if rest:
        raise _unreadable(text)
    return condition.sql, [_stored(field, value, offset) for field, value in condition.values]


def order(text: str, target: DataExtension) -> str:
    """SQL of an ordering: `Field asc, Other desc`. Raises RestError."""
    parts = []
    for said in filter(None, map(str.strip, text.split(","))):
        name, _, direction = said.partition(" ")
        direction = direction.strip().lower() or "asc"
        if direction not in {"asc", "desc"}:
            raise _unreadable(text)
        parts.append(f"{quoted(named(name, target).name)} {direction}")
    return ", ".join([*parts, "_row"])


def named(name: str, target: DataExtension) -> DataExtensionField:
    """The field that is meant. Raises RestError."""
    field = target.field(name.strip())
    if field is None:
        raise RestError(400, 10005, f"Field '{name}' does not exist in the data extension.")
    return field


_Words = list[tuple[str, bool]]
"""Each word, and whether it was quoted."""


def _words(text: str) -> _Words:
    words, at = [], 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _unreadable(text)
        opening, closing, single, double, bare = found.groups()
        if single is not None:
            words.append((single.replace("''", "'"), True))
        elif double is not None:
            words.append((double, True))
        else:
            words.append((opening or closing or bare, False))
        at = found.end()
    return words


@dataclass(frozen=True)
class _Condition:
    """SQL, and its parameters with the fields that they are compared with."""

    sql: str
    values: tuple[tuple[DataExtensionField, str], ...]

    def joined(self, word: str, other: _Condition) -> _Condition:
        return _Condition(f"({self.sql} {word} {other.sql})", self.values + other.values)


def _either(words: _Words, target: DataExtension) -> tuple[_Condition, _Words]:
    found, rest = _both(words, target)
    while rest and rest[0][0].lower() == "or":
        more, rest = _both(rest[1:], target)
        found = found.joined("OR", more)
    return found, rest


def _both(words: _Words, target: DataExtension) -> tuple[_Condition, _Words]:
    found, rest = _one(words, target)
    while rest and rest[0][0].lower() == "and":
        more, rest = _one(rest[1:], target)
        found = found.joined("AND", more)
    return found, rest


def _one(words: _Words, target: DataExtension) -> tuple[_Condition, _Words]:
    if words and words[0] == ("(", False):
        found, rest = _either(words[1:], target)
        if not rest or rest[0] != (")", False):
            raise _unreadable(" ".join(word for word, _ in words))
        return found, rest[1:]
    if len(words) < 3 or words[1][0].lower() not in _OPERATORS:
        raise _unreadable(" ".join(word for word, _ in words))
    field = named(words[0][0], target)
    sql = f"{quoted(field.name)} {_OPERATORS[words[1][0].lower()]} ?"
    return _Condition(sql, ((field, words[2][0]),)), words[3:]


def _stored(field: DataExtensionField, value: str, offset: timedelta) -> object:
    """A value as the store keeps it, where it is one of the field's; a pattern stays as it is."""
    if field.field_type not in {"Date", "Number", "Decimal", "Boolean"}:
        return value
    try:
        return saving.fit(field, value, offset)
    except saving.Unfit:
        return value


def _unreadable(text: str) -> RestError:
    return RestError(400, 10003, f"The filter '{text}' is not valid.", gap=True)
