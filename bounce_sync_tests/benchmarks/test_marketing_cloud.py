"""What reading SFMC costs: pages parsed, windows in flight, memory. Prints, asserts nothing.

``pytest -m benchmark bounce_sync_tests/benchmarks/test_marketing_cloud.py -n0 -s``
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from lxml import etree

from bounce_sync.marketing_cloud import rows, soap
from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.data_extensions import RowsetPage, read_rowset
from bounce_sync.marketing_cloud.errors import Place
from bounce_sync.marketing_cloud.gathering import Task
from bounce_sync.marketing_cloud.sources.data_views import DataViewsSource
from bounce_sync.marketing_cloud.sources.soap import SoapSource
from bounce_sync.rules.server_time import day_window
from bounce_sync.sandbox.server import Address
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.marketing_cloud.scripted import envelope, row

pytestmark = pytest.mark.benchmark

DAY = "2026-06-15"
WINDOW = day_window(DAY, timedelta(hours=-6))
BOUNCES = 500_000
PAGE = 2_500
LATENCY = 0.1
IN_FLIGHT = 8
PLACE = Place("benchmark")
COLUMNS = (
    "account_id", "job_id", "subscriber_key", "event_date", "bounce_category", "smtp_code",
    "smtp_bounce_reason", "domain",
)  # fmt: skip


def report(title: str, **figures: Any) -> None:
    print(f"\n{title}")
    for name, value in figures.items():
        shown = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
        print(f"  {name.replace('_', ' '):24}{shown:>14}")


def best(work: Callable[[], Any], rounds: int = 25) -> float:
    """Milliseconds of processor time of the quickest round: other work doesn't count."""
    times = []
    for _ in range(rounds):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times) * 1000


def test_a_soap_page() -> None:
    """Parsing and shaping 2,500 events, beside a bare lxml.etree.fromstring of the same bytes."""
    page = envelope(
        "".join(
            row(
                raw="<Client><ID>77</ID></Client>",
                SubscriberKey=f"003Dn{n:010d}AAA",
                EventDate=f"{DAY}T{n % 24:02d}:{n % 60:02d}:01.{n % 1000:03d}",
                EventType="HardBounce",
                BatchID="1",
                SMTPReason=f"550 5.1.1 &lt;someone{n}@mail.example&gt;: user unknown in table",
                BounceType="immediate",
            )
            for n in range(PAGE)
        )
    )
    source = SoapSource(Account("http://nowhere.example", "id", "secret", "77"))
    question, task = source._ask(WINDOW), Task[pa.Table]("77", WINDOW)

    def read() -> None:
        source._read(soap.read_page(page, question, PLACE), task, PLACE)

    bare, ours = best(lambda: etree.fromstring(page)), best(read)
    report("SOAP page", bytes=len(page), bare_ms=bare, ours_ms=ours, speed=bare / ours)


def test_a_rowset_page() -> None:
    """Parsing and shaping 2,500 rows, beside a bare json.loads of the same bytes."""
    items = [
        {
            "keys": {},
            "values": {
                "runid": "0" * 32,
                "rownumber": str(n + 1),
                "rowtotal": str(PAGE),
                "businessunit": "77",
                "subscriberkey": f"003Dn{n:010d}AAA",
                "eventdate": f"{DAY} {n % 24:02d}:{n % 60:02d}:01.{n % 1000:03d}",
                "bouncecategory": "Hard bounce",
                "bouncesubcategory": "User Unknown",
                "smtpcode": "550",
                "smtpreason": f"550 5.1.1 <someone{n}@mail.example>: user unknown in local table",
                "domain": "mail.example",
                "jobid": "12345",
            },
        }
        for n in range(PAGE)
    ]
    page = json.dumps({"count": PAGE, "page": 1, "pageSize": PAGE, "items": items}).encode()
    source = DataViewsSource(Account("http://nowhere.example", "id", "secret", "77"))
    task = Task[pa.Table]("77", WINDOW)

    def read() -> None:
        rowset: RowsetPage = read_rowset(json.loads(page.decode("utf-8-sig")), PLACE)
        source._bounces(rowset, task, PLACE)

    bare, ours = best(lambda: json.loads(page)), best(read)
    report("Rowset page", bytes=len(page), bare_ms=bare, ours_ms=ours, speed=bare / ours)


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("big") / "tenant"
    with Store.create(directory) as store, store.loading("bounce"):
        store.insert(
            "bounce",
            COLUMNS,
            (
                (
                    7281698,
                    n % 50,
                    f"003Dn{n:010d}AAA",
                    # A day with its rush: two thirds between nine and noon.
                    f"{DAY} {(9 + n % 3) if n % 3 else n % 24:02d}:{n // 7 % 60:02d}:"
                    f"{n // 420 % 60:02d}.{n % 1000:03d}",
                    "Hard bounce" if n % 2 else "Soft bounce",
                    550,
                    f"550 5.1.1 <someone{n}@mail.example>: user unknown in local table",
                    "mail.example",
                )
                for n in range(BOUNCES)
            ),
        )
    return directory


