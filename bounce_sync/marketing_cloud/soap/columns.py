"""The rows of a page as columns.

Making a Python object of an element costs more than parsing it did. So a column's texts come
straight out of XPath, and are Arrow's before the next column is read; elements are looked at where
texts alone don't tell which row they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pyarrow as pa
from lxml import etree

from bounce_sync.marketing_cloud.errors import Place, UnreadableAnswer
from bounce_sync.marketing_cloud.soap.names import PARTNER, XSI

EXTENSION = "ObjectExtension"
_NAMES = {"p": PARTNER, "xsi": XSI}


@cache
def _compiled(path: str) -> etree.XPath:
    return etree.XPath(path, namespaces=_NAMES, smart_strings=False)


def _xpath(element: etree._Element, path: str) -> Any:
    return _compiled(path)(element)


def count(body: etree._Element) -> int:
    """How many rows the page has."""
    return int(_xpath(body, "count(p:Results)"))


def read(
    body: etree._Element, size: int, kind: str, names: Sequence[str], place: Place
) -> dict[str, pa.Array]:
    """Each property's texts in the order of the `size` rows, None where it is empty or missing.

    Of a property that a row has twice the first counts. Raises `UnreadableAnswer` where the first
    row isn't of this kind (its xsi:type); a later one of another kind lacks what was asked for.
    """
    if size and _xpath(body, "string(p:Results[1]/@xsi:type)").rpartition(":")[2] != kind:
        raise UnreadableAnswer(place.at(1), f"The row isn't a {kind}")
    if kind == EXTENSION:
        return _extension(body, names, place)
    return {name: pa.array(_texts(body, size, name), pa.string()) for name in names}


def _texts(body: etree._Element, size: int, name: str) -> list[str | None]:
    """A property of each row. What XPath finds is at most one a row, the first: as many as there
    are rows are one for each of them."""
    in_row = "/".join(f"p:{step}[1]" for step in name.split("."))
    texts = _xpath(body, f"p:Results/{in_row}/text()[1]")
    if len(texts) == size:
        return texts
    elements = _xpath(body, f"p:Results/{in_row}")
    if len(elements) == size:
        return [each.text for each in elements]
    rows = body.iterfind("p:Results", _NAMES)
    return [row.findtext(in_row, None, _NAMES) or None for row in rows]


def _extension(body: etree._Element, names: Sequence[str], place: Place) -> dict[str, pa.Array]:
    """Rows of an ``ObjectExtension``: named properties, and some elements of the object itself."""
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for number, row in enumerate(body.iterfind("p:Results", _NAMES), 1):
        values = {
            prop.findtext("p:Name", None, _NAMES): prop.findtext("p:Value", None, _NAMES)
            for prop in row.iterfind("p:Properties/p:Property", _NAMES)
        }
        if not values:
            raise UnreadableAnswer(place.at(number), "The row has no properties")
        for name in names:
            own = row.findtext("/".join(f"p:{step}" for step in name.split(".")), None, _NAMES)
            columns[name].append(values.get(name) or own or None)
    return {name: pa.array(texts, pa.string()) for name, texts in columns.items()}
