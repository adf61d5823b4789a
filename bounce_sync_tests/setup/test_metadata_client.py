"""The Metadata API's client: what it sends is valid by the WSDL, and what comes back is judged."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from lxml import etree

from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.errors import (
    AuthenticationFailed,
    RequestRejected,
    ServiceUnavailable,
    UnreadableAnswer,
)
from bounce_sync.salesforce.metadata import MetadataApi
from bounce_sync_tests.salesforce import scripted_org
from bounce_sync_tests.salesforce.scripted_org import Reply, ScriptedOrg
from bounce_sync_tests.setup.schema import NAMESPACE, complaints

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"


def said(body: str, status: int = 200) -> Reply:
    text = (
        f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns="{NAMESPACE}"><soapenv:Body>{body}'
        "</soapenv:Body></soapenv:Envelope>"
    )
    return Reply(text.encode(), status, {"Content-Type": "text/xml"})


def fault(code: str, message: str) -> Reply:
    text = f"<faultcode>sf:{code}</faultcode><faultstring>{code}: {message}</faultstring>"
    return said(f"<soapenv:Fault>{text}</soapenv:Fault>", 500)


def result(operation: str, inside: str) -> Reply:
    return said(f"<{operation}Response><result>{inside}</result></{operation}Response>")


STARTED = "<done>false</done><id>0Af000000000001AAA</id>"
EXPIRED = fault("INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader")


@pytest.fixture
def org() -> Iterator[ScriptedOrg]:
    with scripted_org.serve() as served:
        yield served


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def api(org: ScriptedOrg, pauses: list[float]) -> Iterator[MetadataApi]:
    known = Org(login_url=org.url, client_id="app", client_secret="s3cret")
    with Connection(known, sleep=pauses.append) as connection:
        yield MetadataApi(connection)


def parts(org: ScriptedOrg) -> list[tuple[str, etree._Element]]:
    """The token and the operation of each request."""
    roots = [etree.fromstring(each.body) for each in org.requests]
    return [(root.findtext(".//{*}sessionId"), root.find("{*}Body")[0]) for root in roots]


def test_every_message_is_valid_by_the_wsdl(org: ScriptedOrg, api: MetadataApi) -> None:
    done = "<done>true</done><success>true</success>"
    org.script = [
        result("readMetadata", ""),
        result("listMetadata", "<fullName>Contact-Contact Layout</fullName>"),
        result("deploy", STARTED),
        result("checkDeployStatus", "<done>false</done>"),
        result("checkDeployStatus", done),
        result("retrieve", STARTED),
        result("checkRetrieveStatus", done + "<zipFile>UEs=</zipFile>"),
    ]
    assert api.read("Layout", ["Contact-Contact Layout"]) == {}
    assert api.names("Layout") == ["Contact-Contact Layout"]
    assert api.deploy(b"PK") == []
    assert api.retrieve({"Layout": ["Contact-Contact Layout"]}) == b"PK"
    for token, operation in parts(org):
        assert token == "token-1"
        wrong = complaints(etree.tostring(operation))
        if operation.tag.endswith("}deploy"):
            (left_to_the_org,) = wrong
            assert left_to_the_org.endswith(f"Expected is ( {{{NAMESPACE}}}testLevel ).")
        else:
            assert wrong == []
    assert {each.path for each in org.requests} == {"/services/Soap/m/62.0"}
    sent = parts(org)[2][1].findtext("{*}ZipFile")
    assert base64.b64decode(sent) == b"PK"


def test_names_are_read_ten_at_a_time(org: ScriptedOrg, api: MetadataApi) -> None:
    org.handler = lambda _: result("readMetadata", "")
    api.read("CustomField", [f"Contact.F{number}__c" for number in range(23)])
    assert [len(asked.findall("{*}fullNames")) for _, asked in parts(org)] == [10, 10, 3]


def test_a_dead_session_is_renewed_inside_the_envelope(org: ScriptedOrg, api: MetadataApi) -> None:
    org.script = [EXPIRED, result("listMetadata", "")]
    assert api.names("Layout") == []
    assert [token for token, _ in parts(org)] == ["token-1", "token-2"]
    org.script = [EXPIRED, EXPIRED]
    with pytest.raises(AuthenticationFailed, match="INVALID_SESSION_ID"):
        api.names("Layout")


def test_a_missing_permission_is_named(org: ScriptedOrg, api: MetadataApi) -> None:
    org.script = [fault("INSUFFICIENT_ACCESS", "use of the Metadata API requires ModifyMetadata")]
    with pytest.raises(RequestRejected, match="'Modify Metadata Through Metadata API Functions'"):
        api.names("Layout")
    assert len(org.requests) == 1


def test_what_a_deployment_was_refused_for_is_given_without_addresses(
    org: ScriptedOrg, api: MetadataApi
) -> None:
    failed = "<done>true</done><success>false</success>"
    failure = (
        "<componentType>ListView</componentType><fullName>Contact.X</fullName>"
        "<problem>no view for ann@gone.example</problem>"
    )
    org.script = [
        result("deploy", STARTED),
        result(
            "checkDeployStatus",
            f"<details><componentFailures>{failure}</componentFailures></details>{failed}",
        ),
        result("deploy", STARTED),
        result("checkDeployStatus", f"<errorMessage>No package.xml found</errorMessage>{failed}"),
    ]
    (problem,) = api.deploy(b"PK")
    assert str(problem) == "ListView Contact.X: no view for …@…"
    (problem,) = api.deploy(b"PK")
    assert "No package.xml found" in str(problem)


def test_a_deployment_that_doesnt_end_is_given_up(
    org: ScriptedOrg, api: MetadataApi, pauses: list[float]
) -> None:
    api._longest_wait = 0.0
    org.script = [result("deploy", STARTED), result("checkDeployStatus", "<done>false</done>")]
    with pytest.raises(ServiceUnavailable, match="Deployment Status"):
        api.deploy(b"PK")
    assert pauses == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>"),
        Reply(b"{}"),
        said("<otherResponse/>"),
        Reply(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
    ],
)
def test_an_unreadable_answer_is_asked_for_again_and_then_told(
    org: ScriptedOrg, api: MetadataApi, reply: Reply
) -> None:
    org.handler = lambda _: reply
    with pytest.raises(UnreadableAnswer):
        api.names("Layout")
    assert len(org.requests) == 3


def test_the_newest_version_is_compared_by_number(org: ScriptedOrg, api: MetadataApi) -> None:
    org.script = [Reply([{"version": "9.0"}, {"version": "68.0"}, {"version": "67.0"}])]
    assert api.newest().version == "68.0"
