"""SOAP Retrieve: what a client reads of bounces, subscribers and their transitions."""

import pytest

from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_marketing_cloud.service import Service, both, operand, simple
from bounce_sync_tests.sandbox_marketing_cloud.tenant import CHILD, PARENT, bounce, subscriber

EVENT = ["SubscriberKey", "EventDate"]


def keys(page: object) -> list[str | None]:
    return [row["SubscriberKey"] for row in page.rows]  # type: ignore[attr-defined]


class TestBounceEvents:
    def test_a_row_in_the_order_of_the_wsdl_whatever_the_order_asked(
        self, service: Service, store: Store
    ) -> None:
        bounce(store, "0035g00000AbCdEAAV", "2026-01-15 03:04:05.120", bounce_type="immediate")
        page = service.retrieve(
            "BounceEvent",
            [
                "SMTPReason",
                "BounceType",
                "EventType",
                "EventDate",
                "BatchID",
                "SubscriberKey",
                "SendID",
                "Client.ID",
                "SMTPCode",
                "BounceCategory",
            ],
        )
        assert page.status == "OK"
        assert list(page.rows[0].items()) == [
            ("Client.ID", str(PARENT)),
            ("PartnerKey", None),
            ("ObjectID", None),
            ("SendID", "12"),
            ("SubscriberKey", "0035g00000AbCdEAAV"),
            ("EventDate", "2026-01-15T03:04:05.12"),
            ("EventType", "HardBounce"),
            ("BatchID", "1"),
            ("SMTPCode", "550"),
            ("BounceCategory", "Hard bounce"),
            ("SMTPReason", "550 5.1.1 unknown"),
            ("BounceType", "immediate"),
        ]

    @pytest.mark.parametrize(
        ("stored", "said"),
        [
            ("2026-01-15 10:20:30.000", "2026-01-15T10:20:30"),
            ("2026-01-15 00:00:00.100", "2026-01-15T00:00:00.1"),
            ("2026-01-15 23:59:59.999", "2026-01-15T23:59:59.999"),
        ],
    )
    def test_dates_are_naive_server_time_with_as_many_digits_as_needed(
        self, service: Service, store: Store, stored: str, said: str
    ) -> None:
        bounce(store, "a", stored)
        assert service.retrieve("BounceEvent", EVENT).rows[0]["EventDate"] == said

    @pytest.mark.parametrize(
        "reason",
        ["<b>&amp;</b> \"q\" 'a'", "line\r\nbreak\ttab", "потребитель 用户 😀 ]]>", "x" * 100_000],
    )
    def test_any_text_arrives_whole(self, service: Service, store: Store, reason: str) -> None:
        bounce(store, "a", "2026-01-15 00:00:00.000", smtp_bounce_reason=reason)
        assert service.retrieve("BounceEvent", ["SMTPReason"]).rows[0]["SMTPReason"] == reason

    def test_characters_that_xml_cannot_carry_are_dropped(
        self, service: Service, store: Store
    ) -> None:
        bounce(store, "a", "2026-01-15 00:00:00.000", smtp_bounce_reason="a\x01b\x0bc\x1bd")
        assert service.retrieve("BounceEvent", ["SMTPReason"]).rows[0]["SMTPReason"] == "abcd"

    def test_nothing_found_has_no_results_element(self, service: Service) -> None:
        page = service.retrieve("BounceEvent", EVENT)
        assert (page.status, page.rows) == ("OK", [])
        assert [child.tag.rpartition("}")[2] for child in page.xml] == [
            "OverallStatus",
            "RequestID",
        ]

    def test_all_unknown_properties_are_named_under_200(self, service: Service) -> None:
        page = service.retrieve("BounceEvent", ["SubscriberID", "SubscriberKey", "ListID"])
        assert page.response.status_code == 200
        assert page.status == (
            "Error: The Request Property(s) SubscriberID,ListID do not match with the fields of"
            " BounceEvent retrieve"
        )

    def test_a_unit_sees_its_own_events_and_the_enterprise_all_if_it_asks(
        self, service: Service, store: Store
    ) -> None:
        bounce(store, "parent", "2026-01-15 00:00:00.000")
        bounce(store, "child", "2026-01-15 00:00:01.000", account_id=CHILD)
        assert keys(service.retrieve("BounceEvent", EVENT)) == ["parent"]
        assert keys(service.retrieve("BounceEvent", EVENT, token=service.token(CHILD))) == ["child"]
        everything = "<QueryAllAccounts>true</QueryAllAccounts>"
        assert keys(service.retrieve("BounceEvent", EVENT, everything)) == ["parent", "child"]
        one = f"<ClientIDs><ClientID>{CHILD}</ClientID></ClientIDs>"
        assert keys(service.retrieve("BounceEvent", EVENT, one)) == ["child"]
        other = service.retrieve("BounceEvent", EVENT, everything, token=service.token(CHILD))
        assert keys(other) == ["child"]


