"""SIGTERM while a run writes: the batch in flight is settled, and the run says that it stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bounce_sync import stopping
from bounce_sync.assets.rule import ALLOW_CHANGES
from bounce_sync.ledger import Ledger
from bounce_sync_tests.installation import installed
from bounce_sync_tests.pipeline.dagster_ui import eventually
from bounce_sync_tests.tenant import Tenant, last_day

DAY = last_day()
PEOPLE = 12_000


def test_what_is_in_flight_is_settled_and_the_next_run_goes_on(tmp_path: Path) -> None:
    tenant = Tenant()
    for _ in range(PEOPLE):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), DAY)
    slow = {"service": "salesforce", "path": "*/composite*", "kind": "latency", "ms": 400}
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"faults": [slow]}))
    with installed(tenant, tmp_path, faults=faults, SALESFORCE_BULK_FROM="100000") as installation:
        installation.has_fetched_nothing_before(DAY)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bounce_sync.cli",
                "run",
                "--partition",
                DAY,
                "--allow-changes",
                "--json",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually("the first write", installation.writes)
        process.send_signal(signal.SIGTERM)
        line, said = process.communicate()
        assert process.returncode == 1, said
        assert "stop" in said.lower()
        told = json.loads(line)
        assert told["stopped"] is None
        assert Ledger(installation.runner.settings.ledger).open_intents().empty
        flagged = sum(flag for flag, _ in installation.flags().values())
        assert 0 < flagged < PEOPLE
        assert (told["written"], told["rejected"], told["unknown"]) == (flagged, 0, 0)

        goes_on = installation.run(DAY, tags={ALLOW_CHANGES: "true"})
        assert goes_on.line()["written"] == PEOPLE - flagged


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_a_run_drops_is_noticed(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(stopping, "requested", threading.Event())
    before = signal.getsignal(number)
    try:
        with stopping.noticed():
            signal.signal(number, lambda *_: None)
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert stopping.requested.is_set()


def test_a_journey_is_not_waited_for(tmp_path: Path) -> None:
    tenant = Tenant()
    contact = tenant.contact(Other__c="0", Other_Date__c="2026-01-02T03:04:05.000Z")
    tenant.bounce(tenant.subscriber(contact, "Held"), DAY)
    with installed(tenant, tmp_path, BOUNCE_SYNC_DELIVERY="journey") as installation:
        installation.has_fetched_nothing_before(DAY)
        with installation.store() as store:
            # A Journey that somebody pointed at other fields: what it writes is never seen.
            store.set_setting("flag_field", "Other__c")
            store.set_setting("date_field", "Other_Date__c")
        process = subprocess.Popen(
            [sys.executable, "-m", "bounce_sync.cli", "run", "--partition", DAY],
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually("the Journey to write", installation.writes)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
        assert process.returncode == 1, said
        assert "stopped as asked after 0 of 1 changes" in " ".join(said.split())
        assert len(Ledger(installation.runner.settings.ledger).open_intents()) == 1
