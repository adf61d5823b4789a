"""Bounces × Held → staging."""

from __future__ import annotations

import pandas as pd
import pandas.testing as pdt
import pytest

from bounce_sync import tables
from bounce_sync.rules.confirmation import funnel
from bounce_sync_tests.rules.world import World, at, framed


def staged(world: World) -> pd.Series:
    """The only staged row."""
    staging = tables.ConfirmedBounceStaging.validate(world.staging_frame())
    assert len(staging) == 1
    return staging.iloc[0]


def test_row_shows_the_newest_bounce_and_counts_the_evidence() -> None:
    world = World()
    world.held("k", at(29))
    world.bounce(
        "k",
        at(30, "12:00:00.999"),
        bounce_category="Soft bounce",
        smtp_code="452",
        smtp_reason="full",
        business_unit="7002",
    )
    world.bounce("k", at(30, "12:00:00.998"))
    row = staged(world)
    assert row["bounced_at"] == pd.Timestamp(at(30, "12:00:00"))
    assert row["bounce_category"] == "Soft bounce"
    assert (row["smtp_code"], row["bounce_reason"], row["business_unit"]) == ("452", "full", "7002")
    assert row["evidence_count"] == 3


def test_millisecond_decides_which_bounce_is_the_newest_before_it_is_cut() -> None:
    world = World()
    world.held("k", at(30, "12:00:00.001"))
    world.bounce("k", at(30, "12:00:00.002"), smtp_code="551", job_id=0)
    assert staged(world)["smtp_code"] == "551"


def test_bounces_at_one_instant_are_told_apart_without_regard_to_row_order() -> None:
    world = World()
    world.subscriber("k", "Held")
    for n in (2, 3, None, 1):
        world.bounce("k", job_id=n, smtp_code=f"55{n or 9}")
    for code in ("554", "550"):
        world.bounce("k", job_id=3, smtp_code=code)
    first = world.staging_frame()
    world.bounces.reverse()
    pdt.assert_frame_equal(world.staging_frame(), first)
    assert staged(world)["smtp_code"] == "550"


def test_hard_bounce_is_only_asked_for_where_the_policy_does() -> None:
    world = World()
    world.subscriber("soft", "Held")
    world.bounce("soft", bounce_category="Soft bounce")
    world.subscriber("mixed", "Held")
    world.bounce("mixed", at(29))
    world.bounce("mixed", at(30), bounce_category="Block bounce")
    assert world.staging_frame()["subscriber_key"].tolist() == ["mixed", "soft"]
    row = staged(world.with_policy(confirm="held_with_hard_bounce"))
    assert row["subscriber_key"] == "mixed"
    assert row["bounce_category"] == "Block bounce"  # still the newest


@pytest.mark.parametrize("key", ["K", "k ", "k\u0301"])
def test_subscribers_are_joined_exactly(key: str) -> None:
    world = World()
    world.subscriber("k", "Held")
    world.bounce(key)
    assert world.staging_frame().empty


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour"),
        ("x" * 501, "x" * 500),
        ("𝄞" * 501, "𝄞" * 500),
        ("é" * 499 + "\r\n" + "x", "é" * 499 + "\n"),
        (None, None),
    ],
)
def test_reason_has_line_feeds_and_is_cut_to_code_points(
    reason: str | None, expected: str | None
) -> None:
    world = World()
    world.subscriber("k", "Held")
    world.bounce("k", smtp_reason=reason)
    found = staged(world)["bounce_reason"]
    assert pd.isna(found) if expected is None else found == expected


@pytest.mark.parametrize("length", [1, 20, 499])
def test_reason_is_cut_to_the_policys_length(length: int) -> None:
    world = World().with_policy(reason_length=length)
    world.subscriber("k", "Held")
    world.bounce("k", smtp_reason="ä" * 600)
    assert staged(world)["bounce_reason"] == "ä" * length


@pytest.mark.parametrize(
    ("event", "address", "domain"),
    [
        ({}, "ann@corp.com", "corp.com"),
        ({"domain": "CORP.com"}, "ann@corp.com", "corp.com"),
        ({"domain": "old.com"}, None, "old.com"),
        ({"email_address": "Ann@Old.com"}, "Ann@Old.com", "old.com"),
        ({"email_address": "ann@old.com", "domain": "old.com"}, "ann@old.com", "old.com"),
    ],
)
def test_address_is_the_events_else_todays_unless_its_domain_is_another(
    event: dict[str, str], address: str | None, domain: str
) -> None:
    world = World()
    world.subscriber("k", "Held", "ann@corp.com")
    world.bounce("k", **event)
    row = staged(world)
    assert row["domain"] == domain
    assert pd.isna(row["email_address"]) if address is None else row["email_address"] == address


def test_held_subscriber_without_address_keeps_the_events_domain() -> None:
    world = World()
    world.subscriber("k", "Held", None)
    world.bounce("k", domain="corp.com")
    row = staged(world)
    assert (pd.isna(row["email_address"]), row["domain"]) == (True, "corp.com")


CARRIED = {
    "subscriber_key": "k",
    "email_address": "ann@corp.com",
    "domain": "corp.com",
    "bounce_category": "Hard bounce",
    "bounce_reason": "y" * 30,
    "bounced_at": at(2),
    "evidence_count": 1,
    "business_unit": "7001",
    "carried_since": "2026-01-05",
}


def test_carried_key_stays_staged_while_held() -> None:
    world = World(carried=[CARRIED]).with_policy(reason_length=20)
    world.subscriber("k", "Held")
    row = staged(world)
    assert (row["bounced_at"], row["carried_since"]) == (pd.Timestamp(at(2)), "2026-01-05")
    assert row["bounce_reason"] == "y" * 20


def test_carried_key_that_is_held_no_more_is_dropped() -> None:
    world = World(carried=[CARRIED])
    world.subscriber("k", "Active")
    assert world.staging_frame().empty


def test_evidence_of_the_window_replaces_what_was_carried_but_for_its_day() -> None:
    world = World(carried=[CARRIED])
    world.held("k")
    row = staged(world)
    assert (row["bounced_at"], row["carried_since"]) == (pd.Timestamp(at(30)), "2026-01-05")


def test_evidence_that_does_not_confirm_replaces_nothing() -> None:
    world = World(carried=[CARRIED]).with_policy(confirm="held_with_hard_bounce")
    world.subscriber("k", "Held")
    world.bounce("k", bounce_category="Soft bounce")
    assert staged(world)["bounced_at"] == pd.Timestamp(at(2))


def test_funnel_counts_down_to_what_is_staged() -> None:
    world = World()
    world.held("dead")
    world.bounce("dead", bounce_category="Soft bounce")
    world.subscriber("alive", "Active")
    world.bounce("alive")
    world.bounce("alive")
    world.bounce("soft", bounce_category="Soft bounce")
    bounces = framed(tables.RawBounces, world.bounces)
    counts = funnel(bounces, world.held_frame(), world.staging_frame())
    assert counts == {
        "raw_bounces": 5,
        "hard_bounces": 3,
        "bounces_of_held": 2,
        "held_subscribers": 1,
        "staged": 1,
        "naive_false_flags": 1,
    }
