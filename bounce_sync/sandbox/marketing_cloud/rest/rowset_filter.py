"""`$filter` and `$orderBy` of a rowset: `Field eq 'value' and Other gt 5`."""

import re

from bounce_sync.sandbox.marketing_cloud.data_extensions import DataExtension
from bounce_sync.sandbox.marketing_cloud.rest.requests import RestError
from bounce_sync.sandbox.store import quoted

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


def where(text: str, target: DataExtension) -> tuple[str, list[str]]:
    """SQL and parameters. Raises RestError 10003 for what can't be read."""
    if not text.strip():
        return "1", []
    sql, values, rest = _either(_words(text), target)
    if rest:
        raise _unreadable(text)
    return sql, values


def order(text: str, target: DataExtension) -> str:
    """SQL of an ordering: `Field asc, Other desc`. Raises RestError."""
    parts = []
    for said in filter(None, map(str.strip, text.split(","))):
        name, _, direction = said.partition(" ")
        direction = direction.strip().lower() or "asc"
        if direction not in {"asc", "desc"}:
            raise _unreadable(text)
        parts.append(f"{column(name, target)} {direction}")
    return ", ".join([*parts, "_row"])


def column(name: str, target: DataExtension) -> str:
    field = target.field(name.strip())
    if field is None:
        raise RestError(400, 10005, f"Field '{name}' does not exist in the data extension.")
    return quoted(field.name)


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


def _either(words: _Words, target: DataExtension) -> tuple[str, list[str], _Words]:
    sql, values, rest = _both(words, target)
    while rest and rest[0][0].lower() == "or":
        more, further, rest = _both(rest[1:], target)
        sql, values = f"({sql} OR {more})", [*values, *further]
    return sql, values, rest


def _both(words: _Words, target: DataExtension) -> tuple[str, list[str], _Words]:
    sql, values, rest = _one(words, target)
    while rest and rest[0][0].lower() == "and":
        more, further, rest = _one(rest[1:], target)
        sql, values = f"({sql} AND {more})", [*values, *further]
    return sql, values, rest


def _one(words: _Words, target: DataExtension) -> tuple[str, list[str], _Words]:
    if words and words[0] == ("(", False):
        sql, values, rest = _either(words[1:], target)
        if not rest or rest[0] != (")", False):
            raise _unreadable(" ".join(word for word, _ in words))
        return sql, values, rest[1:]
    if len(words) < 3 or words[1][0].lower() not in _OPERATORS:
        raise _unreadable(" ".join(word for word, _ in words))
    name, operator, value = words[0][0], words[1][0].lower(), words[2][0]
    return f"{column(name, target)} {_OPERATORS[operator]} ?", [value], words[3:]


def _unreadable(text: str) -> RestError:
    return RestError(400, 10003, f"The filter '{text}' is not valid.", gap=True)
