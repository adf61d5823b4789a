"""How fast a tenant loads from CSV, in how much memory, and what the server itself costs a request.

``python -m pytest bounce_sync_tests/benchmarks/test_sandbox_core.py -m benchmark -n0 -s`` prints
the figures; ``BOUNCE_SYNC_BENCHMARK_ROWS`` is the number of subscribers (the full one: 5,000,000).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bounce_sync.sandbox.ids import new_id
from bounce_sync.sandbox.server import serve
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_core.rehearsal import visiting

ROWS = int(os.environ.get("BOUNCE_SYNC_BENCHMARK_ROWS", "500000"))
REQUESTS = 2_000

PROGRAM = """
import json, resource, sys, time
from bounce_sync.sandbox import csv_folder

at = time.perf_counter()
csv_folder.create(sys.argv[1], sys.argv[2])
print(json.dumps({
    "seconds": time.perf_counter() - at,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


@pytest.mark.benchmark
def test_loading_subscribers_from_csv(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with (data / "subscribers.csv").open("w") as file:
        file.write("SubscriberKey,EmailAddress,Status,DateUndeliverable,BounceCount\n")
        for number in range(ROWS):
            key = new_id("003", number * 2_654_435_761 % 62**8)  # in no order, as real ones are
            file.write(f"{key},person{number}@mail{number % 1000}.test,")
            file.write("Active,,0\n" if number % 10 else "Held,2026-05-01 03:04:05,3\n")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "tenant"), str(data)],
        check=True,
        capture_output=True,
        text=True,
    )
    figures = json.loads(run.stdout)
    print(f"\n{ROWS:,} subscribers loaded in {figures['seconds']:.1f} s", end=", ")
    print(f"{ROWS / figures['seconds']:,.0f} a second, peak memory {figures['peak_mb']:.0f} MB")
    with Store.open(tmp_path / "tenant") as store:
        assert store.execute("SELECT count(*) FROM subscriber").fetchone()[0] == ROWS


@pytest.mark.benchmark
@pytest.mark.parametrize("http", [True, False])
def test_what_the_server_adds_to_a_request(tmp_path: Path, http: bool) -> None:
    Store.create(tmp_path).close()
    with serve(tmp_path, http=http) as address, visiting(address) as visitor:
        at = time.perf_counter()
        for _ in range(REQUESTS):
            visitor.status(limit=1)
        each = (time.perf_counter() - at) / REQUESTS
    print(f"\n{'HTTP' if http else 'HTTPS'}: {each * 1000:.2f} ms a request, client included")
    assert each > 0