class TestFilters:
    @pytest.fixture(autouse=True)
    def events(self, store: Store) -> None:
        bounce(store, "Early", "2026-01-14 23:59:59.999")
        bounce(store, "midnight", "2026-01-15 00:00:00.000", bounce_category="Soft bounce")
        bounce(store, "100% noon", "2026-01-15 12:00:00.500", bounce_category="Block bounce")
        bounce(store, "late word", "2026-01-16 00:00:00.000", smtp_bounce_reason=None)

    @pytest.mark.parametrize(
        ("name", "operator", "values", "found"),
        [
            ("SubscriberKey", "equals", ["EARLY"], [0]),
            ("SubscriberKey", "notEquals", ["early"], [1, 2, 3]),
            ("SubscriberKey", "IN", ["early", "MIDNIGHT", "nobody"], [0, 1]),
            ("SubscriberKey", "like", ["%night"], [1]),
            ("SubscriberKey", "contains", ["0% N"], [2]),
            ("SubscriberKey", "notContains", ["%"], [0, 1, 3]),
            ("SubscriberKey", "existsInString", ["or"], [3]),
            ("SubscriberKey", "notExistsInString", ["n"], [0, 3]),
            ("SubscriberKey", "existsInStringAsAWord", ["word"], [3]),
            ("SubscriberKey", "existsInStringAsAWord", ["wor"], []),
            ("SubscriberKey", "beginsWith", ["MID"], [1]),
            ("SubscriberKey", "endsWith", ["NOON"], [2]),
            ("SMTPReason", "isNull", [], [3]),
            ("SMTPReason", "isNotNull", [], [0, 1, 2]),
            ("EventType", "equals", ["softbounce"], [1]),
            ("EventType", "IN", ["HardBounce", "OtherBounce"], [0, 2, 3]),
            ("SendID", "equals", ["12"], [0, 1, 2, 3]),
            ("SendID", "greaterThan", ["12"], []),
            ("EventDate", "equals", ["2026-01-15T12:00:00.5"], [2]),
            ("EventDate", "greaterThan", ["2026-01-15"], [2, 3]),
            ("EventDate", "greaterThanOrEqual", ["2026-01-15T00:00:00"], [1, 2, 3]),
            ("EventDate", "lessThan", ["2026-01-15T06:00:00Z"], [0]),
            ("EventDate", "lessThanOrEqual", ["2026-01-15T06:00:00.000Z"], [0, 1]),
            ("EventDate", "between", ["2026-01-15T01:00:00.000-05:00", "2026-01-15T23:59"], [1, 2]),
            ("EventDate", "between", ["2026-01-15T00:00:00", "2026-01-16T00:00:00"], [1, 2, 3]),
            ("EventDate", "lessThan", ["2026-01-14T23:59:59.9994707"], []),
            ("EventDate", "isAnniversary", ["2020-01-15"], [1, 2]),
        ],
    )
    @pytest.mark.parametrize("element", ["Value", "DateValue"])
    def test_operator(
        self,
        service: Service,
        name: str,
        operator: str,
        values: list[str],
        found: list[int],
        element: str,
    ) -> None:
        page = service.retrieve(
            "BounceEvent", EVENT, simple(name, operator, *values, element=element)
        )
        assert page.status == "OK"
        said = ["Early", "midnight", "100% noon", "late word"]
        assert keys(page) == [said[n] for n in found]

    def test_parts_joined_and_nested(self, service: Service) -> None:
        nested = (
            '<RightOperand xsi:type="ComplexFilterPart">'
            + operand("Left", "SubscriberKey", "equals", "midnight")
            + "<LogicalOperator>OR</LogicalOperator>"
            + operand("Right", "SubscriberKey", "equals", "early")
            + "</RightOperand>"
        )
        left = operand("Left", "EventDate", "greaterThanOrEqual", "2026-01-15", element="DateValue")
        assert keys(service.retrieve("BounceEvent", EVENT, both(left, "AND", nested))) == [
            "midnight"
        ]

    def test_prefixed_types_are_read_by_their_local_name(self, service: Service) -> None:
        part = simple("SubscriberKey", "equals", "early").replace(
            'xsi:type="SimpleFilterPart"',
            'xsi:type="par:SimpleFilterPart" xmlns:par="http://exacttarget.com/wsdl/partnerAPI"',
        )
        assert keys(service.retrieve("BounceEvent", EVENT, part)) == ["Early"]

    @pytest.mark.parametrize(
        ("inside", "said"),
        [
            (
                simple("SubscriberKey", "equals", "a").replace(' xsi:type="SimpleFilterPart"', ""),
                "Error: Unknown filter of type FilterPart encountered",
            ),
            (
                simple("SubscriberKey", "equals"),
                "Error: Invalid argument for the equals operator. Filter array cannot be null.",
            ),
            (simple("EmailAddress", "equals", "a"), "Error: Invalid column name 'EmailAddress'."),
            (
                simple("EventDate", "equals", "yesterday"),
                "Error: Conversion failed when converting date and/or time from character string.",
            ),
            (
                both(operand("Left", "SendID", "equals", "1"), "AND", ""),
                "Error: Incorrect syntax near the keyword 'AND'.",
            ),
        ],
    )
    def test_what_cannot_be_asked_is_refused_under_200(
        self, service: Service, inside: str, said: str
    ) -> None:
        assert service.retrieve("BounceEvent", EVENT, inside).status == said


