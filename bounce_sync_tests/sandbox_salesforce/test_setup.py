"""Setting an org up: fields, permission sets and other metadata, by SOAP, Tooling and REST."""

from __future__ import annotations

import base64
import io
import zipfile

import pytest
from lxml import etree

from bounce_sync_tests.sandbox_salesforce.org import Org, codes, flagged

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
CHECKBOX = (
    '<metadata xsi:type="CustomField"><fullName>Contact.Dead__c</fullName>'
    "<defaultValue>false</defaultValue><label>Dead</label><type>Checkbox</type></metadata>"
)
GRANT = (
    "<fieldPermissions><editable>{edit}</editable><field>Contact.Dead__c</field>"
    "<readable>true</readable></fieldPermissions>"
)


def soap(org: Org, operation: str, inside: str, token: str | None = None) -> etree._Element:
    """The answer to a Metadata SOAP call: its Body's first element."""
    token = token or str(org.session.headers["Authorization"]).split()[1]
    said = org.session.post(
        f"{org.url}/services/Soap/m/63.0/",
        data=f'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        f' xmlns:xsi="{XSI}" xmlns="{NAMESPACE}"><soapenv:Header><SessionHeader><sessionId>{token}'
        f"</sessionId></SessionHeader></soapenv:Header><soapenv:Body><{operation}>{inside}"
        f"</{operation}></soapenv:Body></soapenv:Envelope>",
        headers={"SOAPAction": operation, "Content-Type": "text/xml"},
    )
    return etree.fromstring(said.content)[0][0]


def text(answer: etree._Element, name: str) -> list[str | None]:
    return [one.text for one in answer.iter(f"{{{NAMESPACE}}}{name}")]


def field_names(org: Org, name: str = "Contact") -> set[str]:
    return {one["name"] for one in org.ask("GET", f"sobjects/{name}/describe").json()["fields"]}


def grant(org: Org, field: str, *, edit: bool = True) -> None:
    """Makes a permission set that opens a field, and gives it to the user, all over REST."""
    made = org.ask("POST", "sobjects/PermissionSet", json={"Name": "Set", "Label": "Set"})
    parent = made.json()["id"]
    body = {
        "ParentId": parent,
        "SobjectType": field.split(".")[0],
        "Field": field,
        "PermissionsRead": True,
        "PermissionsEdit": edit,
    }
    assert org.ask("POST", "sobjects/FieldPermissions", json=body).status_code == 201
    body = {"PermissionSetId": parent, "AssigneeId": org.user_id}
    assert org.ask("POST", "sobjects/PermissionSetAssignment", json=body).status_code == 201


# Fields and their security


def test_a_new_field_is_hidden_until_it_is_granted(org: Org) -> None:
    key = org.contacts(1)[0]
    answer = soap(org, "createMetadata", CHECKBOX)
    assert (text(answer, "success"), text(answer, "fullName")) == (["true"], ["Contact.Dead__c"])
    assert "Dead__c" not in field_names(org)
    assert org.refused("SELECT Dead__c FROM Contact")["errorCode"] == "INVALID_FIELD"
    assert org.send([flagged(key, Dead__c=True)]).status_code == 400
    grant(org, "Contact.Dead__c")
    assert "Dead__c" in field_names(org)
    assert codes(org.update([flagged(key, Dead__c=True)])) == [None]
    assert org.query("SELECT Dead__c FROM Contact") == [{"Dead__c": True}]


