"""Files of metadata: a zip deployed, all of it or nothing, and a zip retrieved."""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from lxml import etree

from bounce_sync.sandbox.salesforce.ids import new_id
from bounce_sync.sandbox.salesforce.setup.components import (
    NAMESPACE,
    apply_component,
    component,
    local,
    metadata_fault,
)
from bounce_sync.sandbox.salesforce.soap import text, texts
from bounce_sync.sandbox.store import crm_time

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)

FOLDERS = {
    "permissionsets": "PermissionSet",
    "reportTypes": "ReportType",
    "reports": "Report",
    "layouts": "Layout",
    "flows": "Flow",
    "profiles": "Profile",
}


def deploy(service: Service, asked: etree._Element, _: str) -> str:
    """Takes a zip; it is deployed at once, and the answer says Queued, as the service does."""
    options = next((child for child in asked if local(child) == "DeployOptions"), None)
    no_tests = options is not None and text(options, "testLevel") == "NoTestRun"
    if (
        no_tests
        and not service.store.execute('SELECT "IsSandbox" FROM "Organization"').fetchone()[0]
    ):
        raise metadata_fault(
            "INVALID_OPERATION",
            "testLevel of NoTestRun cannot be used in production organizations",
        )
    check_only = options is not None and text(options, "checkOnly") == "true"
    try:
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(text(asked, "ZipFile"))))
    except (binascii.Error, zipfile.BadZipFile) as error:
        raise metadata_fault("INVALID_ZIP", f"the deployment is no zip file: {error}") from None
    results: list[dict[str, Any]] = []
    with service.writing, service.store.transaction() as connection:
        connection.execute("SAVEPOINT deploy")
        packed = _packed(archive)
        results += _not_found(archive, {(kind, full_name) for kind, full_name, _ in packed})
        for kind, full_name, element in packed:
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