class TestSubscribers:
    def test_those_of_one_status_spelled_as_the_api_spells_it(
        self, service: Service, store: Store
    ) -> None:
        subscriber(store, 1, "0012", "Held", date_unsubscribed=None)
        subscriber(store, 2, "b", "Active")
        page = service.retrieve(
            "Subscriber",
            ["SubscriberKey", "EmailAddress", "Status", "ID", "CreatedDate"],
            simple("Status", "equals", "held"),
        )
        assert page.rows == [
            {
                "PartnerKey": None,
                "CreatedDate": "2026-01-01T00:00:00",
                "ID": "1",
                "ObjectID": None,
                "EmailAddress": "1@example.com",
                "SubscriberKey": "0012",
                "Status": "Held",
            }
        ]

    def test_keys_are_found_without_case_and_all_statuses_are_given(
        self, service: Service, store: Store
    ) -> None:
        for number, status in enumerate(["Active", "Bounced", "Held", "Unsubscribed", "Deleted"]):
            subscriber(store, number, f"key{number}", status)
        page = service.retrieve(
            "Subscriber",
            ["SubscriberKey", "Status"],
            simple("SubscriberKey", "IN", *(f"KEY{n}" for n in range(5))),
        )
        assert [(row["SubscriberKey"], row["Status"]) for row in page.rows] == [
            ("key0", "Active"),
            ("key1", "Bounced"),
            ("key2", "Held"),
            ("key3", "Unsubscribed"),
            ("key4", "Deleted"),
        ]

    def test_a_tenant_may_answer_a_status_filter_with_nothing(
        self, service: Service, store: Store
    ) -> None:
        subscriber(store, 1, "a", "Held")
        store.set_setting("subscriber_status_filter", "silent")
        page = service.retrieve("Subscriber", ["SubscriberKey"], simple("Status", "equals", "Held"))
        assert (page.status, page.rows) == ("OK", [])
        assert keys(service.retrieve("Subscriber", ["SubscriberKey"])) == ["a"]

    def test_when_a_subscriber_changed_cannot_be_asked(self, service: Service) -> None:
        page = service.retrieve("Subscriber", ["ModifiedDate"])
        assert "ModifiedDate do not match with the fields of Subscriber" in page.status


