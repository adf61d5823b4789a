"""Months of a tenant in any order, crashes and undos among them: the CRM follows the policy.

The long form: ``pytest -m thorough bounce_sync_tests/crashes/test_whatever_happens.py``.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from bounce_sync.ledger import Ledger
from bounce_sync.marketing_cloud.sources import Source
from bounce_sync.salesforce import sobject_batches
from bounce_sync.salesforce.connection import Connection
from bounce_sync.undo import undo
from bounce_sync_tests.crashes.dying import Killed, dies
from bounce_sync_tests.crashes.installation import (
    FACTS,
    OFFSET,
    STORED,
    Flags,
    Installation,
    World,
    nap,
    world,
)
from bounce_sync_tests.crashes.policy import HELD, Expectation, Person, Subscriber, Write
from bounce_sync_tests.tenant import to_18

CONTACTS = [to_18(f"003Dn0000Crash{number}") for number in range(1, 5)]
LEADS = [to_18(f"00QDn0000Crash{number}") for number in range(1, 3)]
HEIRS = [to_18(f"003Dn00000Heir{number}") for number in range(1, 4)]
"""Contacts that others become; nobody mails them under their own ids."""
BECOMES = {
    LEADS[0]: HEIRS[0],
    LEADS[1]: HEIRS[1],
    CONTACTS[2]: CONTACTS[0],
    CONTACTS[3]: HEIRS[2],
}
MAILED = [*CONTACTS, *LEADS]
EVERYBODY = [*MAILED, *HEIRS]
ADDRESSES = st.sampled_from([None, "new0@example.com", "new1@example.com"])
STATUSES = ["Active", "Bounced", "Unsubscribed", "Deleted", HELD]
ROWS_A_BATCH = 2
"""So that a few people fill several batches, all in flight at once."""

given_up = st.lists(st.sampled_from(MAILED), max_size=4, unique=True)
"""Who bounces and is Held in the hours before a run."""
moments = st.integers(1, 8)
"""Which of the journal's calls is a run's last."""
roads = st.sampled_from(["collections", "bulk"])


@dataclass
class Served:
    """One sandbox and the clients' ways to it, for all examples."""

    world: World
    source: Source
    crm: dict[str, Connection]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    small = functools.partial(sobject_batches.batches, size=ROWS_A_BATCH)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sobject_batches, "batches", small))
        here = stack.enter_context(world(tmp_path_factory.mktemp("sandbox") / "tenant"))
        source = stack.enter_context(contextlib.closing(here.source()))
        roads = {"collections": here.org(), "bulk": here.org(bulk_from=1)}
        crm = {road: stack.enter_context(Connection(org, sleep=nap)) for road, org in roads.items()}
        yield Served(here, source, crm)


@dataclass
class Life:
    """An example: its own ledger, its own people, and a clock that goes on when told to."""

    served: Served
    installation: Installation
    expected: Expectation
    now: datetime = datetime(2026, 1, 10, 18, tzinfo=UTC)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def day(self) -> str:
        return str((self.now + OFFSET).date())

    def new_run(self) -> str:
        return f"{self.day}/{next(self.numbers)}"

    def sync(self, run: str, road: str) -> list[tuple[str, str]]:
        """Record and outcome of each write."""
        crm = self.served.crm[road]
        updates = self.installation.sync_once(self.day, run, self.served.source, crm).updates
        return sorted(zip(updates["record_id"], updates["outcome"], strict=True))

    def undo(self, run: str, of: str, road: str) -> list[tuple[str, str]]:
        ledger, crm = self.installation.ledger, self.served.crm[road]
        undone = undo(of, ledger=ledger, connection=crm, facts=FACTS, undo_id=run)
        return sorted(zip(undone.updates["record_id"], undone.updates["outcome"], strict=True))

    def open(self) -> set[str]:
        return set(self.installation.ledger.open_intents()["record_id"])


def new_life(served: Served, folder: Path) -> Life:
    """Everybody mailed, nobody flagged, an empty ledger."""
    served.world.empty()
    served.world.people(*EVERYBODY)
    served.world.subscribers(*MAILED)
    folder.mkdir()
    address = "{}@example.com".format
    return Life(
        served,
        Installation(Ledger(f"sqlite:///{folder}/ledger.db")),
        Expectation(
            {key: Subscriber("Active", address(key.lower())) for key in MAILED},
            {key: Person(address(key.lower())) for key in EVERYBODY},
        ),
    )


