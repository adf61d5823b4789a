"""The Metadata API over SOAP: create, update, delete, read, list, and file-based deploy.

Custom fields and permission sets take effect; other components (list views, reports, report
types, layouts…) are kept as they were sent and can be read back.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from lxml import etree

from bounce_sync.sandbox.salesforce import setup_changes
from bounce_sync.sandbox.salesforce.errors import RowError
from bounce_sync.sandbox.salesforce.http import Answer, Call, Routes
from bounce_sync.sandbox.salesforce.ids import new_id
from bounce_sync.sandbox.salesforce.service import report
from bounce_sync.sandbox.salesforce.soap import (
    SoapFault,
    envelope,
    operation,
    session_header,
    text,
    texts,
)
from bounce_sync.sandbox.store import crm_time

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
MOST = 10
"""Components in one createMetadata."""

FOLDERS = {
    "permissionsets": "PermissionSet",
    "reportTypes": "ReportType",
    "reports": "Report",
    "layouts": "Layout",
    "flows": "Flow",
    "profiles": "Profile",
}


@routes("POST", "/services/Soap/m/{version}", open=True)
def soap(service: Service, call: Call, version: str) -> Answer:
    try:
        if service.sessions.find(session_header(call)) is None:
            raise _fault("INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader")
        asked = operation(call, NAMESPACE)
        name = etree.QName(asked).localname
        act = OPERATIONS.get(name)
        if act is None:
            report(call, f"SOAP operation {name}")
            raise _fault("INVALID_OPERATION", f"No operation available for request {name}")
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


def _fault(code: str, message: str) -> SoapFault:
    return SoapFault(code, message, NAMESPACE)


def _local(element: etree._Element) -> str:
    return str(etree.QName(element).localname)


def _flat(element: etree._Element) -> dict[str, str]:
    """The texts of the direct children that have no children of their own."""
    return {_local(child): (child.text or "").strip() for child in element if not len(child)}


def _parts(element: etree._Element, name: str) -> list[dict[str, str]]:
    return [_flat(child) for child in element if _local(child) == name]


# CRUD calls


def _components(asked: etree._Element) -> list[tuple[str, etree._Element]]:
    found = []
    for element in asked:
        if isinstance(element.tag, str) and _local(element) == "metadata":
            kind = element.get(_XSI_TYPE, "").split(":")[-1]
            found.append((kind, element))
    if len(found) > MOST:
        raise _fault("LIMIT_EXCEEDED", f"at most {MOST} components in one call")
    if not all(kind for kind, _ in found):
        raise _fault("INVALID_TYPE", "metadata must name its xsi:type")
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


def apply_component(
    service: Service, kind: str, element: etree._Element, *, new_only: bool = False
) -> RowError | None:
    """Gives a component its effect and keeps its text."""
    full_name = text(element, "fullName")
    if error := setup_changes.denied(service):
        return error
    existing = _component(service, kind, full_name)
    if existing is not None and new_only:
        return RowError(
            "DUPLICATE_DEVELOPER_NAME", f"The developer name {full_name} already exists"
        )
    outcome: object = None
    if kind == "CustomField":
        known = setup_changes.field_metadata(service.store, full_name) is not None
        act = setup_changes.change_field if known else setup_changes.make_field
        outcome = act(service, full_name, _flat(element))
    elif kind == "PermissionSet":
        outcome = setup_changes.make_permission_set(
            service,
            full_name,
            text(element, "label", full_name),
            _parts(element, "fieldPermissions"),
            _parts(element, "objectPermissions"),
        )
    if isinstance(outcome, RowError):
        return outcome
    inside = "".join(
        etree.tostring(child, encoding="unicode") for child in element if isinstance(child.tag, str)
    )
    service.store.execute(
        "INSERT INTO metadata_component VALUES (?, ?, ?, ?) ON CONFLICT (type, full_name)"
        " DO UPDATE SET body = excluded.body, modified_at = excluded.modified_at",
        (kind, full_name, inside, crm_time(datetime.now(UTC))),
    )
    return None


def _component(service: Service, kind: str, full_name: str) -> str | None:
    """The inner XML of a component, None where there is none."""
    row = service.store.execute(
        "SELECT body FROM metadata_component WHERE type = ? AND full_name = ?", (kind, full_name)
    ).fetchone()
    if row is not None:
        return str(row[0])
    if kind == "CustomField":
        found = setup_changes.field_metadata(service.store, full_name)
        if found is not None:
            return "".join(
                f"<{name}>{escape(str(value))}</{name}>" for name, value in found.items()
            )
    return None


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
            if _component(service, kind, name) is None
            else apply_component(service, kind, one)
        )
        results.append(_saved(name, outcome))
    return "".join(results)


def _upsert(service: Service, asked: etree._Element, _: str) -> str:
    results = []
    for kind, one in _components(asked):
        name = text(one, "fullName")
        new = _component(service, kind, name) is None
        results.append(_saved(name, apply_component(service, kind, one), upsert=True, created=new))
    return "".join(results)


def _delete(service: Service, asked: etree._Element, _: str) -> str:
    kind = text(asked, "type") or text(asked, "metadataType")
    results = []
    for name in texts(asked, "fullNames"):
        outcome: RowError | None
        if kind == "CustomField":
            outcome = setup_changes.drop_field(service, *name.split(".", 1))
        elif _component(service, kind, name) is None:
            outcome = RowError("INVALID_CROSS_REFERENCE_KEY", f"no {kind} named {name} found")
        else:
            outcome = setup_changes.denied(service)
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
        body = _component(service, kind, name)
        records += (
            '<records xsi:nil="true"/>'
            if body is None
            else f'<records xsi:type="{escape(kind)}">{body}</records>'
        )
    return f"<result>{records}</result>"


def _list(service: Service, asked: etree._Element, _: str) -> str:
    found = ""
    for query in asked:
        if not isinstance(query.tag, str) or _local(query) != "queries":
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
                for name in setup_changes.known_objects(service.store)
                for row in service.store.fields(name)
                if row["custom"]
            ]
        elif kind == "CustomObject":
            names = setup_changes.known_objects(service.store)
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


# File-based deploy


def _deploy(service: Service, asked: etree._Element, _: str) -> str:
    options = next((child for child in asked if _local(child) == "DeployOptions"), None)
    check_only = options is not None and text(options, "checkOnly") == "true"
    try:
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(text(asked, "ZipFile"))))
    except (binascii.Error, zipfile.BadZipFile) as error:
        raise _fault("INVALID_ZIP", f"the deployment is no zip file: {error}") from None
    results: list[dict[str, Any]] = []
    with service.writing, service.store.transaction() as connection:
        connection.execute("SAVEPOINT deploy")
        for kind, full_name, element in _packed(archive):
            refused = apply_component(service, kind, element)
            problem = refused.message if refused else None
            results.append({"type": kind, "fullName": full_name, "problem": problem})
        if check_only or any(one["problem"] for one in results):
            connection.execute("ROLLBACK TO deploy")
        connection.execute("RELEASE deploy")
        deploy_id = new_id("0Af")
        connection.execute(
            "INSERT INTO metadata_deploy VALUES (?, ?, ?)",
            (
                deploy_id,
                crm_time(datetime.now(UTC)),
                json.dumps({"results": results, "checkOnly": check_only}),
            ),
        )
    return f"<result><done>false</done><id>{deploy_id}</id><state>Queued</state></result>"


def _packed(archive: zipfile.ZipFile) -> list[tuple[str, str, etree._Element]]:
    """The components of a zip in the Metadata API's layout: fields first, then permission sets."""
    found: list[tuple[str, str, etree._Element]] = []
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    for path in archive.namelist():
        folder, _, name = path.removeprefix("unpackaged/").partition("/")
        if not name or name.endswith("/") or folder == "package.xml":
            continue
        try:
            root = etree.fromstring(archive.read(path), parser)
        except etree.XMLSyntaxError as error:
            raise _fault("INVALID_FILE", f"{path} is no XML: {error}") from None
        if folder == "objects":
            owner = name.removesuffix(".object")
            for kind, tag in (("CustomField", "fields"), ("ListView", "listViews")):
                for part in root.findall(f"{{{NAMESPACE}}}{tag}"):
                    full_name = f"{owner}.{text(part, 'fullName')}"
                    _name(part, full_name)
                    found.append((kind, full_name, part))
        elif folder in FOLDERS:
            full_name = name.rsplit(".", 1)[0]
            _name(root, full_name)
            found.append((FOLDERS[folder], full_name, root))
        else:
            found.append((_local(root), name.rsplit(".", 1)[0], root))
    order = {"CustomField": 0, "PermissionSet": 1}
    return sorted(found, key=lambda one: order.get(one[0], 2))


