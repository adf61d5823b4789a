"""Whose a record is: the owners and Accounts of CRM records, by name.

Names may be hidden from the integration user, or a kind of owner may not exist in the org: then the
id stands in place of the name, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from bounce_sync.salesforce import soql
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import RequestRejected
from bounce_sync.tables import ACCOUNT, CONTACT, LEAD

NAMED = {"005": "User", "00G": "Group", "001": ACCOUNT}
"""First characters of an id → the object that has its name; a Group owns as a queue
(facts/salesforce.md §6)."""

_OWNED = {CONTACT: ["Id", "OwnerId", "AccountId"], LEAD: ["Id", "OwnerId"]}


def belonging(connection: Connection, records: pd.DataFrame) -> pd.DataFrame:
    """Owner and Account ids of records (columns object, record_id).

    Index: record_id; columns owner_id, account_id, either may be empty. A record that is gone since
    is not in it. Raises the errors of `Connection.request`.
    """
    statements = [
        statement
        for name, fields in _OWNED.items()
        for statement in soql.in_lists(
            f"SELECT {', '.join(fields)} FROM {name} WHERE Id IN ",  # noqa: S608 - names of ours
            sorted(set(records.loc[records["object"] == name, "record_id"])),
        )
    ]
    found = [row for rows in connection.query_many(statements) for row in rows]
    return _owned([(row["Id"], row["OwnerId"], row.get("AccountId")) for row in found])


def nobody_s() -> pd.DataFrame:
    """`belonging` of no record."""
    return _owned([])


def _owned(rows: list[tuple[str, str, str | None]]) -> pd.DataFrame:
    columns = ["record_id", "owner_id", "account_id"]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index("record_id")


class Names:
    """Names of Users, queues and Accounts, each asked for once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._names: dict[str, str] = {}
        self.notes: list[str] = []
        """What couldn't be read, in words for the page."""

    def learn(self, ids: Iterable[object]) -> None:
        """Asks for the names of these ids; what isn't an id is passed over.

        Raises the errors of `Connection.request`, but for a refusal: that becomes a note.
        """
        wanted = {each for each in ids if isinstance(each, str)} - self._names.keys()
        for prefix, name in NAMED.items():
            own = sorted(each for each in wanted if each.startswith(prefix))
            try:
                for row in self._rows(name, own):
                    self._names[row["Id"]] = str(row["Name"])
            except RequestRejected as refused:
                self.notes.append(
                    f"The names of {name} records can't be read; ids stand in their place. "
                    f"{refused.advice}"
                )

    def __call__(self, identity: object) -> str:
        """The name; the id itself where it isn't known, empty where there is none."""
        return self._names.get(identity, identity) if isinstance(identity, str) else ""

    def _rows(self, name: str, ids: list[str]) -> Iterator[dict[str, str]]:
        head = f"SELECT Id, Name FROM {name} WHERE Id IN "  # noqa: S608 - a name of ours
        for statement in soql.in_lists(head, ids):
            yield from self._connection.query(statement)