def test_a_field_granted_for_reading_only_cant_be_written(org: Org) -> None:
    key = org.contacts(1)[0]
    soap(org, "createMetadata", CHECKBOX)
    grant(org, "Contact.Dead__c", edit=False)
    (result,) = org.update([flagged(key, Dead__c=True)])
    assert result["errors"][0]["statusCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    described = org.ask("GET", "sobjects/Contact/describe").json()["fields"]
    (field,) = [one for one in described if one["name"] == "Dead__c"]
    assert (field["updateable"], field["type"]) == (False, "boolean")
    assert "compoundFieldName" in field


def test_a_field_by_the_tooling_api(org: Org) -> None:
    body = {"FullName": "Lead.Dead_On__c", "Metadata": {"label": "Dead on", "type": "DateTime"}}
    made = org.ask("POST", "tooling/sobjects/CustomField", json=body)
    assert made.status_code == 201
    assert "Dead_On__c" not in field_names(org, "Lead")
    said = org.ask(
        "GET",
        "tooling/query",
        params={"q": "SELECT Id FROM CustomField WHERE DeveloperName = 'Dead_On'"},
    )
    assert [one["Id"] for one in said.json()["records"]] == [made.json()["id"]]
    read = org.ask("GET", f"tooling/sobjects/CustomField/{made.json()['id']}").json()
    assert read["FullName"] == "Lead.Dead_On__c"
    assert read["Metadata"]["type"] == "DateTime"
    path = f"tooling/sobjects/CustomField/{made.json()['id']}"
    assert org.ask("DELETE", path).status_code == 204
    assert org.ask("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("name", "metadata", "code"),
    [
        ("Contact.Hard_Bounce__c", {"label": "x", "type": "Date"}, "DUPLICATE_DEVELOPER_NAME"),
        ("Contact.Flag__c", {"label": "x", "type": "Checkbox"}, "FIELD_INTEGRITY_EXCEPTION"),
        (
            "Contact.Flag__c",
            {"label": "x", "type": "Checkbox", "defaultValue": "false", "required": False},
            "FIELD_INTEGRITY_EXCEPTION",
        ),
        ("Contact.Text__c", {"label": "x", "type": "Text"}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.Odd__c", {"label": "x", "type": "Odd"}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.Date__c", {"type": "Date"}, "REQUIRED_FIELD_MISSING"),
        ("Contact.Plain", {"label": "x", "type": "Date"}, "INVALID_FULL_NAME"),
        ("Nope.Date__c", {"label": "x", "type": "Date"}, "INVALID_CROSS_REFERENCE_KEY"),
    ],
)
def test_fields_that_cant_be(org: Org, name: str, metadata: dict[str, object], code: str) -> None:
    said = org.ask(
        "POST", "tooling/sobjects/CustomField", json={"FullName": name, "Metadata": metadata}
    )
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, code)


def test_setting_up_needs_its_permissions(org: Org) -> None:
    org.store.set_setting("missing_permissions", "CustomizeApplication AssignPermissionSets")
    answer = soap(org, "createMetadata", CHECKBOX)
    assert text(answer, "statusCode") == ["INSUFFICIENT_ACCESS"]
    body = {"FullName": "Lead.X__c", "Metadata": {"label": "x", "type": "Date"}}
    assert org.ask("POST", "tooling/sobjects/CustomField", json=body).status_code == 403
    parent = org.column("SELECT Id FROM PermissionSet")[0]
    body = {"PermissionSetId": parent, "AssigneeId": org.user_id}
    said = org.ask("POST", "sobjects/PermissionSetAssignment", json=body)
    assert said.json()[0]["errorCode"] == "INSUFFICIENT_ACCESS_OR_READONLY"


