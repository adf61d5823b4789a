"""SOAP beyond Retrieve: Create, Update, Delete, Describe, Perform, and the WSDL."""

import time
from typing import Any

import pytest
import zeep
from lxml import etree

from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_marketing_cloud.service import NAMESPACE, Service, simple
from bounce_sync_tests.sandbox_marketing_cloud.tenant import bounce

STAGING = """
<CreateRequest xmlns="http://exacttarget.com/wsdl/partnerAPI"><Options/>
 <Objects xsi:type="DataExtension">
  <CustomerKey>staging</CustomerKey><Name>Staging rows</Name><IsSendable>true</IsSendable>
  <SendableDataExtensionField><Name>SubscriberKey</Name><FieldType>Text</FieldType>
  </SendableDataExtensionField>
  <SendableSubscriberField><Name>Subscriber Key</Name></SendableSubscriberField>
  <Fields>
   <Field><Name>SubscriberKey</Name><FieldType>Text</FieldType><MaxLength>254</MaxLength>
    <IsPrimaryKey>true</IsPrimaryKey><IsRequired>true</IsRequired></Field>
   <Field><Name>EmailAddress</Name><FieldType>EmailAddress</FieldType></Field>
   <Field><Name>BounceReason</Name><FieldType>Text</FieldType><MaxLength>500</MaxLength></Field>
   <Field><Name>BounceDate</Name><FieldType>Date</FieldType></Field>
  </Fields></Objects></CreateRequest>"""
QUERY = """
<CreateRequest xmlns="http://exacttarget.com/wsdl/partnerAPI">
 <Objects xsi:type="QueryDefinition"><CustomerKey>q</CustomerKey><Name>Q</Name>
  <QueryText>{}</QueryText><TargetType>DE</TargetType>
  <DataExtensionTarget><CustomerKey>staging</CustomerKey></DataExtensionTarget>
  <TargetUpdateType>Overwrite</TargetUpdateType></Objects></CreateRequest>"""


def said(service: Service, body: str) -> dict[str, str]:
    """The texts of an answer by local name, the last of each."""
    response = service.soap(body)
    assert response.status_code == 200, response.text
    xml = etree.fromstring(response.content)
    return {etree.QName(e).localname: e.text or "" for e in xml.iter(tag=etree.Element)}


