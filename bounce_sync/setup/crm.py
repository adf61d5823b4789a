"""The CRM's part of a set-up: looked at and made through the Metadata API.

Fields and permission sets are deployed together, all or nothing; after them those list views and
reports that the org takes, as its edition may refuse one; layouts last. The permissions that this
takes are an administrator's (`bounce-sync setup --help` lists them); the daily sync needs none of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lxml import etree
from simple_salesforce.format import format_soql

from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import RequestRejected, SalesforceError
from bounce_sync.salesforce.metadata import MetadataApi, Problem
from bounce_sync.setup import crm_plan, grants
from bounce_sync.setup import layouts as page_layouts
from bounce_sync.setup.components import (
    FIELD,
    PERMISSION_SET,
    READER,
    REPORT_FOLDER,
    WRITER,
    Component,
    Names,
    shipped,
)
from bounce_sync.setup.crm_plan import ASSIGNMENT, Found
from bounce_sync.setup.layouts import LAYOUT
from bounce_sync.setup.package import packed, text_of
from bounce_sync.setup.steps import CRM, Step

Say = Callable[[str], None]

_CONVERSION = "LeadConvertSettings"


class CrmSetup:
    """One org's set-up. `user` is the integration user's name, None the one that logs in here.

    With `layouts` the page layouts get their section; what they were before goes into `backup`.
    """

    system = CRM

    def __init__(
        self,
        connection: Connection,
        names: Names,
        *,
        user: str | None = None,
        layouts: bool = False,
        backup: Path,
        say: Say,
    ) -> None:
        self._connection, self._names = connection, names
        self._user, self._layouts, self._backup, self._say = user, layouts, backup, say
        self._api = MetadataApi(connection)
        self._found = Found()
        self._wanted: list[Component] = []

    def where(self) -> str:
        org = self._connection.identity()
        return f"{org.instance_url} ({'sandbox' if org.is_sandbox else 'production'})"

    def look(self) -> list[Step]:
        """What there is and what isn't. Raises `SalesforceError`."""
        self._say("Looking at the CRM.")
        self._api = self._api.newest()
        user_id = self._user_id()
        self._found = self._read(shipped(self._names), user_id)
        self._names = crm_plan.as_there(self._found, self._names)
        self._wanted = shipped(self._names)
        return crm_plan.plan(self._wanted, self._found, self._names, user_id, layouts=self._layouts)

    def make(self, steps: Sequence[Step]) -> list[str]:
        """Makes what `steps` name; gives what went wrong, in the CRM's words."""
        asked = {(step.kind, step.name) for step in steps}
        missing = [each for each in self._wanted if each.key in asked]
        needed = [each for each in missing if each.kind in (FIELD, PERMISSION_SET)]
        refused = self._deploy([self._whole(each) for each in needed], "fields and permissions")
        if refused:
            return _told(refused)
        problems = []
        if any(step.kind == ASSIGNMENT for step in steps):
            problems += self._assign()
        rest = [each for each in missing if each.kind not in (FIELD, PERMISSION_SET)]
        problems += _told(self._deploy_what_is_taken(rest, "list views and reports"))
        if names := [step.name for step in steps if step.kind == LAYOUT]:
            problems += self._extend(names)
        return problems

    # --- looked at -----------------------------------------------------------------------------

    def _read(self, wanted: Sequence[Component], user_id: str) -> Found:
        kinds = {each.kind for each in wanted}
        there: dict[tuple[str, str], etree._Element] = {}
        for kind in sorted(kinds):
            names = [each.full_name for each in wanted if each.kind == kind]
            for name, root in self._api.read(kind, names).items():
                there[kind, name.lower()] = root
        owners = tuple(f"{name}-" for name in crm_plan.OBJECTS)
        layouts = [name for name in self._api.names(LAYOUT) if name.startswith(owners)]
        conversion = self._api.read(_CONVERSION, [_CONVERSION]).get(_CONVERSION)
        return Found(
            components=there,
            layouts={
                name: page_layouts.shown(root)
                for name, root in self._api.read(LAYOUT, sorted(layouts)).items()
            },
            lead_mapping=_mapped(conversion),
            assigned=self._is_assigned(WRITER, user_id),
            read_by_somebody=self._is_assigned(READER),
        )

    def _user_id(self) -> str:
        if self._user is None:
            return self._connection.user_id
        found = self._connection.query(
            format_soql("SELECT Id FROM User WHERE Username = {}", self._user)
        )
        if len(found) != 1:
            raise SalesforceError(
                "query of User",
                "no user of that name.",
                "--integration-user takes the Username of the user that the daily sync logs in as.",
            )
        return str(found[0]["Id"])

    def _set_id(self, name: str) -> str | None:
        found = self._connection.query(
            format_soql("SELECT Id FROM PermissionSet WHERE Name = {}", name)
        )
        return str(found[0]["Id"]) if found else None

    def _is_assigned(self, name: str, user_id: str | None = None) -> bool:
        """Whether the user, or anybody, has the permission set."""
        set_id = self._set_id(name)
        if set_id is None:
            return False
        statement = format_soql(
            "SELECT Id FROM PermissionSetAssignment WHERE PermissionSetId = {}", set_id
        )
        whose = format_soql(" AND AssigneeId = {}", user_id) if user_id else ""
        return bool(self._connection.query(f"{statement}{whose} LIMIT 1"))

    # --- made ----------------------------------------------------------------------------------

    def _whole(self, component: Component) -> Component:
        """The component to deploy: ours, or for a permission set that is there both together."""
        there = self._found.metadata(*component.key)
        if component.kind != PERMISSION_SET or there is None:
            return component
        content = text_of(grants.merged(there, component.root))
        return Component(component.kind, component.full_name, component.path, content)

    def _deploy_what_is_taken(self, components: Sequence[Component], what: str) -> list[Problem]:
        """Deploys all; where some are refused, the others without them."""
        problems: list[Problem] = []
        while refused := self._deploy(components, what):
            problems += refused
            names = {(each.kind, each.full_name) for each in refused}
            rest = [each for each in components if each.key not in names]
            if len(rest) == len(components):
                break
            components = rest
        return problems

    def _deploy(self, components: Sequence[Component], what: str) -> list[Problem]:
        if not components:
            return []
        self._say(f"Deploying {len(components)} component(s): {what}.")
        # A folder comes before what lies in it.
        ordered = sorted(components, key=lambda each: each.kind != REPORT_FOLDER)
        archive = packed(ordered, self._api.version)
        return self._api.deploy(archive, f"deployment of {what}")

    def _assign(self) -> list[str]:
        what = f"assignment of {WRITER}"
        body = {"PermissionSetId": self._set_id(WRITER), "AssigneeId": self._user_id()}
        try:
            self._connection.request(
                "POST",
                "sobjects/PermissionSetAssignment",
                what=what,
                read=lambda answer: answer.status,
                json=body,
            )
        except RequestRejected as rejected:
            return [
                f"{what}: {rejected.code}: {rejected.answer} It needs the permission 'Assign "
                f"Permission Sets'; or Setup › Permission Sets › {WRITER} › Manage Assignments."
            ]
        return []

    def _extend(self, names: Sequence[str]) -> list[str]:
        """Retrieves the layouts, keeps them aside, and deploys them with the section."""
        archive = self._api.retrieve({LAYOUT: names})
        try:
            self._backup.parent.mkdir(parents=True, exist_ok=True)
            self._backup.write_bytes(archive)
        except OSError as error:
            return [f"the layouts stay as they are, as no copy of them can be kept: {error}"]
        back = "sf project deploy start --metadata-dir"
        self._say(f"The layouts as they were: {self._backup} ({back} takes them back).")
        fields = (self._names.flag_field, self._names.date_field)
        try:
            whole = page_layouts.extended(
                archive, dict.fromkeys(crm_plan.OBJECTS, fields), names, self._api.version
            )
        except ValueError as error:
            return [f"the layouts as they were retrieved can't be read: {error}"]
        return _told(self._api.deploy(whole, "deployment of layouts"))


def _told(problems: Sequence[Problem]) -> list[str]:
    return [str(each) for each in problems]


def _mapped(conversion: etree._Element | None) -> frozenset[tuple[str, str]]:
    """Mapped custom fields from Lead to Contact."""
    found = set()
    for mapping in [] if conversion is None else conversion.iterfind("{*}objectMapping"):
        if mapping.findtext("{*}outputObject") == "Contact":
            for pair in mapping.iterfind("{*}mappingFields"):
                found.add(
                    (pair.findtext("{*}inputField") or "", pair.findtext("{*}outputField") or "")
                )
    return frozenset(found)
