"""One property of a retrievable object: how it is read, written as XML and compared.

A row's XML is made inside SQLite: a page of 2,500 rows is then one column of ready text, which
keeps the service faster than whatever parses its answers.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from bounce_sync.sandbox.marketing_cloud.soap.writing import xml_text


class Kind(Enum):
    TEXT = "String"
    NUMBER = "Int32"
    DATE = "DateTime"
    BOOLEAN = "Boolean"
    NIL = "nil"
    """Text that is never set: written as `xsi:nil`."""

    @property
    def data_type(self) -> str:
        """As Describe names it."""
        return "String" if self is Kind.NIL else self.value


@dataclass(frozen=True)
class Property:
    """`sql` is an expression over the object's FROM clause.

    `stored` turns a filter's value into the form that `sql` gives, for values whose spelling
    differs between the API and the store; such properties are compared exactly. `shown` is the
    expression of the text that is given out, where that isn't the plain value.
    """

    name: str
    kind: Kind
    sql: str
    stored: Callable[[str], str] | None = None
    length: int | None = None
    retrievable: bool = True
    shown: str | None = None

    def xml(self, tag: str) -> str:
        """The SQL expression of the value in one element."""
        if self.shown is not None:
            return f"({_text(tag, self.shown)})"
        return f"({_XML[self.kind](tag, self.sql)})"


def row_xml(opening: str, properties: Sequence[Property], closing: str) -> str:
    """The SQL expression of a whole row; `Client.ID` stands inside a `Client` element.

    `properties` are in the order of the WSDL, those of one element beside each other.
    """
    parts = [_literal(opening)]
    for parent, members in groupby(properties, key=lambda p: p.name.rpartition(".")[0]):
        inside = [member.xml(member.name.rpartition(".")[2]) for member in members]
        if parent:
            inside = [_literal(f"<{parent}>"), *inside, _literal(f"</{parent}>")]
        parts += inside
    return joined(*parts, _literal(closing))


def name_value_xml(properties: Iterable[Property], closing: str) -> str:
    """The SQL expression of `Property` pairs, as ObjectExtension has them."""
    parts: list[str] = []
    for each in properties:
        parts += [
            _literal(f"<Property><Name>{xml_text(each.name)}</Name>"),
            each.xml("Value"),
            _literal("</Property>"),
        ]
    return joined(*parts, _literal(closing))


def joined(*parts: str) -> str:
    """One SQL expression out of several of text."""
    return " || ".join(parts)


def escaped(sql: str) -> str:
    """XML text of an expression; the common case, nothing to escape, costs one look."""
    replaced = f"replace(replace(replace({sql}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
    return (
        f"CASE WHEN {sql} GLOB '*[&<>' || char(13) || ']*'"
        f" THEN replace({replaced}, char(13), '&#xD;') ELSE {sql} END"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(tag: str, sql: str) -> str:
    return (
        f"CASE WHEN {sql} IS NULL OR {sql} = '' THEN '<{tag} />'"
        f" ELSE '<{tag}>' || {escaped(sql)} || '</{tag}>' END"
    )


def _number(tag: str, sql: str) -> str:
    return f"coalesce('<{tag}>' || {sql} || '</{tag}>', '')"


def _date(tag: str, sql: str) -> str:
    # Variable fraction digits and no zone: 2017-02-16T01:59:27.29
    iso = f"substr({sql}, 1, 10) || 'T' || rtrim(rtrim(substr({sql}, 12), '0'), '.')"
    return f"coalesce('<{tag}>' || {iso} || '</{tag}>', '')"


def _boolean(tag: str, sql: str) -> str:
    return f"'<{tag}>' || CASE {sql} WHEN 1 THEN 'true' ELSE 'false' END || '</{tag}>'"


def _nil(tag: str, _: str) -> str:
    return _literal(f'<{tag} xsi:nil="true" />')


_XML: dict[Kind, Callable[[str, str], str]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.BOOLEAN: _boolean,
    Kind.NIL: _nil,
}
