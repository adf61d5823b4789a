"""A CRM of a few Contacts: the sandbox's, over real HTTP, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.sandbox.server import serve
from bounce_sync.sandbox.store import Store

STORED = "%Y-%m-%dT%H:%M:%S.000Z"
FACTS = CrmFacts()


@dataclass(frozen=True)
class Crm:
    """The org's own state beside the way that the client goes to it."""

    store: Store
    connection: Connection

    def holds(self, record_id: str) -> tuple[bool, str | None]:
        """Flag and date of a Contact, as the CRM stores them."""
        flag, date = self.store.execute(
            'SELECT Hard_Bounce__c, Hard_Bounce_Date__c FROM "Contact" WHERE Id = ?', (record_id,)
        ).fetchone()
        return bool(flag), date

    def put(self, record_id: str, **fields: object) -> None:
        """What a person does to a Contact or Lead."""
        table = "Contact" if record_id.startswith("003") else "Lead"
        for name, value in fields.items():
            self.store.execute(
                f'UPDATE "{table}" SET "{name}" = ? WHERE Id = ?', (value, record_id)
            )

    def writes(self) -> int:
        """Field changes that came over the API."""
        return int(self.store.execute("SELECT count(*) FROM crm_write").fetchone()[0])


@contextmanager
def crm(folder: Path, *record_ids: str) -> Iterator[Crm]:
    """An org with these Contacts, unflagged, each with an address at example.com."""
    with Store.create(folder) as store:
        store.insert(
            "Contact",
            ["Id", "Email", "LastName", "Hard_Bounce__c", "IsDeleted"],
            [(each, f"{each.lower()}@example.com", "Doe", 0, 0) for each in record_ids],
        )
        with serve(folder, http=True) as address:
            org = Org(address.salesforce_url, address.client_id, address.client_secret)
            with Connection(org) as connection:
                yield Crm(store, connection)