@contextmanager
def served(directory: Path, latency: float) -> Iterator[Address]:
    """The sandbox in a process of its own, so that it doesn't share the client's interpreter."""
    slow = {"service": "marketing_cloud", "path": "*.asmx", "kind": "latency", "ms": latency * 1000}
    faults = directory / "faults.json"
    faults.write_text(json.dumps({"faults": [slow] if latency else []}), encoding="utf-8")
    command = "from bounce_sync.cli import main; main()"
    options = ["sandbox", "serve", "--http", "--dir", str(directory), "--faults", str(faults)]
    with subprocess.Popen(
        [sys.executable, "-c", command, *options], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Address(**json.loads(process.stdout.readline()))
        finally:
            process.terminate()


def account(address: Address) -> Account:
    return Account(address.auth_url, address.client_id, address.client_secret, address.account_id)


def read_all(directory: Path, latency: float) -> tuple[float, float, int, int]:
    """(seconds, processor seconds of this process, rows, calls)."""
    with served(directory, latency) as address:
        source = SoapSource(account(address), workers=IN_FLIGHT)
        with closing(source):
            began, busy = time.perf_counter(), time.process_time()
            found = source.bounces(WINDOW)
            took = time.perf_counter() - began, time.process_time() - busy
            return *took, len(found), source.calls


def test_half_a_million_bounces(tenant: Path) -> None:
    """100 ms a page, eight windows in flight: beside pages × latency ÷ windows, and beside what the
    sandbox and the parsing need without latency."""
    still, busy, count, _ = read_all(tenant, 0.0)
    slow, _, _, calls = read_all(tenant, LATENCY)
    pages = BOUNCES / PAGE
    waiting = pages * LATENCY / IN_FLIGHT
    report(
        "500,000 bounces by SOAP",
        rows=count,
        calls=calls,
        seconds=slow,
        seconds_without_latency=still,
        our_processor_seconds=busy,
        waiting_at_best=waiting,
        share_of_the_bound=slow / (1.3 * waiting + still),
    )


def test_a_plain_loop(tenant: Path) -> None:
    """The same day by a plain loop of requests and lxml, one page after the other, parsed only."""
    with served(tenant, LATENCY) as address:
        session = requests.Session()
        token = session.post(
            address.auth_url + "v2/token",
            json={
                "grant_type": "client_credentials",
                "client_id": address.client_id,
                "client_secret": address.client_secret,
            },
            timeout=30,
        ).json()["access_token"]
        question = SoapSource(account(address))._ask(WINDOW)
        began, after, count = time.perf_counter(), None, 0
        while True:
            answer = session.post(
                address.soap_url + "Service.asmx",
                data=soap.message(token, question.body(after)),
                headers={"Content-Type": "text/xml", "SOAPAction": "Retrieve"},
                timeout=60,
            )
            page = soap.read_page(answer.content, question, PLACE)
            count += page.rows
            if not page.more:
                break
            after = page.request_id
        session.close()
    report("A plain loop", rows=count, seconds=time.perf_counter() - began)


def test_five_million_held() -> None:
    """The finished frame of five million Held subscribers, from pages as they come."""
    count = 5_000_000

    def page(first: int) -> pa.Table:
        keys = [f"003Dn{n:010d}AAA" for n in range(first, first + PAGE)]
        return pa.table(
            {
                "subscriber_key": pa.array(keys, pa.string()),
                "email_address": pa.array([f"someone{k[5:15]}@mail.example" for k in keys]),
                "status": pa.array(["Held"] * PAGE, pa.string()),
            }
        )

    began = time.perf_counter()
    tables = [page(first) for first in range(0, count, PAGE)]
    frame = rows.finish_held(tables, rows.HELD_SINCE.empty_table(), WINDOW.end, PLACE)
    report(
        "Five million Held",
        rows=len(frame),
        seconds=time.perf_counter() - began,
        peak_of_the_process_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    )
