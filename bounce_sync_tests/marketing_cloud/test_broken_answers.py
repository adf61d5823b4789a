"""Answers that can't be right: each is an error that says where, and nothing of it is used."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.errors import (
    AuthenticationFailed,
    MarketingCloudError,
    PermissionMissing,
    RequestRefused,
    Unavailable,
    UnreadableAnswer,
    WindowTimedOut,
)
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.marketing_cloud.sources.soap import SoapSource
from bounce_sync.rules.server_time import Window
from bounce_sync_tests.marketing_cloud.scripted import Script, envelope, row, scripted
from bounce_sync_tests.marketing_cloud.tenants import day

NOW = datetime(2026, 6, 16, 9, tzinfo=UTC)
PATIENCE = Patience(read_timeout=5, attempts=2, first_wait=0.001, longest_wait=0.001)


def opened(url: str, workers: int = 2, **changes: str) -> SoapSource:
    given = {"client_id": "id", "client_secret": "s3cret", "account_id": "77"} | changes
    return SoapSource(Account(url, **given), patience=PATIENCE, now=lambda: NOW, workers=workers)


def bounces(script: Script, token: object = None) -> pd.DataFrame:
    with scripted(script, token) as url, closing(opened(url)) as source:
        return source.bounces(day())


def says(*pages: bytes) -> Script:
    """These pages, one after the other; the last one for ever."""
    left = list(pages)
    return lambda method, path, body: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (row(EventDate="2026-02-30T10:00:00"), "EventDate is no possible date"),
        (row(EventDate="2026-06-15T10:00:00Z"), "EventDate isn't a date and time without a zone"),
        (row(EventDate="yesterday"), "EventDate isn't a date"),
        (row(EventDate="2026-06-15"), "EventDate isn't a date"),
        (row(EventDate=None), "EventDate is empty"),
        (row(EventDate=""), "EventDate is empty"),
        (row(EventDate="2026-06-14T23:59:58.9"), "outside of the window"),
        (row(EventDate="2026-06-16T00:00:01.1"), "outside of the window"),
        (row(EventDate="0001-01-01T00:00:00"), "outside of the window"),
        (row(BounceCategory="Sideways bounce"), "BounceCategory isn't one that SFMC documents"),
        (row(SubscriberKey=""), "SubscriberKey is empty"),
        (row(SubscriberKey=None), "SubscriberKey is empty"),
        (row(SubscriberKey="k" * 255), "SubscriberKey is longer than 254"),
        (row(SubscriberKey="k&#x1B;"), "SubscriberKey holds a character"),
        (row(SendID="one"), "SendID is no whole number"),
        (row(SendID="0x10"), "SendID is no whole number"),
        (row("Subscriber"), "EventDate is empty"),
    ],
)
def test_a_row_that_cant_be_read_is_named(wrong: str, complaint: str) -> None:
    with pytest.raises(UnreadableAnswer, match=complaint) as caught:
        bounces(says(envelope(row() + row(SubscriberKey="k2") + wrong)))
    said = str(caught.value)
    for part in ("Retrieve BounceEvent", "business unit 77", "2026-06-15T06:00", "page 1", "row 3"):
        assert part in said
    assert "gone" not in said


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "no XML"),
        (b"<html><body>Maintenance</body></html>", "no RetrieveResponseMsg"),
        (envelope(row())[:-30], "no XML"),
        (envelope(row()).replace(b"gone", b"\xff\xfe gone"), "no XML"),
        (envelope(row(SMTPReason="&secret;")), "no XML"),
        (envelope(row(), prolog="<!DOCTYPE soap:Envelope>"), "DTD"),
        (
            envelope(
                row(SMTPReason="&file;"),
                prolog='<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>',
            ),
            "DTD",
        ),
        (envelope(row("Subscriber")), "row 1: The row isn't a BounceEvent"),
        (envelope("", "MoreDataAvailable"), "page has none"),
        (envelope(row(), "MoreDataAvailable", ""), "without a RequestID"),
        (envelope().replace(b"OverallStatus", b"Overall"), "no OverallStatus"),
    ],
)
def test_a_page_that_isnt_whole_is_refused(answer: bytes, complaint: str) -> None:
    with pytest.raises(UnreadableAnswer, match=complaint) as caught:
        bounces(says(answer))
    assert "page 1" in str(caught.value)


def test_a_page_that_repeats_is_refused() -> None:
    page = envelope(row(), "MoreDataAvailable")
    with pytest.raises(UnreadableAnswer, match=r"page 2: The page repeats"):
        bounces(says(page, page, page))


def test_pages_that_go_in_circles_are_refused() -> None:
    pages = [envelope(row(SubscriberKey=f"k{n}"), "MoreDataAvailable") for n in (1, 2, 3, 1)]
    with pytest.raises(UnreadableAnswer, match=r"page 4: The page repeats"):
        bounces(says(*pages))


def test_rows_that_lack_an_element_are_read_row_by_row() -> None:
    rows = row(SMTPCode=None) + row(SubscriberKey="k2", SMTPReason=None) + row(SubscriberKey="k3")
    found = bounces(says(envelope(rows)))
    assert found["smtp_code"].fillna("-").tolist() == ["-", "550", "550"]
    assert found["smtp_reason"].fillna("-").tolist() == ["gone", "-", "gone"]


def test_no_text_moves_to_another_row() -> None:
    codes = "<SMTPCode>551</SMTPCode><SMTPCode>552</SMTPCode>"
    twice = row(SubscriberKey="k2", SMTPCode=None, raw=codes)
    rows = [row(), twice, row(SubscriberKey="k3", SMTPCode=None), row(SubscriberKey="k4")]
    found = bounces(says(envelope("".join(rows))))
    assert found["smtp_code"].fillna("-").tolist() == ["550", "551", "-", "550"]


def test_characters_that_xml_cant_carry_are_left_out() -> None:
    reason = "a&#x1B;b&#0;c\x07d&#xFFFF;e&#13;&#10;f&#13;g &#x1F648; &amp;#x1B;"
    found = bounces(says(envelope(row(SMTPReason=reason))))
    assert found["smtp_reason"].tolist() == ["abcde\nf\ng 🙈 &#x1B;"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("Error: The Request Property(s) X do not match with the fields", RequestRefused),
        ("Error: API Permission Failed", PermissionMissing),
        ("Error", RequestRefused),
        ("Fine", RequestRefused),
    ],
)
def test_a_refusal_under_http_200_is_a_refusal(status: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=status.replace("(", r"\(").replace(")", r"\)")):
        bounces(says(envelope(status=status)))


def test_a_page_that_was_forgotten_makes_the_window_start_over() -> None:
    first = envelope(row() + row(SubscriberKey="k2"), "MoreDataAvailable")
    lost = envelope(status="Error: The RequestID sent through ContinueRequest does not exist.")
    last = envelope(row(SubscriberKey="k3"))
    assert len(bounces(says(first, lost, first, last))) == 3
    with pytest.raises(RequestRefused, match="does not exist"):
        bounces(says(first, lost, first, lost, first, lost, first, last))


def test_a_window_that_times_out_is_halved_down_to_seconds() -> None:
    timeout = envelope(status="Error: Timeout expired.")
    asked: list[bytes] = []

    def script(method: str, path: str, body: bytes) -> bytes:
        asked.append(body)
        return timeout

    start = datetime(2026, 6, 15, 12, tzinfo=UTC)
    with (
        scripted(script) as url,
        closing(opened(url, workers=1)) as source,
        pytest.raises(WindowTimedOut, match="business unit 77"),
    ):
        source.bounces(Window(start, start + timedelta(seconds=8)))
    smallest = b"2026-06-15T11:59:59.000+00:00</DateValue><DateValue>2026-06-15T12:00:02.000+00:00"
    assert any(smallest in body for body in asked)
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("answer", "kind", "complaint"),
    [
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), UnreadableAnswer, "HTTP 302"),
        ((404, b"no"), RequestRefused, "HTTP 404"),
        ((400, b"Bad Request"), RequestRefused, "HTTP 400"),
        ((403, b'{"message":"Insufficient privileges"}'), PermissionMissing, "Insufficient"),
        ((502, b"<html>"), Unavailable, "HTTP 502"),
    ],
)
def test_an_http_status_is_told(answer: tuple, kind: type[Exception], complaint: str) -> None:
    with pytest.raises(kind, match=complaint):
        bounces(lambda method, path, body: answer)


def test_a_fault_about_the_request_is_not_sent_again() -> None:
    fault = (
        b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        b"<soap:Fault><faultcode>soap:Client</faultcode><faultstring>No such thing ann@mail.example"
        b"</faultstring></soap:Fault></soap:Body></soap:Envelope>"
    )
    asked: list[str] = []

    def script(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        asked.append(path)
        return 500, fault

    with pytest.raises(RequestRefused, match="No such thing <e-mail>"):
        bounces(script)
    assert asked == ["/Service.asmx"]


@pytest.mark.parametrize(
    "token",
    [
        {"rest_instance_url": None},
        {"expires_in": "soon"},
        {"soap_instance_url": ""},
        {"access_token": None},
    ],
)
def test_a_token_without_its_parts_is_refused(token: dict) -> None:
    with pytest.raises(UnreadableAnswer, match="token"):
        bounces(says(envelope()), token)


def test_an_address_that_isnt_protected_gets_no_token() -> None:
    """The token's own address is HTTPS in real life; one that leads to HTTP is refused."""
    from bounce_sync.marketing_cloud.connection import instance_address

    assert instance_address("https://a.example", "https://b.example/v2/token") == (
        "https://a.example/"
    )
    with pytest.raises(ValueError, match="protected"):
        instance_address("http://a.example/", "https://b.example/v2/token")


