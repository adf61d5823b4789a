"""Tokens, what they allow, and the transport around everything else."""

import uuid
from typing import Any

import pytest
from lxml import etree

from bounce_sync.sandbox.faults import Faults
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_marketing_cloud.service import ENVELOPE, NAMESPACE, Host, Service
from bounce_sync_tests.sandbox_marketing_cloud.tenant import CHILD, bounce

ROWSET = "/data/v1/customobjectdata/key/Hard_Bounce_Staging_DE/rowset"
RETRIEVE = (
    f'<RetrieveRequestMsg xmlns="{NAMESPACE}"><RetrieveRequest><ObjectType>BounceEvent'
    "</ObjectType><Properties>SubscriberKey</Properties></RetrieveRequest></RetrieveRequestMsg>"
)
NOT_AUTHORIZED = {
    "documentation": "https://developer.salesforce.com/docs/atlas.en-us.mc-apis.meta/mc-apis/"
    "error-handling.htm",
    "errorcode": 0,
    "message": "Not Authorized",
}


def faultstring(text: bytes) -> str:
    return etree.fromstring(text).findtext(".//faultstring") or ""


class TestToken:
    def test_what_it_says(self, service: Service) -> None:
        said = service.ask_token().json()
        assert set(said) == {
            "access_token",
            "token_type",
            "expires_in",
            "scope",
            "soap_instance_url",
            "rest_instance_url",
        }
        assert (said["token_type"], said["expires_in"]) == ("Bearer", 1079)
        assert said["soap_instance_url"] == said["rest_instance_url"] == f"{service.url}/"
        assert {"tracking_events_read", "data_extensions_write"} <= set(said["scope"].split())

    @pytest.mark.parametrize("mid", [CHILD, str(CHILD)])
    def test_it_is_of_one_account_given_as_number_or_text(
        self, service: Service, store: Store, mid: Any
    ) -> None:
        bounce(store, "parent", "2026-01-15 00:00:00.000")
        page = service.retrieve("BounceEvent", ["SubscriberKey"], token=service.token(mid))
        assert page.rows == []

    def test_its_context_tells_account_and_enterprise(self, service: Service, store: Store) -> None:
        token = service.token(CHILD, scope="")
        said = service.rest("GET", "/platform/v1/tokenContext", token=token)
        assert said.status_code == 202
        assert said.json()["organization"] == {"id": CHILD}
        assert said.json()["enterprise"] == {"id": store.account_id}

    @pytest.mark.parametrize(
        ("asked", "status", "error"),
        [
            ({"client_secret": "wrong"}, 401, "invalid_client"),
            ({"client_id": "wrong"}, 401, "invalid_client"),
            ({"client_id": ""}, 400, "invalid_request"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type"),
            ({"grant_type": None}, 400, "invalid_request"),
            ({"scope": "everything"}, 400, "invalid_scope"),
            ({"account_id": 1}, 400, "invalid_request"),
            ({"account_id": "x"}, 400, "invalid_request"),
        ],
    )
    def test_what_is_refused(
        self, service: Service, asked: dict[str, Any], status: int, error: str
    ) -> None:
        refused = service.ask_token(**asked)
        assert (refused.status_code, refused.json()["error"]) == (status, error)
        assert set(refused.json()) == {"error", "error_description", "error_uri"}

    def test_a_form_is_no_request(self, service: Service) -> None:
        refused = service.session.post(f"{service.url}/v2/token", data={"grant_type": "x"})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")

    def test_a_new_one_leaves_the_old_ones_valid(self, service: Service) -> None:
        first = service.token()
        service.token()
        assert service.rest("GET", ROWSET, first).status_code == 200

    def test_without_a_scope_nothing_is_allowed(self, service: Service) -> None:
        token = service.token(scope="")
        refused = service.rest("GET", "/data/v1/customobjectdata/key/nowhere/rowset", token)
        assert refused.status_code == 403
        assert refused.json()["message"] == "Insufficient privileges to complete this action."
        page = service.retrieve("BounceEvent", ["SubscriberKey"], token=token)
        assert page.status.startswith("Error: API Permission Failed")

    def test_its_time_ends(self, service: Service, store: Store) -> None:
        store.set_setting("token_seconds", "0")
        token = service.token()
        refused = service.rest("GET", ROWSET, token)
        assert (refused.status_code, refused.json()) == (401, NOT_AUTHORIZED)
        fault = service.soap(RETRIEVE, token)
        assert (fault.status_code, faultstring(fault.content)) == (500, "Token Expired")

    @pytest.mark.parametrize("token", ["", "unknown"])
    def test_none_or_an_unknown_one(self, service: Service, token: str) -> None:
        assert service.rest("GET", ROWSET, token).json() == NOT_AUTHORIZED
        fault = service.soap(RETRIEVE, token)
        assert (fault.status_code, faultstring(fault.content)) == (500, "Login Failed")

    def test_a_fault_expires_it(self, server: Host, store: Store) -> None:
        entry = {"kind": "expire_token", "path": "/service.asmx", "times": 1}
        with server.serving(store, Faults.parse({"faults": [entry]})) as service:
            token = service.token()
            assert faultstring(service.soap(RETRIEVE, token).content) == "Token Expired"
            assert faultstring(service.soap(RETRIEVE, token).content) == "Token Expired"
            assert service.soap(RETRIEVE, service.token()).status_code == 200


class TestSoapTransport:
    def test_a_fault_s_shape(self, service: Service) -> None:
        xml = etree.fromstring(service.soap(RETRIEVE, "unknown").content)
        fault = xml.find(".//{http://schemas.xmlsoap.org/soap/envelope/}Fault")
        assert fault is not None
        assert [child.tag for child in fault] == ["faultcode", "faultstring", "faultactor"]
        assert fault[0].text == "q0:Security"

    @pytest.mark.parametrize("body", [b"", b"nothing", b"<a/>", b"<a>", b"\xff\xfe<"])
    def test_what_is_no_envelope(self, service: Service, body: bytes) -> None:
        refused = service.session.post(f"{service.url}/Service.asmx", data=body)
        assert (refused.status_code, refused.text) == (400, "Bad Request")

    def test_entities_are_refused(self, service: Service) -> None:
        bomb = '<!DOCTYPE a [<!ENTITY b "c">]>' + ENVELOPE.format(token="x", body="<x>&b;</x>")
        refused = service.session.post(f"{service.url}/Service.asmx", data=bomb)
        assert refused.status_code == 400

    @pytest.mark.parametrize(
        "path", ["/Service.asmx", "/service.asmx", "/SERVICE.ASMX", "/Service.asmx/"]
    )
    def test_any_case_of_the_path(self, service: Service, path: str) -> None:
        body = ENVELOPE.format(token=service.token(), body=RETRIEVE)
        said = service.session.post(service.url + path, data=body, allow_redirects=False)
        assert said.status_code == 200

    @pytest.mark.parametrize(
        "envelope",
        [
            # SOAP 1.2 with addressing, as the official samples send it.
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
            ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><s:Header>'
            '<a:Action s:mustUnderstand="1">Retrieve</a:Action>'
            '<fueloauth xmlns="http://exacttarget.com">{token}</fueloauth></s:Header>'
            "<s:Body>{body}</s:Body></s:Envelope>",
            # Body first, two prefixes for one namespace, a prefixed token.
            '<x:Envelope xmlns:x="http://schemas.xmlsoap.org/soap/envelope/"'
            ' xmlns:y="http://schemas.xmlsoap.org/soap/envelope/"'
            ' xmlns:etns="http://exacttarget.com"><y:Body>{body}</y:Body><x:Header>'
            "<etns:fueloauth> {token} </etns:fueloauth></x:Header></x:Envelope>",
            # The token in an element of its own.
            '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header>'
            '<n:fueloauth xmlns:n="http://exacttarget.com"><_value_1>{token}</_value_1>'
            "</n:fueloauth></Header><Body>{body}</Body></Envelope>",
        ],
    )
    def test_envelopes_of_several_clients(self, service: Service, envelope: str) -> None:
        said = service.session.post(
            f"{service.url}/Service.asmx",
            data=envelope.format(token=service.token(), body=RETRIEVE),
        )
        assert said.status_code == 200
        assert service.page(said).status == "OK"

    def test_an_unknown_object_is_named_on_stderr(
        self, service: Service, capsys: pytest.CaptureFixture[str]
    ) -> None:
        unheard_of = f"DeliveryProfile{uuid.uuid4().hex}"  # each gap is named once a process
        page = service.retrieve(unheard_of, ["Name"])
        assert page.status == (
            f"Error: Unable to find a handler for object type: {unheard_of}."
            " Object types are case-sensitive, check spelling."
        )
        assert unheard_of in capsys.readouterr().err

    def test_an_unknown_message_is_a_fault(self, service: Service) -> None:
        fault = service.soap(f'<ScheduleRequestMsg xmlns="{NAMESPACE}"/>')
        assert fault.status_code == 500
        assert "Schedule" in faultstring(fault.content)

    def test_an_operator_that_does_not_exist_cannot_be_read(self, service: Service) -> None:
        body = RETRIEVE.replace(
            "</RetrieveRequest>",
            '<Filter xsi:type="SimpleFilterPart"><Property>SubscriberKey</Property>'
            "<SimpleOperator>is</SimpleOperator><Value>a</Value></Filter></RetrieveRequest>",
        )
        fault = service.soap(body)
        assert fault.status_code == 500
        assert "'is' is not a valid value for SimpleOperators." in faultstring(fault.content)

    def test_a_retrieve_may_time_out(self, server: Host, store: Store) -> None:
        faults = Faults.parse({"faults": [{"kind": "query_timeout", "path": "/service.asmx"}]})
        with server.serving(store, faults) as service:
            page = service.retrieve("BounceEvent", ["SubscriberKey"])
            assert page.status.startswith("Error: Timeout expired.")

    def test_late_events_are_not_seen_yet(self, server: Host, store: Store) -> None:
        store.set_setting("today", "2026-01-15 12:00:00.000")
        bounce(store, "old", "2026-01-15 11:29:59.000")
        bounce(store, "new", "2026-01-15 11:30:01.000")
        entry = {"kind": "late_events", "minutes": 30, "times": 1}
        with server.serving(store, Faults.parse({"faults": [entry]})) as service:
            token = service.token()
            first = service.retrieve("BounceEvent", ["SubscriberKey"], token=token)
            then = service.retrieve("BounceEvent", ["SubscriberKey"], token=token)
            assert (len(first.rows), len(then.rows)) == (1, 2)


class TestRestTransport:
    @pytest.mark.parametrize("path", [ROWSET, f"{ROWSET}/", ROWSET.upper()])
    def test_any_case_with_and_without_a_slash(self, service: Service, path: str) -> None:
        assert service.rest("GET", path).status_code == 200

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/data/v1/nothing"), ("POST", ROWSET), ("PUT", ROWSET), ("GET", "/")],
    )
    def test_unknown(
        self,
        service: Service,
        method: str,
        path: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        said = service.rest(method, path)
        assert (said.status_code, said.json()["errorcode"]) == (404, 404)
        assert said.json()["message"] == "Not Found"
        capsys.readouterr()

    def test_what_is_no_json(self, service: Service) -> None:
        said = service.rest("POST", "/automation/v1/queries", data=b"{")
        assert (said.status_code, said.json()["errorcode"]) == (400, 10004)

    @pytest.mark.parametrize(("retry_after", "code"), [(5, 50100), (None, 50200)])
    def test_throttled(
        self, server: Host, store: Store, retry_after: int | None, code: int
    ) -> None:
        entry: dict[str, Any] = {"kind": "status", "status": 429, "path": "/data/*"}
        if retry_after is not None:
            entry["retry_after"] = retry_after
        with server.serving(store, Faults.parse({"faults": [entry]})) as service:
            said = service.rest("GET", ROWSET)
            assert (said.status_code, said.json()["errorcode"]) == (429, code)
            assert said.headers.get("Retry-After") == (str(retry_after) if retry_after else None)
