"""With one answer in twenty faulty in every way the sandbox knows: runs end right, or clearly.

The long form: ``pytest -m thorough bounce_sync_tests/salesforce/test_faults.py``.
"""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync.sandbox.faults import SERVICE, WIRE, Fault
from bounce_sync_tests.salesforce import sandbox_org
from bounce_sync_tests.salesforce.changes import FACTS, MemoryJournal, changes
from bounce_sync_tests.salesforce.sandbox_org import SandboxOrg, account, contact, lead

PEOPLE = 240
PIECE = 40
MOST_RUNS = 40


def in_every_way(share: float) -> list[Fault]:
    kinds = [kind for kind in (*WIRE, *SERVICE) if kind != "late_events"]
    return [
        Fault(kind, service="salesforce", share=share / len(kinds), ms=1, status=503)
        for kind in kinds
    ]


def run(sandbox: SandboxOrg, plan: pd.DataFrame, bulk_from: int) -> bool:
    """One run: reads, writes what isn't flagged yet; whether there was nothing left to write.

    Whatever it says was written is flagged, and nothing that was announced stays unsettled.
    """
    journal = MemoryJournal()
    org = sandbox.org(bulk_from=bulk_from, api_share=1.0)
    failed: SalesforceError | None = None
    done = False
    try:
        with Connection(org, sleep=lambda pause: time.sleep(min(pause, 0.01))) as connection:
            records = RecordReader(connection).read(plan["record_id"].tolist())
            left = plan[~plan["record_id"].isin(records.loc[records["flag"], "record_id"])]
            for at in range(0, len(left), PIECE):
                FlagWriter(connection, journal).write(left.iloc[at : at + PIECE], FACTS)
            done = left.empty
    except SalesforceError as error:
        failed = error
    assert failed is None or (failed.request and failed.answer and failed.advice)
    assert journal.open == set()
    rows = sandbox.rows("Contact") | sandbox.rows("Lead")
    said = {key for key, each in journal.outcomes.items() if each.outcome == "written"}
    assert all(rows[key]["Hard_Bounce__c"] for key in said)
    return done


def until_done(folder: Path, seed: int, bulk_from: int) -> None:
    with sandbox_org.served(folder, in_every_way(0.05), seed=seed) as sandbox:
        owner = sandbox.store.setting("user_id")
        numbers = range(PEOPLE // 2)
        sandbox.contacts(
            *({"Id": contact(n), "AccountId": account(n // 4), "OwnerId": owner} for n in numbers)
        )
        sandbox.leads(*({"Id": lead(n), "OwnerId": owner} for n in numbers))
        plan = changes(
            *({"record_id": contact(n), "account_id": account(n // 4)} for n in numbers),
            *({"record_id": lead(n), "object": "Lead"} for n in numbers),
        )
        assert any(run(sandbox, plan, bulk_from) for _ in range(MOST_RUNS))
        rows = [*sandbox.rows("Contact").values(), *sandbox.rows("Lead").values()]
        assert {row["Hard_Bounce_Date__c"] for row in rows} == {"2026-05-04T09:00:00.000Z"}
        assert {row["OwnerId"] for row in rows} == {owner}
        fields = {row["field"] for row in sandbox.audit()}
        assert fields == {"Hard_Bounce__c", "Hard_Bounce_Date__c"}


@pytest.mark.parametrize("bulk_from", [2000, 1], ids=["collections", "bulk"])
@pytest.mark.parametrize("seed", [1, 2])
def test_runs_end_right_or_clearly_and_the_next_one_heals(tmp_path, seed, bulk_from):
    until_done(tmp_path / "org", seed, bulk_from)


@pytest.mark.thorough
@pytest.mark.parametrize("bulk_from", [2000, 1], ids=["collections", "bulk"])
@pytest.mark.parametrize("seed", range(3, 40))
def test_many_more_runs(tmp_path, seed, bulk_from):
    until_done(tmp_path / "org", seed, bulk_from)
