"""Verdicts of the guards: what passes, what fails, and what they say."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.rules import guards
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync_tests.rules.world import World, at, contact_id, framed

OFFSET = timedelta(hours=-6)
ANN, BOB, LEA = contact_id(1), contact_id(2), contact_id(3)


def planned(**columns: object) -> pd.DataFrame:
    """One row of a plan per value of the columns."""
    length = max(len(values) for values in columns.values())
    defaults = {
        "subscriber_key": [f"k{n}" for n in range(length)],
        "action": ["none"] * length,
        "reason": ["still_held"] * length,
        "status": ["Held"] * length,
        "staged": [True] * length,
    }
    return tables.shape(tables.CrmFlagChanges, pd.DataFrame({**defaults, **columns}))


def staged(**columns: object) -> pd.DataFrame:
    row = {
        "subscriber_key": "k",
        "bounce_category": "Hard bounce",
        "bounced_at": at(30),
        "evidence_count": 1,
        "business_unit": "7001",
    }
    return framed(tables.ConfirmedBounceStaging, [{**row, **columns}])


@pytest.mark.parametrize(
    ("sets", "clears", "passed"), [(3, 3, True), (4, 0, False), (0, 4, False), (0, 0, True)]
)
def test_change_volume_limits_sets_and_clears_each(sets: int, clears: int, passed: bool) -> None:
    changes = planned(action=["set"] * sets + ["clear"] * clears + ["refresh"] * 9)
    verdict = guards.change_volume(changes, SyncPolicy(max_changes=3))
    assert verdict.passed == passed
    assert (verdict.numbers["sets"], verdict.numbers["clears"]) == (sets, clears)


@pytest.mark.parametrize(
    ("agreeing", "differing", "passed"),
    [(50, 50, True), (49, 51, False), (0, 99, True), (0, 100, False), (0, 0, True)],
)
def test_addresses_agree_from_a_hundred_compared(
    agreeing: int, differing: int, passed: bool
) -> None:
    changes = planned(address_agrees=[True] * agreeing + [False] * differing + [None] * 300)
    verdict = guards.addresses_agree(changes, SyncPolicy())
    assert verdict.passed == passed
    assert verdict.numbers["compared"] == agreeing + differing


def accountable() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """A plan without holes, with its staging and state."""
    world = World()
    world.record(ANN, flag=True)
    world.record(BOB, flag=True)
    world.held(ANN)
    world.held(ANN[:15])
    world.held("nobody")
    staging, state, *_ = world.frames()
    return world.plan(), staging, state


def test_plan_that_accounts_for_everything_passes() -> None:
    verdict = guards.accounted_for(*accountable())
    assert verdict.passed
    assert verdict.numbers["staged_keys"] == 3
    assert verdict.numbers["flagged_records"] == 2


def test_staged_key_without_a_row_is_a_hole() -> None:
    changes, staging, state = accountable()
    rest = changes[changes["subscriber_key"] != "nobody"]
    verdict = guards.accounted_for(rest, staging, state)
    assert not verdict.passed
    assert verdict.numbers["staged_keys_without_row"] == 1
    assert "staged keys without row: 1" in verdict.message


def test_flagged_record_without_a_decision_is_a_hole() -> None:
    changes, staging, state = accountable()
    verdict = guards.accounted_for(changes[changes["record_id"] != BOB], staging, state)
    assert not verdict.passed
    assert verdict.numbers["flagged_records_without_decision"] == 1


def test_second_decision_on_a_record_is_a_hole() -> None:
    changes, staging, state = accountable()
    changes["reason"] = changes["reason"].replace("other_key", "still_held")
    verdict = guards.accounted_for(changes, staging, state)
    assert not verdict.passed
    assert verdict.numbers["records_with_several_decisions"] == 1


def test_other_key_that_acts_is_a_hole() -> None:
    changes, staging, state = accountable()
    changes["action"] = changes["action"].mask(changes["reason"] == "other_key", "set")
    verdict = guards.accounted_for(changes, staging, state)
    assert not verdict.passed
    assert verdict.numbers["other_keys_that_act"] == 1


def test_quarantined_domains_are_named_with_their_sets() -> None:
    changes = planned(
        reason=["domain_spike"] * 3 + ["held"], domain=["a.com", "a.com", "b.com", "c.com"]
    )
    verdict = guards.domain_spikes(changes)
    assert not verdict.passed
    assert "a.com (2), b.com (1)" in verdict.message
    assert verdict.numbers["quarantined_sets"] == 3


def test_released_domains_are_told_and_pass() -> None:
    changes = planned(reason=["domain_allowed"] * 2 + ["held"], domain=["a.com", "a.com", "c.com"])
    verdict = guards.domain_spikes(changes)
    assert verdict.passed
    assert verdict.numbers["released"] == 2
    assert "Released by the run's tag: a.com (2)" in verdict.message


@pytest.mark.parametrize(("days", "judged"), [(6, False), (7, True)])
def test_domain_spikes_say_when_nobody_can_judge(days: int, judged: bool) -> None:
    verdict = guards.domain_spikes(planned(reason=["held"]), days)
    assert verdict.passed
    assert ("Can't judge yet" in verdict.message) != judged


@pytest.mark.parametrize(
    ("count", "history", "passed"),
    [
        (0, [], False),
        (0, [0] * 9, False),
        (1_000, [10] * 6, True),  # too few days to compare with
        (500, [100] * 7, True),
        (501, [100] * 7, False),
        (20, [100] * 7, True),
        (19, [100] * 7, False),
        (100, [100, 100, 100, 100, 9_999, 9_999, 0], True),
        (4, [0] * 7, True),
    ],
)
def test_volume_is_compared_with_its_own_median(
    count: int, history: list[int], passed: bool
) -> None:
    assert guards.usual_volume(count, history).passed == passed


@pytest.mark.parametrize(
    ("bounced_at", "carried_since", "passed"),
    [
        (at(30, "06:00:00"), None, True),
        (at(30, "05:59:59"), None, False),
        ("2026-02-01T05:59:59Z", None, True),
        ("2026-02-01T06:00:00Z", None, False),
        (at(2), "2026-01-05", True),
    ],
)
def test_bounces_lie_in_the_evidence_window_or_were_carried(
    bounced_at: str, carried_since: str | None, passed: bool
) -> None:
    staging = staged(bounced_at=bounced_at, carried_since=carried_since)
    verdict = guards.evidence_window(staging, ["2026-01-30", "2026-01-31"], OFFSET)
    assert verdict.passed == passed


def test_only_held_subscribers_are_staged() -> None:
    held = framed(tables.HeldSubscribers, [{"subscriber_key": "k", "read_at": at(31)}])
    assert guards.only_held(staged(), held).passed
    verdict = guards.only_held(staged(subscriber_key="K"), held)
    assert not verdict.passed
    assert verdict.numbers == {"wrong": 1, "rows": 1}


@pytest.mark.parametrize(("length", "passed"), [(20, True), (21, False)])
def test_reason_length_counts_characters(length: int, passed: bool) -> None:
    staging = staged(bounce_reason="𝄞" * length)
    assert guards.reason_length(staging, SyncPolicy(reason_length=20)).passed == passed


def test_no_reason_at_all_is_short_enough() -> None:
    assert guards.reason_length(staged(), SyncPolicy()).passed


def test_keys_are_unique() -> None:
    assert guards.unique_keys(staged()).passed
    assert not guards.unique_keys(pd.concat([staged(), staged()])).passed


def test_no_verdict_holds_an_address_a_key_or_a_reason_text() -> None:
    world = World()
    world.record(ANN, email="secret.person@corp.com")
    world.held(ANN, email="secret.person@corp.com")
    world.bounce(ANN, smtp_reason="secret.person over quota")
    staging, state, held, *_ = world.frames()
    changes = world.plan()
    policy = SyncPolicy(max_changes=0, reason_length=1)
    verdicts = [
        guards.change_volume(changes, policy),
        guards.addresses_agree(changes, policy),
        guards.accounted_for(changes.head(0), staging, state),
        guards.domain_spikes(changes),
        guards.evidence_window(staging, ["2026-01-01"], OFFSET),
        guards.only_held(staging, held.head(0)),
        guards.reason_length(staging, policy),
        guards.unique_keys(pd.concat([staging, staging])),
    ]
    assert sum(not verdict.passed for verdict in verdicts) == 6
    for verdict in verdicts:
        said = verdict.message + str(verdict.numbers)
        assert "secret" not in said
        assert ANN not in said
