"""The section "Email Deliverability" of a page layout, put into the one that the org has.

A layout's file is the whole layout: deploying one of ours would take away what an admin made. So
the org's is retrieved, at the newest API version, and gets one section more; everything else stays
as it came (facts/salesforce.md §9).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping, Sequence

from lxml import etree

from bounce_sync.salesforce.metadata import element, parse, texts
from bounce_sync.setup.package import text_of, zipped

LAYOUT = "Layout"
LABEL = "Email Deliverability"


def shown(layout: etree._Element) -> frozenset[str]:
    """The fields that a layout shows."""
    return frozenset(each.text or "" for each in layout.iterfind(".//{*}layoutItems/{*}field"))


def with_section(content: bytes, fields: Sequence[str]) -> bytes:
    """A layout's file with a read-only section of those `fields` that it doesn't show yet.

    It becomes the second section. Raises ``ValueError`` for a file that is no layout.
    """
    root = parse(content)
    sections = root.findall("{*}layoutSections")
    if etree.QName(root).localname != LAYOUT or not sections:
        raise ValueError("no layout with sections")
    there = shown(root)
    sections[0].addnext(_section([each for each in fields if each not in there]))
    return text_of(root)


def _section(fields: Sequence[str]) -> etree._Element:
    columns = [
        element(
            "layoutColumns",
            *(
                element("layoutItems", *texts(behavior="Readonly", field=field))
                for field in fields[start::2]
            ),
        )
        for start in range(2)
    ]
    return element(
        "layoutSections",
        *texts(customLabel="true", detailHeading="true", editHeading="true", label=LABEL),
        *columns,
        *texts(style="TwoColumnsTopToBottom"),
    )


def extended(
    archive: bytes, fields: Mapping[str, Sequence[str]], names: Collection[str], version: str
) -> bytes:
    """The zip to deploy, made of the one that was retrieved.

    `fields` are the two of each object, `names` the layouts' full names (``Contact-…``).
    """
    files = {}
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        for path in packed.namelist():
            folder, _, name = path.removeprefix("unpackaged/").partition("/")
            if folder == "layouts":
                owner = name.partition("-")[0]
                files[f"{folder}/{name}"] = with_section(packed.read(path), fields[owner])
    return zipped(files, {LAYOUT: sorted(names)}, version)