def test_a_grant_twice_or_of_nothing_is_refused(org: Org) -> None:
    grant(org, "Contact.Hard_Bounce__c")
    (row,) = org.query("SELECT ParentId, SobjectType, Field FROM FieldPermissions")
    said = org.ask("POST", "sobjects/FieldPermissions", json=row)
    assert said.json()[0]["errorCode"] == "DUPLICATE_VALUE"
    said = org.ask("POST", "sobjects/FieldPermissions", json=row | {"Field": "Contact.Nope__c"})
    assert said.json()[0]["errorCode"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"


# Metadata


def test_a_permission_set_by_metadata(org: Org) -> None:
    soap(org, "createMetadata", CHECKBOX)
    body = (
        f"<fullName>Writer</fullName>{GRANT.format(edit='true')}<label>Writer</label>"
        "<objectPermissions><allowEdit>true</allowEdit><allowRead>true</allowRead>"
        "<object>Contact</object></objectPermissions>"
    )
    alone = soap(org, "createMetadata", f'<metadata xsi:type="PermissionSet">{body}</metadata>')
    assert "depends on permission(s): Read Account" in str(text(alone, "message"))
    body += (
        "<objectPermissions><allowRead>true</allowRead><object>Account</object>"
        "<viewAllRecords>true</viewAllRecords></objectPermissions>"
    )
    answer = soap(org, "createMetadata", f'<metadata xsi:type="PermissionSet">{body}</metadata>')
    assert text(answer, "success") == ["true"]
    assert org.query("SELECT Field, PermissionsEdit FROM FieldPermissions") == [
        {"Field": "Contact.Dead__c", "PermissionsEdit": True}
    ]
    shown = "SELECT SobjectType, PermissionsEdit, PermissionsViewAllRecords FROM ObjectPermissions"
    assert org.query(f"{shown} ORDER BY SobjectType") == [
        {"SobjectType": "Account", "PermissionsEdit": False, "PermissionsViewAllRecords": True},
        {"SobjectType": "Contact", "PermissionsEdit": True, "PermissionsViewAllRecords": False},
    ]
    assert "Dead__c" not in field_names(org)  # nobody has the set yet
    parent = org.column("SELECT Id FROM PermissionSet WHERE Name = 'Writer'")[0]
    org.ask(
        "POST",
        "sobjects/PermissionSetAssignment",
        json={"PermissionSetId": parent, "AssigneeId": org.user_id},
    )
    assert "Dead__c" in field_names(org)


def test_create_read_list_and_delete(org: Org) -> None:
    view = (
        '<metadata xsi:type="ListView"><fullName>Contact.Dead_Ones</fullName>'
        "<columns>FULL_NAME</columns><filterScope>Everything</filterScope><label>Dead</label>"
        "</metadata>"
    )
    assert text(soap(org, "createMetadata", view), "success") == ["true"]
    assert text(soap(org, "createMetadata", view), "statusCode") == ["DUPLICATE_DEVELOPER_NAME"]
    names = "<type>ListView</type><fullNames>Contact.Dead_Ones</fullNames>"
    read = soap(org, "readMetadata", names + "<fullNames>Contact.None</fullNames>")
    assert text(read, "filterScope") == ["Everything"]
    assert [one.get(f"{{{XSI}}}nil") for one in read.iter(f"{{{NAMESPACE}}}records")] == [
        None,
        "true",
    ]
    listed = soap(org, "listMetadata", "<queries><type>ListView</type></queries>")
    assert text(listed, "fullName") == ["Contact.Dead_Ones"]
    assert text(soap(org, "deleteMetadata", names), "success") == ["true"]
    assert text(soap(org, "deleteMetadata", names), "success") == ["false"]


def test_upsert_and_update(org: Org) -> None:
    assert text(soap(org, "updateMetadata", CHECKBOX), "success") == ["false"]
    assert text(soap(org, "upsertMetadata", CHECKBOX), "created") == ["true"]
    assert text(soap(org, "upsertMetadata", CHECKBOX), "created") == ["false"]
    changed = CHECKBOX.replace("<label>Dead<", "<label>Very dead<")
    assert text(soap(org, "updateMetadata", changed), "success") == ["true"]
    names = "<type>CustomField</type><fullNames>Contact.Dead__c</fullNames>"
    assert text(soap(org, "readMetadata", names), "label") == ["Very dead"]
    assert text(soap(org, "deleteMetadata", names), "success") == ["true"]
    assert org.store.execute("SELECT 1 FROM field WHERE name = 'Dead__c'").fetchone() is None


def deploy(org: Org, files: dict[str, str], check_only: bool = False) -> etree._Element:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    options = f"<DeployOptions><checkOnly>{str(check_only).lower()}</checkOnly></DeployOptions>"
    zipped = base64.b64encode(packed.getvalue()).decode()
    answer = soap(org, "deploy", f"<ZipFile>{zipped}</ZipFile>{options}")
    (key,) = text(answer, "id")
    return soap(org, "checkDeployStatus", f"<asyncProcessId>{key}</asyncProcessId>")


FILES = {
    "package.xml": f'<Package xmlns="{NAMESPACE}"><version>63.0</version></Package>',
    "permissionsets/Writer.permissionset": f'<PermissionSet xmlns="{NAMESPACE}">'
    f"{GRANT.format(edit='true')}<label>Writer</label></PermissionSet>",
    "objects/Contact.object": f'<CustomObject xmlns="{NAMESPACE}"><fields>'
    "<fullName>Dead__c</fullName><defaultValue>false</defaultValue><label>Dead</label>"
    "<type>Checkbox</type></fields></CustomObject>",
}


def test_a_deployment_makes_fields_before_the_sets_that_name_them(org: Org) -> None:
    status = deploy(org, FILES)
    assert (text(status, "done"), text(status, "status")) == (["true"], ["Succeeded"])
    assert text(status, "numberComponentsDeployed") == ["2"]
    assert org.column("SELECT Field FROM FieldPermissions") == ["Contact.Dead__c"]


def test_a_deployment_that_fails_or_only_checks_changes_nothing(org: Org) -> None:
    broken = FILES | {"objects/Contact.object": f'<CustomObject xmlns="{NAMESPACE}"/>'}
    status = deploy(org, broken)
    assert text(status, "status") == ["Failed"]
    assert "no CustomField named Contact.Dead__c" in str(text(status, "problem"))
    assert text(deploy(org, FILES, check_only=True), "status") == ["Succeeded"]
    assert org.store.execute("SELECT 1 FROM field WHERE name = 'Dead__c'").fetchone() is None
    assert org.column("SELECT Name FROM PermissionSet WHERE Name = 'Writer'") == []


LIST_VIEW = (
    "<listViews><fullName>Dead_Ones</fullName><columns>FULL_NAME</columns>"
    "<columns>Gone__c</columns><filterScope>Everything</filterScope><label>Dead</label></listViews>"
)
REPORT = (
    f'<Report xmlns="{NAMESPACE}"><columns><field>Contact$Dead__c</field></columns>'
    "<format>Tabular</format><name>Dead</name><reportType>Dead_Contacts__c</reportType></Report>"
)
REPORT_TYPE = (
    f'<ReportType xmlns="{NAMESPACE}"><baseObject>Contact</baseObject><category>accounts</category>'
    "<deployed>true</deployed><label>Dead</label><sections><columns><checkedByDefault>true"
    "</checkedByDefault><field>Dead__c</field><table>Contact</table></columns>"
    "<masterLabel>Dead</masterLabel></sections></ReportType>"
)
FOLDER = f'<ReportFolder xmlns="{NAMESPACE}"><name>Dead</name></ReportFolder>'


def test_what_a_component_names_has_to_be_there(org: Org) -> None:
    def problems(files: dict[str, str]) -> str:
        return str(text(deploy(org, FILES | files), "problem"))

    field = FILES["objects/Contact.object"]
    views = field.replace("</CustomObject>", LIST_VIEW + "</CustomObject>")
    assert "view column: Gone__c" in problems({"objects/Contact.object": views})
    report = {"reports/Dead/Dead.report": REPORT}
    assert "Cannot find folder:Dead" in problems(report)
    report |= {"reports/Dead-meta.xml": FOLDER}
    assert "invalid report type: Dead_Contacts__c" in problems(report)
    report |= {"reportTypes/Dead_Contacts.reportType": REPORT_TYPE}
    wrong = REPORT.replace("Dead__c</field", "Gone__c</field")
    said = problems(report | {"reports/Dead/Dead.report": wrong})
    assert "no CustomField named Contact.Gone__c" in said
    assert problems(report) == "[]"
    listed = soap(org, "listMetadata", "<queries><type>ReportFolder</type></queries>")
    assert text(listed, "fullName") == ["Dead"]


def test_a_member_that_the_zip_lacks_is_named(org: Org) -> None:
    listed = "<types><members>Reader</members><name>PermissionSet</name></types><version>"
    manifest = FILES["package.xml"].replace("<version>", listed)
    status = deploy(org, FILES | {"package.xml": manifest})
    assert "'Reader' of type PermissionSet was named in package.xml" in str(text(status, "problem"))
    assert org.column("SELECT Name FROM PermissionSet WHERE Name = 'Writer'") == []


def test_a_production_org_decides_itself_which_tests_run(org: Org) -> None:
    asked = "<ZipFile></ZipFile><DeployOptions><testLevel>NoTestRun</testLevel></DeployOptions>"
    answer = soap(org, "deploy", asked)
    assert "cannot be used in production" in str(answer.findtext("faultstring"))


def test_without_the_permission_every_metadata_call_is_a_fault(org: Org) -> None:
    org.store.set_setting("missing_permissions", "ModifyMetadata")
    answer = soap(org, "listMetadata", "<queries><type>Layout</type></queries>")
    assert answer.findtext("faultcode") == "sf:INSUFFICIENT_ACCESS"
    assert "ModifyMetadata permissions" in str(answer.findtext("faultstring"))


def test_soap_says_what_it_doesnt_do(org: Org, capfd: pytest.CaptureFixture[str]) -> None:
    answer = soap(org, "renameMetadata", "")
    assert "INVALID_OPERATION" in etree.tostring(answer).decode()
    assert "renameMetadata" in capfd.readouterr().err
    answer = soap(org, "describeMetadata", "", token="stale")
    assert "INVALID_SESSION_ID" in etree.tostring(answer).decode()


# Describe


def test_describe_global_and_of_an_object(org: Org) -> None:
    said = org.ask("GET", "sobjects").json()
    prefixes = {one["name"]: one["keyPrefix"] for one in said["sobjects"]}
    assert (prefixes["Contact"], prefixes["Lead"], prefixes["Account"]) == ("003", "00Q", "001")
    fields = {
        one["name"]: one for one in org.ask("GET", "sobjects/lead/describe/").json()["fields"]
    }
    assert fields["Hard_Bounce_Date__c"]["type"] == "datetime"
    assert fields["Hard_Bounce__c"]["updateable"] is True
    assert fields["IsConverted"]["updateable"] is False
    assert fields["Email"]["length"] == 80
    assert fields["ConvertedContactId"]["referenceTo"] == ["Contact"]


def test_the_tooling_api_lists_fields_that_nobody_sees(org: Org) -> None:
    soap(org, "createMetadata", CHECKBOX)
    statement = (
        "SELECT QualifiedApiName, DataType FROM FieldDefinition"
        " WHERE EntityDefinitionId = 'Contact' AND QualifiedApiName = 'Dead__c'"
    )
    said = org.ask("GET", "tooling/query", params={"q": statement}).json()
    assert [one["DataType"] for one in said["records"]] == ["Checkbox"]


def test_a_layout_can_be_read_extended_and_put_back(org: Org) -> None:
    names = "<type>Layout</type><fullNames>Lead-Lead Layout</fullNames>"
    (record,) = soap(org, "readMetadata", names).iter(f"{{{NAMESPACE}}}records")
    kept = "".join(etree.tostring(child, encoding="unicode") for child in record)
    section = "<layoutSections><label>Email Deliverability</label></layoutSections>"
    answer = soap(org, "updateMetadata", f'<metadata xsi:type="Layout">{kept}{section}</metadata>')
    assert text(answer, "success") == ["true"]
    labels = text(soap(org, "readMetadata", names), "label")
    assert labels == ["Information", "Email Deliverability"]


def test_a_retrieved_zip_can_be_deployed_again(org: Org) -> None:
    deploy(org, FILES)
    members = {
        "Layout": "Contact-Contact Layout",
        "PermissionSet": "Writer",
        "CustomField": "Contact.Dead__c",
        "ListView": "Contact.None",
    }
    types = "".join(
        f"<types><members>{member}</members><name>{kind}</name></types>"
        for kind, member in members.items()
    )
    asked = soap(
        org, "retrieve", f"<retrieveRequest><unpackaged>{types}</unpackaged></retrieveRequest>"
    )
    key = text(asked, "id")[0]
    status = soap(org, "checkRetrieveStatus", f"<asyncProcessId>{key}</asyncProcessId>")
    assert text(status, "problem") == [
        "Entity of type 'ListView' named 'Contact.None' cannot be found"
    ]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(str(text(status, "zipFile")[0])))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert sorted(files) == [
        "unpackaged/layouts/Contact-Contact Layout.layout",
        "unpackaged/objects/Contact.object",
        "unpackaged/package.xml",
        "unpackaged/permissionsets/Writer.permissionset",
    ]
    assert "<fullName>Dead__c</fullName>" in files["unpackaged/objects/Contact.object"]
    again = deploy(org, files)
    assert text(again, "status") == ["Succeeded"], etree.tostring(again)
