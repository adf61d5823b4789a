"""Undo: what a run wrote goes back where it still stands, in the ledger and undoable itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.ledger import Ledger, UnknownRun
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync.tables import CrmFlagChanges, CrmFlagUpdates
from bounce_sync.undo import LEFT, UndoError, Undone, undo
from bounce_sync_tests.ledger.crm import FACTS, STORED, Crm, crm
from bounce_sync_tests.ledger.frames import MONDAY, TUESDAY, change, changes, record_id

ANN, BOB, CAT = record_id(1), record_id(2), record_id(3)
SET_ON_MONDAY = (True, MONDAY.strftime(STORED))
SET_ON_TUESDAY = (True, TUESDAY.strftime(STORED))
UNTOUCHED = (False, None)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crm]:
    with crm(tmp_path_factory.mktemp("crm"), ANN, BOB, CAT) as org:
        yield org


@pytest.fixture
def org(served: Crm) -> Crm:
    """Three Contacts as they were before we came."""
    for each in (ANN, BOB, CAT):
        served.put(
            each,
            Hard_Bounce__c=0,
            Hard_Bounce_Date__c=None,
            Email=f"{each.lower()}@example.com",
            IsDeleted=0,
        )
    return served


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path}/ledger.db")


class Team:
    """Runs that write and undos, on one ledger and one org."""

    def __init__(self, ledger: Ledger, org: Crm) -> None:
        self.ledger, self.org = ledger, org

    def run(self, run_id: str, *rows: dict) -> None:
        with self.ledger.writer(0):
            journal = self.ledger.run_journal(run_id, "2026-02-03")
            written = FlagWriter(self.org.connection, journal).write(changes(*rows), FACTS)
        assert set(written["outcome"]) == {"written"}

    def undo(self, run_id: str, **options: object) -> Undone:
        return undo(
            run_id, ledger=self.ledger, connection=self.org.connection, facts=FACTS, **options
        )


@pytest.fixture
def team(ledger: Ledger, org: Crm) -> Team:
    return Team(ledger, org)


def cleared(number: int, **columns: object) -> dict:
    return change(
        number,
        action="clear",
        reason="released",
        status="Active",
        flag_before=True,
        flag_after=False,
        date_before=MONDAY,
        **columns,
    )


def refreshed(number: int) -> dict:
    return change(
        number,
        action="refresh",
        reason="newer_bounce",
        flag_before=True,
        date_before=MONDAY,
        date_after=TUESDAY,
        bounced_at=TUESDAY,
    )


def test_a_set_goes_back_to_no_flag_and_no_date(team: Team) -> None:
    team.run("r1", change(1), change(2))
    undone = team.undo("r1")
    assert undone.updates["outcome"].tolist() == ["written"] * 2
    CrmFlagUpdates.validate(undone.updates)
    CrmFlagChanges.validate(undone.plan.changes)
    assert undone.plan.left.empty
    assert team.org.holds(ANN) == team.org.holds(BOB) == UNTOUCHED


def test_a_refresh_goes_back_to_the_earlier_date(team: Team) -> None:
    team.run("r1", change(1))
    team.run("r2", refreshed(1))
    assert team.org.holds(ANN) == SET_ON_TUESDAY
    assert team.undo("r2").updates["action"].tolist() == ["refresh"]
    assert team.org.holds(ANN) == SET_ON_MONDAY


def test_a_clear_gives_the_flag_back_and_leaves_the_date(team: Team) -> None:
    team.run("r1", change(1))
    team.run("r2", cleared(1))
    team.org.put(ANN, Hard_Bounce_Date__c=TUESDAY.strftime(STORED))
    assert team.undo("r2").updates["action"].tolist() == ["set"]
    assert team.org.holds(ANN) == SET_ON_TUESDAY


def test_the_undo_of_the_undo_brings_the_write_back(team: Team) -> None:
    team.run("r1", change(1))
    first = team.undo("r1")
    second = team.undo(first.run_id)
    assert team.org.holds(ANN) == SET_ON_MONDAY
    knowledge = team.ledger.knowledge()
    assert knowledge["is_undo"].tolist() == [True]
    assert knowledge["undone_action"].isna().all(), "the undo is lifted"
    team.undo(second.run_id)
    assert team.org.holds(ANN) == UNTOUCHED
    assert team.ledger.knowledge()["undone_action"].tolist() == ["set"]


def test_the_rules_learn_what_stands_undone(team: Team) -> None:
    team.run("r1", change(1, status="Held", email_hash="feedfacefeedface"))
    team.undo("r1")
    known = team.ledger.knowledge().loc[0]
    assert known["flag_written"] == False  # noqa: E712 (a numpy truth value)
    assert pd.isna(known["date_written"])
    assert known["undone_action"] == "set"
    assert known["undone_bounced_at"] == MONDAY
    assert known["undone_status"] == "Held"
    assert known["undone_email_hash"] == "feedfacefeedface"


def test_who_undoes_knew_of_every_bounce_until_then(team: Team) -> None:
    team.run("r1", change(1))
    team.run("r2", refreshed(1))
    team.undo("r2")
    team.run("r3", cleared(1))
    team.undo("r3")
    assert team.ledger.knowledge()["undone_bounced_at"].tolist() == [TUESDAY]


LEFT_ALONE = {
    "changed": lambda org: org.put(ANN, Hard_Bounce_Date__c=TUESDAY.strftime(STORED)),
    "gone": lambda org: org.put(ANN, IsDeleted=1),
}


@pytest.mark.parametrize("why", LEFT_ALONE)
def test_what_no_longer_stands_is_left(team: Team, why: str) -> None:
    team.run("r1", change(1), change(2))
    LEFT_ALONE[why](team.org)
    held = team.org.holds(ANN)
    undone = team.undo("r1")
    assert undone.plan.left[["record_id", "why"]].values.tolist() == [[ANN, why]]
    assert why in LEFT
    assert team.org.holds(ANN) == held
    assert team.org.holds(BOB) == UNTOUCHED


def test_what_a_later_run_wrote_is_left_with_its_name(team: Team) -> None:
    team.run("r1", change(1))
    team.run("r2", refreshed(1))
    left = team.undo("r1").plan.left
    assert left[["why", "by_run"]].values.tolist() == [["written_again", "r2"]]
    assert team.org.holds(ANN) == SET_ON_TUESDAY


def test_undoing_twice_writes_nothing_more(team: Team) -> None:
    team.run("r1", change(1))
    team.undo("r1")
    before = team.org.writes()
    again = team.undo("r1")
    assert again.plan.left["why"].tolist() == ["undone_already"]
    assert again.updates.empty
    assert team.org.writes() == before


def test_what_was_never_written_is_left(team: Team) -> None:
    with team.ledger.writer(0):
        team.ledger.run_journal("r1", "2026-02-03").intend(changes(change(1)))
    undone = team.undo("r1")
    assert undone.plan.left["why"].tolist() == ["not_written"]
    assert team.ledger.open_intents().empty, "what a crash left open is settled first"


def test_a_part_of_a_run_by_mail_domain(team: Team) -> None:
    team.run("r1", change(1, domain="outage.example"), change(2), change(3, domain=None))
    assert len(team.undo("r1", domains=["OUTAGE.example"]).updates) == 1
    assert team.org.holds(ANN) == UNTOUCHED
    assert team.org.holds(BOB) == SET_ON_MONDAY
    undone = team.undo("r1", domains=["example.com"])
    assert sorted(undone.updates["record_id"]) == [BOB, CAT], "else the CRM's address tells it"


def test_a_part_of_a_run_by_record_in_any_form(team: Team) -> None:
    team.run("r1", change(1), change(2))
    team.undo("r1", records=[BOB.lower()])
    assert team.org.holds(ANN) == SET_ON_MONDAY
    assert team.org.holds(BOB) == UNTOUCHED


def test_an_id_that_is_none_and_a_run_that_is_unknown_are_errors(team: Team) -> None:
    team.run("r1", change(1))
    with pytest.raises(UndoError, match="nonsense"):
        team.undo("r1", records=["nonsense"])
    with pytest.raises(UnknownRun):
        team.undo("r2")


@pytest.mark.parametrize("options", [{"dry_run": True}, {"confirm": lambda plan: False}])
def test_a_dry_run_and_a_no_write_nothing(team: Team, options: dict) -> None:
    team.run("r1", change(1))
    shown = team.undo("r1", **options)
    assert shown.plan.changes["record_id"].tolist() == [ANN]
    assert shown.run_id == ""
    assert team.org.holds(ANN) == SET_ON_MONDAY
    assert team.ledger.runs()["run_id"].tolist() == ["r1"]


def test_an_undo_remembers_the_run_it_undoes(team: Team) -> None:
    team.run("r1", change(1))
    undone = team.undo("r1")
    runs = team.ledger.runs().set_index("run_id")
    assert runs.loc[undone.run_id, "undoes"] == "r1"
    assert runs.loc[undone.run_id, "partition"] == "2026-02-03"


def test_the_records_read_back_as_they_were(team: Team) -> None:
    records = pd.DataFrame({"object": "Contact", "record_id": [ANN, BOB, CAT]})
    reader = RecordReader(team.org.connection)
    before = reader.reread(records)
    team.run("r1", change(1), change(2), change(3))
    team.undo("r1")
    pd.testing.assert_frame_equal(reader.reread(records), before)
