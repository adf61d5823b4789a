"""Mail domains that explode are quarantined, and only where that can be judged."""

from __future__ import annotations

import pytest

from bounce_sync_tests.rules.world import World, at, contact_id


def outage(sets: int, history: list[int]) -> World:
    """A day with so many sets at one domain, after days with so many each (0: not named)."""
    world = World()
    for n in range(sets):
        world.record(contact_id(n), email=f"user{n}@corp.com")
        world.held(contact_id(n), email=f"user{n}@corp.com")
    for n, count in enumerate(history):
        named = {"domain": "corp.com", "sets": count} if count else {"domain": None, "sets": 0}
        world.history.append(
            {"day": f"2025-{n // 28 + 10}-{n % 28 + 1:02d}", "quarantined": 0, **named}
        )
    return world


def reasons(world: World) -> dict[str, int]:
    return world.plan()["reason"].value_counts().to_dict()


@pytest.mark.parametrize(
    ("sets", "history", "reason"),
    [
        (51, [0] * 7, "domain_spike"),
        (50, [0] * 7, "held"),  # at least 50
        (51, [0] * 6, "held"),  # nobody can judge yet
        (60, [6] * 7, "held"),  # ten times the median
        (61, [6] * 7, "domain_spike"),
        (61, [6, 6, 6, 0, 0, 0, 0], "domain_spike"),  # absent days count as zero
        (61, [9, 9, 9, 9, 0, 0, 0], "held"),
        (51, [9] * 15 + [0] * 30, "domain_spike"),  # the newest thirty days
    ],
)
def test_spike_is_far_above_the_domains_median_day(
    sets: int, history: list[int], reason: str
) -> None:
    assert reasons(outage(sets, history)) == {reason: sets}


def test_quarantined_sets_change_nothing_and_the_rest_goes_on() -> None:
    world = outage(51, [0] * 7)
    other = world.record(contact_id(900), email="zoe@other.com")
    world.held(other, email="zoe@other.com")
    changes = world.plan().set_index("record_id")
    assert changes.loc[other, "action"] == "set"
    spiked = changes.drop(index=other)
    assert set(spiked["action"]) == {"none"}
    assert not spiked["flag_after"].any()
    assert spiked["date_after"].isna().all()
    assert spiked["bounced_at"].notna().all()


def test_allowed_domain_is_released() -> None:
    world = outage(51, [0] * 7)
    world.allowed_domains = ("CORP.com",)
    assert reasons(world) == {"domain_allowed": 51}
    assert set(world.plan()["action"]) == {"set"}


def test_only_sets_are_quarantined() -> None:
    world = outage(51, [0] * 7)
    for record in world.records[:2]:
        record["flag"] = True
    assert reasons(world) == {"newer_bounce": 2, "held": 49}


def test_factor_is_the_policys() -> None:
    world = outage(61, [6] * 7)
    assert reasons(world.with_policy(max_domain_spike=11)) == {"held": 61}


def carried_over(sets: int, calm_days: int) -> World:
    """Sets that were quarantined so many decided days ago, and one that came up today."""
    world = outage(0, [0] * 10)
    world.history.append(
        {"day": "2025-12-01", "domain": "corp.com", "sets": sets, "quarantined": sets}
    )
    for n in range(calm_days):
        world.history.append(
            {"day": f"2025-12-{n + 2:02d}", "domain": None, "sets": 0, "quarantined": 0}
        )
    for n in range(sets):
        key = world.record(contact_id(n), email=f"user{n}@corp.com")
        world.subscriber(key, "Held", f"user{n}@corp.com")
        world.carried.append(
            {
                "subscriber_key": key,
                "email_address": f"user{n}@corp.com",
                "domain": "corp.com",
                "bounce_category": "Hard bounce",
                "bounced_at": at(1),
                "evidence_count": 1,
                "business_unit": "7001",
                "carried_since": "2025-12-01",
            }
        )
    world.record(contact_id(999), email="new@corp.com")
    world.held(contact_id(999), email="new@corp.com")
    return world


@pytest.mark.parametrize(
    ("calm_days", "expected"),
    [
        (0, {"domain_spike": 100, "held": 1}),
        (6, {"domain_spike": 100, "held": 1}),
        (7, {"held": 101}),
    ],
)
def test_what_was_quarantined_is_taken_up_after_seven_calm_days(
    calm_days: int, expected: dict[str, int]
) -> None:
    assert reasons(carried_over(100, calm_days)) == expected


def test_what_was_carried_over_makes_no_new_spike() -> None:
    world = carried_over(100, 7)
    for n in range(200, 250):
        world.record(contact_id(n), email=f"user{n}@corp.com")
        world.held(contact_id(n), email=f"user{n}@corp.com")
    assert reasons(world) == {"domain_spike": 51, "held": 100}
