"""SIGKILL while a process delivers: the next delivery ends where an unharmed one would have.

The long form: ``pytest -m thorough bounce_sync_tests/crashes/test_killed_at_any_moment.py``.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bounce_sync import delivery
from bounce_sync.ledger import Ledger
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.tables import WRITTEN
from bounce_sync_tests.crashes.delivering import BOUNCED, Task, deliver
from bounce_sync_tests.crashes.installation import STORED, World, quiet, world
from bounce_sync_tests.tenant import to_18

CONTACTS = [to_18(f"003{number:012d}") for number in range(1, 1801)]
LEADS = [to_18(f"00Q{number:012d}") for number in range(1, 401)]
RECORDS = [*CONTACTS, *LEADS]
"""Three batches of Collections, or two Bulk jobs."""
ROADS = {"collections": 10_000, "bulk": 1}
FLAGGED = (True, f"{BOUNCED:{STORED}}")
FIELDS = 2
"""What a set writes: flag and date."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("sandbox") / "tenant") as here:
        yield here


def afresh(served: World) -> None:
    served.empty()
    served.people(*RECORDS)


def task(served: World, ledger: Path, road: str) -> Task:
    org = served.org(ROADS[road])
    names = ("login_url", "client_id", "client_secret", "api_share", "bulk_from")
    return Task(
        f"sqlite:///{ledger}", {name: getattr(org, name) for name in names}, "killed", RECORDS
    )


def delivered_by_child(whole: Task, seconds: float | None) -> float:
    """Lets a process deliver and kills it after so many seconds of it; how long it lived."""
    with subprocess.Popen(
        [sys.executable, "-m", "bounce_sync_tests.crashes.delivering"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(asdict(whole)))
        process.stdin.close()
        assert process.stdout.readline() == "begins\n"
        began = time.monotonic()
        killer = threading.Timer(seconds, process.kill) if seconds is not None else None
        if killer:
            killer.start()
        process.wait()
        if killer:
            killer.cancel()
        return time.monotonic() - began


def jobs_that_ran(served: World) -> list[list[str]]:
    """The record ids of each Bulk job that was closed, from the file that was uploaded to it."""
    rows = served.store.execute(
        "SELECT content FROM bulk_job WHERE kind = 'ingest' AND state = 'JobComplete'"
    )
    return [
        [line.split(",")[0].strip('"') for line in bytes(content).decode().splitlines()[1:]]
        for (content,) in rows
    ]


def goes_on(served: World, killed: Task) -> None:
    """The next run: settles, and delivers what the CRM doesn't hold yet."""
    ledger = Ledger(killed.ledger)
    with Connection(Org(**killed.org)) as crm:
        delivery.settle(ledger, crm, CrmFacts(), "next", quiet)
    flags = served.flags()
    reached = {each for each, value in flags.items() if value == FLAGGED}
    assert {each for each, value in flags.items() if value != (False, None)} == reached
    assert set(ledger.knowledge()["record_id"]) == reached
    left = [each for each in RECORDS if each not in reached]
    done = deliver(replace(killed, run="next", records=left)) if left else None

    assert done is None or set(done.updates["outcome"]) == {WRITTEN}
    assert set(served.flags().values()) == {FLAGGED}
    assert served.writes() == FIELDS * len(RECORDS)
    assert ledger.open_intents().empty
    assert set(ledger.knowledge()["record_id"]) == set(RECORDS)
    sent = Counter(each for job in jobs_that_ran(served) for each in job)
    assert set(sent.values()) <= {1}, "a record travelled in two jobs that ran"


@pytest.mark.parametrize("road", list(ROADS))
@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.thorough)])
def test_the_next_delivery_ends_right(
    served: World, tmp_path: Path, road: str, rounds: int
) -> None:
    afresh(served)
    lives = delivered_by_child(task(served, tmp_path / "whole.db", road), None)
    assert set(served.flags().values()) == {FLAGGED}
    chance = random.Random(rounds)  # noqa: S311
    for number in range(rounds):
        afresh(served)
        killed = task(served, tmp_path / f"{number}.db", road)
        delivered_by_child(killed, chance.uniform(0, lives))
        goes_on(served, killed)
