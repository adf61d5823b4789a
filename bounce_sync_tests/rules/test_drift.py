"""All of Held against all of flagged: each finding, its date, and who is asked for bounces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.rules import drift, guards
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.rules.identity import flag_state
from bounce_sync_tests.rules.world import (
    OFFSET,
    World,
    at,
    contact_id,
    framed,
    hash_of,
    lead_id,
)

READ_AT = datetime(2026, 2, 1, 9, tzinfo=UTC)
ANN = contact_id(1)


def held_frame(world: World, held_at: dict[str, str]) -> pd.DataFrame:
    rows = world.held_frame().to_dict("records")
    return framed(
        tables.HeldSubscribers,
        [{**row, "held_at": held_at.get(row["subscriber_key"])} for row in rows],
    )


def compared(
    world: World,
    held_without_bounce: drift.HeldWithoutBounce = "report",
    held_at: dict[str, str] | None = None,
) -> pd.DataFrame:
    held = held_frame(world, held_at or {})
    records = framed(tables.CrmRecords, world.records)
    state = flag_state(records, held["subscriber_key"], world.policy.match_field)
    released = world._asked(set(state["subscriber_key"]) - set(held["subscriber_key"]))
    sides = drift.Sides(
        held,
        state,
        released,
        framed(tables.LedgerKnowledge, world.writes),
        framed(tables.DomainHistory, world.history),
        world.facts,
        READ_AT,
    )
    found = drift.compare(
        sides,
        framed(tables.RawBounces, world.bounces),
        world.policy,
        held_without_bounce,
        OFFSET,
        world.allowed_domains,
    )
    tables.CrmDrift.validate(found)
    flagged = state[state["flag"]].drop_duplicates(["object", "record_id"])
    verdict = guards.drift_accounted_for(found, len(held), len(flagged))
    assert verdict.passed, verdict.message
    return found


def the_row(found: pd.DataFrame) -> dict[str, Any]:
    rows = found[found["reason"] != "other_key"]
    assert len(rows) == 1
    return rows.iloc[0].to_dict()


def test_evidence_is_any_bounce_however_long_ago() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN, "2024-05-06T07:08:09.900Z")
    row = the_row(compared(world))
    assert (row["finding"], row["action"]) == ("not_flagged", "set")
    assert row["date_after"] == pd.Timestamp("2024-05-06T07:08:09Z")


@pytest.mark.parametrize("held_at", [None, "2024-05-06T07:08:09.900Z"])
@pytest.mark.parametrize("setting", ["report", "flag"])
def test_without_a_bounce_the_hold_dates_the_flag_or_nothing_does(
    setting: drift.HeldWithoutBounce, held_at: str | None
) -> None:
    world = World()
    world.record(ANN)
    world.subscriber(ANN, tables.HELD)
    row = the_row(compared(world, setting, {ANN: held_at} if held_at else {}))
    assert row["finding"] == row["reason"] == "held_without_bounce"
    assert row["action"] == ("set" if setting == "flag" else "none")
    assert row["flag_after"] == (setting == "flag")
    dated = held_at is not None and setting == "flag"
    expected = pd.Timestamp("2024-05-06T07:08:09Z") if dated else pd.NaT
    assert row["date_after"] is expected or row["date_after"] == expected
    assert row["bounced_at"] is pd.NaT


def test_a_hold_fills_an_empty_date_and_never_moves_one() -> None:
    for date, finding in ((None, "date_behind"), (at(1), tables.AGREES)):
        world = World()
        world.record(ANN, flag=True, flag_date=date)
        world.subscriber(ANN, tables.HELD)
        row = the_row(compared(world, "flag", {ANN: at(20)}))
        assert row["finding"] == finding
        assert row["date_after"] == pd.Timestamp(date or at(20))


@pytest.mark.parametrize("is_day", [False, True])
def test_a_date_that_is_still_to_come_is_told_of_without_a_bounce_too(is_day: bool) -> None:
    facts = CrmFacts(date_is_day=is_day, time_zone="America/Los_Angeles")
    for date, finding in ((at(31), tables.AGREES), ("2026-02-02T00:00:00Z", "date_ahead")):
        world = World(facts=facts)
        world.record(ANN, flag=True, flag_date=date)
        world.subscriber(ANN, tables.HELD)
        row = the_row(compared(world))
        assert (row["finding"], row["action"]) == (finding, "none")


def test_a_date_field_takes_the_day_of_the_hold_in_the_users_zone() -> None:
    world = World(facts=CrmFacts(date_is_day=True, time_zone="Asia/Tokyo"))
    world.record(ANN)
    world.subscriber(ANN, tables.HELD)
    found = compared(world, "flag", {ANN: at(20, "20:00:00")})
    assert the_row(found)["date_after"] == pd.Timestamp("2026-01-21", tz="UTC")


def test_bounces_that_dont_confirm_are_no_reason_to_flag_by_the_hold() -> None:
    world = World().with_policy(confirm="held_with_hard_bounce")
    world.record(ANN)
    world.subscriber(ANN, tables.HELD)
    world.bounce(ANN, bounce_category="Soft bounce")
    row = the_row(compared(world, "flag", {ANN: at(20)}))
    assert (row["finding"], row["action"]) == ("held_without_bounce", "none")


@pytest.mark.parametrize(
    ("date", "held_at", "finding"),
    [
        (at(30), None, tables.AGREES),
        (at(29), None, "date_behind"),
        (None, None, "date_behind"),
        (at(31), None, "date_ahead"),
        (at(31), at(31), tables.AGREES),  # dated by the hold, and a bounce became known since
    ],
)
def test_the_date_is_compared_with_the_newest_bounce(
    date: str | None, held_at: str | None, finding: str
) -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=date)
    world.held(ANN)
    world.bounce(ANN, at(12))
    row = the_row(compared(world, held_at={ANN: held_at} if held_at else {}))
    assert row["finding"] == finding
    assert row["date_after"] == max(pd.Timestamp(date or at(30)), pd.Timestamp(at(30)))


def test_who_unticked_a_flag_is_not_overruled_by_a_hold_alone() -> None:
    for writes in (True, False):
        world = World()
        world.record(ANN, flag_date=at(10))
        world.subscriber(ANN, tables.HELD)
        if writes:
            world.wrote(ANN, tables.SET, at(10))
        for held_at in ({}, {ANN: at(9)}):
            row = the_row(compared(world, "flag", held_at))
            assert (row["finding"], row["action"]) == ("conflict", "none"), (writes, held_at)


def test_a_newer_hold_flags_what_nobody_we_know_of_unticked() -> None:
    world = World()
    world.record(ANN, flag_date=at(10))
    world.subscriber(ANN, tables.HELD)
    row = the_row(compared(world, "flag", {ANN: at(20)}))
    assert (row["action"], row["date_after"]) == ("set", pd.Timestamp(at(20)))


def test_an_undone_flag_by_the_hold_stays_undone() -> None:
    world = World()
    world.record(ANN)
    world.subscriber(ANN, tables.HELD)
    world.wrote(
        ANN,
        tables.CLEAR,
        None,
        is_undo=True,
        undone_action=tables.SET,
        undone_status=tables.HELD,
        undone_email_hash=hash_of("ann@corp.com"),
    )
    row = the_row(compared(world, "flag"))
    assert (row["reason"], row["finding"], row["action"]) == ("undone", "conflict", "none")


@pytest.mark.parametrize(
    ("status", "flag", "finding"),
    [
        ("Active", True, "still_flagged"),
        ("Bounced", True, "still_flagged"),
        ("Unsubscribed", True, "no_statement"),
        ("Deleted", True, "no_statement"),
        (None, True, "no_statement"),
    ],
)
def test_what_is_flagged_and_not_held(status: str | None, flag: bool, finding: str) -> None:
    world = World()
    world.record(ANN, flag=flag)
    if status:
        world.subscriber(ANN, status)
    row = the_row(compared(world))
    assert row["finding"] == finding
    assert row["action"] == ("clear" if finding == "still_flagged" else "none")


def test_spellings_of_one_key_are_one_finding() -> None:
    world = World()
    world.record(ANN)
    world.subscriber(ANN.lower(), tables.HELD)
    row = the_row(compared(world, "flag", {ANN.lower(): at(20)}))
    assert (row["finding"], row["date_after"]) == ("held_without_bounce", pd.Timestamp(at(20)))


def test_a_key_of_several_records_and_a_key_that_is_an_address() -> None:
    world = World().with_policy(match_field="Customer__c")
    for n in (1, 2):
        world.record(contact_id(n), match_value="000123")
    world.held("000123")
    assert set(compared(world)["finding"]) == {"ambiguous"}

    world = World().with_policy(match_field="Email")
    for n in (1, 2):
        world.record(contact_id(n), match_value="ann@corp.com")
    world.held("Ann@Corp.com")
    found = compared(world)
    assert list(found["finding"]) == ["not_flagged", "not_flagged"]
    assert set(found["record_id"]) == {contact_id(1), contact_id(2)}


def test_whom_the_policy_or_the_settings_leave() -> None:
    world = World().with_policy(foreign_flags="leave")
    world.record(ANN, flag=True)
    world.subscriber(ANN, "Active")
    row = the_row(compared(world))
    assert (row["finding"], row["reason"]) == ("conflict", "foreign_flag")

    world = World()
    world.record(ANN, person_account_id="001aB0000Cd0001")
    world.held(ANN)
    assert the_row(compared(world))["finding"] == "person_account"


def test_who_is_asked_for_bounces() -> None:
    world = World()
    long_ago = "2025-12-01T12:00:00.000Z"
    world.record(contact_id(1), flag=True, flag_date=long_ago)
    world.held(contact_id(1), long_ago)  # agrees, and is mailed no more since: not asked
    world.record(contact_id(2))
    world.held(contact_id(2))
    world.record(contact_id(3))
    world.subscriber(contact_id(3), tables.HELD)
    world.record(lead_id(4), flag=True, flag_date=at(1))
    world.subscriber(lead_id(4), tables.HELD)  # flagged, and no bounce is known
    world.subscriber("nowhere", tables.HELD)
    world.record(contact_id(5), flag=True)
    world.subscriber(contact_id(5), "Active")
    lately, unticked = contact_id(6), contact_id(7)
    world.record(lately, flag=True, flag_date=at(30))
    world.held(lately)  # agrees, and a newer one may have been recorded late
    world.record(unticked, flag_date=at(30))
    world.held(unticked)  # left as somebody left it, until a newer one comes
    asked = [contact_id(2), contact_id(3), lately, unticked, lead_id(4)]
    assert drift.to_ask(compared(world)) == asked


def test_counts_are_of_records_and_of_keys_that_lead_nowhere() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN)
    world.held(ANN[:15])
    world.held("nowhere")
    counts = drift.counts(compared(world))
    assert {name: count for name, count in counts.items() if count} == {
        "not_flagged": 1,
        "unmatched": 1,
    }
    assert tuple(counts) == tuple(tables.FINDINGS)


# --- outages -----------------------------------------------------------------------------------


def many(world: World, count: int, event_at: str) -> World:
    for n in range(count):
        world.record(contact_id(n), email=f"user{n}@corp.com")
        world.held(contact_id(n), event_at, email=f"user{n}@corp.com")
    return world


def decided(quarantined: int = 0) -> list[dict[str, Any]]:
    days = [
        {"day": f"2026-01-{n:02d}", "domain": None, "sets": 0, "quarantined": 0}
        for n in range(20, 31)
    ]
    return [*days, {"day": "2026-01-31", "domain": "corp.com", "sets": 60,
                    "quarantined": quarantined}]  # fmt: skip


@pytest.mark.parametrize(
    ("event_at", "count", "finding"),
    [
        (at(30), 51, "quarantined"),
        (at(30), 50, "not_flagged"),
        (at(20), 51, "not_flagged"),  # longer ago than a quarantine lasts
    ],
)
def test_a_day_that_explodes_is_quarantined_while_it_is_recent(
    event_at: str, count: int, finding: str
) -> None:
    world = many(World(history=decided()), count, event_at)
    assert set(compared(world)["finding"]) == {finding}


def test_many_days_of_a_domain_are_no_outage() -> None:
    world = World(history=decided())
    for n in range(80):
        world.record(contact_id(n), email=f"user{n}@corp.com")
        world.held(contact_id(n), at(26 + n % 5), email=f"user{n}@corp.com")
    assert set(compared(world)["finding"]) == {"not_flagged"}


def test_what_the_days_quarantined_waits_here_too_and_a_tag_releases_it() -> None:
    world = many(World(history=decided(quarantined=60)), 3, at(20))
    found = compared(world)
    assert set(found["finding"]) == {"quarantined"}
    assert not found["flag_after"].any()
    assert found["date_after"].isna().all()
    world.allowed_domains = ("corp.com",)
    released = compared(world)
    assert set(released["finding"]) == {"not_flagged"}
    assert set(released["reason"]) == {"domain_allowed"}
    assert set(released["action"]) == {"set"}


# --- verdicts ----------------------------------------------------------------------------------


def test_a_report_with_holes_is_told_by_what_is_missing() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(30))
    world.held(ANN)
    world.held("nowhere")
    found = compared(world)
    assert guards.drift_accounted_for(found, 2, 1).passed
    for holes in ((found, 3, 1), (found, 2, 2), (found.iloc[:1], 2, 1)):
        assert not guards.drift_accounted_for(*holes).passed
    twice = pd.concat([found, found], ignore_index=True)
    assert "several decisions: 1" in guards.drift_accounted_for(twice, 2, 1).message


def test_agreement_is_that_nothing_is_left_to_mend() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(30))
    world.held(ANN)
    world.record(contact_id(2), flag=True)
    assert guards.agreement(compared(world)).passed
    world.subscriber(contact_id(2), "Active")
    verdict = guards.agreement(compared(world))
    assert not verdict.passed
    assert "1 to clear" in verdict.message
