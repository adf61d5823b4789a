"""How long a tenant takes to be simulated, and what it holds.

``python -m pytest bounce_sync_tests/benchmarks/test_simulation.py -m benchmark -n0 -s`` prints the
table. The simulation runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bounce_sync.sandbox.store import Store

PROGRAM = """
import json, resource, sys, time
from bounce_sync.sandbox.simulation import advance, simulate
from bounce_sync.sandbox.store import Store

directory, subscribers, days = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Store.create(directory) as store:
    at = time.perf_counter()
    simulate(store, subscribers=subscribers, days=days, seed=1)
    simulated = time.perf_counter()
    advance(store, 1)
    advanced = time.perf_counter()
print(json.dumps({
    "simulate": simulated - at,
    "advance": advanced - simulated,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


@pytest.mark.benchmark
@pytest.mark.parametrize(("subscribers", "days"), [(20_000, 60), (200_000, 60)])
def test_simulation(tmp_path: Path, subscribers: int, days: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(subscribers), str(days)],
        check=True,
        capture_output=True,
        text=True,
    )
    figures = json.loads(run.stdout)
    with Store.open(tmp_path) as store:
        counts = {
            table: store.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("subscriber", "sent", "bounce", "opened", "Contact", "Lead")
        }
        held = store.execute("SELECT count(*) FROM subscriber WHERE status = 'Held'").fetchone()[0]
    size = (tmp_path / "sandbox.db").stat().st_size / 2**20
    print(f"\n{subscribers:,} subscribers, {days} days")
    print(f"  simulated in {figures['simulate']:.1f} s, one more day in {figures['advance']:.1f} s")
    print(f"  peak memory {figures['peak_mb']:.0f} MB, database {size:.0f} MB")
    print(f"  {counts['bounce'] / (days + 1):,.0f} bounces a day, {held:,} Held in the end")
    print("  " + ", ".join(f"{table} {count:,}" for table, count in counts.items()))
    assert counts["subscriber"] == subscribers
