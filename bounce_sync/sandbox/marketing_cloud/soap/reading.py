"""SOAP requests, read the way the service reads them: by namespace and name, in any order.

Clients differ in all the rest: prefixes, SOAP 1.1 or 1.2, Header before or after Body, where the
token stands in its element (facts/wire.md 1-6). Entities and DTDs are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from bounce_sync.sandbox.marketing_cloud.soap.errors import Unreadable

PARTNER_API = "http://exacttarget.com/wsdl/partnerAPI"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_SOAP = {"http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"}


class MalformedRequest(ValueError):
    """The body is no SOAP envelope: the service answers 400 with the text "Bad Request"."""


@dataclass(frozen=True)
class Request:
    """What was asked: `message` is the one element in the SOAP body; `token` may be empty."""

    message: etree._Element
    token: str

    @property
    def operation(self) -> str:
        return name_of(self.message)


def read_request(body: bytes) -> Request:
    """Raises MalformedRequest for anything that isn't one message in a SOAP envelope."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
    )
    try:
        envelope = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedRequest(str(error)) from error
    name = etree.QName(envelope)
    if b"<!DOCTYPE" in body[:4096] or name.localname != "Envelope":
        raise MalformedRequest("a SOAP envelope without a DTD is needed")
    if name.namespace not in _SOAP:
        raise MalformedRequest(f"{name.namespace} isn't a SOAP namespace")
    message = next((m for body in children(envelope, "Body") for m in children(body)), None)
    if message is None:
        raise MalformedRequest("the SOAP body is empty")
    tokens = (t for header in children(envelope, "Header") for t in children(header, "fueloauth"))
    return Request(message, next((_whole_text(t) for t in tokens), ""))


def _whole_text(element: etree._Element) -> str:
    """The text, also where a client puts it into an element of its own inside."""
    return "".join(str(part) for part in element.itertext()).strip()


def name_of(element: etree._Element) -> str:
    return etree.QName(element).localname


def children(element: etree._Element, name: str | None = None) -> Iterator[etree._Element]:
    """The child elements, or those with this local name, whatever their prefix."""
    for child in element.iterchildren(tag=etree.Element):
        if name is None or name_of(child) == name:
            yield child


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """The first element at the path of local names."""
    for name in path:
        if element is None:
            return None
        element = next(children(element, name), None)
    return element


def text(element: etree._Element | None, *path: str) -> str | None:
    """The text at the path, None where the element is absent (or nil: that has no text)."""
    found = child(element, *path)
    if found is None:
        return None
    return found.text or ""


def number(element: etree._Element, name: str) -> int:
    """A whole number, 0 where it is absent. Raises Unreadable."""
    said = (text(element, name) or "0").strip()
    if not said.removeprefix("-").isdecimal() or len(said) > 18:
        raise Unreadable(f"'{said}' in {name} is not a valid whole number.")
    return int(said)


def texts(element: etree._Element, name: str) -> list[str]:
    return [found.text or "" for found in children(element, name)]


def type_of(element: etree._Element) -> str:
    """The local name in xsi:type, empty where there is none."""
    return element.get(XSI_TYPE, "").rpartition(":")[2].strip()


def is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in {"true", "1"}
