"""What writing to the CRM costs: calls, seconds, memory, with the sandbox answering after 50 ms.

``python -m pytest bounce_sync_tests/benchmarks/test_salesforce.py -m benchmark -n0 -s`` prints the
table. Server and client are processes of their own. "0 ms" is the server's own time: the same
writes without the latency. ``BENCHMARK_CHANGES=1000000`` adds the run of a million changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bounce_sync.sandbox.store import Store

pytestmark = pytest.mark.benchmark

SERVE = """
import sys
from bounce_sync.sandbox.faults import Fault, Faults
from bounce_sync.sandbox.server import serve
faults = [Fault("latency", service="salesforce", ms=float(sys.argv[2]))]
with serve(sys.argv[1], faults=Faults(faults)) as address:
    print(address.json(), flush=True)
    sys.stdin.read()
"""


@contextmanager
def served(directory: Path, milliseconds: int) -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(directory), str(milliseconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield server.stdout.readline()
    finally:
        server.stdin.close()
        server.wait(timeout=60)
        server.stdout.close()


def measured(folder: Path, contacts: int, leads: int, milliseconds: int) -> dict[str, float]:
    directory = folder / f"{contacts}-{leads}-{milliseconds}"
    Store.create(directory).close()
    with Store.open(directory) as store:
        rows = ((f"003{n:012d}AAA", f"001{n // 3:012d}AAA") for n in range(contacts))
        store.insert("Contact", ["Id", "AccountId"], rows)
        store.insert("Lead", ["Id"], ((f"00Q{n:012d}EAA",) for n in range(leads)))
    with served(directory, milliseconds) as address:
        client = [sys.executable, "-m", "bounce_sync_tests.benchmarks.crm_client", address]
        done = subprocess.run(
            [*client, str(contacts), str(leads), "2000"], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_writing(tmp_path: Path) -> None:
    extra = int(os.environ.get("BENCHMARK_CHANGES", "0"))
    sizes = [0, 200, 2_000, 10_000, 100_000, *([extra] if extra else [])]
    print(f"\n{'':>10} | write{'':30} | read again{'':16} | above")
    print(
        f"{'changes':>10} | {'calls':>6} {'0 ms':>9} {'50 ms':>9} {'waited':>8} "
        f"| {'records':>9} {'calls':>6} {'seconds':>9} | frames"
    )
    for size in sizes:
        own = measured(tmp_path, size - size // 2, size // 2, 0)
        late = measured(tmp_path, size - size // 2, size // 2, 50)
        assert own["written"] == late["written"] == size
        waited = late["write_seconds"] - own["write_seconds"]
        print(
            f"{size:>10,} | {late['write_calls']:>6} {own['write_seconds']:>7.2f} s "
            f"{late['write_seconds']:>7.2f} s {waited:>6.2f} s "
            f"| {late['read']:>9,} {late['read_calls']:>6} {late['read_seconds']:>7.2f} s "
            f"| {late['above_frames_mb']:>4.0f} MB"
        )
