"""Writes a plan to a served sandbox and prints what it cost, as one line of JSON.

A program of its own, so that its memory is the client's alone:
``python -m bounce_sync_tests.benchmarks.crm_client ADDRESS CONTACTS LEADS BULK_FROM``.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bounce_sync import tables
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.describe import OrgFacts
from bounce_sync.salesforce.journal import RowOutcome
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.salesforce.writing import FlagWriter

BOUNCED = pd.Timestamp("2026-05-04T09:00:00Z")


class Counting:
    """A journal that keeps nothing: what the ledger costs is measured elsewhere."""

    def __init__(self) -> None:
        self.intended = self.settled = 0

    def intend(self, rows: pd.DataFrame) -> list[int]:
        self.intended += len(rows)
        return list(range(self.intended - len(rows), self.intended))

    def settle(self, ids: Sequence[int], outcomes: Sequence[RowOutcome]) -> None:
        self.settled += len(ids)

    def job_sent(self, intent_ids: Sequence[int], job_id: str) -> None:
        pass


def ids(prefix: str, suffix: str, count: int) -> list[str]:
    return [f"{prefix}{number:012d}{suffix}" for number in range(count)]


def plan(contacts: int, leads: int) -> pd.DataFrame:
    """Sets for that many Contacts, three to an Account, and Leads."""
    record = ids("003", "AAA", contacts) + ids("00Q", "EAA", leads)
    accounts = [f"001{number // 3:012d}AAA" for number in range(contacts)] + [None] * leads
    moment = pd.Series(BOUNCED, index=range(len(record)))
    return tables.shape(
        tables.CrmFlagChanges,
        pd.DataFrame(
            {
                "subscriber_key": record,
                "object": np.repeat(["Contact", "Lead"], [contacts, leads]),
                "record_id": record,
                "action": "set",
                "reason": "held",
                "flag_before": False,
                "flag_after": True,
                "date_before": pd.Series(pd.NaT, index=moment.index, dtype=moment.dtype),
                "date_after": moment,
                "bounced_at": moment,
                "resolution": "own",
                "status": "Held",
                "account_id": pd.Series(accounts, dtype="str"),
                "staged": True,
            }
        ),
    )


def rss() -> float:
    """Megabytes of this process now."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no file of the product's
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def main(address: str, contacts: int, leads: int, bulk_from: int) -> None:
    where = json.loads(address)
    changes = plan(contacts, leads)
    gc.collect()
    before, peak, done = rss(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, rss())

    watching = threading.Thread(target=watch)
    watching.start()
    org = Org(
        where["salesforce_url"],
        where["client_id"],
        where["client_secret"],
        ca_bundle=where["ca_bundle"],
        bulk_from=bulk_from,
    )
    said: dict[str, float] = {}
    with Connection(org) as connection:
        connection.identity()
        calls, started = connection.calls, time.perf_counter()
        updates = FlagWriter(connection, Counting()).write(changes, OrgFacts(False, "UTC", False))
        said |= {
            "write_calls": connection.calls - calls,
            "write_seconds": time.perf_counter() - started,
            "written": int((updates["outcome"] == "written").sum()),
        }
        done.set()
        watching.join()
        size = sum(frame.memory_usage(deep=True).sum() for frame in (changes, updates)) / 1e6
        said |= {"frames_mb": size, "above_frames_mb": max(0.0, peak - before) - size / 2}
        calls, started = connection.calls, time.perf_counter()
        records = RecordReader(connection).read(changes["record_id"].tolist())
        said |= {
            "read_calls": connection.calls - calls,
            "read_seconds": time.perf_counter() - started,
            "read": len(records),
        }
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
