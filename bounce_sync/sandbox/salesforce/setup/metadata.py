"""The Metadata API over SOAP: create, update, delete, read, list, and file-based deploy.

Custom fields and permission sets take effect; other components (list views, reports, report
types, layouts…) are kept as they were sent, if the custom fields that they name are there, and can
be read back. Without the permission ModifyMetadata every call is a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from lxml import etree

from bounce_sync.sandbox.salesforce.errors import RowError
from bounce_sync.sandbox.salesforce.http import Answer, Call, Routes
from bounce_sync.sandbox.salesforce.service import report
from bounce_sync.sandbox.salesforce.setup import changes
from bounce_sync.sandbox.salesforce.setup.components import (
    NAMESPACE,
    apply_component,
    component,
    local,
    metadata_fault,
)
from bounce_sync.sandbox.salesforce.setup.deployment import (
    FOLDERS,
    deploy,
    deploy_status,
    retrieve,
    retrieve_status,
)
from bounce_sync.sandbox.salesforce.soap import (
    SoapFault,
    envelope,
    operation,
    session_header,
    text,
    texts,
)

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
MOST = 10
"""Components in one createMetadata."""


@routes("POST", "/services/Soap/m/{version}", open=True)
def soap(service: Service, call: Call, version: str) -> Answer:
    try:
        if service.sessions.find(session_header(call)) is None:
            raise metadata_fault("INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader")
        if service.lacks("ModifyMetadata"):
            raise metadata_fault(
                "INSUFFICIENT_ACCESS",
                "use of the Metadata API requires a user with the ModifyAllData or ModifyMetadata"
                " permissions",
            )
        asked = operation(call, NAMESPACE)
        name = etree.QName(asked).localname
        act = OPERATIONS.get(name)
        if act is None:
            report(call, f"SOAP operation {name}")
            raise metadata_fault("INVALID_OPERATION", f"No operation available for request {name}")
        return envelope(
            f"<{name}Response>{act(service, asked, version)}</{name}Response>", NAMESPACE
        )
    except SoapFault as refused:
        return refused.answer


@routes("POST", "/services/Soap/m/{version}/{org}", open=True)
def soap_of_org(service: Service, call: Call, version: str, org: str) -> Answer:
    del org
    return soap(service, call, version)


@routes("POST", "/services/Soap/m/{version}/{request}/{key}", open=True)
def soap_of_request(service: Service, call: Call, version: str, request: str, key: str) -> Answer:
    """Where simple-salesforce asks how a deployment goes; the envelope says it all."""
    del request, key
    return soap(service, call, version)


# CRUD calls


def _components(asked: etree._Element) -> list[tuple[str, etree._Element]]:
    found = []
    for element in asked:
        if isinstance(element.tag, str) and local(element) == "metadata":
            kind = element.get(_XSI_TYPE, "").split(":")[-1]
            found.append((kind, element))
    if len(found) > MOST:
        raise metadata_fault("LIMIT_EXCEEDED", f"at most {MOST} components in one call")
    if not all(kind for kind, _ in found):
        raise metadata_fault("INVALID_TYPE", "metadata must name its xsi:type")
    return found


def _saved(full_name: str, outcome: object, *, upsert: bool = False, created: bool = True) -> str:
    named = f"<fullName>{escape(full_name)}</fullName>"
    if isinstance(outcome, RowError):
        errors = (
            f"<errors><message>{escape(outcome.message)}</message>"
            f"<statusCode>{outcome.code}</statusCode></errors>"
        )
        return f"<result>{errors}{named}<success>false</success></result>"
    made = f"<created>{str(created).lower()}</created>" if upsert else ""
    return f"<result>{made}{named}<success>true</success></result>"


def _create(service: Service, asked: etree._Element, _: str) -> str:
    return "".join(
        _saved(text(one, "fullName"), apply_component(service, kind, one, new_only=True))
        for kind, one in _components(asked)
    )


def _update(service: Service, asked: etree._Element, _: str) -> str:
    results = []
    for kind, one in _components(asked):
        name = text(one, "fullName")
        outcome = (
            RowError("INVALID_CROSS_REFERENCE_KEY", f"no {kind} named {name} found")
            if component(service, kind, name) is None
            else apply_component(service, kind, one)
        )
        results.append(_saved(name, outcome))
    return "".join(results)


def _upsert(service: Service, asked: etree._Element, _: str) -> str:
    results = []
    for kind, one in _components(asked):
        name = text(one, "fullName")
        new = component(service, kind, name) is None
        results.append(_saved(name, apply_component(service, kind, one), upsert=True, created=new))
    return "".join(results)


def _delete(service: Service, asked: etree._Element, _: str) -> str:
    kind = text(asked, "type") or text(asked, "metadataType")
    results = []
    for name in texts(asked, "fullNames"):
        outcome: RowError | None
        if kind == "CustomField":
            outcome = changes.drop_field(service, name)
        elif component(service, kind, name) is None:
            outcome = RowError("INVALID_CROSS_REFERENCE_KEY", f"no {kind} named {name} found")
        else:
            outcome = changes.denied(service)
        if outcome is None:
            service.store.execute(
                "DELETE FROM metadata_component WHERE type = ? AND full_name = ?", (kind, name)
            )
            if kind == "PermissionSet":
                service.store.execute('DELETE FROM "PermissionSet" WHERE "Name" = ?', (name,))
        results.append(_saved(name, outcome))
    return "".join(results)


def _read(service: Service, asked: etree._Element, _: str) -> str:
    kind = text(asked, "type") or text(asked, "metadataType")
    records = ""
    for name in texts(asked, "fullNames"):
        body = component(service, kind, name)
        records += (
            '<records xsi:nil="true"/>'
            if body is None
            else f'<records xsi:type="{escape(kind)}">{body}</records>'
        )
    return f"<result>{records}</result>"


def _list(service: Service, asked: etree._Element, _: str) -> str:
    found = ""
    for query in asked:
        if not isinstance(query.tag, str) or local(query) != "queries":
            continue
        kind = text(query, "type")
        names = [
            row[0]
            for row in service.store.execute(
                "SELECT full_name FROM metadata_component WHERE type = ? ORDER BY full_name",
                (kind,),
            )
        ]
        if kind == "CustomField":
            names = [
                f"{name}.{row['name']}"
                for name in changes.known_objects(service.store)
                for row in service.store.fields(name)
                if row["custom"]
            ]
        elif kind == "CustomObject":
            names = changes.known_objects(service.store)
        found += "".join(
            f"<result><fullName>{escape(name)}</fullName><type>{escape(kind)}</type></result>"
            for name in names
        )
    return found


def _describe(_: Service, __: etree._Element, ___: str) -> str:
    kinds = ("CustomField", "CustomObject", "ListView", *FOLDERS.values())
    found = "".join(
        f"<metadataObjects><xmlName>{kind}</xmlName></metadataObjects>" for kind in kinds
    )
    return (
        f"<result>{found}<organizationNamespace/>"
        "<partialSaveAllowed>true</partialSaveAllowed></result>"
    )


OPERATIONS: dict[str, Callable[[Service, etree._Element, str], str]] = {
    "createMetadata": _create,
    "updateMetadata": _update,
    "upsertMetadata": _upsert,
    "deleteMetadata": _delete,
    "readMetadata": _read,
    "listMetadata": _list,
    "describeMetadata": _describe,
    "deploy": deploy,
    "checkDeployStatus": deploy_status,
    "retrieve": retrieve,
    "checkRetrieveStatus": retrieve_status,
}