class Months(RuleBasedStateMachine):
    """What SFMC, sales people, admins, crashes and operators do."""

    def __init__(self, served: Served, folder: Path) -> None:
        super().__init__()
        self.life = new_life(served, folder)
        self.world, self.expected = served.world, self.life.expected

    # -- what happens to people ----------------------------------------------------------------

    @rule(days=st.integers(1, 20))
    def time_passes(self, days: int) -> None:
        self.life.now += timedelta(days=days)

    @rule(key=st.sampled_from(MAILED), held=st.booleans())
    def mail_bounces(self, key: str, held: bool) -> None:
        self.life.now += timedelta(minutes=7)
        self.world.bounces(self.life.now, key)
        who = self.expected.subscribers[key]
        who.bounces.append((self.life.day, f"{self.life.now:{STORED}}"))
        if held:
            self._sfmc(key, status=HELD)

    @rule(key=st.sampled_from(MAILED), status=st.sampled_from(STATUSES))
    def sfmc_says(self, key: str, status: str) -> None:
        self._sfmc(key, status=status)

    @rule(record=st.sampled_from(EVERYBODY), address=ADDRESSES)
    def sales_changes_the_address(self, record: str, address: str | None) -> None:
        self.world.put(record, Email=address)
        self.expected.people[record].email = address

    @rule(key=st.sampled_from(MAILED))
    def sfmc_takes_the_address_over(self, key: str) -> None:
        address = self.expected.people[key].email
        if address:
            self._sfmc(key, email_address=address)

    @rule(record=st.sampled_from(EVERYBODY))
    def sales_ticks_or_unticks(self, record: str) -> None:
        flag, _ = self.world.flags()[record]
        if not self.expected.people[record].leads_to:
            self.world.put(record, Hard_Bounce__c=int(not flag))

    @rule(record=st.sampled_from(list(BECOMES)))
    def a_record_becomes_another(self, record: str) -> None:
        heir, person = BECOMES[record], self.expected.people[record]
        if record.startswith("00Q"):
            self.world.put(record, IsConverted=1, ConvertedContactId=heir)
            if not person.leads_to:
                self.world.put(heir, Email=person.email)
                self.expected.people[heir].email = person.email
        else:
            self.world.put(record, IsDeleted=1, MasterRecordId=heir)
        person.leads_to = heir

    def _sfmc(self, key: str, **fields: str) -> None:
        for name, value in fields.items():
            self.world.store.execute(
                f"UPDATE subscriber SET {name} = ? WHERE subscriber_key = ?", (value, key)
            )
        who = self.expected.subscribers[key]
        who.status = fields.get("status", who.status)
        who.address = fields.get("email_address", who.address)

    # -- runs ----------------------------------------------------------------------------------

    def _give_up(self, keys: list[str]) -> None:
        for key in keys:
            self.mail_bounces(key, held=True)

    @rule(keys=given_up, road=roads)
    def a_run_ends(self, keys: list[str], road: str) -> None:
        self._give_up(keys)
        put_off = bool(self.expected.open)
        self._runs(road)
        written = self.world.writes()
        if put_off:  # what settling put on the list is staged by the next run
            self._runs(road)
            written = self.world.writes()
        assert self._runs(road) == 0
        assert self.world.writes() == written

    @rule(keys=given_up, road=roads, moment=moments, noted=st.booleans())
    def a_run_dies(self, keys: list[str], road: str, moment: int, noted: bool) -> None:
        self._give_up(keys)
        run, before = self.life.new_run(), self.world.flags()
        staged = self.expected.staged(self.life.day)
        writes = self.expected.run(run, self.life.day, before)
        try:
            with dies(moment, noted=noted):
                self.life.sync(run, road)
        except Killed:
            self.expected.died(writes, self.life.open(), self.world.flags())
        else:
            self.expected.ended(writes, staged)
            self._holds(before, writes)

    @precondition(lambda self: self.expected.runs)
    @rule(road=roads, data=st.data())
    def a_run_is_undone(self, road: str, data: st.DataObject) -> None:
        self._undoes(data.draw(st.sampled_from(sorted(self.expected.runs))), road)

    @precondition(lambda self: self.expected.runs)
    @rule(road=roads, moment=moments, noted=st.booleans(), data=st.data())
    def an_undo_dies(self, road: str, moment: int, noted: bool, data: st.DataObject) -> None:
        of = data.draw(st.sampled_from(sorted(self.expected.runs)))
        run, before = self.life.new_run(), self.world.flags()
        writes = self.expected.undo(run, of, before)
        try:
            with dies(moment, noted=noted):
                self.life.undo(run, of, road)
        except Killed:
            self.expected.died(writes, self.life.open(), self.world.flags())
        else:
            self.expected.ended(writes)
            self._holds(before, writes)

    @precondition(lambda self: not self.expected.open)
    @rule(keys=given_up, road=roads)
    def a_run_is_undone_at_once(self, keys: list[str], road: str) -> None:
        self._give_up(keys)
        before = self.world.flags()
        self._runs(road)
        self._undoes(list(self.expected.runs)[-1], road)
        assert self.world.flags() == before
        assert self._runs(road) == 0

    def _runs(self, road: str) -> int:
        """A whole run; how many records it wrote."""
        run, day, before = self.life.new_run(), self.life.day, self.world.flags()
        staged = self.expected.staged(day)
        writes = self.expected.run(run, day, before)
        done = self.life.sync(run, road)
        assert done == sorted((write.record, "written") for write in writes)
        self.expected.ended(writes, staged)
        self._holds(before, writes)
        return len(done)

    def _undoes(self, of: str, road: str) -> None:
        run, before = self.life.new_run(), self.world.flags()
        writes = self.expected.undo(run, of, before)
        done = self.life.undo(run, of, road)
        assert done == sorted((write.record, "written") for write in writes)
        self.expected.ended(writes)
        self._holds(before, writes)

    def _holds(self, before: Flags, writes: list[Write]) -> None:
        """The CRM has these writes and no other, and nothing is left unsettled."""
        assert self.world.flags() == before | {write.record: write.after for write in writes}
        assert self.life.open() == set()


@pytest.mark.parametrize(
    ("lives", "steps"), [(15, 25), pytest.param(200, 50, marks=pytest.mark.thorough)]
)
def test_the_crm_follows_the_policy(served: Served, tmp_path: Path, lives: int, steps: int) -> None:
    numbers = itertools.count()
    run_state_machine_as_test(
        lambda: Months(served, tmp_path / str(next(numbers))),
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
