"""How many Contacts and Leads can still be reached by e-mail: the CRM counts, nothing is copied.

A Lead that was converted isn't counted: its Contact is. A grouped query answers at most 2,000 rows
and has no second page (developer.salesforce.com, "Considerations When Using GROUP BY"), so the
largest groups are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bounce_sync.salesforce import soql
from bounce_sync.salesforce.connection import Connection

MOST_GROUPS = 2000
MOST_ACCOUNTS = 20
"""Accounts with the most flagged Contacts are shown, this many."""

_WITH_EMAIL = {
    "Contact": "FROM Contact WHERE Email != null",
    "Lead": "FROM Lead WHERE Email != null AND IsConverted = false",
}


@dataclass(frozen=True)
class Reachability:
    """Records with an e-mail address, and how many of them are flagged."""

    objects: pd.DataFrame
    """Index Contact and Lead; columns with_email, flagged."""
    owners: pd.DataFrame
    """Index owner id; the same columns, most flagged first."""
    accounts: pd.DataFrame
    """Index Account id, of Contacts; the same columns, most flagged first."""
    notes: tuple[str, ...] = ()


def count(connection: Connection) -> Reachability:
    """Asks the CRM. Raises the errors of `Connection.request`."""
    is_flagged = f" AND {connection.org.flag_field} = true"
    conditions = [
        each + more for each in _WITH_EMAIL.values() for more in ("", is_flagged)
    ]  # Contact, flagged Contact, Lead, flagged Lead
    totals = soql.count_many(connection, conditions)
    groups = connection.query_many([_grouped("OwnerId", each, MOST_GROUPS) for each in conditions])
    by_owner = [_counts(rows, "OwnerId") for rows in groups]
    accounts = _accounts(connection, is_flagged)
    return Reachability(
        objects=pd.DataFrame(
            {"with_email": totals[0::2], "flagged": totals[1::2]}, index=list(_WITH_EMAIL)
        ),
        owners=_together(_sum(by_owner[0::2]), _sum(by_owner[1::2])),
        accounts=accounts,
        notes=(f"Only the {MOST_GROUPS:,} owners with the most records are counted.",)
        if any(len(rows) == MOST_GROUPS for rows in groups)
        else (),
    )


def _accounts(connection: Connection, is_flagged: str) -> pd.DataFrame:
    having = _WITH_EMAIL["Contact"] + " AND AccountId != null"
    worst = connection.query(_grouped("AccountId", having + is_flagged, MOST_ACCOUNTS))
    flagged = _counts(worst, "AccountId")
    whole = [
        row
        for head in soql.in_lists(f"{having} AND AccountId IN ", flagged.index.tolist())
        for row in connection.query(_grouped("AccountId", head, MOST_GROUPS))
    ]
    return _together(_counts(whole, "AccountId"), flagged)


def _grouped(field: str, condition: str, most: int) -> str:
    return (
        f"SELECT {field}, COUNT(Id) n {condition} GROUP BY {field} "
        f"ORDER BY COUNT(Id) DESC LIMIT {most}"
    )


def _counts(rows: Sequence[dict[str, object]], field: str) -> pd.Series:
    return pd.Series({str(row[field]): int(str(row["n"])) for row in rows}, dtype="int64")


def _sum(counts: Sequence[pd.Series]) -> pd.Series:
    return pd.concat(counts).groupby(level=0).sum()


def _together(with_email: pd.Series, flagged: pd.Series) -> pd.DataFrame:
    both = pd.DataFrame({"with_email": with_email, "flagged": flagged}).fillna(0).astype("int64")
    return both.sort_values(["flagged", "with_email"], ascending=False)
