"""Components of metadata: read from XML, given their effect, kept and shown again."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from lxml import etree

from bounce_sync.sandbox.salesforce.errors import RowError
from bounce_sync.sandbox.salesforce.setup import changes
from bounce_sync.sandbox.salesforce.setup.references import unresolved
from bounce_sync.sandbox.salesforce.soap import SoapFault, text
from bounce_sync.sandbox.store import crm_time

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"


def metadata_fault(code: str, message: str) -> SoapFault:
    """A fault of the Metadata API."""
    return SoapFault(code, message, NAMESPACE)


def local(element: etree._Element) -> str:
    """An element's name without its namespace."""
    return str(etree.QName(element).localname)


def flat(element: etree._Element) -> dict[str, str]:
    """The texts of the direct children that have no children of their own."""
    return {local(child): (child.text or "").strip() for child in element if not len(child)}


def parts(element: etree._Element, name: str) -> list[dict[str, str]]:
    return [flat(child) for child in element if local(child) == name]


def apply_component(
    service: Service, kind: str, element: etree._Element, *, new_only: bool = False
) -> RowError | None:
    """Gives a component its effect and keeps its text."""
    full_name = text(element, "fullName")
    if error := changes.denied(service):
        return error
    existing = component(service, kind, full_name)
    if existing is not None and new_only:
        return RowError(
            "DUPLICATE_DEVELOPER_NAME", f"The developer name {full_name} already exists"
        )
    outcome: object = None
    if kind == "CustomField":
        known = changes.field_metadata(service.store, full_name) is not None
        act = changes.change_field if known else changes.make_field
        outcome = act(service, full_name, flat(element))
    elif kind == "PermissionSet":
        outcome = changes.make_permission_set(
            service,
            full_name,
            text(element, "label", full_name),
            parts(element, "fieldPermissions"),
            parts(element, "objectPermissions"),
        )
    else:
        outcome = unresolved(service, kind, full_name, element)
    if isinstance(outcome, RowError):
        return outcome
    inside = "".join(
        etree.tostring(_plain(child), encoding="unicode") for child in element.iterchildren("*")
    )
    service.store.execute(
        "INSERT INTO metadata_component VALUES (?, ?, ?, ?) ON CONFLICT (type, full_name)"
        " DO UPDATE SET body = excluded.body, modified_at = excluded.modified_at",
        (kind, full_name, inside, crm_time(datetime.now(UTC))),
    )
    return None


def _plain(element: etree._Element) -> etree._Element:
    """A copy without namespaces: kept components stand in the default one of their file."""
    copy = etree.Element(local(element))
    copy.text = element.text
    copy.extend(_plain(child) for child in element.iterchildren("*"))
    return copy


def component(service: Service, kind: str, full_name: str) -> str | None:
    """The inner XML of a component, None where there is none."""
    row = service.store.execute(
        "SELECT body FROM metadata_component WHERE type = ? AND full_name = ?", (kind, full_name)
    ).fetchone()
    if row is not None:
        return str(row[0])
    if kind == "CustomField":
        found = changes.field_metadata(service.store, full_name)
        if found is not None:
            return "".join(
                f"<{name}>{escape(str(value))}</{name}>" for name, value in found.items()
            )
    return None