class TestDataExtensions:
    def test_made_and_read_back(self, service: Service) -> None:
        made = said(service, STAGING)
        assert made["OverallStatus"] == made["StatusCode"] == "OK"
        assert made["StatusMessage"] == "Data Extension created."
        assert made["NewID"] == "0"
        row = service.retrieve(
            "DataExtension",
            ["ObjectID", "CustomerKey", "Name", "IsSendable", "SendableSubscriberField.Name"],
            simple("CustomerKey", "equals", "staging"),
        ).rows[0]
        assert row["ObjectID"] == made["NewObjectID"]
        assert row["IsSendable"] == "true"
        assert row["SendableSubscriberField.Name"] == "_SubscriberKey"
        fields = service.retrieve(
            "DataExtensionField",
            ["Name", "FieldType", "MaxLength", "IsPrimaryKey", "Ordinal"],
            simple("DataExtension.CustomerKey", "equals", "staging"),
        ).rows
        assert {(f["Name"], f["FieldType"], f.get("MaxLength")) for f in fields} == {
            ("SubscriberKey", "Text", "254"),
            ("EmailAddress", "EmailAddress", "254"),
            ("BounceReason", "Text", "500"),
            ("BounceDate", "Date", None),
        }

    def test_made_twice(self, service: Service) -> None:
        said(service, STAGING)
        again = said(service, STAGING.replace("Staging rows", "Other name"))
        assert again["OverallStatus"] == "Error"
        assert "not allowed when doing an add-only operation" in again["StatusMessage"]
        assert again["ErrorCode"] == "310007"

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("<CustomerKey>staging", f"<CustomerKey>{'x' * 37}", "longer than 36"),
            ("<Name>EmailAddress</Name>", "<Name>subscriberkey</Name>", "must be unique"),
            ("<FieldType>EmailAddress", "<FieldType>Blob", "is not valid"),
            ("<Name>Subscriber Key<", "<Name>Nothing<", "SendableSubscriberField"),
        ],
    )
    def test_what_cannot_be_made(self, service: Service, old: str, new: str, message: str) -> None:
        refused = said(service, STAGING.replace(old, new))
        assert refused["OverallStatus"] == "Error"
        assert message in refused["StatusMessage"]

    def test_fields_are_added_and_the_whole_is_deleted(self, service: Service) -> None:
        said(service, STAGING)
        more = (
            f'<UpdateRequest xmlns="{NAMESPACE}"><Objects xsi:type="DataExtension"><CustomerKey>'
            "staging</CustomerKey><Fields><Field><Name>More</Name><FieldType>Text</FieldType>"
            "</Field></Fields></Objects></UpdateRequest>"
        )
        assert said(service, more)["OverallStatus"] == "OK"
        body = [{"keys": {"SubscriberKey": "a"}, "values": {"More": "x"}}]
        path = "/hub/v1/dataevents/key:staging/rowset"
        assert service.rest("POST", path, json=body).status_code == 200
        gone = (
            f'<DeleteRequest xmlns="{NAMESPACE}"><Objects xsi:type="DataExtension"><CustomerKey>'
            "staging</CustomerKey></Objects></DeleteRequest>"
        )
        assert said(service, gone)["OverallStatus"] == "OK"
        assert said(service, gone)["OverallStatus"] == "Error"

    def test_rows_by_soap_by_key_and_by_name(self, service: Service, store: Store) -> None:
        said(service, STAGING)
        values = {"BounceDate": "2021-07-10T14:28:20.5", "EmailAddress": "a@example.com"}
        service.rest(
            "POST",
            "/hub/v1/dataevents/key:staging/rowset",
            json=[{"keys": {"SubscriberKey": "007"}, "values": values}],
        )
        names = ["SubscriberKey", "BounceDate", "BounceReason"]
        for name in ("staging", "Staging rows"):
            page = service.retrieve(f"DataExtensionObject[{name}]", names)
            assert page.rows == [
                {
                    "PartnerKey": None,
                    "ObjectID": None,
                    "Type": "DataExtensionObject",
                    "SubscriberKey": "007",
                    "BounceReason": "",
                    "BounceDate": "7/10/2021 2:28:20 PM",
                }
            ]
        filtered = simple("BounceDate", "greaterThan", "2021-07-10T14:28:20")
        assert len(service.retrieve("DataExtensionObject[staging]", names, filtered).rows) == 1
        everything = service.retrieve("DataExtensionObject[staging]", ["*"])
        assert (everything.status, everything.rows) == ("OK", [])
        unknown = service.retrieve("DataExtensionObject[nowhere]", names)
        assert "Unable to find a handler" in unknown.status

    def test_cleared(self, service: Service, store: Store) -> None:
        said(service, STAGING)
        service.rest(
            "POST",
            "/hub/v1/dataevents/key:staging/rowset",
            json=[{"keys": {"SubscriberKey": "a"}, "values": {}}],
        )
        clear = (
            f'<PerformRequestMsg xmlns="{NAMESPACE}"><Action>ClearData</Action><Definitions>'
            '<Definition xsi:type="DataExtension"><CustomerKey>staging</CustomerKey></Definition>'
            "</Definitions></PerformRequestMsg>"
        )
        assert said(service, clear)["OverallStatus"] == "OK"
        rows = service.rest("GET", "/data/v1/customobjectdata/key/staging/rowset").json()
        assert rows["count"] == 0


class TestQueryDefinitions:
    def test_made_started_and_read_back(self, service: Service, store: Store) -> None:
        bounce(store, "a", "2026-01-15 00:00:00.000")
        said(service, STAGING)
        made = said(service, QUERY.format("SELECT SubscriberKey FROM _Bounce"))
        assert made["OverallStatus"] == "OK", made
        row = service.retrieve(
            "QueryDefinition",
            ["ObjectID", "QueryText", "DataExtensionTarget.Name", "TargetUpdateType"],
        ).rows[0]
        assert row["ObjectID"] == made["NewObjectID"]
        assert row["DataExtensionTarget.Name"] == "Staging rows"
        start = said(
            service,
            f'<PerformRequestMsg xmlns="{NAMESPACE}"><Action>Start</Action><Definitions>'
            f'<Definition xsi:type="QueryDefinition"><ObjectID>{row["ObjectID"]}</ObjectID>'
            "</Definition></Definitions></PerformRequestMsg>",
        )
        assert start["StatusMessage"] == "OK"
        assert start["ID"].isdecimal()
        deadline = time.monotonic() + 20
        path = "/data/v1/customobjectdata/key/staging/rowset"
        while service.rest("GET", path).json()["count"] == 0:
            assert time.monotonic() < deadline, "the query doesn't run"

    def test_refused_for_a_column_that_is_not_there(self, service: Service) -> None:
        said(service, STAGING)
        refused = said(service, QUERY.format("SELECT b.EmailAddress FROM _Bounce b"))
        assert refused["OverallStatus"] == "Error"
        assert refused["StatusMessage"] == "Invalid column name 'EmailAddress'."


