"""Salesforce's own schema of metadata, out of the WSDL that simple-salesforce ships."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import simple_salesforce
from lxml import etree

XSD = "http://www.w3.org/2001/XMLSchema"
NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
ROOTS = (
    "CustomField",
    "CustomObject",
    "Layout",
    "ListView",
    "Package",
    "PermissionSet",
    "Report",
    "ReportFolder",
    "ReportType",
)


@cache
def _schema() -> etree.XMLSchema:
    """The WSDL declares types alone: a file's root element is of the type that bears its name."""
    wsdl = etree.parse(Path(simple_salesforce.__file__).with_name("metadata.wsdl"))
    found = wsdl.find(f".//{{{XSD}}}schema[@targetNamespace='{NAMESPACE}']")
    schema = etree.Element(found.tag, dict(found.attrib), nsmap=found.nsmap)
    schema.extend(found)
    declared = {each.get("name") for each in schema.iterfind(f"{{{XSD}}}element")}
    for name in set(ROOTS) - declared:
        etree.SubElement(schema, f"{{{XSD}}}element", name=name, type=f"tns:{name}")
    return etree.XMLSchema(etree.fromstring(etree.tostring(schema)))


def complaints(content: bytes) -> list[str]:
    """What the schema has against a file: unknown elements, values, and their order."""
    schema = _schema()
    schema.validate(etree.fromstring(content))
    return [error.message for error in schema.error_log]
