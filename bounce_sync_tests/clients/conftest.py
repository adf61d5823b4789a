"""A served tenant large enough to be paged, and the public clients to ask it with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from bounce_sync.sandbox.server import Address, serve
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.clients import installed, tenant

HERE = Path(__file__).parent

NODE_CLIENTS = ("jsforce@3.10.16", "@jsforce/jsforce-node@3.10.16", "sfmc-sdk@2.1.2")
PYTHON_CLIENTS = (
    "simple-salesforce==1.12.10",
    "aio-sf==0.1.0b14",
    "aiosalesforce==0.6.2",
    "drt-core==1.2.1",
    "pysfmc==0.1.4",
    "suds-community==1.2.0",
)
FUEL = "Salesforce-FuelSDK==1.3.0"
"""Wants a suds that no Python of today can build; its living successor stands in for that."""


@dataclass(frozen=True)
class Sandbox:
    """A served tenant: where it is, and what it holds."""

    address: Address
    store: Store

    def asked_by(
        self, environment: installed.Environment, script: str, **given: Any
    ) -> dict[str, Any]:
        """What a script's client found, told where the sandbox is and how to log in."""
        trusted = self.address.ca_bundle
        variables = ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        found: dict[str, Any] = environment.run(
            HERE / script,
            {**asdict(self.address), **given},
            **(dict.fromkeys(variables, trusted) if trusted else {}),
        )
        return found

    def expired_token(self, token: str) -> None:
        """A token of Marketing Cloud that was good once."""
        row = (token, self.store.account_id, "", 0)
        self.store.insert("access_token", ["token", "mid", "scope", "expires_at"], [row])

    def contact(self, number: int) -> dict[str, Any]:
        row = self.store.execute(
            "SELECT * FROM Contact WHERE Id = ?", (tenant.contact_id(number),)
        ).fetchone()
        return dict(row)

    def flagged(self) -> set[str]:
        rows = self.store.execute("SELECT Id FROM Contact WHERE Hard_Bounce__c = 1")
        return {record for (record,) in rows}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tenant on disk that each test copies."""
    folder = tmp_path_factory.mktemp("clients") / "tenant"
    tenant.make(folder)
    return folder


@pytest.fixture(params=["https", "http"])
def sandbox(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> Iterator[Sandbox]:
    folder = shutil.copytree(template, tmp_path / "tenant")
    with (
        Store.open(folder) as store,
        serve(folder, http=request.param == "http") as address,
    ):
        yield Sandbox(address, store)


@pytest.fixture(scope="session")
def node() -> installed.Environment:
    return installed.node(*NODE_CLIENTS)


@pytest.fixture(scope="session")
def python() -> installed.Environment:
    return installed.python(*PYTHON_CLIENTS, without_dependencies=[FUEL])
