"""A tenant, its CRM and its ledger over months: what happens to people, and runs in between.

SFMC is told in memory; the CRM is the sandbox's, over real HTTP; rules, ledger, delivery and undo
are the real ones. `expected` follows the table of the rules for everybody whom no person's edit,
undo, conversion or merge ever touched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest import mock

import pandas as pd

from bounce_sync import delivery, tables
from bounce_sync.ledger import Ledger, RunJournal
from bounce_sync.ledger.settling import same
from bounce_sync.rules.changes import CrmFacts, plan
from bounce_sync.rules.confirmation import confirm
from bounce_sync.rules.identity import flag_state, record_ids
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.server_time import evidence_days, to_server
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.undo import Undone, undo
from bounce_sync_tests.ledger.crm import STORED, Crm

OFFSET = timedelta(hours=-6)
POLICY = SyncPolicy()
FACTS = CrmFacts()


class Killed(BaseException):
    """The process ends here, as far as the ledger can tell."""


@dataclass
class Subscriber:
    """Somebody in SFMC."""

    status: str = "Active"
    address: str = ""
    bounced: list[datetime] = field(default_factory=list)


@dataclass
class Life:
    """Everything, and a clock that only goes on when told to."""

    org: Crm
    ledger: Ledger
    subscribers: dict[str, Subscriber]
    now: datetime = datetime(2026, 1, 10, 18, tzinfo=UTC)
    runs: list[str] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """Records that something other than the daily rules ever changed."""
    edited: set[str] = field(default_factory=set)
    """Records whose flag a person ever changed."""
    expected: dict[str, tuple[bool, str | None]] = field(default_factory=dict)
    stagings: dict[str, pd.DataFrame] = field(default_factory=dict)

    def pass_time(self, **passed: float) -> None:
        self.now += timedelta(**passed)

    def bounce(self, key: str) -> None:
        self.pass_time(minutes=7)
        self.subscribers[key].bounced.append(self.now)

    @property
    def partition(self) -> str:
        return str((self.now + OFFSET).date())

    # -- what the pipeline reads ---------------------------------------------------------------

    def _bounces(self) -> pd.DataFrame:
        rows = [
            {
                "business_unit": "1",
                "subscriber_key": key,
                "event_at": pd.Timestamp(at),
                "bounce_category": tables.HARD_BOUNCE,
            }
            for key, subscriber in self.subscribers.items()
            for at in subscriber.bounced
        ]
        bounces = tables.shape(tables.RawBounces, pd.DataFrame(rows))
        days = to_server(bounces["event_at"], OFFSET).dt.strftime("%Y-%m-%d")
        window = bounces[days.isin(evidence_days(self.partition, POLICY))]
        return window.reset_index(drop=True)

    def _held(self) -> pd.DataFrame:
        rows = [
            {
                "subscriber_key": key,
                "email_address": each.address,
                "read_at": pd.Timestamp(self.now),
            }
            for key, each in self.subscribers.items()
            if each.status == tables.HELD
        ]
        return tables.shape(tables.HeldSubscribers, pd.DataFrame(rows))

    def _released(self, keys: set[str]) -> pd.DataFrame:
        known = {key: each.status for key, each in self.subscribers.items()}
        rows = [
            {
                "subscriber_key": key,
                "status": known.get(key, tables.UNKNOWN_STATUS),
                "read_at": pd.Timestamp(self.now),
            }
            for key in sorted(keys)
        ]
        return tables.shape(tables.ReleasedSubscribers, pd.DataFrame(rows))

    def _carried(self) -> pd.DataFrame:
        rows = [tables.empty(tables.ConfirmedBounceStaging)]
        carried = self.ledger.carried(self.partition).dropna(subset=["last_partition"])
        for row in carried.itertuples():
            staged = self.stagings[row.last_partition]
            staged = staged[staged["subscriber_key"] == row.subscriber_key]
            rows.append(staged.assign(carried_since=row.since))
        return pd.concat(rows, ignore_index=True)

    # -- runs ----------------------------------------------------------------------------------

    def plan(self) -> pd.DataFrame:
        held = self._held()
        staging = confirm(self._bounces(), held, self._carried(), POLICY)
        self.stagings[self.partition] = staging
        ids = record_ids(staging["subscriber_key"])["record_id"].dropna().tolist()
        records = RecordReader(self.org.connection).read(ids)
        state = flag_state(records, staging["subscriber_key"], "Id")
        released = self._released(set(state["subscriber_key"]) - set(held["subscriber_key"]))
        history = tables.empty(tables.DomainHistory)
        known = self.ledger.knowledge()
        return plan(staging, state, held, released, known, history, POLICY, FACTS)

    def run(self) -> pd.DataFrame:
        """A run of the day; returns its `CrmFlagUpdates`."""
        run_id = f"run-{len(self.runs)}"
        self.runs.append(run_id)
        delivery.settle(self.ledger, self.org.connection, FACTS, run_id, lambda _: None)
        planned_at = datetime.now(UTC)
        carried = self.ledger.carried(self.partition)["subscriber_key"]
        held = [key for key, each in self.subscribers.items() if each.status == tables.HELD]
        delivered = delivery.deliver(
            self.plan(),
            planned_at=planned_at,
            run_id=run_id,
            partition=self.partition,
            context={"target": "sandbox", "policy": POLICY.stored(), "released": []},
            ledger=self.ledger,
            connection=self.org.connection,
            facts=FACTS,
            say=lambda _: None,
            no_longer_held=carried[~carried.isin(held)].tolist(),
        )
        return delivered.updates

    def run_and_die(self, where: str) -> None:
        """A run that ends before its outcomes are noted, or before anything is sent."""
        whole = RunJournal.intend

        def intended(journal: RunJournal, rows: pd.DataFrame) -> list[int]:
            whole(journal, rows)
            raise Killed

        doom = (
            mock.patch.object(RunJournal, "settle", side_effect=Killed)
            if where == "after the answer"
            else mock.patch.object(RunJournal, "intend", intended)
        )
        try:
            with doom:
                self.run()
        except Killed:
            return

    def undo(self, run_id: str) -> Undone:
        return undo(run_id, ledger=self.ledger, connection=self.org.connection, facts=FACTS)

    # -- what must be true ---------------------------------------------------------------------

    def flags(self) -> dict[str, tuple[bool, str | None]]:
        rows = self.org.store.execute(
            'SELECT Id, Hard_Bounce__c, Hard_Bounce_Date__c FROM "Contact" UNION ALL '
            'SELECT Id, Hard_Bounce__c, Hard_Bounce_Date__c FROM "Lead"'
        )
        return {row[0]: (bool(row[1]), row[2]) for row in rows}

    def email(self, record_id: str) -> str:
        table = "Contact" if record_id.startswith("003") else "Lead"
        row = self.org.store.execute(
            f'SELECT Email FROM "{table}" WHERE Id = ?', (record_id,)
        ).fetchone()
        return str(row[0])

    def ledger_is_complete(self) -> None:
        """Every value that reached the CRM over the API is a confirmed write of the ledger."""
        history = self.ledger.history(list(self.flags()))
        history = history[(history["outcome"] == tables.WRITTEN)]
        flag = ~same(history["flag_before"], history["flag_after"])
        date = ~same(history["date_before"], history["date_after"])
        confirmed = [*history.loc[flag, "record_id"], *history.loc[date, "record_id"]]
        reached = [row[0] for row in self.org.store.execute("SELECT record_id FROM crm_write")]
        assert sorted(each for each in confirmed if each not in self.edited) == sorted(
            each for each in reached if each not in self.edited
        )

    def follow_the_rules(self) -> None:
        """Brings `expected` to what a run makes of everybody."""
        window = evidence_days(self.partition, POLICY)
        for key, subscriber in self.subscribers.items():
            flag, date = self.expected.get(key, (False, None))
            evidence = [at for at in subscriber.bounced if str((at + OFFSET).date()) in window]
            if subscriber.status == tables.HELD:
                if subscriber.address.casefold() != self.email(key).casefold():
                    flag = False
                elif evidence:
                    flag, date = True, max(date or "", f"{max(evidence):{STORED}}")
            elif subscriber.status in POLICY.clear_statuses:
                flag = False
            self.expected[key] = (flag, date)
