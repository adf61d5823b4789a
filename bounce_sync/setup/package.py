"""Components as the zip that the Metadata API deploys: its layout, and a package.xml."""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping

from lxml import etree

from bounce_sync.salesforce.metadata import Members, element, texts, types
from bounce_sync.setup.components import (
    FIELD,
    LIST_VIEW,
    REPORT,
    REPORT_FOLDER,
    SUFFIX,
    Component,
)

PARTS = {FIELD: "fields", LIST_VIEW: "listViews"}
"""Components that stand in their object's file there."""


def packed(components: Iterable[Component], version: str) -> bytes:
    """The zip of these components."""
    files: dict[str, bytes] = {}
    objects: dict[str, list[etree._Element]] = defaultdict(list)
    members: dict[str, list[str]] = defaultdict(list)
    for each in components:
        members[REPORT if each.kind == REPORT_FOLDER else each.kind].append(each.full_name)
        if each.kind in PARTS:
            owner = each.full_name.partition(".")[0]
            objects[owner].append(element(PARTS[each.kind], *each.root))
        else:
            files[_path(each)] = each.content
    for owner, parts in objects.items():
        inside = sorted(parts, key=lambda part: etree.QName(part).localname)
        files[f"objects/{owner}.object"] = text_of(element("CustomObject", *inside))
    return zipped(files, members, version)


def _path(component: Component) -> str:
    """``…/X.report-meta.xml`` loses its suffix, ``reports/F.reportFolder-meta.xml`` its kind."""
    if component.kind == REPORT_FOLDER:
        return component.path.replace(f".reportFolder{SUFFIX}", SUFFIX)
    return component.path.removesuffix(SUFFIX)


def zipped(files: Mapping[str, bytes], members: Members, version: str) -> bytes:
    """A zip of these files with the package.xml that names their members."""
    manifest = element("Package", *types(members), *texts(version=version))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("package.xml", text_of(manifest))
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def text_of(root: etree._Element) -> bytes:
    """A file of metadata."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
