"""A run killed while it writes: the next one isn't kept waiting, and ends where it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from bounce_sync.commands.dead_runs import end_dead_runs
from bounce_sync.ledger import Ledger
from bounce_sync_tests.installation import installed
from bounce_sync_tests.tenant import Tenant, last_day

DAY = last_day()
PEOPLE = 900
PATIENCE = 120.0


def test_the_next_run_goes_on_at_once_and_ends_right(tmp_path: Path) -> None:
    tenant = Tenant()
    for _ in range(PEOPLE):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), DAY)
    slow = {
        "faults": [
            {
                "service": "salesforce",
                "path": "*/composite*",
                "kind": "latency",
                "ms": 300,
            }
        ]
    }
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps(slow))
    with installed(tenant, tmp_path, faults=faults) as installation:
        installation.has_fetched_nothing_before(DAY)
        process = subprocess.Popen(
            [sys.executable, "-m", "bounce_sync.cli", "run", "--partition", DAY],
            start_new_session=True,
        )
        patience = time.monotonic() + PATIENCE
        while installation.writes() == 0 and time.monotonic() < patience:
            assert process.poll() is None
        instance = installation.runner.instance
        assert end_dead_runs(instance) == 0
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert end_dead_runs(instance) == 1
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]
        assert 0 < sum(flag for flag, _ in installation.flags().values()) <= PEOPLE

        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        assert all(flag for flag, _ in installation.flags().values())
        assert Ledger(installation.runner.settings.ledger).open_intents().empty
        assert installation.writes() == 2 * PEOPLE
