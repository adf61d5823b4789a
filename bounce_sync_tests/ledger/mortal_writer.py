"""A process that writes to the CRM and is killed (SIGKILL) at a named point of its work.

Run as: python -m bounce_sync_tests.ledger.mortal_writer, with the JSON of `Task` on stdin.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bounce_sync.ledger import Ledger, RunJournal, database
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce.bulk import BulkApi
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.sobject_collections import CollectionsWriter
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync_tests.ledger.frames import change, changes

POINTS: dict[str, tuple[Any, str, str]] = {
    "before the intents": (RunJournal, "intend", "before"),
    "before a commit": (database, "add", "after"),
    "after the intents": (RunJournal, "intend", "after"),
    "before sending": (CollectionsWriter, "write", "before"),
    "after the answer": (CollectionsWriter, "write", "after"),
    "before the outcomes": (RunJournal, "settle", "before"),
    "after the outcomes": (RunJournal, "settle", "after"),
    "after a job's creation": (BulkApi, "create", "after"),
    "after a job's note": (RunJournal, "job_sent", "after"),
    "after a job's upload": (BulkApi, "upload", "after"),
    "after a job's close": (BulkApi, "close", "after"),
}


@dataclass(frozen=True)
class Task:
    """What to write, and when to die: the `nth` time that `point` is reached."""

    ledger: str
    org: dict[str, Any]
    rows: int
    point: str
    nth: int


def mortal(owner: Any, name: str, side: str, nth: int) -> None:
    """Makes the `nth` call of a function the last thing that this process does."""
    whole: Callable[..., Any] = getattr(owner, name)
    calls = []

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        last = len(calls) == nth
        if last and side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*arguments, **options)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, call)


def main() -> None:
    task = Task(**json.load(sys.stdin))
    ledger = Ledger(task.ledger)
    with Connection(Org(**task.org)) as connection, ledger.writer(0, run_id="mortal"):
        writer = FlagWriter(connection, ledger.run_journal("mortal", "2026-02-03"))
        rows = changes(*(change(number) for number in range(1, task.rows + 1)))
        mortal(*POINTS[task.point], task.nth)
        writer.write(rows, CrmFacts())


if __name__ == "__main__":
    main()
