"""Killed at every boundary between intent and outcome: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bounce_sync import delivery
from bounce_sync.ledger import Ledger
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync_tests.ledger.crm import Crm, crm
from bounce_sync_tests.ledger.frames import change, changes, record_id
from bounce_sync_tests.ledger.mortal_writer import ANY_CALL, Task

ROWS = 1200
"""Two batches of Collections, both under way at once."""
FIELDS = 2
"""What a set writes: flag and date."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crm]:
    everybody = [record_id(number) for number in range(1, ROWS + 1)]
    with crm(tmp_path_factory.mktemp("crm"), *everybody) as org:
        yield org


def unflag(org: Crm) -> None:
    """The org as it was before we came."""
    org.store.execute('UPDATE "Contact" SET Hard_Bounce__c = 0, Hard_Bounce_Date__c = NULL')
    org.store.execute("DELETE FROM crm_write")


@pytest.fixture
def org(served: Crm) -> Crm:
    unflag(served)
    return served


def write(task: Task) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bounce_sync_tests.ledger.mortal_writer"],
        input=json.dumps(asdict(task)),
        text=True,
        stdout=subprocess.PIPE,
        check=False,
    )


def flagged(org: Crm) -> set[str]:
    rows = org.store.execute('SELECT Id FROM "Contact" WHERE Hard_Bounce__c = 1')
    return {row[0] for row in rows}


def next_run(ledger: Ledger, connection: Connection, org: Crm, rows: int) -> None:
    """Settles what is open, and writes what the CRM doesn't hold yet."""
    delivery.settle(ledger, connection, CrmFacts(), "next", lambda _: None)
    assert ledger.open_intents().empty
    reached = flagged(org)
    confirmed = set(ledger.knowledge()["record_id"])
    assert confirmed == reached, "the ledger knows exactly what reached the CRM"
    left = [number for number in range(1, rows + 1) if record_id(number) not in reached]
    with ledger.writer(0):
        journal = ledger.run_journal("next", "2026-02-03")
        if left:
            FlagWriter(connection, journal).write(changes(*map(change, left)), CrmFacts())


def login(org: Crm, **settings: int) -> dict[str, Any]:
    names = ("login_url", "client_id", "client_secret")
    return {name: getattr(org.connection.org, name) for name in names} | settings


def check(url: str, org: Crm, point: str, nth: int, rows: int, **settings: int) -> None:
    died = write(Task(url, login(org, **settings), rows, point, nth))
    assert died.returncode == -signal.SIGKILL, "the point was never reached"
    ledger = Ledger(url)
    next_run(ledger, org.connection, org, rows)
    assert flagged(org) == {record_id(number) for number in range(1, rows + 1)}
    assert org.writes() == FIELDS * rows, "every field was written once"
    assert ledger.open_intents().empty
    assert len(ledger.knowledge()) == rows


COLLECTIONS = [
    ("before the intents", 2),
    ("before a commit", 1),
    ("after the intents", 1),
    ("before sending", 2),
    ("after the answer", 1),
    ("before the outcomes", 1),
    ("before a commit", 3),
    ("after the outcomes", 1),
]


@pytest.mark.parametrize(("point", "nth"), COLLECTIONS)
def test_killed_while_it_writes_by_collections(
    tmp_path: Path, org: Crm, point: str, nth: int
) -> None:
    check(f"sqlite:///{tmp_path}/ledger.db", org, point, nth, ROWS)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("point", "nth"), [("before a commit", 1), ("before a commit", 3)])
@pytest.mark.external
def test_killed_while_it_writes_to_a_ledger_on_postgresql(
    url: str, org: Crm, point: str, nth: int
) -> None:
    check(url, org, point, nth, ROWS)


BULK = [
    ("after a job's creation", 1),
    ("after a job's note", 1),
    ("after a job's upload", 1),
    ("after a job's close", 1),
    ("before the outcomes", 1),
    ("before a commit", 3),
]


@pytest.mark.parametrize(("point", "nth"), BULK)
def test_killed_while_it_writes_by_bulk(tmp_path: Path, org: Crm, point: str, nth: int) -> None:
    check(f"sqlite:///{tmp_path}/ledger.db", org, point, nth, rows=50, bulk_from=1)


@pytest.mark.parametrize(
    ("rows", "settings"), [(ROWS, {}), (50, {"bulk_from": 1})], ids=["collections", "bulk"]
)
@pytest.mark.parametrize(
    "moments", [1, pytest.param(50, marks=pytest.mark.thorough)], ids=["one", "many"]
)
def test_killed_at_a_random_moment(
    tmp_path: Path, org: Crm, rows: int, settings: dict[str, int], moments: int
) -> None:
    never = Task(f"sqlite:///{tmp_path}/whole.db", login(org, **settings), rows, ANY_CALL, 0)
    calls = int(write(never).stdout)
    # Bulk waits by asking again and again: later calls may not be reached every time.
    chosen = random.Random(moments).sample(range(1, calls * 3 // 4), moments)  # noqa: S311
    for moment in chosen:
        unflag(org)
        check(f"sqlite:///{tmp_path}/{moment}.db", org, ANY_CALL, moment, rows, **settings)
