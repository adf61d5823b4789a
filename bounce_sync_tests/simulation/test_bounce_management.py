"""SFMC's statuses follow from the events, as an independent reading of the rules says."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bounce_sync.sandbox.simulation import HoldRules, Outage, advance, simulate
from bounce_sync.sandbox.simulation.bounce_management import STATUSES, Happening, Standing
from bounce_sync.sandbox.simulation.clock import DAY, HOUR, NEVER
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.simulation.conftest import LAST_DAY
from bounce_sync_tests.simulation.invariants import assert_only_the_first_is_unique
from bounce_sync_tests.simulation.recomputation import Story, statuses, tell

TRUSTED = ("bluepost.example", "windowbox.example")


def _shown(store: Store) -> dict[int, tuple[str, int]]:
    rows = store.execute("SELECT subscriber_id, status, bounce_count FROM subscriber")
    return {subscriber: (status, count) for subscriber, status, count in rows}


def _expected(stories: dict[int, Story]) -> dict[int, tuple[str, int]]:
    return {one: (story.status, story.bounces_ever) for one, story in stories.items()}


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_every_status_follows_from_the_stored_events(tmp_path: Path, seed: int) -> None:
    outages = [Outage("bluepost.example", LAST_DAY - timedelta(days=20))]
    with Store.create(tmp_path) as store:
        simulate(
            store,
            subscribers=1_200,
            days=45,
            seed=seed,
            until=LAST_DAY,
            trusted_domains=TRUSTED,
            outages=outages,
        )
        advance(store, 3)
        stories = statuses(store.connection, set(TRUSTED))
        assert _shown(store) == _expected(stories)
        told = {
            (subscriber, *change)
            for subscriber, story in stories.items()
            for change in story.changes
        }
        # Those who left before the first day have no event of it: SFMC had none of them either.
        first_day = (LAST_DAY - timedelta(days=44)).isoformat()
        stored = store.execute(
            "SELECT subscriber_id, created_date, previous_status, current_status FROM status_event"
        )
        assert {tuple(row) for row in stored} == {one for one in told if one[1] >= first_day}


@pytest.mark.parametrize("seed", [5, 6])
def test_who_is_held_or_left_is_not_mailed(tmp_path: Path, seed: int) -> None:
    with Store.create(tmp_path) as store:
        simulate(
            store,
            subscribers=1_200,
            days=45,
            seed=seed,
            until=LAST_DAY,
            trusted_domains=TRUSTED,
        )
        stories = statuses(store.connection, set(TRUSTED))
    mailed_while = {status for story in stories.values() for status in story.mailed_while}
    assert mailed_while == {"Active", "Bounced"}


def test_undeliverable_since_is_the_minute_of_the_hold(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        simulate(store, subscribers=1_200, days=30, seed=9, until=LAST_DAY, trusted_domains=TRUSTED)
        stories = statuses(store.connection, set(TRUSTED))
        rows = store.execute("SELECT subscriber_id, date_undeliverable FROM subscriber").fetchall()
    held = 0
    for subscriber, since in rows:
        story = stories[subscriber]
        if story.status == "Held":
            assert story.held_since is not None
            assert abs(datetime.fromisoformat(since) - story.held_since) <= timedelta(seconds=30)
            assert since.endswith(":00.000")
            held += 1
        elif story.status in ("Active", "Bounced"):
            assert since is None
    assert held > 20


def test_engagement_need_not_reset(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        simulate(
            store,
            subscribers=800,
            days=45,
            seed=3,
            until=LAST_DAY,
            rules=HoldRules(reset_on_engagement=False),
            trusted_domains=TRUSTED,
        )
        stories = statuses(store.connection, set(TRUSTED), reset_on_engagement=False)
        assert _shown(store) == _expected(stories)
        assert _shown(store) != _expected(statuses(store.connection, set(TRUSTED)))
        assert_only_the_first_is_unique(store)


def test_delivery_may_reset(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        simulate(
            store,
            subscribers=800,
            days=45,
            seed=4,
            until=LAST_DAY,
            rules=HoldRules(reset_on_delivery=True),
            trusted_domains=TRUSTED,
        )
        stories = statuses(store.connection, set(TRUSTED), reset_on_delivery=True)
        # A mail of the last three days may still bounce: nobody can tell yet that it arrived.
        open_since = (LAST_DAY - timedelta(days=3)).isoformat()
        undecided = {
            subscriber
            for (subscriber,) in store.execute(
                "SELECT subscriber_id FROM sent WHERE event_date >= ?", (open_since,)
            )
        }
        shown, expected = _shown(store), _expected(stories)
    decided = expected.keys() - undecided
    assert len(decided) > 300
    assert {one: shown[one] for one in decided} == {one: expected[one] for one in decided}


def test_a_job_leaves_out_whom_something_happens_to_while_it_sends(tenant: Store) -> None:
    """Otherwise nobody could say what a subscriber was at the moment of the send."""
    happened = "SELECT subscriber_id, event_date AS at, job_id FROM {}"
    events = " UNION ALL ".join(happened.format(table) for table in ("bounce", "opened", "clicked"))
    count = """
        SELECT count(*) FROM job j JOIN ({events}) e
            ON e.at >= j.sent_at AND e.at < strftime('%Y-%m-%d %H:%M:%f', j.sent_at, '+10 minutes')
        {mailed} WHERE e.job_id <> j.job_id
    """
    mailed = "JOIN sent s ON s.job_id = j.job_id AND s.subscriber_id = e.subscriber_id"
    assert tenant.execute(count.format(events=events, mailed="")).fetchone()[0] > 500
    assert tenant.execute(count.format(events=events, mailed=mailed)).fetchone()[0] == 0


def test_a_release_by_somebody_else_restarts_the_count(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        simulate(store, subscribers=1_200, days=25, seed=7, until=LAST_DAY, trusted_domains=TRUSTED)
        store.execute(
            "INSERT INTO simulation_log (at, action, subscriber_id)"
            " SELECT ?, 'reimport', subscriber_id FROM subscriber WHERE status = 'Bounced'",
            (store.setting("today"),),
        )
        store.execute("UPDATE subscriber SET status = 'Active' WHERE status = 'Bounced'")
        advance(store, 12)
        assert _shown(store) == _expected(statuses(store.connection, set(TRUSTED)))


def _standing(count: int = 1) -> Standing:
    return Standing(
        status=np.zeros(count, dtype=np.int8),
        streak=np.zeros(count, dtype=np.int64),
        streak_began=np.full(count, NEVER),
        bounce_count=np.zeros(count, dtype=np.int64),
        undeliverable_at=np.full(count, NEVER),
        unsubscribed_at=np.full(count, NEVER),
    )


def _play(*events: tuple[Happening, float], holds_at_once: bool = False) -> str:
    """The status after events at given days."""
    standing = _standing()
    for what, day in events:
        standing.apply(
            HoldRules(),
            what,
            np.array([0]),
            np.array([round(day * DAY)]),
            np.array([holds_at_once]),
        )
    return STATUSES[standing.status[0]]


BOUNCE, OPEN, RELEASE = Happening.BOUNCE, Happening.OPEN, Happening.RELEASE


def test_one_hard_bounce_at_a_trusted_domain_holds() -> None:
    assert _play((BOUNCE, 0), holds_at_once=True) == "Held"
    assert _play((BOUNCE, 0)) == "Bounced"


@pytest.mark.parametrize(
    ("last", "status"), [(14.9, "Bounced"), (15 - 1 / DAY, "Bounced"), (15, "Held"), (40, "Held")]
)
def test_the_third_bounce_holds_from_the_fifteenth_day_on(last: float, status: str) -> None:
    assert _play((BOUNCE, 0), (BOUNCE, 7), (BOUNCE, last)) == status


def test_two_bounces_never_hold_and_a_fourth_does_when_the_third_was_too_early() -> None:
    assert _play((BOUNCE, 0), (BOUNCE, 90)) == "Bounced"
    assert _play((BOUNCE, 0), (BOUNCE, 1), (BOUNCE, 2), (BOUNCE, 16)) == "Held"


def test_engagement_lets_a_held_address_go_and_restarts_the_count() -> None:
    held = ((BOUNCE, 0), (BOUNCE, 7), (BOUNCE, 16))
    assert _play(*held, (OPEN, 17)) == "Active"
    assert _play(*held, (OPEN, 17), (BOUNCE, 18), (BOUNCE, 34)) == "Bounced"
    assert _play(*held, (OPEN, 17), (BOUNCE, 18), (BOUNCE, 25), (BOUNCE, 33)) == "Held"


def test_a_release_restarts_the_count_too() -> None:
    assert _play((BOUNCE, 0), (BOUNCE, 8), (RELEASE, 9), (BOUNCE, 16)) == "Bounced"


@pytest.mark.parametrize("last_word", [Happening.UNSUBSCRIBE, Happening.DELETE])
def test_neither_bounce_nor_open_brings_back_who_left(last_word: Happening) -> None:
    before = _play((last_word, 1))
    assert _play((last_word, 1), (BOUNCE, 2), (OPEN, 3), (RELEASE, 4)) == before


def test_several_things_on_one_day_are_taken_one_after_the_other() -> None:
    within_hours = [(BOUNCE, 0), (BOUNCE, 7), (BOUNCE, 16), (OPEN, 16 + HOUR / DAY)]
    assert _play(*within_hours) == "Active"
    assert _play(*within_hours, (BOUNCE, 16 + 2 * HOUR / DAY)) == "Bounced"


_WHATS = {
    "bounce": Happening.BOUNCE,
    "engagement": Happening.OPEN,
    "support": Happening.RELEASE,
    "unsubscribe": Happening.UNSUBSCRIBE,
    "delete": Happening.DELETE,
}
_HAPPENINGS = st.tuples(
    st.sampled_from([1, HOUR, 5 * DAY - 1, 5 * DAY, 7 * DAY + HOUR, 15 * DAY]),
    st.sampled_from(["bounce"] * 8 + ["engagement", "support", "unsubscribe", "delete"]),
    st.sampled_from(["Hard bounce", "Soft bounce", "Unknown bounce"]),
    st.sampled_from(["trusted.example", "other.example", "another.example"]),
)


@settings(deadline=None)
@given(st.lists(st.lists(_HAPPENINGS, max_size=12), min_size=1, max_size=4))
def test_any_order_of_events_ends_as_the_other_reading_says(
    lives: list[list[tuple[int, str, str, str]]],
) -> None:
    """Several subscribers at once, so that none disturbs another."""
    standing = _standing(len(lives))
    epoch = datetime(2026, 1, 1)  # noqa: DTZ001 - server time
    for position, life in enumerate(lives):
        at, events = 0, []
        for gap, what, category, domain in life:
            at += gap
            hard = category == "Hard bounce" and domain == "trusted.example"
            standing.apply(
                HoldRules(), _WHATS[what], np.array([position]), np.array([at]), np.array([hard])
            )
            moment = epoch + timedelta(milliseconds=at)
            events.append((moment.isoformat(), 0, what, (category, domain)))
        story = tell(events, {"trusted.example"})
        assert STATUSES[standing.status[position]] == story.status
        assert standing.bounce_count[position] == story.bounces_ever


def test_the_default_is_the_day_before_today_in_server_time(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        simulate(store, subscribers=20, days=1, seed=1)
        present = datetime.fromisoformat(store.setting("today"))
        (first,) = store.execute("SELECT min(sent_at) FROM job").fetchone()
    assert present.time().isoformat() == "00:00:00"
    assert date.fromisoformat(first[:10]) == present.date() - timedelta(days=1)
