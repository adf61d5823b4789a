"""A plain HTTP client of the two services: what a test needs to see them answer, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from bounce_sync.sandbox.server import Address

CONTACT = "0035g00000AbCdEAAV"
LEAD = "00Q5g00000LeAdOEAV"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())


class Visitor:
    """Talks to a served sandbox; each answer is a :class:`requests.Response`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = address.ca_bundle or True

    def sfmc_token(self) -> requests.Response:
        return self.session.post(
            self.address.auth_url + "v2/token",
            json={
                "grant_type": "client_credentials",
                "client_id": self.address.client_id,
                "client_secret": self.address.client_secret,
                "account_id": self.address.account_id,
            },
            timeout=30,
        )

    def crm_token(self) -> str:
        answer = self.session.post(
            self.address.salesforce_url + "/services/oauth2/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self.address.client_id,
                "client_secret": self.address.client_secret,
            },
            timeout=30,
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def crm(self, method: str, path: str, token: str, **arguments: Any) -> requests.Response:
        return self.session.request(
            method,
            f"{self.address.salesforce_url}/services/data/v62.0/{path}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            **arguments,
        )

    def query(self, soql: str) -> list[dict[str, Any]]:
        answer = self.crm("GET", "query", self.crm_token(), params={"q": soql})
        answer.raise_for_status()
        return [
            {name: value for name, value in record.items() if name != "attributes"}
            for record in answer.json()["records"]
        ]

    def status(self, **parameters: int) -> dict[str, Any]:
        answer = self.session.get(self.address.status_url, params=parameters, timeout=30)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document


@contextmanager
def visiting(address: Address) -> Iterator[Visitor]:
    visitor = Visitor(address)
    with visitor.session:
        yield visitor
