"""Where a person, or `undo`, has overridden what we wrote; and in which order the rules speak."""

from __future__ import annotations

import pytest

from bounce_sync.rules.changes import CrmFacts
from bounce_sync_tests.rules.world import World, at, contact_id, hash_of, lead_id

ANN, BOB, LEA = contact_id(1), contact_id(2), lead_id(1)


def test_unticked_flag_of_a_date_field_is_left_on_the_day_that_we_wrote() -> None:
    world = World(facts=CrmFacts(date_is_day=True))
    world.record(ANN, flag_date="2026-01-30T00:00:00Z")
    world.held(ANN, at(30, "23:00:00"))
    world.wrote(ANN, "set", "2026-01-30T00:00:00Z")
    assert world.decision(ANN) == ("none", "conflict")


def test_unticked_flag_written_without_a_date_yields_to_any_bounce() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN)
    world.wrote(ANN, "set", None)
    assert world.decision(ANN) == ("set", "held")


def test_unticked_flag_of_an_address_that_is_mailed_again_is_no_conflict() -> None:
    world = World()
    world.record(ANN, flag_date=at(30))
    world.record(BOB, is_deleted=True, master_record_id=ANN)
    world.subscriber(ANN, "Active")
    world.held(BOB)
    world.wrote(ANN, "set", at(30))
    assert world.decision(ANN) == ("none", "released")


def test_a_date_without_evidence_against_it_tells_of_no_person() -> None:
    world = World()
    world.record(ANN, flag_date=at(3))
    world.subscriber(ANN, "Held")
    world.record(LEA, is_converted=True, converted_contact_id=ANN)
    world.held(LEA)
    assert world.decision(ANN) == ("none", "still_held")


@pytest.mark.parametrize("email", ["ann.new@corp.com", None])
def test_ticked_flag_that_we_cleared_for_its_address_is_left(email: str | None) -> None:
    world = World()
    world.record(ANN, email=email, flag=True, flag_date=at(3))
    world.held(ANN, at(31))
    world.wrote(ANN, "clear", at(3))
    assert world.decision(ANN) == ("none", "conflict")


def test_ticked_flag_is_ours_again_once_a_newer_bounce_proves_it_right() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(3))
    world.held(ANN, at(31))
    world.wrote(ANN, "clear", at(3))
    assert world.decision(ANN) == ("refresh", "newer_bounce")


@pytest.mark.parametrize(
    ("date", "decision"),
    [
        (at(30), ("none", "conflict")),
        (at(31), ("none", "conflict")),
        (at(29), ("set", "held")),
        (None, ("set", "held")),
    ],
)
def test_unflagged_record_unknown_to_the_ledger_with_a_date_is_a_persons_decision(
    date: str | None, decision: tuple[str, str]
) -> None:
    world = World()
    world.record(ANN, flag_date=date)
    world.held(ANN, at(30, "12:00:00.500"))
    assert world.decision(ANN) == decision


def test_flag_that_we_cleared_is_set_again_with_its_old_date() -> None:
    world = World()
    world.record(ANN, flag_date=at(30))
    world.held(ANN, at(30))
    world.wrote(ANN, "clear", at(30))
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("set", "held")
    assert row["date_after"] == row["date_before"]


def test_undo_of_an_undo_is_an_ordinary_write_again() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(29))
    world.held(ANN, at(30))
    world.record(BOB, flag_date=at(30))
    world.held(BOB, at(30))
    world.wrote(ANN, "set", at(29), is_undo=True)
    world.wrote(BOB, "set", at(30), is_undo=True)
    assert world.decision(ANN) == ("refresh", "newer_bounce")
    assert world.decision(BOB) == ("none", "conflict")


def test_undone_clear_for_an_empty_address_is_left_while_it_is_empty() -> None:
    world = World()
    world.record(ANN, email=None, flag=True)
    world.held(ANN)
    world.wrote(ANN, "set", None, is_undo=True, undone_action="clear", undone_status="Held")
    assert world.decision(ANN) == ("none", "undone")


def test_flag_unknown_to_the_ledger_is_left_where_the_policy_says_so() -> None:
    world = World().with_policy(foreign_flags="leave")
    world.record(ANN, flag=True, flag_date=at(3))
    world.subscriber(ANN, "Active")
    world.record(BOB, flag=True, flag_date=at(3))
    world.held(BOB)
    for each in (ANN, BOB):
        assert world.decision(each) == ("none", "foreign_flag")
    adopting = world.with_policy(foreign_flags="adopt")
    assert adopting.decision(ANN) == ("clear", "released")
    assert adopting.decision(BOB) == ("refresh", "newer_bounce")


def test_flag_that_we_set_is_ours_under_every_policy() -> None:
    world = World().with_policy(foreign_flags="leave")
    world.record(ANN, flag=True, flag_date=at(3))
    world.subscriber(ANN, "Active")
    world.wrote(ANN, "set", at(3))
    assert world.decision(ANN) == ("clear", "released")


def test_first_rule_that_fits_speaks() -> None:
    """One flagged Lead that everything fits, and one fact after the other taken from it."""
    world = World().with_policy(match_field="Customer__c", foreign_flags="leave")
    lead = {"email": None, "flag": True, "match_value": "C-1", "flag_date": at(3)}
    world.record(LEA, **lead, is_converted=True, converted_contact_id=ANN)
    world.record(lead_id(2), match_value="C-1")
    world.held("C-1")
    world.wrote(LEA, "clear", at(3), is_undo=True, undone_action="set", undone_bounced_at=at(30))
    facts = world.records[0]
    assert world.decision(LEA) == ("none", "converted")
    facts["is_converted"] = False
    assert world.decision(LEA) == ("none", "ambiguous")
    world.records.pop()
    assert world.decision(LEA) == ("none", "undone")
    world.writes[0]["undone_action"] = None
    world.writes[0]["flag_written"] = False
    assert world.decision(LEA) == ("none", "conflict")
    world.writes.clear()
    assert world.decision(LEA) == ("none", "foreign_flag")
    world = world.with_policy(foreign_flags="adopt")
    assert world.decision(LEA) == ("clear", "email_removed")
    facts["email"] = "ann.new@corp.com"
    assert world.decision(LEA) == ("clear", "email_changed")
    facts["email"] = "ann@corp.com"
    assert world.decision(LEA) == ("refresh", "newer_bounce")


def test_undone_status_that_was_never_known_is_no_news() -> None:
    world = World()
    world.record(ANN, flag=True)
    world.subscriber(ANN, "Active")
    world.wrote(
        ANN,
        "set",
        None,
        is_undo=True,
        undone_action="clear",
        undone_email_hash=hash_of("ann@corp.com"),
    )
    assert world.decision(ANN) == ("none", "undone")
