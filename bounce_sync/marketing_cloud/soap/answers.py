"""Answers: pages of a Retrieve, faults, and the outcomes of a Create or a Perform."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from bounce_sync.marketing_cloud.errors import (
    ContinuationLost,
    MarketingCloudError,
    PermissionMissing,
    Place,
    RequestRefused,
    TimedOut,
    UnreadableAnswer,
)
from bounce_sync.marketing_cloud.soap.names import ENVELOPE, PARTNER, TYPE
from bounce_sync.marketing_cloud.soap.requests import Retrieve

_NAMES = {"p": PARTNER, "s": ENVELOPE}

ILLEGAL_IN_XML = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
"""A regular expression for what XML 1.0 can't carry and the service sends all the same."""

LOST = "\ufdd0"
"""Stands where such a character was: a noncharacter, which no text has."""

_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]+)|([0-9]+));")
_RAW = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_TIMEOUT = re.compile(r"time[d ]*\s?-?out|autokill", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """A SOAP fault: `code` without its prefix."""

    code: str
    text: str

    @property
    def is_expired_token(self) -> bool:
        return self.text.strip().casefold() == "token expired"

    @property
    def is_timeout(self) -> bool:
        return tells_of_timeout(self.text)


@dataclass(frozen=True)
class Page:
    """One page of a Retrieve: each property's texts in row order, None where empty."""

    columns: Mapping[str, list[str | None]]
    rows: int
    request_id: str
    more: bool
    repaired: bool = False


def parse(answer: bytes, place: Place) -> tuple[etree._Element, bool]:
    """The answer's tree, and whether characters that XML can't carry were replaced for it.

    The service writes control characters of a bounce reason as references that no parser accepts;
    they become `LOST`. Raises `UnreadableAnswer` for anything that isn't XML, or has a DTD.
    """
    repaired = False
    try:
        root = etree.fromstring(answer, _parser())
    except etree.XMLSyntaxError as error:
        mended = _without_illegal(answer)
        repaired = mended != answer
        try:
            if not repaired:
                raise
            root = etree.fromstring(mended, _parser())
        except etree.XMLSyntaxError:
            raise UnreadableAnswer(place, f"The answer is no XML ({error.msg})") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableAnswer(place, "The answer brings a DTD, which is refused")
    return root, repaired


def _parser() -> etree.XMLParser:
    """A parser of its own for each page: threads don't share one."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def _without_illegal(answer: bytes) -> bytes:
    def legal(found: re.Match[bytes]) -> bytes:
        code = int(found[1], 16) if found[1] else int(found[2])
        possible = code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
        if possible and not re.match(ILLEGAL_IN_XML, chr(code)):
            return found[0]
        return LOST.encode()

    return _RAW.sub(LOST.encode(), _REFERENCE.sub(legal, answer))


def read_fault(answer: bytes) -> Fault | None:
    """The fault in an answer, or None if there is none to be read."""
    try:
        root, _ = parse(answer, Place("a SOAP fault"))
    except UnreadableAnswer:
        return None
    fault = root.find("s:Body/s:Fault", _NAMES)
    if fault is None:
        return None
    code = fault.findtext("faultcode") or ""
    return Fault(code.rpartition(":")[2], fault.findtext("faultstring") or "")


def read_page(answer: bytes, question: Retrieve, place: Place) -> Page:
    """A page of rows. Raises what `refusal` names, and `UnreadableAnswer` for a page that isn't
    whole: no status, a row of another type, a property twice, more announced and nothing given.
    """
    root, repaired = parse(answer, place)
    body = root.find("s:Body/p:RetrieveResponseMsg", _NAMES)
    if body is None:
        raise UnreadableAnswer(place, "The answer has no RetrieveResponseMsg")
    status = body.findtext("p:OverallStatus", None, _NAMES)
    if status not in ("OK", "MoreDataAvailable"):
        raise refusal(status, place)
    rows = body.findall("p:Results", _NAMES)
    expected = question.result_type or question.object_type
    kinds = [row.get(TYPE, "") for row in rows]
    for kind in set(kinds):
        if kind.rpartition(":")[2] != expected:
            raise UnreadableAnswer(place.at(kinds.index(kind) + 1), f"The row isn't a {expected}")
    more = status == "MoreDataAvailable"
    request_id = body.findtext("p:RequestID", "", _NAMES)
    if more and not rows:
        raise UnreadableAnswer(place, "More rows are announced, but the page has none")
    if more and not request_id:
        raise UnreadableAnswer(place, "More rows are announced without a RequestID to ask for them")
    read = _extension if expected == "ObjectExtension" else _columns
    columns = read(body, rows, question.properties, place)
    return Page(columns, len(rows), request_id, more, repaired)


def _columns(
    body: etree._Element, rows: list[etree._Element], names: Sequence[str], place: Place
) -> dict[str, list[str | None]]:
    """Each property's texts; in one sweep where all rows are built alike, as they usually are."""
    steps = [[f"{{{PARTNER}}}{step}" for step in name.split(".")] for name in names]
    leaves = list(body.iter(*(path[-1] for path in steps)))
    order = _built_alike(leaves, rows, {path[-1]: len(path) for path in steps})
    if order is None:
        return _row_by_row(rows, names, steps, place)
    texts = [leaf.text for leaf in leaves]
    return {
        name: texts[order.index(path[-1]) :: len(order)]
        for name, path in zip(names, steps, strict=True)
    }


def _built_alike(
    leaves: list[etree._Element], rows: list[etree._Element], depths: Mapping[str, int]
) -> list[str] | None:
    """The order of the properties' tags, if every row has each of them once and in that order.

    The tags repeat as often as there are rows, and both the first and the last of each repetition
    lie in the row of the same number: then so does everything between them.
    """
    count = len(depths)
    if len(leaves) != count * len(rows):
        return None
    tags = [leaf.tag for leaf in leaves]
    order = tags[:count]
    if len(set(order)) != count or tags != order * len(rows):
        return None
    for at in (0, count - 1) if rows else ():
        row_of: list[Any] = leaves[at::count]
        for _ in range(depths[order[at]]):
            row_of = [element.getparent() for element in row_of]
        if row_of != rows:
            return None
    return order


def _row_by_row(
    rows: list[etree._Element],
    names: Sequence[str],
    steps: Sequence[Sequence[str]],
    place: Place,
) -> dict[str, list[str | None]]:
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for number, row in enumerate(rows, 1):
        children = {child.tag: child for child in row}
        repeated = len(children) != len(row)
        for name, path in zip(names, steps, strict=True):
            if repeated and len(row.findall(path[0])) > 1:
                raise UnreadableAnswer(place.at(number), f"The row has {name} more than once")
            found = children.get(path[0])
            for step in path[1:]:
                found = None if found is None else found.find(step)
            columns[name].append(None if found is None else found.text)
    return columns


def _extension(
    body: etree._Element, rows: list[etree._Element], names: Sequence[str], place: Place
) -> dict[str, list[str | None]]:
    """Rows of an ``ObjectExtension``: named properties, and some elements of the object itself."""
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for number, row in enumerate(rows, 1):
        values = {
            prop.findtext("p:Name", None, _NAMES): prop.findtext("p:Value", None, _NAMES)
            for prop in row.iterfind("p:Properties/p:Property", _NAMES)
        }
        if not values:
            raise UnreadableAnswer(place.at(number), "The row has no properties")
        for name in names:
            own = row.findtext("/".join(f"p:{step}" for step in name.split(".")), None, _NAMES)
            columns[name].append(values.get(name) or own or None)
    return columns


def tells_of_timeout(text: str) -> bool:
    """Whether a message is about a time-out."""
    return bool(_TIMEOUT.search(text))


def refusal(status: str | None, place: Place) -> MarketingCloudError:
    """What an ``OverallStatus`` other than OK means (facts/marketing-cloud.md §4.5)."""
    if status is None:
        return UnreadableAnswer(place, "The answer has no OverallStatus")
    text = status.casefold()
    if "permission" in text or "privilege" in text:
        return PermissionMissing(place, status)
    if "continuerequest" in text:
        return ContinuationLost(place, status)
    if tells_of_timeout(status):
        return TimedOut(place, status)
    return RequestRefused(place, status)


def outcomes(answer: bytes, message_name: str, place: Place) -> list[tuple[str, str]]:
    """(StatusCode, StatusMessage) of each part of a Create or a Perform.

    Raises as `read_page` does when the whole request was refused without a word on its parts.
    """
    root, _ = parse(answer, place)
    body = root.find(f"s:Body/p:{message_name}", _NAMES)
    if body is None:
        raise UnreadableAnswer(place, f"The answer has no {message_name}")
    parts = body.findall("p:Results/p:Result", _NAMES) or body.findall("p:Results", _NAMES)
    status = body.findtext("p:OverallStatus", None, _NAMES)
    if not parts:
        raise refusal(status, place)
    return [
        (
            part.findtext("p:StatusCode", "", _NAMES),
            part.findtext("p:StatusMessage", "", _NAMES),
        )
        for part in parts
    ]
