"""The components that ship: valid by Salesforce's own schema, spelt as the installation says."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from bounce_sync.setup.components import Component, Names, export, shipped
from bounce_sync.setup.package import packed
from bounce_sync_tests.setup.schema import complaints

DEFAULT = shipped(Names())
RENAMED = Names("Email_Dead__c", "Email_Dead_Since__c", "Date", person_accounts=True)


def files(components: list[Component]) -> dict[str, bytes]:
    """Name → content of the zip that is deployed."""
    with zipfile.ZipFile(io.BytesIO(packed(components, "64.0"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("component", DEFAULT, ids=lambda component: component.path)
def test_every_file_is_valid_by_the_schema(component: Component) -> None:
    assert complaints(component.content) == []


@pytest.mark.parametrize("name", sorted(files(DEFAULT)))
def test_every_file_of_the_deployment_is_valid_by_the_schema(name: str) -> None:
    assert complaints(files(DEFAULT)[name]) == []


def test_the_schema_finds_elements_in_another_order() -> None:
    field = next(each for each in DEFAULT if each.full_name == "Contact.Hard_Bounce__c")
    label, kind = b"<label>Hard Bounce</label>", b"<type>Checkbox</type>"
    turned = field.content.replace(label, b"@").replace(kind, label).replace(b"@", kind)
    assert "label" in complaints(turned)[0]


def test_what_ships() -> None:
    assert [(each.kind, each.full_name) for each in DEFAULT] == [
        ("CustomField", "Contact.Hard_Bounce_Date__c"),
        ("CustomField", "Contact.Hard_Bounce__c"),
        ("ListView", "Contact.Hard_Bounced_Contacts"),
        ("CustomField", "Lead.Hard_Bounce_Date__c"),
        ("CustomField", "Lead.Hard_Bounce__c"),
        ("ListView", "Lead.Hard_Bounced_Leads"),
        ("PermissionSet", "Bounce_Sync_Reader"),
        ("PermissionSet", "Bounce_Sync_Writer"),
        ("ReportType", "Contacts_with_Email_Deliverability"),
        ("ReportType", "Leads_with_Email_Deliverability"),
        ("ReportFolder", "Email_Deliverability"),
        ("Report", "Email_Deliverability/Hard_Bounced_Contacts"),
        ("Report", "Email_Deliverability/Hard_Bounced_Leads"),
    ]
    assert "layout" not in str([each.path for each in DEFAULT]).lower()


def test_the_writer_may_edit_the_two_fields_and_nothing_else() -> None:
    writer, reader = (
        next(each.root for each in DEFAULT if each.full_name == f"Bounce_Sync_{name}")
        for name in ("Writer", "Reader")
    )

    def grants(root, right: str) -> set[str]:
        found = root.iterfind("{*}fieldPermissions")
        return {each.findtext("{*}field") for each in found if each.findtext(right) == "true"}

    fields = {f"{of}.Hard_Bounce{end}__c" for of in ("Contact", "Lead") for end in ("", "_Date")}
    assert grants(writer, "{*}editable") == grants(reader, "{*}readable") == fields
    assert grants(reader, "{*}editable") == set()
    others = [each.text for each in writer.iterfind("{*}objectPermissions/{*}*")]
    assert others.count("true") == 3 * 2 + 2, "read and view all of three, edit of two"
    assert reader.find("{*}objectPermissions") is None
    assert [each.text for each in writer.iterfind("{*}userPermissions/{*}name")] == ["ApiEnabled"]


def test_other_field_names_are_used_throughout(tmp_path: Path) -> None:
    components = shipped(RENAMED)
    for each in components:
        assert b"Hard_Bounce_" not in each.content.replace(b"Hard_Bounced_", b"")
        assert complaints(each.content) == []
    dates = [each.root for each in components if each.full_name.endswith("Since__c")]
    assert [root.findtext("{*}type") for root in dates] == ["Date", "Date"]
    written = export(tmp_path, RENAMED)
    paths = {str(path.relative_to(tmp_path)) for path in written}
    fields = "force-app/main/default/objects/Lead/fields/"
    assert f"{fields}Email_Dead__c.field-meta.xml" in paths
    assert "sfdx-project.json" in paths
    assert not [path for path in paths if "Hard_Bounce_" in path]


def test_person_accounts_are_written_through_their_account() -> None:
    def account_edit(names: Names) -> str | None:
        writer = next(each for each in shipped(names) if each.full_name == "Bounce_Sync_Writer")
        return next(
            each.findtext("{*}allowEdit")
            for each in writer.root.iterfind("{*}objectPermissions")
            if each.findtext("{*}object") == "Account"
        )

    assert (account_edit(Names()), account_edit(RENAMED)) == ("false", "true")


def test_the_package_lists_what_the_zip_holds() -> None:
    found = files(DEFAULT)
    manifest = found["package.xml"].decode()
    for member in ("Contact.Hard_Bounce__c", "Lead.Hard_Bounced_Leads", "Email_Deliverability"):
        assert f"<members>{member}</members>" in manifest
    assert "<version>64.0</version>" in manifest
    assert sorted(found) == [
        "objects/Contact.object",
        "objects/Lead.object",
        "package.xml",
        "permissionsets/Bounce_Sync_Reader.permissionset",
        "permissionsets/Bounce_Sync_Writer.permissionset",
        "reportTypes/Contacts_with_Email_Deliverability.reportType",
        "reportTypes/Leads_with_Email_Deliverability.reportType",
        "reports/Email_Deliverability-meta.xml",
        "reports/Email_Deliverability/Hard_Bounced_Contacts.report",
        "reports/Email_Deliverability/Hard_Bounced_Leads.report",
    ]
