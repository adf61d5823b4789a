"""One property of a retrievable object: how it is read, written as XML and compared."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from bounce_sync.sandbox.marketing_cloud.marked import MISSING, Markup
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

    def parts(self, tag: str) -> list[str]:
        """The value in one element; where it is missing the element holds `MISSING`."""
        if self.kind is Kind.NIL:
            return [Markup(f'<{tag} xsi:nil="true" />')]
        shown = self.shown or _VALUES[self.kind](self.sql)
        return [Markup(f"<{tag}>"), f"coalesce({shown}, {MISSING})", Markup(f"</{tag}>")]

    def without_value(self, tag: str) -> str:
        """What stands there instead where the value is missing: text is an empty element, and a
        number, date or boolean isn't there at all."""
        return f"<{tag} />" if self.kind is Kind.TEXT or self.shown is not None else ""


def row_parts(properties: Sequence[Property]) -> Iterator[str]:
    """The elements of a row; `Client.ID` stands inside a `Client` element.

    `properties` are in the order of the WSDL, those of one element beside each other.
    """
    for parent, members in groupby(properties, key=lambda p: p.name.rpartition(".")[0]):
        if parent:
            yield Markup(f"<{parent}>")
        for member in members:
            yield from member.parts(member.name.rpartition(".")[2])
        if parent:
            yield Markup(f"</{parent}>")


def pair_parts(properties: Iterable[Property]) -> Iterator[str]:
    """The same as `Property` pairs of name and value, as ObjectExtension has them."""
    for each in properties:
        yield Markup(f"<Property><Name>{xml_text(each.name)}</Name>")
        yield from each.parts("Value")
        yield Markup("</Property>")


_VALUES: dict[Kind, Callable[[str], str]] = {
    Kind.TEXT: lambda sql: sql,
    Kind.NUMBER: lambda sql: sql,
    # No zone, and no more digits than needed: 2017-02-16T01:59:27.29
    Kind.DATE: lambda sql: f"rtrim(rtrim(replace({sql}, ' ', 'T'), '0'), '.')",
    Kind.BOOLEAN: lambda sql: f"CASE {sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END",
}
