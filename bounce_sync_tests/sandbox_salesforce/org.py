"""Asks the sandbox's CRM over HTTP, the way a client without a library would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from bounce_sync.sandbox.faults import Faults, FaultyWire
from bounce_sync.sandbox.salesforce.app import application
from bounce_sync.sandbox.store import Store

VERSION = "62.0"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
NO_ASSIGNMENT = {"Sforce-Auto-Assign": "FALSE"}


def to_18(id15: str) -> str:
    """facts/salesforce.md §6, written again on purpose."""
    return id15 + "".join(
        ALPHABET[sum(1 << k for k in range(5) if "A" <= id15[c * 5 + k] <= "Z")] for c in range(3)
    )


def record_id(prefix: str, number: int) -> str:
    """An id with letters of both cases."""
    return to_18(f"{prefix}Qx00000{number:04d}AbC"[:15])


def contact_id(number: int) -> str:
    return record_id("003", number)


def lead_id(number: int) -> str:
    return record_id("00Q", number)


def account_id(number: int) -> str:
    return record_id("001", number)


@dataclass
class Org:
    url: str
    store: Store
    session: requests.Session = field(default_factory=requests.Session)

    # Making what is there

    def contacts(self, count: int, **columns: Any) -> list[str]:
        """Contacts 1 to ``count``; a column's value may depend on the number."""
        return self._records("Contact", contact_id, count, {"LastName": "Doe", **columns})

    def leads(self, count: int, **columns: Any) -> list[str]:
        columns = {"LastName": "Doe", "OwnerId": self.user_id, **columns}
        return self._records("Lead", lead_id, count, columns)

    def accounts(self, count: int, **columns: Any) -> list[str]:
        return self._records("Account", account_id, count, {"Name": "Acme", **columns})

    def _records(self, name: str, key: Any, count: int, columns: dict[str, Any]) -> list[str]:
        ids = [key(number) for number in range(1, count + 1)]
        self.store.insert(
            name,
            ["Id", *columns],
            [
                (made, *(value(n) if callable(value) else value for value in columns.values()))
                for n, made in enumerate(ids, 1)
            ],
        )
        return ids

    @property
    def user_id(self) -> str:
        return self.store.setting("user_id")

    def value(self, name: str, key: str, column: str) -> Any:
        row = self.store.execute(f'SELECT "{column}" FROM "{name}" WHERE "Id" = ?', (key,))
        return row.fetchone()[0]

    def audit(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self.store.execute("SELECT * FROM crm_write ORDER BY id")]

    # Asking

    def token(self, **form: str) -> requests.Response:
        """Client credentials, or the grant of ``form``."""
        asked = {
            "grant_type": "client_credentials",
            "client_id": self.store.setting("client_id"),
            "client_secret": self.store.setting("client_secret"),
        } | form
        return self.session.post(f"{self.url}/services/oauth2/token", data=asked)

    def login(self) -> None:
        said = self.token()
        assert said.status_code == 200, said.text
        self.session.headers["Authorization"] = f"Bearer {said.json()['access_token']}"

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """``path`` below the version, or whole."""
        if not path.startswith("/services"):
            path = f"/services/data/v{VERSION}/{path}"
        return self.session.request(method, self.url + path, **more)

    def query(self, soql: str, *, resource: str = "query") -> list[dict[str, Any]]:
        """The records of the first page, without their attributes."""
        said = self.ask("GET", resource, params={"q": soql})
        assert said.status_code == 200, said.text
        return [
            {name: value for name, value in record.items() if name != "attributes"}
            for record in said.json()["records"]
        ]

    def column(self, soql: str, *, resource: str = "query") -> list[Any]:
        """The first column of the records."""
        return [next(iter(record.values())) for record in self.query(soql, resource=resource)]

    def refused(self, soql: str) -> dict[str, Any]:
        said = self.ask("GET", "query", params={"q": soql})
        assert said.status_code == 400, said.text
        (error,) = said.json()
        return error

    def update(
        self,
        records: Sequence[dict[str, Any]],
        *,
        all_or_none: bool = False,
        headers: dict[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        said = self.send(records, all_or_none=all_or_none, headers=headers)
        assert said.status_code == 200, said.text
        return said.json()

    def send(
        self,
        records: Sequence[dict[str, Any]],
        *,
        all_or_none: bool = False,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        return self.ask(
            "PATCH",
            "composite/sobjects",
            json={"allOrNone": all_or_none, "records": list(records)},
            headers=headers or NO_ASSIGNMENT,
        )


def flagged(key: str, name: str = "Contact", **fields: Any) -> dict[str, Any]:
    """A record of a Collections body."""
    return {"attributes": {"type": name}, "id": key} | (fields or {"Hard_Bounce__c": True})


def codes(results: Sequence[dict[str, Any]]) -> list[str | None]:
    """The first code of each row, None for success."""
    return [None if one["success"] else one["errors"][0]["statusCode"] for one in results]


class Host:
    """One server for many tests: each puts its own org there and takes it away again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.app: Starlette | None = None
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None, "no test is using the server"
        await self._app(scope, receive, send)

    @contextmanager
    def serving(self, store: Store, faults: Faults | None = None) -> Iterator[Org]:
        self.app = app = application(store, self.url)
        self._app = FaultyWire(app, "salesforce", faults) if faults is not None else app
        made = Org(self.url, store)
        try:
            yield made
        finally:
            made.session.close()
            self._app = self.app = None


@contextmanager
def host() -> Iterator[Host]:
    """A server on a free port of this machine, without Marketing Cloud beside it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Host(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(made, lifespan="off", log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.should_exit = True
            thread.join()