def _name(element: etree._Element, full_name: str) -> None:
    for child in element:
        if isinstance(child.tag, str) and _local(child) == "fullName":
            child.text = full_name
            return
    named = etree.Element(f"{{{NAMESPACE}}}fullName")
    named.text = full_name
    element.insert(0, named)


def _deploy_status(service: Service, asked: etree._Element, _: str) -> str:
    deploy_id = text(asked, "asyncProcessId")
    row = service.store.execute(
        "SELECT result FROM metadata_deploy WHERE id = ?", (deploy_id,)
    ).fetchone()
    if row is None:
        raise _fault("INVALID_CROSS_REFERENCE_KEY", f"no deployment with id {deploy_id}")
    kept = json.loads(row[0])
    good = [one for one in kept["results"] if not one["problem"]]
    bad = [one for one in kept["results"] if one["problem"]]
    details = "".join(
        f"<componentSuccesses><componentType>{one['type']}</componentType>"
        f"<fullName>{escape(one['fullName'])}</fullName><success>true</success></componentSuccesses>"
        for one in good
    ) + "".join(
        f"<componentFailures><componentType>{one['type']}</componentType>"
        f"<fullName>{escape(one['fullName'])}</fullName><problem>{escape(one['problem'])}</problem>"
        "<problemType>Error</problemType><success>false</success></componentFailures>"
        for one in bad
    )
    return (
        f"<result><checkOnly>{str(kept['checkOnly']).lower()}</checkOnly>"
        f"<details>{details}</details><done>true</done><id>{deploy_id}</id>"
        f"<numberComponentErrors>{len(bad)}</numberComponentErrors>"
        f"<numberComponentsDeployed>{len(good)}</numberComponentsDeployed>"
        f"<numberComponentsTotal>{len(good) + len(bad)}</numberComponentsTotal>"
        "<numberTestErrors>0</numberTestErrors><numberTestsCompleted>0</numberTestsCompleted>"
        "<numberTestsTotal>0</numberTestsTotal>"
        f"<status>{'Failed' if bad else 'Succeeded'}</status>"
        f"<success>{str(not bad).lower()}</success></result>"
    )


OPERATIONS: dict[str, Callable[[Service, etree._Element, str], str]] = {
    "createMetadata": _create,
    "updateMetadata": _update,
    "upsertMetadata": _upsert,
    "deleteMetadata": _delete,
    "readMetadata": _read,
    "listMetadata": _list,
    "describeMetadata": _describe,
    "deploy": _deploy,
    "checkDeployStatus": _deploy_status,
}