class TestDescribe:
    ASKED = (
        f'<DefinitionRequestMsg xmlns="{NAMESPACE}"><DescribeRequests><ObjectDefinitionRequest>'
        "<ObjectType>Subscriber</ObjectType></ObjectDefinitionRequest></DescribeRequests>"
        "</DefinitionRequestMsg>"
    )

    def test_what_can_be_retrieved(self, service: Service) -> None:
        xml = etree.fromstring(service.soap(self.ASKED).content)
        found = {
            p.findtext(f"{{{NAMESPACE}}}Name")
            for p in xml.iter(f"{{{NAMESPACE}}}Properties")
            if p.findtext(f"{{{NAMESPACE}}}IsRetrievable") == "true"
        }
        assert found == {
            "ID",
            "PartnerKey",
            "CreatedDate",
            "Client.ID",
            "Client.PartnerClientKey",
            "EmailAddress",
            "SubscriberKey",
            "UnsubscribedDate",
            "Status",
            "EmailTypePreference",
        }

    def test_some_tenants_say_nothing(self, service: Service, store: Store) -> None:
        store.set_setting("describe", "silent")
        xml = etree.fromstring(service.soap(self.ASKED).content)
        message = xml.find(f".//{{{NAMESPACE}}}DefinitionResponseMsg")
        assert message is not None
        assert [etree.QName(child).localname for child in message] == ["RequestID"]


class TestWsdl:
    """A client that knows nothing but the WSDL."""

    @pytest.fixture
    def client(self, service: Service) -> Any:
        client = zeep.Client(f"{service.url}/etframework.wsdl")
        yield client
        client.transport.session.close()

    @pytest.fixture
    def header(self, service: Service) -> list[Any]:
        header = etree.Element("{http://exacttarget.com}fueloauth")
        header.text = service.token()
        return [header]

    def test_events(self, client: Any, header: list[Any], store: Store) -> None:
        bounce(store, "0012", "2026-01-15 01:02:03.450", bounce_type="immediate")
        kind = client.get_type("{http://exacttarget.com/wsdl/partnerAPI}SimpleFilterPart")
        answer = client.service.Retrieve(
            RetrieveRequest={
                "ObjectType": "BounceEvent",
                "Properties": [
                    "SubscriberKey",
                    "EventDate",
                    "SMTPReason",
                    "Client.ID",
                    "SendID",
                    "EventType",
                    "BounceType",
                    "BatchID",
                ],
                "Filter": kind(Property="SubscriberKey", SimpleOperator="equals", Value=["0012"]),
            },
            _soapheaders=header,
        )
        assert answer.OverallStatus == "OK"
        assert type(answer.Results[0]).__name__ == "BounceEvent"
        assert answer.Results[0].SubscriberKey == "0012"
        assert answer.Results[0].EventDate.isoformat() == "2026-01-15T01:02:03.450000"

    def test_every_object(self, client: Any, header: list[Any], store: Store) -> None:
        for name, properties in {
            "SubscriberStatusEvent": ["SubscriberKey", "CreatedDate", "CurrentStatus"],
            "Subscriber": ["SubscriberKey", "Status", "CreatedDate", "UnsubscribedDate"],
            "DataExtension": ["CustomerKey", "Name", "IsSendable", "Description", "CreatedDate"],
            "DataExtensionField": ["Name", "FieldType", "MaxLength", "IsRequired", "Scale"],
            "QueryDefinition": ["QueryText", "Name"],
            "DataExtensionObject[Hard_Bounce_Staging_DE]": ["SubscriberKey"],
        }.items():
            request = {"ObjectType": name, "Properties": properties}
            answer = client.service.Retrieve(RetrieveRequest=request, _soapheaders=header)
            assert answer.OverallStatus == "OK", name

    def test_described_and_created(self, client: Any, header: list[Any]) -> None:
        answer = client.service.Describe(
            DescribeRequests={"ObjectDefinitionRequest": [{"ObjectType": "BounceEvent"}]},
            _soapheaders=header,
        )
        assert answer.ObjectDefinition[0].ObjectType == "BounceEvent"
        kind = client.get_type("{http://exacttarget.com/wsdl/partnerAPI}DataExtension")
        field = {"Name": "K", "FieldType": "Text", "MaxLength": 10, "IsPrimaryKey": True}
        made = client.service.Create(
            Objects=[kind(CustomerKey="new", Name="new", Fields={"Field": [field]})],
            _soapheaders=header,
        )
        assert made.OverallStatus == "OK"
        assert made.Results[0].StatusMessage == "Data Extension created."
