"""Random worlds for property tests: few values of everything, so that all of them meet."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st

from bounce_sync import tables
from bounce_sync.rules.changes import CrmFacts
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync_tests.rules.world import World, at, contact_id, hash_of, lead_id

# Derandomised, so that a green suite stays green; no deadline, because machines differ.
bounded = settings(max_examples=20, derandomize=True, deadline=None, database=None)

EMAILS = ["ann@corp.com", "ann@corp.com", " ANN@Corp.com", "bob@corp.com", None]
VALUES = ["C-1", "c-1", "C-2", "C-3", None]
DATES = [None, at(3), at(29), at(30), at(31), "2026-03-01T00:00:00Z"]
STATUSES = [*tables.STATUSES, "Held", "Held", "Held"]


def worlds(match_fields: tuple[str, ...] = ("Id", "Id", "Email", "Code__c")) -> st.SearchStrategy:
    """A world by seed and size: hypothesis varies and shrinks both.

    A world holds dozens of people, since a plan of one costs nearly as much.
    """
    return st.builds(
        lambda seed, size: random_world(Random(seed), size, match_fields),  # noqa: S311 - no secret
        st.integers(0, 2**32),
        st.integers(5, 60),
    )


def random_world(random: Random, size: int, match_fields: tuple[str, ...]) -> World:
    pick = random.choice
    policy = SyncPolicy(
        confirm=pick(["held", "held", "held_with_hard_bounce"]),
        clear_statuses=pick([("Active", "Bounced"), ("Active", "Bounced"), ("Active",), ()]),
        match_field=pick(match_fields),
        require_same_email=pick([True, True, False]),
        foreign_flags=pick(["adopt", "adopt", "leave"]),
    )
    facts = CrmFacts(
        date_is_day=pick([False, False, True]),
        time_zone=pick(["UTC", "Pacific/Auckland", "America/Los_Angeles"]),
        is_sandbox=pick([True, False]),
        person_accounts=pick([True, False]),
    )
    world = World(policy=policy, facts=facts)
    contacts = [contact_id(n) for n in range(size)]
    leads = [lead_id(n) for n in range(size // 2)]
    for record_id in contacts + leads:
        _add_record(world, random, record_id, contacts if record_id in contacts else leads)
        if random.random() < 0.3:
            _add_write(world, random, record_id)
        for key in _keys(random, record_id):
            _add_subscriber(world, random, key)
    for key in ("ann@corp.com", "ANN@corp.com", "C-1", "c-2", "nobody", contact_id(9999)):
        _add_subscriber(world, random, key)
    return world


def _keys(random: Random, record_id: str) -> list[str]:
    """How SFMC may have kept an id: not at all, or in one or two spellings."""
    spellings = [record_id, record_id[:15], record_id.upper(), record_id.swapcase()]
    return random.choices(spellings, weights=[6, 3, 1, 1], k=random.choice([0, 1, 1, 2]))


def _add_record(world: World, random: Random, record_id: str, kind: list[str]) -> None:
    fate = random.choice(["live"] * 5 + ["deleted", "merged", "converted"])
    converted = fate == "converted" and record_id.startswith("00Q")
    email = random.choice(EMAILS)
    date = random.choice(DATES)
    if date and world.facts.date_is_day:
        date = date[:10] + "T00:00:00Z"
    values = {"Id": record_id, "Email": email}
    world.record(
        record_id,
        email=email,
        flag=random.random() < 0.5,
        flag_date=date,
        is_deleted=fate in ("deleted", "merged"),
        master_record_id=random.choice(kind) if fate == "merged" else None,
        is_converted=converted,
        converted_contact_id=contact_id(random.randrange(len(kind))) if converted else None,
        match_value=values.get(world.policy.match_field, random.choice(VALUES)),
        person_account_id=random.choice([None] * 9 + ["001aB0000Cd0001AAA"]),
    )


def _add_write(world: World, random: Random, record_id: str) -> None:
    undone = random.choice([None, None, "set", "refresh", "clear"])
    world.wrote(
        record_id,
        random.choice(["set", "refresh", "clear"]),
        random.choice(DATES),
        is_undo=undone is not None,
        undone_action=undone,
        undone_bounced_at=random.choice(DATES),
        undone_status=random.choice(STATUSES),
        undone_email_hash=hash_of("ann@corp.com"),
    )


def _add_subscriber(world: World, random: Random, key: str) -> None:
    world.subscriber(key, random.choice(STATUSES), random.choice(EMAILS))
    for _ in range(random.choice([0, 1, 1, 2])):
        time = random.choice(["00:00:00", "05:59:59.999", "12:00:00.500"])
        world.bounce(
            key,
            at(random.choice([10, 29, 30, 31]), time),
            bounce_category=random.choice(tables.BOUNCE_CATEGORIES),
            domain=random.choice([None, None, None, "corp.com", "old.com"]),
        )
