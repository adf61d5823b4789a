"""A process that writes to the CRM and is killed (SIGKILL) at a point of its work.

The point has a name, or is a call of our code by its number; that many calls were made is printed
by a process that survives.

Run as: python -m bounce_sync_tests.ledger.mortal_writer, with the JSON of `Task` on stdin.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import bounce_sync
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


ANY_CALL = "any call"
OURS = str(Path(bounce_sync.__file__).parent)


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


def count_calls(nth: int) -> list[int]:
    """Makes the `nth` call of any function of ours the last one; counts them, in all threads."""
    calls = [0]

    def called(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            calls[0] += 1
            if calls[0] == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(called)
    sys.setprofile(called)
    return calls


def main() -> None:
    task = Task(**json.load(sys.stdin))
    ledger = Ledger(task.ledger)
    with Connection(Org(**task.org)) as connection, ledger.writer(0, run_id="mortal"):
        writer = FlagWriter(connection, ledger.run_journal("mortal", "2026-02-03"))
        rows = changes(*(change(number) for number in range(1, task.rows + 1)))
        if task.point == ANY_CALL:
            calls = count_calls(task.nth)
            writer.write(rows, CrmFacts())
            print(calls[0])
        else:
            mortal(*POINTS[task.point], task.nth)
            writer.write(rows, CrmFacts())


if __name__ == "__main__":
    main()