class TestStatusEvents:
    def test_transitions_as_name_and_value(self, service: Service, store: Store) -> None:
        columns = ["account_id", "subscriber_id", "subscriber_key", "created_date"]
        store.insert(
            "status_event",
            [*columns, "previous_status", "current_status"],
            [
                (PARENT, 1, "a", "2026-01-15 01:00:00.000", "Bounced", "Held"),
                (PARENT, 2, "b", "2026-01-15 02:00:00.000", "Held", "Active"),
            ],
        )
        page = service.retrieve(
            "SubscriberStatusEvent",
            [
                "SubscriberID",
                "Client.ID",
                "CurrentStatus",
                "PreviousStatus",
                "CreatedDate",
                "SubscriberKey",
                "ReasonUnsub",
            ],
            both(
                operand("Left", "CurrentStatus", "equals", "Held"),
                "AND",
                operand("Right", "CreatedDate", "between", "2026-01-15T07:00:00.0000001Z")
                .replace(
                    "</RightOperand>", "<DateValue>2026-01-16T00:00:00Z</DateValue></RightOperand>"
                )
                .replace("Value>2026-01-15", "DateValue>2026-01-15")
                .replace("0001Z</Value", "0001Z</DateValue"),
            ),
        )
        assert page.rows == [
            {
                "Client.ID": str(PARENT),
                "PartnerKey": None,
                "CreatedDate": "2026-01-15T01:00:00",
                "ObjectID": None,
                "Type": "SubscriberStatusEvent",
                "SubscriberID": "1",
                "SubscriberKey": "a",
                "CurrentStatus": "held",
                "PreviousStatus": "normal",
                "ReasonUnsub": "",
            }
        ]

    def test_each_batch_since_the_last(self, service: Service, store: Store) -> None:
        columns = ["account_id", "subscriber_key", "created_date", "current_status"]
        since = "<RetrieveAllSinceLastBatch>true</RetrieveAllSinceLastBatch>"
        store.insert("status_event", columns, [(PARENT, "a", "2026-01-15 01:00:00.000", "Held")])
        assert keys(service.retrieve("SubscriberStatusEvent", ["SubscriberKey"], since)) == ["a"]
        assert keys(service.retrieve("SubscriberStatusEvent", ["SubscriberKey"], since)) == []
        store.insert("status_event", columns, [(PARENT, "b", "2026-01-15 02:00:00.000", "Held")])
        assert keys(service.retrieve("SubscriberStatusEvent", ["SubscriberKey"], since)) == ["b"]

    def test_a_tenant_may_not_serve_them(self, service: Service, store: Store) -> None:
        store.set_setting("absent_objects", "SubscriberStatusEvent")
        page = service.retrieve("SubscriberStatusEvent", ["SubscriberKey"])
        assert page.status == (
            "Error: Unable to find a handler for object type: SubscriberStatusEvent."
            " Object types are case-sensitive, check spelling."
        )


class TestPaging:
    BATCH = "<Options><BatchSize>2</BatchSize></Options>"

    @pytest.fixture(autouse=True)
    def events(self, store: Store) -> None:
        for number in range(5):
            bounce(store, f"key{number}", "2026-01-15 00:00:00.000")

    @pytest.mark.parametrize("dialect", ["bare", "whole"])
    def test_pages_of_both_dialects(self, service: Service, dialect: str) -> None:
        filtered = simple("SubscriberKey", "notEquals", "key1")
        page = service.retrieve("BounceEvent", EVENT, self.BATCH + filtered)
        assert (page.status, keys(page)) == ("MoreDataAvailable", ["key0", "key2"])
        goes_on = f"<ContinueRequest>{page.request_id}</ContinueRequest>"
        if dialect == "bare":
            page = service.retrieve("BounceEvent", [], goes_on)
        else:
            page = service.retrieve("BounceEvent", EVENT, self.BATCH + goes_on + filtered)
        assert (page.status, keys(page)) == ("OK", ["key3", "key4"])
        assert page.rows[0]["EventDate"] == "2026-01-15T00:00:00"

    def test_the_last_page_is_ok_even_when_it_is_full(self, service: Service) -> None:
        page = service.retrieve("BounceEvent", EVENT, "<Options><BatchSize>5</BatchSize></Options>")
        assert (page.status, len(page.rows)) == ("OK", 5)

    def test_a_page_is_at_most_2500(self, service: Service, store: Store) -> None:
        columns = ["account_id", "subscriber_key", "event_date"]
        rows = ((PARENT, f"more{n}", "2026-01-16 00:00:00.000") for n in range(2600))
        store.insert("bounce", columns, rows)
        options = "<Options><BatchSize>9999</BatchSize></Options>"
        page = service.retrieve("BounceEvent", EVENT, options)
        assert (page.status, len(page.rows)) == ("MoreDataAvailable", 2500)

    def test_a_page_can_be_asked_again(self, service: Service) -> None:
        first = service.retrieve("BounceEvent", EVENT, self.BATCH)
        goes_on = f"<ContinueRequest>{first.request_id}</ContinueRequest>"
        second = [keys(service.retrieve("BounceEvent", [], goes_on)) for _ in range(2)]
        assert second == [["key2", "key3"]] * 2

    def test_an_unknown_request_id(self, service: Service) -> None:
        page = service.retrieve(
            "BounceEvent", EVENT, "<ContinueRequest>not-an-id</ContinueRequest>"
        )
        assert page.status == ("Error: The RequestID sent through ContinueRequest does not exist.")

    def test_another_account_cannot_go_on(self, service: Service) -> None:
        page = service.retrieve("BounceEvent", EVENT, self.BATCH)
        goes_on = f"<ContinueRequest>{page.request_id}</ContinueRequest>"
        other = service.retrieve("BounceEvent", [], goes_on, token=service.token(CHILD))
        assert "does not exist" in other.status
