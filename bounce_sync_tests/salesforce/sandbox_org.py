"""The real sandbox, over TLS, with records put there by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.sandbox.faults import Fault, Faults
from bounce_sync.sandbox.server import Address, serve
from bounce_sync.sandbox.store import Store, quoted


def contact(number: int) -> str:
    return f"003{number:012d}AAA"


def lead(number: int) -> str:
    """A Lead's id: the Q is the third of the first five characters."""
    return f"00Q{number:012d}EAA"


def account(number: int) -> str:
    return f"001{number:012d}AAA"


@dataclass
class SandboxOrg:
    """A served org: `store` is its database, behind the API's back."""

    store: Store
    address: Address
    faults: Faults

    def insert(self, name: str, *rows: dict[str, Any]) -> None:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        full = [[row.get(column) for column in columns] for row in rows]
        booleans = {
            field["name"] for field in self.store.fields(name) if field["type"] == "boolean"
        }
        for row in full:
            for at, column in enumerate(columns):
                row[at] = int(bool(row[at])) if column in booleans else row[at]
        self.store.insert(name, columns, full)

    def contacts(self, *rows: dict[str, Any]) -> None:
        self.insert("Contact", *rows)

    def leads(self, *rows: dict[str, Any]) -> None:
        self.insert("Lead", *rows)

    def rows(self, name: str) -> dict[str, dict[str, Any]]:
        found = self.store.execute(f"SELECT * FROM {quoted(name)}")
        return {row["Id"]: dict(row) for row in found}

    def audit(self) -> list[dict[str, Any]]:
        """Every value that was written through the API."""
        return [dict(row) for row in self.store.execute("SELECT * FROM crm_write ORDER BY id")]

    def org(self, **settings: Any) -> Org:
        known = {
            "login_url": self.address.salesforce_url,
            "client_id": self.address.client_id,
            "client_secret": self.address.client_secret,
            "ca_bundle": self.address.ca_bundle,
        }
        return Org(**{**known, **settings})

    @contextmanager
    def connected(self, **settings: Any) -> Iterator[Connection]:
        with Connection(self.org(**settings), sleep=lambda _: None) as connection:
            yield connection


@contextmanager
def served(
    directory: Path, faults: Sequence[Fault] = (), *, seed: int = 11, http: bool = False
) -> Iterator[SandboxOrg]:
    Store.create(directory).close()
    with Store.open(directory) as store:
        planned = Faults(list(faults), seed=seed)
        with serve(directory, faults=planned, http=http) as address:
            yield SandboxOrg(store, address, planned)
