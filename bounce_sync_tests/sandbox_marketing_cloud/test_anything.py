"""Whatever comes in, the service answers in its own words: never with an error of the sandbox's."""

import itertools
from typing import Any

import pytest

from bounce_sync.sandbox.marketing_cloud.rest.routes import ROUTES
from bounce_sync.sandbox.marketing_cloud.soap.filters import OPERATORS
from bounce_sync.sandbox.marketing_cloud.soap.objects import OBJECTS
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_marketing_cloud.service import NAMESPACE, Service, simple
from bounce_sync_tests.sandbox_marketing_cloud.tenant import bounce, subscriber

ODD = [
    None,
    [],
    {},
    "text",
    7,
    [None],
    [{}],
    [[1]],
    {"items": [{}]},
    {"items": [{"SubscriberKey": {"a": 1}}]},
    [{"keys": {"SubscriberKey": [1]}, "values": None}],
    [{"keys": {"SubscriberKey": 1}, "values": {"RunId": {}}}],
    {"name": 1, "key": 2, "queryText": 3, "targetKey": 4, "categoryId": "x"},
    {"name": [], "queryText": "SELECT 1 AS SubscriberKey", "targetKey": "Hard_Bounce_Staging_DE"},
    {
        "name": {},
        "queryText": "SELECT 1 AS SubscriberKey",
        "targetKey": "Hard_Bounce_Staging_DE",
        "categoryId": "x",
    },
    {"Text": ["SELECT"], "targetUpdateTypeId": {}},
    {"name": {}, "steps": [1, {"activities": 2}, {"activities": [3]}]},
    {"name": "a", "steps": 1},
    {"ContactKey": {}, "EventDefinitionKey": "APIEvent-bounce_sync_set", "Data": [1]},
    {
        "ContactKey": "a",
        "EventDefinitionKey": "APIEvent-bounce_sync_set",
        "Data": {"SubscriberKey": "a", "ContactId": 7, "FlagDate": "x"},
    },
]
PARTS = {
    "key": "Hard_Bounce_Staging_DE",
    "which": "key:Hard_Bounce_Staging_DE",
    "keys": "SubscriberKey:a,b",
    "id": "nothing",
    "request": "nothing",
    "token": "nothing",
    "instance": "nothing",
}
QUERIES = [
    "",
    "?$page=0&$pageSize=-1",
    "?$page=99999999999999999999",
    "?$filter=%00'&$orderBy=,,",
    "?$filter=SubscriberKey eq 'a'&$page=99999999999999999999",
]


@pytest.fixture(autouse=True)
def rows(store: Store) -> None:
    bounce(store, "a", "2026-01-15 00:00:00.000")
    subscriber(store, 1, "a")


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path.pattern}")
def test_rest(service: Service, route: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = route.path.pattern
    for name, value in PARTS.items():
        path = path.replace(f"(?P<{name}>[^/]+)", value)
    token = service.token()
    for query in QUERIES:
        assert service.rest(route.method, path + query, token).status_code < 500
    for body in ODD:
        said = service.rest(route.method, path, token, json=body)
        assert said.status_code < 500, (body, said.text)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", OBJECTS)
def test_every_kind_of_property_under_every_operator(service: Service, name: str) -> None:
    token = service.token()
    target = OBJECTS[name]
    every = list(target.readable)
    assert service.retrieve(name, every, token=token).status == "OK"
    one_of_each = {target.readable[each].kind: each for each in every}.values()
    for prop, operator in itertools.product(one_of_each, OPERATORS):
        for values in ([], ["2026-01-15"], ["1"], ["x", "y"], ["9" * 40]):
            page = service.retrieve(name, every, simple(prop, operator, *values), token=token)
            assert page.status == "OK" or page.status.startswith("Error: ")


@pytest.mark.parametrize(
    "message",
    [
        "<{0} xmlns='{1}'/>",
        "<{0} xmlns='{1}'><Objects/><RetrieveRequest/><Definitions/><DescribeRequests/></{0}>",
        "<{0} xmlns='{1}'><Action>Start</Action><Definitions><Definition/></Definitions>"
        "<RetrieveRequest><ObjectType> </ObjectType><Filter/></RetrieveRequest>"
        "<Objects xsi:type='Subscriber'/></{0}>",
        "<{0} xmlns='{1}'><Objects xsi:type='DataExtension'><CategoryID>x</CategoryID><Fields>"
        "<Field><Name>a</Name><Scale>x</Scale></Field></Fields></Objects>"
        "<Action>ClearData</Action><Definitions><Definition xsi:type='DataExtension'/>"
        "</Definitions></{0}>",
        "<{0} xmlns='{1}'><Objects xsi:type='QueryDefinition'><CategoryID>x</CategoryID>"
        "<QueryText>SELECT 1 AS SubscriberKey</QueryText><DataExtensionTarget><CustomerKey>"
        "Hard_Bounce_Staging_DE</CustomerKey></DataExtensionTarget></Objects></{0}>",
    ],
)
@pytest.mark.parametrize(
    "operation",
    [
        "RetrieveRequestMsg",
        "DefinitionRequestMsg",
        "PerformRequestMsg",
        "CreateRequest",
        "UpdateRequest",
        "DeleteRequest",
    ],
)
def test_soap(
    service: Service, operation: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = service.soap(message.format(operation, NAMESPACE))
    assert said.status_code == 200 or b":Fault>" in said.content
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"7", b'"x"', b'{"grant_type": {}}', b"\xff", b'{"account_id": [1]}'],
)
def test_token(service: Service, body: bytes) -> None:
    said = service.session.post(f"{service.url}/v2/token", data=body)
    assert said.status_code in {400, 401}
    assert set(said.json()) == {"error", "error_description", "error_uri"}
