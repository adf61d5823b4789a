"""Rows of data extensions by REST: read in pages, written at once or later."""

import re
import time
from typing import Any

import pytest

from bounce_sync.sandbox.store import DataExtensionField, Store
from bounce_sync_tests.sandbox_marketing_cloud.service import Service
from bounce_sync_tests.sandbox_marketing_cloud.tenant import CHILD, bounce

ROWSET = "/data/v1/customobjectdata/key/typed/rowset"
SYNC = "/hub/v1/dataevents/key:typed/rowset"
ASYNC = "/data/v1/async/dataextensions/key:typed/rows"


@pytest.fixture(autouse=True)
def extension(store: Store) -> str:
    return store.create_data_extension(
        "typed",
        [
            DataExtensionField("Id", "Text", 10, is_primary_key=True, is_required=True),
            DataExtensionField("Email", "EmailAddress", 254),
            DataExtensionField("FirstName", "Text", 20),
            DataExtensionField("Born", "Date"),
            DataExtensionField("Age", "Number"),
            DataExtensionField("Vip", "Boolean"),
            DataExtensionField("Score", "Decimal", scale=2),
        ],
        name="Typed rows",
    )


def put(service: Service, *rows: dict[str, Any]) -> None:
    body = [{"keys": {"Id": row.pop("Id")}, "values": row} for row in rows]
    said = service.rest("POST", SYNC, json=body)
    assert said.status_code == 200, said.text


def numbered(store: Store, count: int) -> None:
    """Rows straight into the table, as a loaded CSV would have them."""
    table = store.data_extension("typed")["row_table"]
    store.insert(table, ["Id", "FirstName"], ((f"{n:05}", f"n{n}") for n in range(count)))


def ids(said: Any) -> list[str]:
    return [item["keys"]["id"] for item in said.json().get("items", [])]


