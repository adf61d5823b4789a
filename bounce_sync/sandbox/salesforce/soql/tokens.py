"""SOQL's words, and its errors with the place where they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass


class SoqlError(Exception):
    """A statement the service refuses; ``str()`` is the message in the service's own layout.

    The layout (facts/salesforce.md §4): a line break, the line of the statement, a caret under
    the place, ``ERROR at Row:r:Column:c``, then what is wrong.
    """

    def __init__(self, code: str, message: str, statement: str = "", at: int | None = None) -> None:
        self.code = code
        self.detail = message
        super().__init__(message if at is None else f"{_place(statement, at)}\n{message}")


def malformed(message: str, statement: str = "", at: int | None = None) -> SoqlError:
    """A statement that can't be read."""
    return SoqlError("MALFORMED_QUERY", message, statement, at)


def too_complicated() -> SoqlError:
    """A statement that is too long or too deep."""
    return SoqlError(
        "QUERY_TOO_COMPLICATED",
        "Query is either selecting too many fields or the filter conditions are too complicated.",
    )


_AROUND = 60


def _place(statement: str, at: int) -> str:
    row = statement.count("\n", 0, at) + 1
    start = statement.rfind("\n", 0, at) + 1
    column = at - start
    line = statement[start:].split("\n", 1)[0]
    first = max(0, column - _AROUND)
    return (
        f"\n{line[first : column + _AROUND]}\n{' ' * (column - first)}^\n"
        f"ERROR at Row:{row}:Column:{column + 1}"
    )


@dataclass(frozen=True)
class Token:
    """One word. ``kind``: name, string, number, date, datetime, sign or end."""

    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        """Upper-case form, for keywords."""
        return self.text.upper()


_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)(?!\w)
    | (?P<number>[+-]?(?:\d*\.\d+|\d+))(?!\w)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<name>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)
    | (?P<sign><=|>=|!=|<>|[=<>(),:])
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)


def tokens_of(statement: str) -> list[Token]:
    """The statement's words and an ``end``.

    Raises:
        SoqlError: MALFORMED_QUERY at a character that begins no word.
    """
    found: list[Token] = []
    at = 0
    while at < len(statement):
        match = _TOKEN.match(statement, at)
        if match is None:
            row = statement.count("\n", 0, at) + 1
            column = at - (statement.rfind("\n", 0, at) + 1)
            if statement[at] == "'":
                raise malformed(f"line {row}:{column} mismatched character '<EOF>' expecting '''")
            raise malformed(
                f"line {row}:{column} no viable alternative at character '{statement[at]}'"
            )
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    found.append(Token("end", "<EOF>", len(statement)))
    return found


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)


def text_of(raw: str, *, pattern: bool = False) -> str:
    r"""The text a quoted literal stands for.

    With ``pattern`` the text is a LIKE pattern in which a backslash still escapes ``%``, ``_`` and
    itself, as SQLite's ``ESCAPE '\'`` reads it.

    Raises:
        SoqlError: MALFORMED_QUERY for an escape that SOQL doesn't have.
    """

    def plain(match: re.Match[str]) -> str:
        what = match.group(1)
        if what in "%_":
            return f"\\{what}" if pattern else what
        if what == "\\":
            return "\\\\" if pattern else "\\"
        if what[0] == "u" and len(what) == 5:
            return chr(int(what[1:], 16))
        if what in _ESCAPES:
            return _ESCAPES[what]
        raise malformed(
            f"Invalid string literal {raw}. Illegal character sequence '\\{what}' in string "
            "literal."
        )

    return _ESCAPE.sub(plain, raw[1:-1])
