"""The components that ship for the CRM, in Salesforce's source format (facts/salesforce.md §9).

The files bear the default names of the two fields; an installation with others
(SALESFORCE_FLAG_FIELD, SALESFORCE_DATE_FIELD) gets them under those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from lxml import etree

from bounce_sync.salesforce.metadata import parse

FLAG_FIELD, DATE_FIELD = "Hard_Bounce__c", "Hard_Bounce_Date__c"
"""As the files have them."""
WRITER, READER = "Bounce_Sync_Writer", "Bounce_Sync_Reader"
"""Permission sets of the integration user and of sales."""

FIELD, LIST_VIEW, PERMISSION_SET = "CustomField", "ListView", "PermissionSet"
REPORT, REPORT_FOLDER, REPORT_TYPE = "Report", "ReportFolder", "ReportType"

ROOT = "force-app/main/default/"
SUFFIX = "-meta.xml"
_KINDS = {
    "field": FIELD,
    "listView": LIST_VIEW,
    "permissionset": PERMISSION_SET,
    "report": REPORT,
    "reportFolder": REPORT_FOLDER,
    "reportType": REPORT_TYPE,
}


@dataclass(frozen=True)
class Names:
    """What differs between installations."""

    flag_field: str = FLAG_FIELD
    date_field: str = DATE_FIELD
    date_type: str = "DateTime"
    """Type of a date field that has to be made: that of the other object's, where it is there."""
    person_accounts: bool = False


@dataclass(frozen=True)
class Component:
    """One file: `path` is relative to the source tree's ``force-app/main/default``."""

    kind: str
    full_name: str
    path: str
    content: bytes

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.full_name

    @property
    def root(self) -> etree._Element:
        """A tree of its own."""
        return parse(self.content)


def shipped(names: Names) -> list[Component]:
    """Every component, for these names."""
    return [
        _component(path.removeprefix(ROOT), content)
        for path, content in _files(names)
        if path.endswith(SUFFIX)
    ]


def export(folder: Path, names: Names) -> list[Path]:
    """Writes the source folder (`sf project deploy start` runs in it); gives the files."""
    written = []
    for path, content in _files(names):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        written.append(file)
    return written


def _component(path: str, content: bytes) -> Component:
    folder, _, file = path.rpartition("/")
    name, _, suffix = file.removesuffix(SUFFIX).rpartition(".")
    kind = _KINDS[suffix]
    parents = folder.split("/")
    if parents[0] == "objects":
        name = f"{parents[1]}.{name}"
    elif kind == REPORT:
        name = f"{parents[1]}/{name}"
    return Component(kind, name, path, content)


def _files(names: Names) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file under the names of the installation."""
    spelt = {FLAG_FIELD: names.flag_field, DATE_FIELD: names.date_field}
    pattern = re.compile("|".join(map(re.escape, spelt)))

    def renamed(text: str) -> str:
        return pattern.sub(lambda found: spelt[found[0]], text)

    source = resources.files("bounce_sync.setup").joinpath("salesforce")
    for path, file in sorted(_walk(source, "")):
        text = renamed(file.read_text(encoding="utf-8"))
        if path.endswith(f"{DATE_FIELD}.field{SUFFIX}"):
            text = text.replace("<type>DateTime<", f"<type>{names.date_type}<")
        if path.endswith(f"{WRITER}.permissionset{SUFFIX}") and names.person_accounts:
            text = _ACCOUNT_EDIT.sub(r"\1true", text)
        yield renamed(path), text.encode()


_ACCOUNT_EDIT = re.compile(
    r"(<allowEdit>)false(?=</allowEdit>\s*<allowRead>true</allowRead>\s*"
    r"<modifyAllRecords>false</modifyAllRecords>\s*<object>Account<)"
)
"""Person Accounts are written through their Account."""


def _walk(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _walk(each, f"{path}{each.name}/")
        else:
            yield f"{path}{each.name}", each
