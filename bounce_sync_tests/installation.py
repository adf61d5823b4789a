"""An installation on disk against a served sandbox, as a team would run it with target live."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bounce_sync.commands.outcome import Outcome
from bounce_sync.commands.run import daily
from bounce_sync.commands.runner import Runner, running
from bounce_sync.sandbox import csv_folder
from bounce_sync.sandbox.server import Address, serve
from bounce_sync.sandbox.store import Store
from bounce_sync.tables import RawBounces, empty
from bounce_sync_tests.tenant import Tenant, day_before

FLAG, DATE = "Hard_Bounce__c", "Hard_Bounce_Date__c"


def environment(address: Address, home: Path, **more: str) -> dict[str, str]:
    """The variables that lead to a served sandbox, with target live."""
    return {
        "BOUNCE_SYNC_TARGET": "live",
        "BOUNCE_SYNC_HOME": str(home),
        "BOUNCE_SYNC_CA_BUNDLE": address.ca_bundle or "",
        "SFMC_AUTH_URL": address.auth_url,
        "SFMC_CLIENT_ID": address.client_id,
        "SFMC_CLIENT_SECRET": address.client_secret,
        "SFMC_ACCOUNT_ID": str(address.account_id),
        "SALESFORCE_LOGIN_URL": address.salesforce_url,
        "SALESFORCE_CLIENT_ID": address.client_id,
        "SALESFORCE_CLIENT_SECRET": address.client_secret,
    } | more


@contextlib.contextmanager
def environ(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass
class Installation:
    """A runner, and the sandbox's own view of what it did."""

    runner: Runner
    folder: Path
    address: Address

    def run(self, day: str, **options: Any) -> Outcome:
        return daily(self.runner, day, say=lambda _: None, **options)

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        with Store.open(self.folder) as store:
            yield store

    def flags(self) -> dict[str, tuple[bool, str | None]]:
        """Record id → flag and date, of every Contact and Lead, as the CRM stores them."""
        with self.store() as store:
            rows = [
                row
                for name in ("Contact", "Lead")
                for row in store.execute(f'SELECT Id, "{FLAG}", "{DATE}" FROM "{name}"')
            ]
        return {identity: (bool(flag), date) for identity, flag, date in rows}

    def writes(self) -> int:
        """Field changes that the CRM's audit knows."""
        with self.store() as store:
            return int(store.execute("SELECT count(*) FROM crm_write").fetchone()[0])

    def has_fetched_nothing_before(self, day: str) -> None:
        """Stores the evidence days before `day` as empty, to save a test their fetching."""
        for days in range(1, 15):
            self.runner.lake.write("raw_bounces", day_before(day, days), empty(RawBounces))


@contextlib.contextmanager
def installed(
    tenant: Tenant, folder: Path, *, faults: Path | None = None, bare: bool = False, **more: str
) -> Iterator[Installation]:
    """The tenant loaded into a sandbox, served over TLS, and an installation pointed at it.

    With `bare` it is a tenant that nobody has set up.
    """
    sandbox = folder / "sandbox"
    csv_folder.create(sandbox, tenant.write(folder / "csv"), bare=bare)
    with (
        serve(sandbox, faults=faults) as address,
        environ(environment(address, folder / "home", **more)),
        running() as runner,
    ):
        yield Installation(runner, sandbox, address)