def _not_found(archive: zipfile.ZipFile, packed: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """Members of the package.xml that the zip doesn't have; a folder of reports is a Report."""
    manifest = next((each for each in archive.namelist() if each.endswith("package.xml")), None)
    if manifest is None:
        raise metadata_fault("INVALID_FILE", "No package.xml found")
    root = etree.fromstring(archive.read(manifest), _PARSER)
    packed |= {("Report", name) for kind, name in packed if kind == "ReportFolder"}
    return [
        {
            "type": kind,
            "fullName": member,
            "problem": f"An object '{member}' of type {kind} was named in package.xml, but was not"
            " found in zipped directory",
        }
        for listed in root.iter(f"{{{NAMESPACE}}}types")
        for kind in texts(listed, "name")
        for member in texts(listed, "members")
        if member != "*" and (kind, member) not in packed
    ]


def _packed(archive: zipfile.ZipFile) -> list[tuple[str, str, etree._Element]]:
    """The components of a zip in the Metadata API's layout, those first that others name."""
    found: list[tuple[str, str, etree._Element]] = []
    for path in archive.namelist():
        folder, _, name = path.removeprefix("unpackaged/").partition("/")
        if not name or name.endswith("/") or folder == "package.xml":
            continue
        try:
            root = etree.fromstring(archive.read(path), _PARSER)
        except etree.XMLSyntaxError as error:
            raise metadata_fault("INVALID_FILE", f"{path} is no XML: {error}") from None
        if folder == "objects":
            owner = name.removesuffix(".object")
            for kind, tag in (("CustomField", "fields"), ("ListView", "listViews")):
                for part in root.findall(f"{{{NAMESPACE}}}{tag}"):
                    full_name = f"{owner}.{text(part, 'fullName')}"
                    _name(part, full_name)
                    found.append((kind, full_name, part))
        elif folder == "reports" and name.endswith("-meta.xml"):
            full_name = name.removesuffix("-meta.xml")
            _name(root, full_name)
            found.append(("ReportFolder", full_name, root))
        elif folder in FOLDERS:
            full_name = name.rsplit(".", 1)[0]
            _name(root, full_name)
            found.append((FOLDERS[folder], full_name, root))
        else:
            found.append((local(root), name.rsplit(".", 1)[0], root))
    order = {"CustomField": 0, "PermissionSet": 1, "ReportFolder": 2, "ReportType": 2}
    return sorted(found, key=lambda one: order.get(one[0], 3))


def _name(element: etree._Element, full_name: str) -> None:
    for child in element:
        if isinstance(child.tag, str) and local(child) == "fullName":
            child.text = full_name
            return
    named = etree.Element(f"{{{NAMESPACE}}}fullName")
    named.text = full_name
    element.insert(0, named)


def deploy_status(service: Service, asked: etree._Element, _: str) -> str:
    """How a deployment went, component by component."""
    deploy_id = text(asked, "asyncProcessId")
    kept = _kept(service, deploy_id)
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


# Retrieve


def retrieve(service: Service, asked: etree._Element, _: str) -> str:
    """Packs the components that are named; the answer says Queued, as the service does."""
    wanted = [
        (text(types, "name"), member)
        for types in asked.iter(f"{{{NAMESPACE}}}types")
        for member in texts(types, "members")
    ]
    packed = io.BytesIO()
    missing = []
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("unpackaged/package.xml", _file("Package", "<version>63.0</version>"))
        for kind, name in wanted:
            body = component(service, kind, name)
            if body is None:
                missing.append(f"Entity of type '{kind}' named '{name}' cannot be found")
            else:
                archive.writestr(*_packed_file(kind, name, body))
    key = new_id("09S")
    kept = {"zip": base64.b64encode(packed.getvalue()).decode(), "missing": missing}
    service.store.execute(
        "INSERT INTO metadata_deploy VALUES (?, ?, ?)",
        (key, crm_time(datetime.now(UTC)), json.dumps(kept)),
    )
    return f"<result><done>false</done><id>{key}</id><state>Queued</state></result>"


_SUFFIXES = {
    "PermissionSet": "permissionset",
    "ReportType": "reportType",
    "Report": "report",
    "Layout": "layout",
    "Flow": "flow",
    "Profile": "profile",
}


def _packed_file(kind: str, name: str, body: str) -> tuple[str, str]:
    """Path and content of a component in a zip; parts of an object stand in the object's file."""
    if kind in ("CustomField", "ListView"):
        owner, _, part = name.partition(".")
        tag = "fields" if kind == "CustomField" else "listViews"
        inside = body.replace(f">{name}<", f">{part}<", 1)
        return f"unpackaged/objects/{owner}.object", _file(
            "CustomObject", f"<{tag}>{inside}</{tag}>"
        )
    folder = next((f for f, known in FOLDERS.items() if known == kind), kind)
    return f"unpackaged/{folder}/{name}.{_SUFFIXES.get(kind, kind)}", _file(kind, body)


def _file(root: str, inside: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{inside}</{root}>\n'
    )


def retrieve_status(service: Service, asked: etree._Element, _: str) -> str:
    """The zip of a retrieval, in base64, and what wasn't there."""
    kept = _kept(service, text(asked, "asyncProcessId"))
    messages = "".join(
        f"<messages><fileName>package.xml</fileName><problem>{escape(problem)}</problem></messages>"
        for problem in kept["missing"]
    )
    return (
        f"<result><done>true</done><id>{text(asked, 'asyncProcessId')}</id>{messages}"
        f"<status>Succeeded</status><success>true</success><zipFile>{kept['zip']}</zipFile></result>"
    )


def _kept(service: Service, key: str) -> dict[str, Any]:
    row = service.store.execute(
        "SELECT result FROM metadata_deploy WHERE id = ?", (key,)
    ).fetchone()
    if row is None:
        raise metadata_fault("INVALID_CROSS_REFERENCE_KEY", f"no deployment with id {key}")
    found: dict[str, Any] = json.loads(row[0])
    return found
