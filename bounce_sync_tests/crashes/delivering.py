"""A process that delivers a plan, to be killed at any moment.

Run as: python -m bounce_sync_tests.crashes.delivering, with the JSON of `Task` on stdin. It prints
a line when it begins, so that its imports aren't what is killed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from bounce_sync import delivery
from bounce_sync.delivery import Delivered
from bounce_sync.ledger import Ledger
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.tables import CrmFlagChanges, shape

DAY = "2026-02-03"
BOUNCED = pd.Timestamp("2026-02-02T10:00:00Z")


@dataclass(frozen=True)
class Task:
    """Where to, and who is to be flagged."""

    ledger: str
    org: dict[str, Any]
    run: str
    records: list[str]


def sets(records: list[str]) -> pd.DataFrame:
    """The plan that flags these Contacts and Leads (`CrmFlagChanges`)."""
    return shape(
        CrmFlagChanges,
        pd.DataFrame(
            [
                {
                    "subscriber_key": each,
                    "object": "Contact" if each.startswith("003") else "Lead",
                    "record_id": each,
                    "action": "set",
                    "reason": "held",
                    "flag_before": False,
                    "flag_after": True,
                    "date_after": BOUNCED,
                    "resolution": "own",
                    "status": "Held",
                    "bounced_at": BOUNCED,
                    "domain": "example.com",
                    "staged": True,
                }
                for each in records
            ]
        ),
    )


def deliver(task: Task) -> Delivered:
    with Connection(Org(**task.org)) as connection:
        return delivery.deliver(
            sets(task.records),
            planned_at=datetime.now(UTC),
            run_id=task.run,
            partition=DAY,
            context={"target": "sandbox", "policy": {}, "released": []},
            ledger=Ledger(task.ledger),
            connection=connection,
            facts=CrmFacts(),
            say=lambda _: None,
        )


def main() -> None:
    task = Task(**json.load(sys.stdin))
    print("begins", flush=True)
    deliver(task)


if __name__ == "__main__":
    main()
