"""What a component names and the org doesn't have: custom fields, a folder, a type of report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree

from bounce_sync.sandbox.salesforce.errors import RowError

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

_CUSTOM = re.compile(r"(?:(?P<object>\w+)\$)?(?P<field>\w+__c)")
_OWNERS = {"ListView": r"(\w+)\.", "Layout": r"(\w+?)-"}
"""Kinds whose name begins with the object that they are about."""


def unresolved(
    service: Service, kind: str, full_name: str, element: etree._Element
) -> RowError | None:
    """Why the org refuses it, if it does."""
    if kind == "Report":
        folder = full_name.partition("/")[0]
        if folder != "unfiled$public" and not _has(service, "ReportFolder", folder):
            return _missing(f"Cannot find folder:{folder}")
        made_of = element.findtext("{*}reportType") or ""
        if made_of.endswith("__c") and not _has(service, "ReportType", made_of.removesuffix("__c")):
            return _missing(f"reportType: invalid report type: {made_of}")
    return _unknown_field(service, kind, full_name, element)


def _unknown_field(
    service: Service, kind: str, full_name: str, element: etree._Element
) -> RowError | None:
    found = re.match(_OWNERS[kind], full_name) if kind in _OWNERS else None
    owner = found[1] if found else element.findtext("{*}baseObject")
    for each in element.iter("{*}columns", "{*}column", "{*}field"):
        named = _CUSTOM.fullmatch((each.text or "").strip())
        about = (named["object"] or owner) if named else None
        if named is None or about is None:
            continue
        names = {row["name"].lower() for row in service.store.fields(about)}
        if named["field"].lower() not in names:
            if kind == "ListView":
                return _missing(f"Could not resolve list view column: {each.text}")
            return _missing(
                f"In field: field - no CustomField named {about}.{named['field']} found"
            )
    return None


def _has(service: Service, kind: str, full_name: str) -> bool:
    statement = "SELECT 1 FROM metadata_component WHERE type = ? AND full_name = ?"
    return service.store.execute(statement, (kind, full_name)).fetchone() is not None


def _missing(message: str) -> RowError:
    return RowError("INVALID_CROSS_REFERENCE_KEY", message)
