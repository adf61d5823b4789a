"""A tenant and an org in good health, and what `bounce-sync doctor --json` says of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from bounce_sync.commands.doctor import doctor
from bounce_sync.sandbox import csv_folder
from bounce_sync.sandbox.server import Address, serve
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.installation import environ, environment
from bounce_sync_tests.tenant import Tenant, day_before, last_day

DAY = last_day()


def healthy() -> Tenant:
    """A few people, two of whom SFMC has given up on."""
    tenant = Tenant()
    for record in (tenant.contact("ann@people.example"), tenant.lead("bob@people.example")):
        tenant.bounce(tenant.subscriber(record, "Held"), DAY)
    tenant.bounce(tenant.subscriber(tenant.contact(), "Active"), day_before(DAY, 3))
    return tenant


@dataclass
class Report:
    """One look: the lines by name, and everything that was printed."""

    exit_code: int
    printed: str
    findings: dict[str, dict[str, Any]]

    def level(self, name: str) -> str:
        return str(self.findings[name]["level"])

    def said(self, name: str) -> str:
        """What was found and what to do, of a line."""
        finding = self.findings[name]
        return f"{finding['said']} {finding['to_do']}"

    @property
    def unwell(self) -> dict[str, str]:
        """The lines that don't pass."""
        return {name: self.level(name) for name in self.findings if self.level(name) != "pass"}


def report(result: Result) -> Report:
    """What a `doctor --json` said."""
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    findings = {each["name"]: each for each in json.loads(result.stdout)["findings"]}
    return Report(result.exit_code, result.output, findings)


@dataclass
class Patient:
    """A served sandbox that this process's environment leads to; `store` is its database."""

    store: Store
    address: Address
    home: Path

    def look(self, *options: str, **variables: str) -> Report:
        """`doctor --json`, quick unless other options are given."""
        with environ(environment(self.address, self.home, **variables)):
            return report(CliRunner().invoke(doctor, ["--json", *(options or ("--quick",))]))


@contextlib.contextmanager
def admitted(tenant: Tenant, folder: Path) -> Iterator[Patient]:
    """The tenant loaded into a sandbox and served over TLS."""
    sandbox = folder / "sandbox"
    csv_folder.create(sandbox, tenant.write(folder / "csv"))
    with serve(sandbox) as address, Store.open(sandbox) as store:
        yield Patient(store, address, folder / "home")
