"""Requests: envelopes, filters and Retrieves, built of elements so that values are escaped."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from bounce_sync.marketing_cloud.soap.names import ENVELOPE, PARTNER, TYPE, XSI
from bounce_sync.rules.server_time import Window

_DEFAULT: Any = {None: PARTNER}
_TOKEN_DEFAULT: Any = {None: "http://exacttarget.com"}

EDGE = timedelta(seconds=1)
"""How much wider than itself a window is asked for, at both ends."""

Filter = etree._Element


def element(name: str, *children: etree._Element, text: str | None = None) -> etree._Element:
    """An element of the partner API."""
    made = etree.Element(f"{{{PARTNER}}}{name}", nsmap=_DEFAULT)
    made.text = text
    made.extend(children)
    return made


def named_text(**values: str) -> list[etree._Element]:
    """Elements of these names with these texts, in order."""
    return [element(name, text=value) for name, value in values.items()]


def typed(name: str, kind: str, *children: etree._Element) -> etree._Element:
    """An element of an abstract type, which says what it is."""
    made = element(name, *children)
    made.set(TYPE, kind)
    return made


def condition(prop: str, operator: str, *values: str | datetime) -> Filter:
    """A simple filter. A time is sent as ``DateValue`` with its offset, to the millisecond."""
    part = typed(
        "Filter",
        "SimpleFilterPart",
        element("Property", text=prop),
        element("SimpleOperator", text=operator),
    )
    for value in values:
        if isinstance(value, datetime):
            part.append(element("DateValue", text=value.isoformat(timespec="milliseconds")))
        else:
            part.append(element("Value", text=value))
    return part


def any_of(prop: str, values: Sequence[str]) -> Filter:
    """A filter for any of these values, of which there is at least one."""
    return condition(prop, "equals" if len(values) == 1 else "IN", *values)


def within(prop: str, window: Window) -> Filter:
    """A filter for a window and a second more at both ends; what is too much, `rows.cut` cuts.

    The service's own edges are documented neither in precision nor in which end they include.
    """
    return condition(prop, "between", window.start - EDGE, window.end + EDGE)


def both(left: Filter, right: Filter) -> Filter:
    """Both filters at once; each operand carries its own type, or the service refuses it."""
    left.tag, right.tag = f"{{{PARTNER}}}LeftOperand", f"{{{PARTNER}}}RightOperand"
    and_ = element("LogicalOperator", text="AND")
    return typed("Filter", "ComplexFilterPart", left, and_, right)


@dataclass(frozen=True)
class Retrieve:
    """A question for rows of one object.

    `properties` are asked for under the service's names; a dotted one (``Client.ID``) is nested in
    the answer. `result_type` is the xsi:type of the rows.
    """

    object_type: str
    properties: Sequence[str]
    where: Filter | None = None
    all_accounts: bool = False
    result_type: str = ""

    def body(self, continue_from: str | None = None) -> etree._Element:
        """The message; with `continue_from` (an answer's RequestID), the one for its next page."""
        request = element("RetrieveRequest", element("ObjectType", text=self.object_type))
        request.extend(element("Properties", text=name) for name in self.properties)
        if self.where is not None:
            request.append(deepcopy(self.where))
        if continue_from:
            request.append(element("ContinueRequest", text=continue_from))
        if self.all_accounts:
            request.append(element("QueryAllAccounts", text="true"))
        return element("RetrieveRequestMsg", request)


def message(token: str, body: etree._Element) -> bytes:
    """The envelope around `body`."""
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"soap": ENVELOPE, "xsi": XSI})
    header = etree.SubElement(envelope, f"{{{ENVELOPE}}}Header")
    etree.SubElement(header, "fueloauth", nsmap=_TOKEN_DEFAULT).text = token
    etree.SubElement(envelope, f"{{{ENVELOPE}}}Body").append(body)
    return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
