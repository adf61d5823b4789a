"""What is put into an org's own layouts and permission sets: everything else in them stays."""

from __future__ import annotations

import io
import zipfile

import pytest
from lxml import etree

from bounce_sync.setup.components import Names, shipped
from bounce_sync.setup.grants import lacking, merged
from bounce_sync.setup.layouts import extended, shown, with_section
from bounce_sync.setup.package import text_of
from bounce_sync_tests.setup.schema import NAMESPACE, complaints

FIELDS = ("Hard_Bounce__c", "Hard_Bounce_Date__c")
LAYOUT = f"""<?xml version="1.0" encoding="UTF-8"?>
<Layout xmlns="{NAMESPACE}">
    <excludeButtons>Submit</excludeButtons>
    <layoutSections>
        <customLabel>false</customLabel>
        <detailHeading>false</detailHeading>
        <editHeading>true</editHeading>
        <label>Contact Information</label>
        <layoutColumns>
            <layoutItems><behavior>Required</behavior><field>Name</field></layoutItems>
            <layoutItems><emptySpace>true</emptySpace></layoutItems>
        </layoutColumns>
        <style>TwoColumnsTopToBottom</style>
    </layoutSections>
    <layoutSections>
        <customLabel>true</customLabel>
        <detailHeading>true</detailHeading>
        <editHeading>true</editHeading>
        <label>Überall &amp; nirgends</label>
        <layoutColumns/>
        <style>OneColumn</style>
    </layoutSections>
    <relatedLists><fields>TASK.SUBJECT</fields><relatedList>RelatedActivityList</relatedList></relatedLists>
    <showEmailCheckbox>false</showEmailCheckbox>
</Layout>
"""


def texts(content: bytes) -> list[str]:
    """Elements and their texts in order, without the space between them."""
    return [
        f"{etree.QName(each).localname}={(each.text or '').strip()}"
        for each in etree.fromstring(content).iter()
    ]


def test_a_layout_gets_one_section_and_keeps_everything_else() -> None:
    after = with_section(LAYOUT.encode(), FIELDS)
    assert complaints(LAYOUT.encode()) == complaints(after) == []
    labels = etree.fromstring(after).findall("{*}layoutSections/{*}label")
    assert [each.text for each in labels] == [
        "Contact Information",
        "Email Deliverability",
        "Überall & nirgends",
    ]
    root = etree.fromstring(after)
    root.remove(root.findall("{*}layoutSections")[1])
    assert texts(etree.tostring(root)) == texts(LAYOUT.encode())
    assert shown(etree.fromstring(after)) == {"Name", *FIELDS}


def test_a_field_that_is_shown_already_isnt_put_there_twice() -> None:
    there = LAYOUT.replace("<field>Name</field>", "<field>Hard_Bounce__c</field>")
    after = with_section(there.encode(), FIELDS)
    assert complaints(after) == []
    assert texts(after).count("field=Hard_Bounce__c") == 1
    assert "field=Hard_Bounce_Date__c" in texts(after)


def test_a_file_that_is_no_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="no layout"):
        with_section(f'<Profile xmlns="{NAMESPACE}"/>'.encode(), FIELDS)


def test_the_retrieved_zip_goes_back_with_its_names() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("unpackaged/package.xml", "<Package/>")
        archive.writestr("unpackaged/layouts/Contact-A %28b%29.layout", LAYOUT)
    made = extended(buffer.getvalue(), {"Contact": FIELDS}, ["Contact-A %28b%29"], "64.0")
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == ["package.xml", "layouts/Contact-A %28b%29.layout"]
        assert b"<members>Contact-A %28b%29</members>" in archive.read("package.xml")
        assert complaints(archive.read("package.xml")) == []


def test_a_permission_set_gets_what_it_lacks_and_keeps_the_rest() -> None:
    wanted = next(each.root for each in shipped(Names()) if each.full_name == "Bounce_Sync_Writer")
    there = etree.fromstring(
        f"""<PermissionSet xmlns="{NAMESPACE}">
        <fullName>Bounce_Sync_Writer</fullName>
        <fieldPermissions><editable>false</editable><field>Contact.Hard_Bounce__c</field>
          <readable>true</readable></fieldPermissions>
        <fieldPermissions><editable>true</editable><field>Contact.Title</field>
          <readable>true</readable></fieldPermissions>
        <hasActivationRequired>false</hasActivationRequired><label>Ours by now</label>
        <userPermissions><enabled>true</enabled><name>ApiEnabled</name></userPermissions>
        <userPermissions><enabled>true</enabled><name>ViewSetup</name></userPermissions>
        </PermissionSet>"""
    )
    lack = lacking(there, wanted)
    assert "Contact.Hard_Bounce__c editable" in lack
    assert "Lead allowEdit" in lack
    assert "Contact.Hard_Bounce__c readable" not in lack
    assert "ApiEnabled enabled" not in lack
    after = merged(there, wanted)
    assert lacking(after, wanted) == lacking(after, there) == []
    assert complaints(text_of(after)) == []
    assert after.findtext("{*}label") == "Ours by now"
    assert lacking(wanted, there) == [
        "Contact.Title editable",
        "Contact.Title readable",
        "ViewSetup enabled",
    ]
