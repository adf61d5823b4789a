"""Answers: pages of a Retrieve, faults, and the outcomes of a Create or a Perform."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
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
from bounce_sync.marketing_cloud.soap import columns
from bounce_sync.marketing_cloud.soap.names import ENVELOPE, PARTNER
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

    columns: Mapping[str, pa.Array]
    rows: int
    request_id: str
    more: bool

    def texts(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """The rows of these properties, as plain texts."""
        return zip(*(self.columns[name].to_pylist() for name in names), strict=True)

    def fingerprint(self) -> int:
        """The same for pages of the same rows."""
        return hash(pa.record_batch(dict(self.columns)).serialize().to_pybytes())


def parse(answer: bytes, place: Place) -> etree._Element:
    """The answer's tree.

    The service writes control characters of a bounce reason as references that no parser accepts;
    they become `LOST`. Raises `UnreadableAnswer` for anything that isn't XML, or has a DTD.
    """
    try:
        root = etree.fromstring(answer, _parser())
    except etree.XMLSyntaxError as error:
        mended = _without_illegal(answer)
        try:
            if mended == answer:
                raise
            root = etree.fromstring(mended, _parser())
        except etree.XMLSyntaxError:
            raise UnreadableAnswer(place, f"The answer is no XML ({error.msg})") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableAnswer(place, "The answer brings a DTD, which is refused")
    return root


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
        root = parse(answer, Place("a SOAP fault"))
    except UnreadableAnswer:
        return None
    fault = root.find("s:Body/s:Fault", _NAMES)
    if fault is None:
        return None
    code = fault.findtext("faultcode") or ""
    return Fault(code.rpartition(":")[2], fault.findtext("faultstring") or "")


def read_page(answer: bytes, question: Retrieve, place: Place) -> Page:
    """A page of rows. Raises what `refusal` names, and `UnreadableAnswer` for a page that isn't
    whole: no status, a row of another type, more announced and nothing given.
    """
    root = parse(answer, place)
    body = root.find("s:Body/p:RetrieveResponseMsg", _NAMES)
    if body is None:
        raise UnreadableAnswer(place, "The answer has no RetrieveResponseMsg")
    status = body.findtext("p:OverallStatus", None, _NAMES)
    if status not in ("OK", "MoreDataAvailable"):
        raise refusal(status, place)
    rows = columns.count(body)
    more = status == "MoreDataAvailable"
    request_id = body.findtext("p:RequestID", "", _NAMES)
    if more and not rows:
        raise UnreadableAnswer(place, "More rows are announced, but the page has none")
    if more and not request_id:
        raise UnreadableAnswer(place, "More rows are announced without a RequestID to ask for them")
    kind = question.result_type or question.object_type
    found = columns.read(body, rows, kind, question.properties, place)
    return Page(found, rows, request_id, more)


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
    root = parse(answer, place)
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
