"""How fast the sandbox's Marketing Cloud makes its pages, beside what reads them.

    pytest -m benchmark -n0 -s bounce_sync_tests/benchmarks/test_sandbox_marketing_cloud.py

The ratios are time to read (bare lxml, bare json) over time to make: 1 is as fast as the reader.
Processor time of one thread, the best of several pages, so that other work on the machine doesn't
count.
"""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from bounce_sync.sandbox.marketing_cloud.access import SCOPES, Caller
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.rest import rowset
from bounce_sync.sandbox.marketing_cloud.rest.requests import Asked
from bounce_sync.sandbox.marketing_cloud.soap import retrieve
from bounce_sync.sandbox.store import DataExtensionField, Store, server_time

pytestmark = pytest.mark.benchmark

PARENT, ROWS, ROUNDS = 7281698, 100_000, 15
REASON = (
    "smtp;550 5.1.1 <someone@example.com>: Recipient address rejected: User unknown in virtual"
    " mailbox table (in reply to RCPT TO command)"
)
PROPERTIES = [
    "Client.ID",
    "SendID",
    "SubscriberKey",
    "EventDate",
    "EventType",
    "BatchID",
    "SMTPCode",
    "BounceCategory",
    "SMTPReason",
    "BounceType",
]
REQUEST = """<RetrieveRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><RetrieveRequest>
 <ObjectType>BounceEvent</ObjectType>{}
 <Filter xsi:type="SimpleFilterPart"><Property>EventDate</Property>
 <SimpleOperator>between</SimpleOperator><DateValue>{}</DateValue><DateValue>{}</DateValue></Filter>
 </RetrieveRequest></RetrieveRequestMsg>"""


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Call:
    directory: Path = tmp_path_factory.mktemp("tenant")
    store = Store.create(directory / "sandbox", account_id=PARENT)
    columns = ["account_id", "subscriber_key", "event_date", "bounce_category", "smtp_code"]
    columns += ["smtp_bounce_reason", "job_id", "batch_id", "bounce_type"]
    store.insert(
        "bounce",
        columns,
        (
            (
                PARENT,
                f"0035g00000{n:06}AAV",
                _moment(n),
                "Hard bounce",
                550,
                REASON,
                9,
                1,
                "delayed",
            )
            for n in range(ROWS)
        ),
    )
    names = ["SubscriberKey", "EventDate", "BounceCategory", "SMTPCode", "SMTPReason", "Domain"]
    fields = [DataExtensionField(n, is_primary_key=n == "SubscriberKey") for n in names]
    store.create_data_extension("rows", [*fields, DataExtensionField("At", "Date")])
    extension = store.data_extension("rows")
    assert extension is not None
    store.insert(
        extension["row_table"],
        [*names, "At"],
        (
            (f"key{n:06}", _moment(n), "Hard bounce", "550", REASON, "example.com", _moment(n))
            for n in range(ROWS)
        ),
    )
    return Call(store, Caller(PARENT, frozenset(SCOPES)), {"type": "http"})


def _moment(number: int) -> str:
    """Events of a month, one every 27 seconds."""
    return server_time(datetime(2026, 1, 1) + timedelta(seconds=27.037 * number))  # noqa: DTZ001


def best(work: Callable[[], object]) -> float:
    """Milliseconds of this thread's processor time."""
    times = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        work()
        times.append((time.thread_time() - began) * 1000)
    return min(times)


def report(what: str, size: int, making: float, reading: float) -> None:
    print(
        f"\n{what}: {size / 1e6:.2f} MB made in {making:.1f} ms, read in {reading:.1f} ms:"
        f" {reading / making:.2f} times as fast as its reader"
    )


def test_a_soap_page_of_2500_events(call: Call) -> None:
    listed = "".join(f"<Properties>{name}</Properties>" for name in PROPERTIES)
    asked = etree.fromstring(REQUEST.format(listed, "2026-01-02", "2026-01-20"))
    page = retrieve.retrieve(call, asked)
    assert page.count(b"</Results>") == 2500
    making = best(lambda: retrieve.retrieve(call, asked))
    report("SOAP page", len(page), making, best(lambda: etree.fromstring(page)))


def test_a_late_soap_page(call: Call) -> None:
    listed = "".join(f"<Properties>{name}</Properties>" for name in PROPERTIES)
    asked = etree.fromstring(REQUEST.format(listed, "2026-01-01", "2026-02-01"))
    for _ in range(20):
        page = retrieve.retrieve(call, asked)
        status = etree.fromstring(page).findtext(".//{*}RequestID")
        asked = etree.fromstring(
            '<RetrieveRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"><RetrieveRequest>'
            f"<ContinueRequest>{status}</ContinueRequest></RetrieveRequest></RetrieveRequestMsg>"
        )
    making = best(lambda: retrieve.retrieve(call, asked))
    report("SOAP page 20", len(page), making, best(lambda: etree.fromstring(page)))


@pytest.mark.parametrize("number", [1, 40])
def test_a_rowset_page_of_2500(call: Call, number: int) -> None:
    asked = Asked({"key": "rows"}, {"page": str(number), "pagesize": "2500"}, b"")
    page = rowset.by_key(call, asked).body
    assert len(json.loads(page)["items"]) == 2500
    making = best(lambda: rowset.by_key(call, asked).body)
    report(f"rowset page {number}", len(page), making, best(lambda: json.loads(page)))