class TestReading:
    def test_values_are_text_and_names_lower_case(self, service: Service) -> None:
        put(
            service,
            {
                "Id": "007",
                "Email": "a@example.com",
                "FirstName": 'Zoë "Z" \\ \t\n用户',
                "Born": "2021-07-10T14:28:20.5",
                "Age": 41,
                "Vip": True,
            },
        )
        said = service.rest("GET", ROWSET).json()
        assert said["items"] == [
            {
                "keys": {"id": "007"},
                "values": {
                    "email": "a@example.com",
                    "firstname": 'Zoë "Z" \\ \t\n用户',
                    "born": "7/10/2021 2:28:20 PM",
                    "age": "41",
                    "vip": "True",
                    "score": "",
                },
            }
        ]
        assert (said["count"], said["page"], said["top"]) == (1, 1, 0)
        assert said["customObjectKey"] == "typed"

    @pytest.mark.parametrize(
        ("stored", "shown"),
        [
            ("2021-01-02T00:00:00", "1/2/2021 12:00:00 AM"),
            ("2021-12-31T12:05:09", "12/31/2021 12:05:09 PM"),
            ("2021-07-10T23:59:59Z", "7/10/2021 5:59:59 PM"),
            ("7/4/2021 1:02:03 PM", "7/4/2021 1:02:03 PM"),
        ],
    )
    def test_dates_are_server_time_in_en_us(
        self, service: Service, stored: str, shown: str
    ) -> None:
        put(service, {"Id": "a", "Born": stored})
        assert service.rest("GET", ROWSET).json()["items"][0]["values"]["born"] == shown

    def test_an_empty_one_has_no_items(self, service: Service) -> None:
        said = service.rest("GET", ROWSET).json()
        assert "items" not in said
        assert said["count"] == 0
        assert set(said["links"]) == {"self"}

    @pytest.mark.parametrize("parameter", ["$pageSize=2&$page={}", "%24pagesize=2&%24page={}"])
    def test_pages_by_number(self, service: Service, store: Store, parameter: str) -> None:
        numbered(store, 5)
        pages = [service.rest("GET", f"{ROWSET}?{parameter.format(n)}") for n in (1, 2, 3, 4)]
        assert [ids(page) for page in pages] == [
            ["00000", "00001"],
            ["00002", "00003"],
            ["00004"],
            [],
        ]
        assert ["next" in page.json()["links"] for page in pages] == [True, True, False, False]
        assert {page.json()["count"] for page in pages} == {5}

    def test_pages_by_token_whose_links_lack_the_data_prefix(
        self, service: Service, store: Store
    ) -> None:
        numbered(store, 5)
        said = service.rest("GET", f"{ROWSET}?$pageSize=2")
        found = ids(said)
        while (link := said.json()["links"].get("next")) is not None:
            assert link.startswith("/v1/customobjectdata/token/")
            said = service.rest("GET", f"/data{link}")
            found += ids(said)
        assert found == [f"{n:05}" for n in range(5)]

    def test_pages_after_rows_have_gone(self, service: Service, store: Store) -> None:
        numbered(store, 9)
        table = store.data_extension("typed")["row_table"]
        store.execute(f"DELETE FROM {table} WHERE Id IN ('00001', '00004')")
        pages = [ids(service.rest("GET", f"{ROWSET}?$pageSize=3&$page={n}")) for n in (1, 2, 3)]
        assert pages == [["00000", "00002", "00003"], ["00005", "00006", "00007"], ["00008"]]

    def test_a_page_is_at_most_2500(self, service: Service, store: Store) -> None:
        numbered(store, 2600)
        said = service.rest("GET", f"{ROWSET}?$pageSize=9999")
        assert (said.json()["pageSize"], len(ids(said))) == (2500, 2500)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("$filter=FirstName eq 'N2'", ["00002"]),
            ("$filter=Id ge '00003' and FirstName ne 'n3'", ["00004"]),
            ("$filter=(Id lt '00001' or Id gt '00003')", ["00000", "00004"]),
            ("$filter=FirstName like 'n%25'&$orderBy=Id desc", ["00004", "00003", "00002"]),
            ("$top=2", ["00000", "00001"]),
        ],
    )
    def test_filtered_and_ordered(
        self, service: Service, store: Store, query: str, found: list[str]
    ) -> None:
        numbered(store, 5)
        assert ids(service.rest("GET", f"{ROWSET}?$pageSize=3&{query}")) == found

    def test_filters_compare_in_the_field_s_type(self, service: Service) -> None:
        put(
            service,
            {"Id": "a", "Born": "2021-07-10T14:00:00", "Age": 9, "Vip": True},
            {"Id": "b", "Born": "2021-07-10T15:00:00", "Age": 10, "Vip": False},
        )
        for query, found in (
            ("Born gt '7/10/2021 2:30:00 PM'", ["b"]),
            ("Age gt '9'", ["b"]),
            ("Vip eq 'true'", ["a"]),
        ):
            assert ids(service.rest("GET", f"{ROWSET}?$filter={query}")) == found

    def test_chosen_fields(self, service: Service, store: Store) -> None:
        numbered(store, 1)
        said = service.rest("GET", f"{ROWSET}?$fields=Id,FirstName").json()
        assert said["items"] == [{"keys": {"id": "00000"}, "values": {"firstname": "n0"}}]

    @pytest.mark.parametrize(
        "key", ["nowhere", "_Bounce", "Typed rows"], ids=["unknown", "view", "name"]
    )
    def test_only_keys_of_data_extensions(
        self, service: Service, key: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = service.rest("GET", f"/data/v1/customobjectdata/key/{key}/rowset")
        assert said.status_code == 404
        capsys.readouterr()

    def test_a_unit_has_its_own_and_ent_the_enterprise_s(
        self, service: Service, store: Store
    ) -> None:
        numbered(store, 1)
        token = service.token(CHILD)
        assert service.rest("GET", ROWSET, token).status_code == 404
        shared = ROWSET.replace("typed", "ENT.typed")
        assert ids(service.rest("GET", shared, token)) == ["00000"]

    def test_bad_filters_are_refused(
        self, service: Service, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for query in ("$filter=Nope eq 'x'", "$filter=Id is 'x'", "$filter='", "$orderBy=Id up"):
            assert service.rest("GET", f"{ROWSET}?{query}").status_code == 400
        assert "is not valid" in capsys.readouterr().err

    def test_no_address_is_listed(
        self, service: Service, capsys: pytest.CaptureFixture[str]
    ) -> None:
        refused = service.rest("GET", f"{ROWSET}?$filter=Email in 'someone@example.com'")
        assert refused.status_code == 400
        listed = capsys.readouterr().err
        assert "…@…" in listed
        assert "someone" not in listed


class TestWritingAtOnce:
    def test_upserts_by_key_without_case(self, service: Service) -> None:
        put(service, {"Id": "a", "FirstName": "one", "Age": 1}, {"Id": "b"})
        put(service, {"Id": "A", "FirstName": "two"})
        items = service.rest("GET", ROWSET).json()["items"]
        assert [(i["keys"]["id"], i["values"]["firstname"], i["values"]["age"]) for i in items] == [
            ("a", "two", "1"),
            ("b", "", ""),
        ]

    def test_one_row(self, service: Service) -> None:
        path = "/hub/v1/dataevents/key:typed/rows/Id:a"
        said = service.rest("PUT", path, json={"values": {"FirstName": "x"}})
        assert said.json() == {"keys": {"Id": "a"}, "values": {"FirstName": "x"}}
        assert ids(service.rest("GET", ROWSET)) == ["a"]

    def test_one_value_too_long_rejects_the_batch(self, service: Service, extension: str) -> None:
        body = [
            {"keys": {"Id": "a"}, "values": {}},
            {"keys": {"Id": "b"}, "values": {"FirstName": "x" * 21}},
        ]
        said = service.rest("POST", SYNC, json=body)
        assert said.status_code == 400
        assert said.json() == {
            "message": f"Unable to save rows for data extension ID {extension}",
            "errorcode": 10006,
            "documentation": "",
            "additionalErrors": [
                {
                    "message": "FirstName: The value for column [FirstName] exceeds the column's"
                    " maximum length.",
                    "errorcode": 10000,
                    "documentation": "",
                }
            ],
        }
        assert ids(service.rest("GET", ROWSET)) == []

    @pytest.mark.parametrize(
        ("keys", "values", "said"),
        [
            ({"Id": "a"}, {"Email": "a@b"}, "InvalidEmailAddress"),
            ({"Id": "a"}, {"Email": "not an address"}, "InvalidEmailAddress"),
            ({"Id": "a"}, {"Age": "many"}, "not a valid Number"),
            ({"Id": "a"}, {"Age": 2**31}, "not a valid Number"),
            ({"Id": "a"}, {"Born": "yesterday"}, "not a valid Date"),
            ({"Id": "a"}, {"Vip": "maybe"}, "not a valid Boolean"),
            ({"Id": "a"}, {"Nope": "x"}, "does not exist"),
            ({"Id": ""}, {}, "A value is required"),
            ({}, {"FirstName": "x"}, "A value is required"),
        ],
    )
    def test_what_a_field_does_not_take(
        self, service: Service, keys: dict[str, str], values: dict[str, Any], said: str
    ) -> None:
        refused = service.rest("POST", SYNC, json=[{"keys": keys, "values": values}])
        assert refused.status_code == 400
        assert said in refused.json()["additionalErrors"][0]["message"]

    def test_a_key_that_is_none(self, service: Service) -> None:
        refused = service.rest("POST", SYNC, json=[{"keys": {"subscriberkey": "a"}, "values": {}}])
        assert refused.json()["message"] == "Primary key 'subscriberkey' does not exist."

    def test_a_key_without_its_prefix_is_an_id(self, service: Service, extension: str) -> None:
        body = [{"keys": {"Id": "a"}, "values": {}}]
        refused = service.rest("POST", SYNC.replace("key:", ""), json=body)
        assert (refused.status_code, refused.json()["errorcode"]) == (400, 10001)
        assert refused.json()["message"] == "Parameter typed is invalid."
        by_id = SYNC.replace("key:typed", extension)
        assert service.rest("POST", by_id, json=body).status_code == 200

    def test_cleared_by_id(self, service: Service, extension: str) -> None:
        put(service, {"Id": "a"})
        said = service.rest("POST", f"/data/v1/customobjects/{extension}/cleardata")
        assert said.status_code == 200
        assert ids(service.rest("GET", ROWSET)) == []


class TestWritingLater:
    def finished(self, service: Service, said: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        assert said.status_code == 202, said.text
        assert said.json()["resultMessages"] == []
        path = f"/data/v1/async/{said.json()['requestId']}"
        deadline = time.monotonic() + 20
        while True:
            status = service.rest("GET", f"{path}/status").json()["status"]
            if status["requestStatus"] != "Pending":
                return status, service.rest("GET", f"{path}/results").json()
            assert time.monotonic() < deadline, "the request doesn't end"

    def test_upserts(self, service: Service) -> None:
        items = [{"Id": f"{n}", "FirstName": "x"} for n in range(3)]
        status, results = self.finished(service, service.rest("PUT", ASYNC, json={"items": items}))
        assert (status["requestStatus"], status["hasErrors"]) == ("Complete", False)
        assert results["count"] == 3
        assert ids(service.rest("GET", ROWSET)) == ["0", "1", "2"]

    def test_an_insert_of_a_key_that_is_there(self, service: Service) -> None:
        put(service, {"Id": "a"})
        items = [{"Id": "b"}, {"Id": "a"}]
        status, results = self.finished(service, service.rest("POST", ASYNC, json={"items": items}))
        assert (status["resultStatus"], status["hasErrors"]) == ("Error", True)
        assert re.match(
            r"Violation of PRIMARY KEY constraint .* The duplicate key value is \(a\)\.\r\nThe"
            r" statement has been terminated\.",
            results["items"][0]["message"],
        )
        assert ids(service.rest("GET", ROWSET)) == ["a"]

    def test_its_limits(self, service: Service) -> None:
        items = [{"Id": f"{n}"} for n in range(32_001)]
        assert service.rest("PUT", ASYNC, json={"items": items}).status_code == 400
        assert service.rest("PUT", ASYNC, json={"rows": []}).status_code == 400

    def test_an_unknown_request(self, service: Service) -> None:
        assert service.rest("GET", "/data/v1/async/nothing/status").status_code == 404


def test_a_query_s_result_is_counted_anew(service: Service, store: Store) -> None:
    numbered(store, 3)
    assert service.rest("GET", ROWSET).json()["count"] == 3
    for number in range(2):
        bounce(store, f"k{number}", "2026-01-15 00:00:00.000")
    made = service.rest(
        "POST",
        "/automation/v1/queries",
        json={
            "name": "q",
            "queryText": "SELECT SubscriberKey AS Id FROM _Bounce",
            "targetKey": "typed",
            "categoryId": 1,
        },
    ).json()
    path = f"/automation/v1/queries/{made['queryDefinitionId']}/actions"
    service.rest("POST", f"{path}/start")
    deadline = time.monotonic() + 20
    while service.rest("GET", f"{path}/isrunning").json()["isRunning"]:
        assert time.monotonic() < deadline, "the query doesn't end"
    assert ids(service.rest("GET", ROWSET)) == ["k0", "k1"]
