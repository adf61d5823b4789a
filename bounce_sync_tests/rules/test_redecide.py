"""The second look at a record, just before it is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bounce_sync import tables
from bounce_sync.rules.changes import CrmFacts, redecide
from bounce_sync_tests.rules.world import World, at, contact_id, framed, lead_id

ANN = contact_id(1)


def verdict(before: dict[str, Any], status: str = "Held", **now: Any) -> str:
    """Verdict on Ann's planned change, made of `before`, when her record has changed to `now`."""
    world = World()
    world.record(ANN, **before)
    world.held(ANN, at(30))
    world.subscriber(ANN, status)
    changes = world.plan()
    assert len(changes) == 1
    later = replace(world, records=[{**world.records[0], **now}])
    decided = redecide(changes, framed(tables.CrmRecords, later.records), world.facts)
    assert list(decided.columns) == [*changes.columns, "verdict"]
    return str(decided["verdict"].iloc[0])


UNFLAGGED: dict[str, Any] = {}
FLAGGED = {"flag": True, "flag_date": at(3)}


@pytest.mark.parametrize("before", [UNFLAGGED, FLAGGED])
def test_record_as_the_plan_found_it_is_written(before: dict[str, Any]) -> None:
    assert verdict(before) == "go"
    assert verdict(before, email=" ANN@corp.com") == "go"  # the same address
    assert verdict(before, account_id="001aB0000Cd0001QAC") == "go"


def test_record_that_holds_it_already_is_done() -> None:
    assert verdict(UNFLAGGED, flag=True, flag_date=at(30)) == "done"
    assert verdict(FLAGGED, flag_date=at(30)) == "done"
    assert verdict(FLAGGED, "Active", flag=False) == "done"
    assert verdict(FLAGGED, "Active", flag=False, flag_date=at(20)) == "done"  # writes no date


@pytest.mark.parametrize(
    "now",
    [
        {"flag": True},
        {"flag": True, "flag_date": at(31)},
        {"flag_date": at(29)},
        {"email": "ann.new@corp.com"},
        {"email": None},
        {"is_deleted": True},
    ],
)
def test_set_on_a_record_that_changed_is_not_sent(now: dict[str, Any]) -> None:
    assert verdict(UNFLAGGED, **now) == "changed"


@pytest.mark.parametrize("now", [{"flag": False}, {"flag_date": at(31)}, {"flag_date": None}])
def test_refresh_on_a_record_that_changed_is_not_sent(now: dict[str, Any]) -> None:
    assert verdict(FLAGGED, **now) == "changed"


@pytest.mark.parametrize("now", [{"flag_date": at(20)}, {"email": "ann.new@corp.com"}])
def test_clear_on_a_record_that_changed_is_not_sent(now: dict[str, Any]) -> None:
    assert verdict(FLAGGED, "Active", **now) == "changed"


def test_record_that_is_there_no_more_is_not_sent() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN)
    decided = redecide(world.plan(), framed(tables.CrmRecords, []), world.facts)
    assert decided["verdict"].tolist() == ["changed"]


def test_lead_that_was_converted_meanwhile_is_not_sent() -> None:
    world = World()
    world.record(lead_id(1))
    world.held(lead_id(1))
    changes = world.plan()
    world.records[0]["is_converted"] = True
    decided = redecide(changes, framed(tables.CrmRecords, world.records), world.facts)
    assert decided["verdict"].tolist() == ["changed"]


def test_day_of_a_date_field_is_compared_as_a_day() -> None:
    world = World(facts=CrmFacts(date_is_day=True))
    world.record(ANN)
    world.held(ANN, at(30, "20:00:00"))
    changes = world.plan()
    world.records[0].update(flag=True, flag_date=at(30, "00:00:00"))
    decided = redecide(changes, framed(tables.CrmRecords, world.records), world.facts)
    assert decided["verdict"].tolist() == ["done"]
