"""How right flags are, judged by SFMC's own status."""

from __future__ import annotations

import pandas as pd

from bounce_sync import tables
from bounce_sync.rules import precision
from bounce_sync_tests.rules.world import World, contact_id, framed


def test_a_sync_of_every_hard_bounce_is_counted_by_subscriber() -> None:
    world = World()
    for key in ("dead", "also dead", "softly dead"):
        world.subscriber(key, "Held")
    for key in ("dead", "dead", "also dead", "alive", "alive", "unknown"):
        world.bounce(key)
    for key in ("softly dead", "dead", "alive"):
        world.bounce(key, bounce_category="Soft bounce")
    counts = precision.of_every_hard_bounce(
        framed(tables.RawBounces, world.bounces), world.held_frame()
    )
    assert counts == {"flagged": 4, "right": 2, "wrong": 2, "missed": 1}


def plan(*decisions: tuple[str, bool, bool, str]) -> pd.DataFrame:
    """Status, flag before, flag after, reason."""
    statuses, before, after, reasons = zip(*decisions, strict=True)
    return tables.shape(
        tables.CrmFlagChanges,
        {
            "subscriber_key": [f"k{n}" for n in range(len(statuses))],
            "object": ["Contact"] * len(statuses),
            "record_id": [contact_id(n) for n in range(len(statuses))],
            "action": ["none"] * len(statuses),
            "reason": list(reasons),
            "status": list(statuses),
            "flag_before": list(before),
            "flag_after": list(after),
            "staged": [False] * len(statuses),
        },
    )


def test_flags_are_counted_by_status_before_and_after() -> None:
    found = precision.flags_by_status(
        plan(
            ("Active", True, False, "released"),
            ("Active", True, True, "conflict"),
            ("Bounced", True, False, "released"),
            ("Held", False, True, "held"),
            ("Held", True, True, "still_held"),
            ("Held", True, True, "other_key"),
            ("Deleted", True, True, "deleted"),
            ("Unsubscribed", False, False, "undone"),
        )
    )
    assert found.index[0] == "Held"
    assert found.to_dict("index") == {
        "Held": {"before": 1, "after": 2},
        "Active": {"before": 2, "after": 1},
        "Bounced": {"before": 1, "after": 0},
        "Deleted": {"before": 1, "after": 1},
    }
    assert precision.precision(found["before"]) == 1 / 4
    assert precision.precision(found["after"]) == 2 / 3


def test_where_sfmc_says_nothing_nobody_is_right_or_wrong() -> None:
    found = precision.flags_by_status(plan(("Unknown", True, True, "unknown_subscriber")))
    assert precision.precision(found["after"]) is None
    assert precision.flags_by_status(plan(("Held", False, False, "undone"))).empty
