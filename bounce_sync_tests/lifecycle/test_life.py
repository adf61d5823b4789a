"""Whatever happens in between: after a clean run the CRM says what the rules say of SFMC."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from bounce_sync.ledger import Ledger
from bounce_sync.rules.identity import to_18
from bounce_sync.tables import HELD, WRITTEN
from bounce_sync_tests.ledger.crm import Crm, crm
from bounce_sync_tests.lifecycle.life import Life, Subscriber

CONTACTS = [to_18(f"003Dn00000Life{number}") for number in range(1, 5)]
LEADS = [to_18(f"00QDn00000Life{number}") for number in range(1, 3)]
HEIRS = [to_18(f"003Dn00000Heir{number}") for number in range(1, 3)]
"""Contacts that Leads become; nobody mails them under their own ids."""
PEOPLE = st.sampled_from([*CONTACTS, *LEADS])


@pytest.fixture(scope="module")
def org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crm]:
    with crm(tmp_path_factory.mktemp("crm"), *CONTACTS, *HEIRS) as served:
        served.store.insert(
            "Lead",
            ["Id", "Email", "LastName", "Hard_Bounce__c", "IsDeleted", "IsConverted"],
            [(each, f"{each.lower()}@example.com", "Doe", 0, 0, 0) for each in LEADS],
        )
        yield served


def new_life(org: Crm, folder: Path) -> Life:
    """Everybody mailed, nobody flagged, an empty ledger."""
    for table in ("Contact", "Lead"):
        org.store.execute(
            f'UPDATE "{table}" SET Hard_Bounce__c = 0, Hard_Bounce_Date__c = NULL, IsDeleted = 0, '
            "MasterRecordId = NULL, Email = lower(Id) || '@example.com'"
        )
    org.store.execute("DELETE FROM crm_write")
    org.store.execute('UPDATE "Lead" SET IsConverted = 0, ConvertedContactId = NULL')
    everybody = [*CONTACTS, *LEADS]
    subscribers = {key: Subscriber(address=f"{key.lower()}@example.com") for key in everybody}
    return Life(org, Ledger(f"sqlite:///{folder}/ledger.db"), subscribers)


class Months(RuleBasedStateMachine):
    """What SFMC, sales people, admins, crashes and operators do, in any order."""

    def __init__(self, make: Callable[[], Life]) -> None:
        super().__init__()
        self.life = make()

    @rule(days=st.integers(1, 20))
    def time_passes(self, days: int) -> None:
        self.life.pass_time(days=days)

    @rule(who=PEOPLE, held=st.booleans())
    def mail_bounces(self, who: str, held: bool) -> None:
        self.life.bounce(who)
        if held:
            self.life.subscribers[who].status = HELD

    @rule(who=PEOPLE, status=st.sampled_from(["Active", "Bounced", "Unsubscribed", HELD]))
    def sfmc_says(self, who: str, status: str) -> None:
        self.life.subscribers[who].status = status

    @rule(who=PEOPLE, number=st.integers(0, 2))
    def sales_corrects_the_address(self, who: str, number: int) -> None:
        self.life.org.put(who, Email=f"new{number}@example.com")

    @rule(who=PEOPLE)
    def sfmc_takes_the_address_over(self, who: str) -> None:
        self.life.subscribers[who].address = self.life.email(who)

    @rule(who=PEOPLE)
    def sales_unticks_or_ticks(self, who: str) -> None:
        flag, _ = self.life.flags()[who]
        self.life.org.put(who, Hard_Bounce__c=int(not flag))
        self.life.touched.add(who)
        self.life.edited.add(who)

    @rule(number=st.integers(0, 1))
    def a_lead_is_converted(self, number: int) -> None:
        lead, heir = LEADS[number], HEIRS[number]
        self.life.org.put(lead, IsConverted=1, ConvertedContactId=heir)
        self.life.org.put(heir, Email=self.life.email(lead))
        self.life.touched |= {lead, heir}

    @rule(into=st.sampled_from(CONTACTS[:2]))
    def contacts_are_merged(self, into: str) -> None:
        merged = CONTACTS[-1]
        self.life.org.put(merged, IsDeleted=1, MasterRecordId=into)
        self.life.touched |= {merged, into}

    @rule(where=st.sampled_from(["before sending", "after the answer"]))
    def a_run_dies(self, where: str) -> None:
        self.life.run_and_die(where)
        self.life.follow_the_rules()

    @rule()
    def a_run_ends(self) -> None:
        life = self.life
        updates = life.run()
        life.follow_the_rules()
        assert set(updates["outcome"]) <= {WRITTEN}
        assert life.ledger.open_intents().empty
        life.ledger_is_complete()
        self.nothing_is_left_to_do()
        flags = life.flags()
        for key in life.subscribers.keys() - life.touched:
            assert flags[key] == life.expected[key], key

    @precondition(lambda self: self.life.ledger.open_intents().empty)
    @rule(who=PEOPLE, held=st.booleans())
    def a_run_is_undone_and_not_done_again(self, who: str, held: bool) -> None:
        life = self.life
        self.mail_bounces(who, held)
        before = life.flags()
        updates = life.run()
        life.follow_the_rules()
        life.touched |= set(updates["record_id"])
        undone = life.undo(life.runs[-1])
        assert life.flags() == before
        assert undone.plan.left.empty
        self.nothing_is_left_to_do()
        if undone.run_id:
            life.undo(undone.run_id)
            assert set(life.undo(undone.run_id).plan.left["why"]) == {"undone_already"}
            self.nothing_is_left_to_do()

    @precondition(lambda self: self.life.ledger.open_intents().empty)
    @rule(who=PEOPLE)
    def a_person_unticks_what_we_flagged(self, who: str) -> None:
        life = self.life
        self.mail_bounces(who, held=True)
        life.run()
        life.follow_the_rules()
        if not life.flags()[who][0]:
            return  # another address, another record, or left to a person before
        life.org.put(who, Hard_Bounce__c=0)
        life.touched.add(who)
        life.edited.add(who)
        life.pass_time(days=1)
        life.run()
        life.follow_the_rules()
        assert not life.flags()[who][0]

    def nothing_is_left_to_do(self) -> None:
        written = self.life.org.writes()
        assert set(self.life.plan()["action"]) <= {"none"}
        assert self.life.run().empty
        assert self.life.org.writes() == written


@pytest.mark.parametrize("where", ["before sending", "after the answer"])
def test_what_a_crash_lost_outlives_its_evidence(org: Crm, tmp_path: Path, where: str) -> None:
    life = new_life(org, tmp_path)
    life.bounce(CONTACTS[0])
    life.subscribers[CONTACTS[0]].status = HELD
    life.run_and_die(where)
    life.pass_time(days=30)
    life.run()
    life.run()
    assert life.flags()[CONTACTS[0]][0]
    life.ledger_is_complete()


@pytest.mark.parametrize(
    ("lives", "steps"), [(6, 12), pytest.param(150, 40, marks=pytest.mark.thorough)]
)
def test_the_crm_follows_sfmc_through_everything(
    org: Crm, tmp_path: Path, lives: int, steps: int
) -> None:
    numbers = itertools.count()

    def make() -> Life:
        return new_life(org, tmp_path / str(next(numbers)))

    run_state_machine_as_test(
        lambda: Months(make),
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
