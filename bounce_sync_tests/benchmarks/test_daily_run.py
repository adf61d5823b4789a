"""The daily run on a tenant of 200,000 subscribers, 60 days old: time, memory, and where it goes.

pytest -m benchmark -n0 -s bounce_sync_tests/benchmarks/test_daily_run.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark

SUBSCRIBERS, DAYS = 200_000, 60


def _command(folder: Path, *arguments: str) -> tuple[float, int, str]:
    """Seconds, peak memory in MB and standard output of one `bounce-sync` command."""
    started = time.monotonic()
    program = (
        "import resource, sys\n"
        "from bounce_sync.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stderr.split()[-1]) // 1024
    return time.monotonic() - started, peak, done.stdout


def test_daily_run(tmp_path: Path) -> None:
    sandbox = tmp_path / ".bounce_sync" / "sandbox"
    rows = []
    create = ["sandbox", "create", "--dir", str(sandbox), "--seed", "11"]
    size = ["--subscribers", str(SUBSCRIBERS), "--days", str(DAYS)]
    rows.append(("simulate the tenant", *_command(tmp_path, *create, *size)[:2]))
    first = _command(tmp_path, "run", "--allow-changes", "--json")
    rows.append(("first run (fetches 15 days)", *first[:2]))
    again = _command(tmp_path, "run", "--json")
    rows.append(("daily run", *again[:2]))
    rows.append(("drift report", *_command(tmp_path, "drift", "--json")[:2]))
    mend = ["drift", "--mend", "--yes", "--allow-changes", "--json"]
    rows.append(("drift, mended", *_command(tmp_path, *mend)[:2]))
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import bounce_sync.definitions"], check=True)
    rows.append(("of which: import", time.monotonic() - started, 0))

    line = json.loads(again[2].splitlines()[-1])
    print(f"\n{SUBSCRIBERS:,} subscribers, {DAYS} days, {line['raw_bounces']:,} bounces on the day")
    for name, seconds, megabytes in rows:
        print(f"{name:32} {seconds:7.1f} s   {megabytes or '':>6} MB")
    assert line["stopped"] is None