def test_secrets_stay_out_of_messages() -> None:
    def script(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        return 400, b'{"error":"invalid_request","error_description":"no s3cret for ann@x.example"}'

    with pytest.raises(AuthenticationFailed) as caught:
        bounces(script, token=script)
    said = str(caught.value)
    assert "no <secret> for <e-mail>" in said
    assert "s3cret" not in repr(Account("u", "id", "s3cret", "77"))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (row("Subscriber", Status="Asleep"), "Status isn't one that SFMC documents"),
        (row("Subscriber", Status=""), "Status is empty"),
        (row("Subscriber", Status="Active"), "isn't Held"),
        (row("Subscriber", CreatedDate="2026-13-01T00:00:00"), "CreatedDate"),
    ],
)
def test_a_subscriber_that_cant_be_read_is_named(wrong: str, complaint: str) -> None:
    page = envelope(row("Subscriber", SubscriberKey="k0") + wrong)
    with (
        scripted(says(page)) as url,
        closing(opened(url)) as source,
        pytest.raises(UnreadableAnswer, match=complaint) as caught,
    ):
        source.held()
    assert "page 1, row 2" in str(caught.value)
    assert "ann@" not in str(caught.value)


def test_one_subscriber_with_two_addresses_is_refused() -> None:
    twice = row("Subscriber") + row("Subscriber", EmailAddress="bob@mail.example")
    refuse_events = envelope(status="Error: Unable to find a handler for object type")
    with (
        scripted(says(envelope(twice), refuse_events)) as url,
        closing(opened(url)) as source,
        pytest.raises(MarketingCloudError, match="came twice"),
    ):
        source.held()


def test_one_subscriber_with_two_statuses_is_refused() -> None:
    twice = row("Subscriber") + row("Subscriber", Status="Active")
    with (
        scripted(says(envelope(twice))) as url,
        closing(opened(url)) as source,
        pytest.raises(UnreadableAnswer, match="two statuses"),
    ):
        source.statuses(["k"])
