"""Which rows ride together, and which must not be under way at the same time.

Updating Contacts can lock their Account, and a transaction waits ten seconds for such a lock at
most (facts/salesforce.md §3.1). So siblings stand next to each other, and two batches that share an
Account aren't in flight together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bounce_sync.salesforce.composite import MOST_COLLECTIONS
from bounce_sync.salesforce.connection import Org
from bounce_sync.salesforce.payload import targets

CHUNK = 200
"""Rows of one sObject Collections request."""
BATCH = CHUNK * MOST_COLLECTIONS
"""Rows of one call: five Collections in one Composite, which the CRM handles one after another."""


@dataclass(frozen=True)
class Batch:
    """Positions of rows in the changes, and the Accounts at the two ends of the batch.

    The rows are in the order of their Accounts, so one that two batches share is at an end of both.
    """

    rows: np.ndarray
    ends: frozenset[str]

    def may_fly_with(self, others: Collection[Batch]) -> bool:
        """Whether none of the others shares an Account with this one."""
        return not any(self.ends & other.ends for other in others)


def by_account(changes: pd.DataFrame, org: Org) -> tuple[np.ndarray, pd.Series]:
    """Positions in the order in which they are written, and the Account of each of these.

    A row without an Account (a Lead) is a family of its own.
    """
    target, record_id = targets(changes, org)
    account = changes["account_id"].mask(target != changes["object"], record_id).fillna(record_id)
    keys = pd.DataFrame({"object": target, "account": account, "id": record_id})
    order = keys.reset_index(drop=True).sort_values(["object", "account", "id"]).index.to_numpy()
    return order, account.iloc[order]


def batches(changes: pd.DataFrame, org: Org, size: int = BATCH) -> list[Batch]:
    """All rows, in as few batches as hold them."""
    order, account = by_account(changes, org)
    found = []
    for at in range(0, len(order), size):
        accounts = account.iloc[at : at + size]
        found.append(
            Batch(order[at : at + size], frozenset({str(accounts.iat[0]), str(accounts.iat[-1])}))
        )
    return found
