"""What reading SFMC costs: pages parsed, windows in flight, memory, beside what others use.

``pytest -m benchmark bounce_sync_tests/benchmarks/test_marketing_cloud.py -n0 -s`` ends with one
table of everything measured. ``BOUNCE_SYNC_BENCHMARK_BOUNCES`` and ``BOUNCE_SYNC_BENCHMARK_HELD``
make it smaller (the full one: 500,000 and 5,000,000). Nothing about time or memory is asserted;
that every reader finds every row is.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lxml import etree
from rich.console import Console
from rich.table import Table

from bounce_sync.marketing_cloud import soap
from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.data_extensions import read_rowset
from bounce_sync.marketing_cloud.errors import Place
from bounce_sync.marketing_cloud.gathering import Task
from bounce_sync.marketing_cloud.sources.data_views import DataViewsSource
from bounce_sync.marketing_cloud.sources.soap import BOUNCE_PROPERTIES, SoapSource
from bounce_sync.rules.server_time import day_window
from bounce_sync.sandbox.server import Address
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.clients import installed
from bounce_sync_tests.clients.conftest import HERE, NODE_CLIENTS
from bounce_sync_tests.marketing_cloud.scripted import envelope, row

pytestmark = pytest.mark.benchmark

DAY = "2026-06-15"
WINDOW = day_window(DAY, timedelta(hours=-6))
BOUNCES = int(os.environ.get("BOUNCE_SYNC_BENCHMARK_BOUNCES", "500000"))
HELD = int(os.environ.get("BOUNCE_SYNC_BENCHMARK_HELD", "5000000"))
PAGE = 2_500
LATENCY = 0.1
IN_FLIGHT = 8
PATIENCE = 3_600
ADDRESS = ("auth_url", "client_id", "client_secret", "account_id")
"""What a reader is told of where the sandbox is."""

PLACE = Place("benchmark")
MB = 1024 * 1024

Row = tuple[str, float, str, str]
"""What was measured, how much, of what, and what is asked for."""


@pytest.fixture(scope="module")
def figures() -> Iterator[list[Row]]:
    """Everything measured; printed when all is."""
    measured: list[Row] = []
    yield measured
    table = Table(title=f"Reading SFMC: {BOUNCES:,} bounces, {LATENCY * 1000:.0f} ms a page")
    table.add_column("what")
    for name in ("measured", "unit", "asked for"):
        table.add_column(name, justify="right" if name == "measured" else "left")
    for what, value, unit, wanted in measured:
        table.add_row(what, f"{value:,.2f}" if value < 100 else f"{value:,.0f}", unit, wanted)
    console = Console(width=110)
    console.print()
    console.print(table)


# --- pages -------------------------------------------------------------------------------------


def quickest(work: Callable[[], Any], bare: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds of processor time of both, taken by turns, each at its quickest: what else the
    machine does counts in neither."""
    times: dict[Callable[[], Any], list[float]] = {work: [], bare: []}
    for each, _ in itertools.product((bare, work) * 30, range(5)):
        began = time.thread_time()
        each()
        times[each].append(time.thread_time() - began)
    return min(times[work]) * 1000, min(times[bare]) * 1000


def test_a_soap_page(figures: list[Row]) -> None:
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

    def read() -> pa.Table:
        return source._read(soap.read_page(page, question, PLACE), task, PLACE)[0]

    assert len(read()) == PAGE
    ours, bare = quickest(read, lambda: etree.fromstring(page))
    figures += [
        ("SOAP page, bare lxml.etree.fromstring", bare, "ms", ""),
        ("SOAP page, parsed and shaped", ours, "ms", ""),
        ("  speed of the bare parser", bare / ours, "", "at least 0.50"),
    ]


def test_a_rowset_page(figures: list[Row]) -> None:
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

    def read() -> pa.Table:
        rowset = read_rowset(json.loads(page.decode("utf-8-sig")), PLACE)
        return source._bounces(rowset, task, PLACE)

    assert len(read()) == PAGE
    ours, bare = quickest(read, lambda: json.loads(page))
    figures += [
        ("rowset page, bare json.loads", bare, "ms", ""),
        ("rowset page, parsed and shaped", ours, "ms", ""),
        ("  speed of the bare parser", bare / ours, "", "at least 0.33"),
    ]


