"""Whole rows of XML or JSON, made inside SQLite, escaped a page at a time.

Escaping each value by itself costs more than reading it. So SQLite prints a row with its markup,
in which the characters that values would have to escape are replaced by bytes that no UTF-8 text
holds; the values go in as they are. Then the page as a whole is escaped, in a few passes at the
speed of memory, and the bytes become the markup's characters. Nothing in a value can be taken for
markup, because a value can't hold those bytes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_MOST_ARGUMENTS = 100
"""Of one printf; SQLite allows 127."""


_MISSING = b"\xfc"
MISSING = f"CAST(x'{_MISSING.hex()}' AS TEXT)"
"""The SQL expression that marks a place where a value is missing."""


class Markup(str):
    """Text of the answer's own, as against the SQL expression of a value."""

    __slots__ = ()


@dataclass(frozen=True)
class Notation:
    """How a format is marked and escaped: XML or JSON."""

    marks: tuple[tuple[bytes, bytes], ...]
    """A character of the markup, and the byte that stands for it until the page is escaped."""
    escapes: tuple[tuple[bytes, bytes], ...]
    dropped: bytes = b""
    """Characters that the format can't carry, or that aren't worth a pass."""

    def printed(self, parts: Iterable[str]) -> str:
        """The SQL expression of the parts, Markup and expressions, one after the other. NULL is
        printed as nothing."""
        pieces, shape, values = [], b"", []
        for part in parts:
            if isinstance(part, Markup):
                shape += self._marked(part).replace(b"%", b"%%")
                continue
            shape += b"%s"
            values.append(part)
            if len(values) == _MOST_ARGUMENTS:
                pieces.append(_printf(shape, values))
                shape, values = b"", []
        pieces.append(_printf(shape, values))
        return " || ".join(pieces)

    def finished(self, rows: Iterable[bytes], between: bytes = b"") -> bytes:
        """The rows as the answer has them."""
        page = between.join(rows)
        for special, escape in self.escapes:
            page = page.replace(special, escape)
        return page.translate(self._table, self.dropped)

    def completed(self, page: bytes, changes: Mapping[str, str]) -> bytes:
        """A finished page in which each piece of markup around a missing value (`{}` in a key)
        was changed; most pages have none, and that is seen at a glance."""
        if _MISSING not in page:
            return page
        for found, wanted in changes.items():
            page = page.replace(found.encode().replace(b"{}", _MISSING), wanted.encode())
        return page

    @property
    def _table(self) -> bytes:
        table = bytearray(range(256))
        for character, mark in self.marks:
            table[mark[0]] = character[0]
        return bytes(table)

    def _marked(self, text: str) -> bytes:
        said = text.encode()
        for character, mark in self.marks:
            said = said.replace(character, mark)
        return said


def _printf(shape: bytes, values: list[str]) -> str:
    return f"printf({', '.join([f'CAST(x{shape.hex()!r} AS TEXT)', *values])})"


XML = Notation(
    marks=((b"<", b"\xfe"), (b">", b"\xff"), (b"&", b"\xfd")),
    escapes=((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;"), (b"\r", b"&#xD;")),
    dropped=bytes(code for code in range(32) if code not in {0x09, 0x0A, 0x0D}),
)
JSON = Notation(
    marks=((b'"', b"\xfe"), (b"\\", b"\xff")),
    escapes=(
        (b"\\", b"\\\\"),
        (b'"', b'\\"'),
        (b"\n", b"\\n"),
        (b"\r", b"\\r"),
        (b"\t", b"\\t"),
    ),
    dropped=bytes(code for code in range(32)),
)
