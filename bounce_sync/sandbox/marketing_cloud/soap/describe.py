"""Describe: the properties of an object (facts/marketing-cloud.md 4.3, wire.md 18)."""

from lxml import etree

from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.soap.objects import OBJECTS
from bounce_sync.sandbox.marketing_cloud.soap.properties import Property
from bounce_sync.sandbox.marketing_cloud.soap.reading import child, children, text
from bounce_sync.sandbox.marketing_cloud.soap.writing import element, message, new_id

_NIL = '<PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" />'


def describe(call: Call, asked: etree._Element) -> bytes:
    """One ObjectDefinition for each known object that was asked about; some tenants (the setting
    `describe` is `silent`) answer with none."""
    said = []
    requests = child(asked, "DescribeRequests")
    names = [] if requests is None else list(children(requests, "ObjectDefinitionRequest"))
    if call.store.setting("describe", "full") != "silent":
        for request in names:
            known = OBJECTS.get((text(request, "ObjectType") or "").strip())
            if known is not None:
                properties = "".join(_property(each) for each in known.properties)
                said.append(
                    f"<ObjectDefinition>{element('ObjectType', known.name)}{properties}"
                    "</ObjectDefinition>"
                )
    return message(
        "DefinitionResponseMsg",
        *said,
        element("RequestID", new_id()),
        action="DescribeResponse",
    )


def _property(each: Property) -> str:
    length = element("MaxLength", each.length) if each.length else ""
    flags = "".join(
        element(name, str(value).lower())
        for name, value in (
            ("IsUpdatable", False),
            ("IsRetrievable", each.retrievable),
        )
    )
    return (
        f"<Properties>{_NIL}{element('Name', each.name)}"
        f"{element('DataType', each.kind.data_type)}{flags}{length}"
        f"{element('IsRequired', 'false')}</Properties>"
    )
