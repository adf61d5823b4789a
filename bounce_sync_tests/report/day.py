"""A day on which everything happens that the page tells of, against the real sandbox."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bounce_sync.tables import DAILY_TABLES, empty
from bounce_sync_tests.installation import FLAG, Installation, installed
from bounce_sync_tests.tenant import Tenant, day_before, last_day, to_18

DAY = last_day()
EARLIER = day_before(DAY, 1)
DOMAIN = "people.example"
OUTAGE, SILENT = "outage.example", 60

ANN, BOB = to_18("005Dn000000Ann1"), to_18("005Dn000000Bob1")
QUEUE = to_18("00GDn000000Que1")
ACME, QUIET = to_18("001Dn000000Acme"), to_18("001Dn000000Qui1")
NAMES = {
    ("User", ANN): "Ann O'Wner",
    ("User", BOB): "Bob <b>bold</b>",
    ("Account", ACME): "<script>alert('x')</script> & Sons",
    ("Account", QUIET): "Quiet Ltd",
}


@dataclass
class People:
    """Who is in the tenant, by what became of them."""

    tenant: Tenant = field(default_factory=Tenant)
    new: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        tenant = self.tenant
        self.new.append(self._held("new", OwnerId=ANN, AccountId=ACME))
        lead = tenant.lead(f"lead@{DOMAIN}", OwnerId=QUEUE)
        tenant.bounce(tenant.subscriber(lead, "Held"), DAY)
        self.new.append(lead)
        released = tenant.contact(f"back@{DOMAIN}", OwnerId=BOB, AccountId=ACME)
        self.released.append(tenant.subscriber(released, "Active"))
        self.refused.append(self._held("locked", OwnerId=BOB, AccountId=ACME))
        self.conflicts.append(self._held("unticked", EARLIER, OwnerId=ANN, AccountId=ACME))
        for number in range(SILENT):
            contact = tenant.contact(f"m{number}@{OUTAGE}", OwnerId=BOB, AccountId=QUIET)
            tenant.bounce(tenant.subscriber(contact, "Held"), DAY)
        for number in range(20):
            tenant.contact(f"fine{number}@{DOMAIN}", OwnerId=ANN, AccountId=QUIET)
        tenant.lead(f"became@{DOMAIN}", OwnerId=ANN, IsConverted="true")

    def _held(self, name: str, day: str = DAY, **fields: str) -> str:
        contact = self.tenant.contact(f"{name}@{DOMAIN}", **fields)
        self.tenant.bounce(self.tenant.subscriber(contact, "Held"), day)
        return contact


@dataclass
class Written:
    """An installation after two days were written, and the runs that did it."""

    people: People
    installation: Installation
    runs: dict[str, str]


@contextlib.contextmanager
def written(folder: Path) -> Iterator[Written]:
    people, runs = People(), {}
    with installed(people.tenant, folder) as installation:
        installation.has_fetched_nothing_before(DAY)
        with installation.store() as store:
            for (table, identity), name in NAMES.items():
                store.execute(f'UPDATE "{table}" SET Name = ? WHERE Id = ?', (name, identity))
            store.execute(
                "INSERT INTO crm_refusal (record_id, code, message) VALUES (?, ?, 'no')",
                (people.refused[0], "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
            )
        for days in range(2, 10):  # decided days, so that a domain's usual day is known
            for asset in ("confirmed_bounce_staging", "crm_flag_state", "crm_flag_changes"):
                table = empty(DAILY_TABLES[asset])
                installation.runner.lake.write(asset, day_before(DAY, days), table)
        for day in (EARLIER, DAY):
            outcome = installation.run(day)
            assert outcome.success, outcome.error
            runs[day] = outcome.line()["run_id"]
            with installation.store() as store:
                if day == EARLIER:  # a person unticks one and ticks another
                    changed = [(0, people.conflicts[0]), (1, people.released[0])]
                    for flag, record in changed:
                        store.execute(
                            f'UPDATE Contact SET "{FLAG}" = ? WHERE Id = ?', (flag, record)
                        )
        yield Written(people, installation, runs)
