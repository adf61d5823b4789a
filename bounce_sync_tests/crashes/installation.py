"""Both services of a sandbox, served, and an installation without Dagster that syncs against them.

`Installation.sync_once` does what the assets do, in their order, through the real clients.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from bounce_sync import delivery, tables
from bounce_sync.delivery import Delivered
from bounce_sync.ledger import Ledger
from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.marketing_cloud.sources import Source, open_source
from bounce_sync.rules.changes import CrmFacts, plan
from bounce_sync.rules.confirmation import confirm
from bounce_sync.rules.identity import compared_form, flag_state, record_ids
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.server_time import days_window, evidence_days
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.sandbox.faults import Faults
from bounce_sync.sandbox.server import Address, serve
from bounce_sync.sandbox.store import Store

OFFSET = timedelta(hours=-6)
POLICY = SyncPolicy()
FACTS = CrmFacts()
STORED = "%Y-%m-%dT%H:%M:%S.000Z"
FIELDS = ["Id", "Email", "LastName", "AccountId", "Hard_Bounce__c", "IsDeleted"]

Flags = dict[str, tuple[bool, str | None]]
"""Record id → flag and date, as the CRM stores them."""


def quiet(_: str) -> None: ...


def nap(pause: float) -> None:
    """Waits no longer than a test may."""
    time.sleep(min(pause, 0.01))


@dataclass
class World:
    """The served sandbox: its own view of both systems, and the ways there."""

    store: Store
    address: Address

    def empty(self) -> None:
        """Nobody in either system, and no trace of what was done."""
        for table in ("subscriber", "bounce", "Contact", "Lead", "crm_write", "bulk_job"):
            self.store.execute(f'DELETE FROM "{table}"')
        self.store.execute("DELETE FROM bulk_chunk")

    def people(self, *record_ids: str, account: str | None = None) -> None:
        """Contacts and Leads, unflagged, each with an address at example.com."""
        for table, prefix in (("Contact", "003"), ("Lead", "00Q")):
            rows = [
                (each, f"{each.lower()}@example.com", "Doe", account, 0, 0)
                for each in record_ids
                if each.startswith(prefix)
            ]
            names = FIELDS if table == "Contact" else [n for n in FIELDS if n != "AccountId"]
            kept = [[v for n, v in zip(FIELDS, row, strict=True) if n in names] for row in rows]
            if kept:
                self.store.insert(table, names, kept)

    def subscribers(self, *keys: str, status: str = "Active") -> None:
        """Subscribers with the address that the CRM has, too."""
        self.store.insert(
            "subscriber",
            ["subscriber_key", "email_address", "status", "created_date"],
            [
                (each, f"{each.lower()}@example.com", status, "2020-01-01 00:00:00.000")
                for each in keys
            ],
        )

    def bounces(self, at: datetime, *keys: str) -> None:
        """One hard bounce of each at this time (UTC)."""
        columns = ["account_id", "job_id", "subscriber_key", "event_date", "bounce_category"]
        event_date = f"{at + OFFSET:%Y-%m-%d %H:%M:%S}.000"
        self.store.insert(
            "bounce",
            [*columns, "domain"],
            [
                (self.address.account_id, 100, key, event_date, "Hard bounce", "example.com")
                for key in keys
            ],
        )

    def put(self, record_id: str, **fields: object) -> None:
        """What a person does to a Contact or Lead."""
        table = "Contact" if record_id.startswith("003") else "Lead"
        for name, value in fields.items():
            self.store.execute(
                f'UPDATE "{table}" SET "{name}" = ? WHERE Id = ?', (value, record_id)
            )

    def flags(self) -> Flags:
        rows = self.store.execute(
            'SELECT Id, Hard_Bounce__c, Hard_Bounce_Date__c FROM "Contact" UNION ALL '
            'SELECT Id, Hard_Bounce__c, Hard_Bounce_Date__c FROM "Lead"'
        )
        return {row[0]: (bool(row[1]), row[2]) for row in rows}

    def writes(self) -> int:
        """Field changes that came over the API."""
        return int(self.store.execute("SELECT count(*) FROM crm_write").fetchone()[0])

    def source(self, patience: Patience | None = None) -> Source:
        account = Account(
            auth_url=self.address.auth_url,
            client_id=self.address.client_id,
            client_secret=self.address.client_secret,
            account_id=self.address.account_id,
            business_units=(self.address.account_id,),
            ca_bundle=self.address.ca_bundle,
            utc_offset=OFFSET,
        )
        return open_source("soap", account, patience=patience)

    def org(self, bulk_from: int = 2_000) -> Org:
        address = self.address
        return Org(
            address.salesforce_url,
            address.client_id,
            address.client_secret,
            api_share=1.0,
            bulk_from=bulk_from,
        )


@contextlib.contextmanager
def world(folder: Path, faults: Faults | None = None) -> Iterator[World]:
    with Store.create(folder) as store, serve(folder, http=True, faults=faults) as address:
        yield World(store, address)


@dataclass
class Installation:
    """A ledger and what of the lake a later run reads."""

    ledger: Ledger
    stagings: dict[str, pd.DataFrame] = field(default_factory=dict)

    def sync_once(self, day: str, run_id: str, source: Source, crm: Connection) -> Delivered:
        """The daily job: every asset of it, in order. Raises what the clients raise."""
        days = evidence_days(day, POLICY)
        bounces = source.bounces(days_window(days, OFFSET))
        held = source.held()
        if held.empty:
            held = source.held(bounces["subscriber_key"].drop_duplicates().tolist())
        remembered = self.ledger.carried(day)
        staging = confirm(bounces, held, self._carried(remembered), POLICY)
        is_held = remembered["subscriber_key"].isin(held["subscriber_key"])
        self.stagings[day] = staging

        delivery.settle(self.ledger, crm, FACTS, run_id, quiet)
        planned_at = datetime.now(UTC)
        keys = staging["subscriber_key"]
        records = RecordReader(crm).read(record_ids(keys)["record_id"].dropna().unique().tolist())
        state = flag_state(records, keys, "Id")

        asked = state["subscriber_key"].drop_duplicates()
        holds = compared_form(asked, "Id").isin(compared_form(held["subscriber_key"], "Id"))
        released = source.statuses(asked[~holds].tolist())
        history = tables.empty(tables.DomainHistory)
        known = self.ledger.knowledge()
        changes = plan(staging, state, held, released, known, history, POLICY, FACTS)
        return delivery.deliver(
            changes,
            planned_at=planned_at,
            run_id=run_id,
            partition=day,
            context={"target": "sandbox", "policy": POLICY.stored(), "released": []},
            ledger=self.ledger,
            connection=crm,
            facts=FACTS,
            say=quiet,
            no_longer_held=remembered.loc[~is_held, "subscriber_key"].tolist(),
        )

    def _carried(self, remembered: pd.DataFrame) -> pd.DataFrame:
        rows = [tables.empty(tables.ConfirmedBounceStaging)]
        for last, keys in remembered.groupby("last_partition"):
            if str(last) not in self.stagings:
                continue
            since = keys.set_index("subscriber_key")["since"]
            staged = self.stagings[str(last)]
            staged = staged[staged["subscriber_key"].isin(since.index)]
            carried_since = staged["subscriber_key"].map(since).astype("str")
            rows.append(staged.assign(carried_since=carried_since))
        return pd.concat(rows, ignore_index=True)