# --- a whole day -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("big") / "tenant"
    bounces = (
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
    )
    held = (
        # Ten years of subscribers.
        (
            f"003Dh{n:010d}AAA",
            f"someone{n}@mail.example",
            "Held",
            f"{2016 + n % 10}-{1 + n // 10 % 12:02d}-{1 + n // 120 % 28:02d} "
            f"{n // 3_360 % 24:02d}:{n // 80_640 % 60:02d}:00.000",
        )
        for n in range(HELD)
    )
    with Store.create(directory) as store, store.loading("bounce"), store.loading("subscriber"):
        insert(
            store,
            "bounce",
            "account_id job_id subscriber_key event_date bounce_category smtp_code"
            " smtp_bounce_reason domain",
            bounces,
        )
        insert(store, "subscriber", "subscriber_key email_address status created_date", held)
    return directory


def insert(store: Store, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    store.insert(table, columns.split(), rows)


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


def by_python(reader: str, directory: Path, latency: float, workers: int = IN_FLIGHT) -> Any:
    """What a reader of `readers` told."""
    with served(directory, latency) as address:
        where = {
            "reader": reader,
            "workers": workers,
            "window": [WINDOW.start.isoformat(), WINDOW.end.isoformat()],
            **{name: str(getattr(address, name)) for name in ADDRESS},
        }
        done = subprocess.run(
            [sys.executable, "-m", "bounce_sync_tests.benchmarks.readers"],
            input=json.dumps(where),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=Path(__file__).parents[2],
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def cost(name: str, told: Any) -> list[Row]:
    assert told["rows"] == BOUNCES
    return [
        (name, told["seconds"], "s", ""),
        ("  processor time", told["cpu"], "s", ""),
        ("  memory", told["memory"] / MB, "MB", ""),
    ]


def test_a_day_of_bounces(tenant: Path, figures: list[Row]) -> None:
    """Eight windows in flight, beside pages × latency ÷ windows, and what the sandbox and the
    parsing need without latency; the quicker of two each, taken by turns."""
    told = [by_python("ours", tenant, latency) for latency in (0.0, LATENCY) * 2]
    still, slow = (min(each, key=lambda one: one["seconds"]) for each in (told[::2], told[1::2]))
    waiting = BOUNCES / PAGE * LATENCY / IN_FLIGHT
    bound = 1.3 * waiting + still["seconds"]
    figures += [
        *cost("bounce_sync", slow),
        (
            "  of which the finished frame",
            slow["frame"] / MB,
            "MB",
            "the rest: pages in flight, a copy while it is sorted",
        ),
        ("  requests", slow["calls"], "", f"{BOUNCES / PAGE:,.0f} pages"),
        ("  without latency (sandbox and parsing)", still["seconds"], "s", ""),
        ("  pages × latency ÷ windows in flight", waiting, "s", ""),
        ("  share of 1.3 × that + without latency", slow["seconds"] / bound, "", "at most 1.00"),
    ]


def test_a_plain_loop(tenant: Path, figures: list[Row]) -> None:
    """The same day by requests and lxml, one page after the other."""
    figures += cost("plain loop of requests and lxml", by_python("plain_loop", tenant, LATENCY))


def test_sfmc_sdk(tenant: Path, figures: list[Row]) -> None:
    """The same day by the client that SFMC's tools are built on."""
    environment = installed.node(*NODE_CLIENTS)
    start, end = f"{DAY}T00:00:00", f"{DAY}T23:59:59.999"
    with served(tenant, LATENCY) as address:
        told = environment.run(
            HERE / "node" / "bulk.mjs",
            {name: getattr(address, name) for name in ADDRESS}
            | {"properties": BOUNCE_PROPERTIES, "from": start, "until": end},
            seconds=PATIENCE,
        )
    figures += cost("sfmc-sdk retrieveBulk", told)


def test_all_held(tenant: Path, figures: list[Row]) -> None:
    """Every Held subscriber, from the service to the finished frame."""
    told = by_python("held", tenant, 0.0)
    assert told["rows"] == HELD
    figures += [
        (f"{HELD:,} Held subscribers", told["seconds"], "s", ""),
        ("  finished frame", told["frame"] / MB, "MB", ""),
        ("  peak of the process", told["peak"] / MB / 1024, "GB", "under 3 for 5,000,000"),
    ]
