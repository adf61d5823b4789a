"""Each setting of the policy, and the facts of an org that change a decision."""

from __future__ import annotations

import pandas as pd
import pytest

from bounce_sync.rules.changes import CrmFacts
from bounce_sync.rules.policy import PolicyError, SyncPolicy
from bounce_sync_tests.rules.world import World, at, contact_id

ANN, BOB = contact_id(1), contact_id(2)


@pytest.mark.parametrize(("days", "staged"), [(2, False), (3, True)])
def test_evidence_days_count_the_partitions_own(days: int, staged: bool) -> None:
    world = World().with_policy(evidence_days=days)
    world.held("k", at(29, "06:00:00"))  # midnight of the server's 29th; the partition is the 31st
    assert len(world.staging_frame()) == staged


def test_evidence_from_reaches_back_further() -> None:
    world = World()
    world.held("k", at(2))
    assert world.staging_frame().empty
    assert len(world.with_policy(evidence_from="2026-01-02").staging_frame()) == 1


@pytest.mark.parametrize(
    ("clear_statuses", "status", "decision"),
    [
        (("Active",), "Bounced", ("none", "status_kept")),
        (("Active",), "Active", ("clear", "released")),
        ((), "Active", ("none", "status_kept")),
        (("Active", "Bounced", "Deleted"), "Deleted", ("clear", "released")),
        (("Unsubscribed",), "Unsubscribed", ("clear", "released")),
    ],
)
def test_clear_statuses(
    clear_statuses: tuple[str, ...], status: str, decision: tuple[str, str]
) -> None:
    world = World().with_policy(clear_statuses=clear_statuses)
    world.record(ANN, flag=True)
    world.subscriber(ANN, status)
    assert world.decision(ANN) == decision


def test_status_that_does_not_clear_yields_to_held() -> None:
    world = World().with_policy(clear_statuses=("Active",))
    world.record(ANN)
    world.subscriber(ANN, "Bounced")
    world.held(ANN[:15])
    assert world.decision(ANN) == ("set", "held")


@pytest.mark.parametrize("email", ["ann.new@corp.com", None])
def test_require_same_email_off_flags_whatever_the_crm_has(email: str | None) -> None:
    world = World().with_policy(require_same_email=False)
    world.record(ANN, email=email)
    world.record(BOB, email=email, flag=True, flag_date=at(3))
    world.held(ANN)
    world.subscriber(BOB, "Held")
    assert world.decision(ANN) == ("set", "held")
    assert world.decision(BOB) == ("none", "still_held")


def test_address_unknown_to_sfmc_is_no_objection() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN, email=None)
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("set", "held")
    assert pd.isna(row["address_agrees"])


@pytest.mark.parametrize(
    ("is_sandbox", "decision"),
    [(True, ("set", "held")), (False, ("none", "email_changed"))],
)
def test_masked_address_counts_in_a_sandbox_org(
    is_sandbox: bool, decision: tuple[str, str]
) -> None:
    world = World(facts=CrmFacts(is_sandbox=is_sandbox))
    world.record(ANN, email="Ann@corp.com.invalid")
    world.held(ANN)
    assert world.decision(ANN) == decision


def test_with_email_as_key_the_address_rules_apply_too() -> None:
    world = World().with_policy(match_field="Email")
    world.record(ANN, email="ann@corp.com", match_value="ann@corp.com")
    world.held("ann@corp.com", email="moved@corp.com")
    assert world.decision(ANN) == ("none", "email_changed")


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "30"), ("Pacific/Auckland", "31"), ("America/Los_Angeles", "29")]
)
def test_date_field_holds_the_day_of_the_integration_users_zone(zone: str, day: str) -> None:
    world = World(facts=CrmFacts(date_is_day=True, time_zone=zone))
    world.record(ANN)
    time = "05:00:00" if zone == "America/Los_Angeles" else "20:00:00"
    world.held(ANN, at(30, time))
    row = world.decision_row(ANN)
    assert row["date_after"] == pd.Timestamp(f"2026-01-{day}T00:00:00Z")


@pytest.mark.parametrize(
    ("day", "decision"),
    [(30, ("none", "still_held")), (29, ("refresh", "newer_bounce"))],
)
def test_date_field_is_compared_by_the_day(day: int, decision: tuple[str, str]) -> None:
    world = World(facts=CrmFacts(date_is_day=True))
    world.record(ANN, flag=True, flag_date=at(day, "00:00:00"))
    world.held(ANN, at(30, "23:59:59"))
    assert world.decision(ANN) == decision


@pytest.mark.parametrize(
    ("on", "decision"), [(False, ("none", "person_account")), (True, ("set", "held"))]
)
def test_person_accounts_are_written_where_the_setting_is_on(
    on: bool, decision: tuple[str, str]
) -> None:
    world = World(facts=CrmFacts(person_accounts=on))
    world.record(ANN, person_account_id="001aB0000Cd0001QAC")
    world.held(ANN)
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == decision
    assert pd.isna(row["date_after"]) != on
    assert row["flag_after"] == on


def test_status_that_the_source_cannot_tell_is_not_judged() -> None:
    world = World()
    world.record(ANN, flag=True)
    world.subscriber(ANN, "NotJudged")
    assert world.decision(ANN) == ("none", "not_judged")


def test_wrong_settings_are_all_named_at_once() -> None:
    with pytest.raises(PolicyError) as failure:
        SyncPolicy(
            confirm="maybe",
            evidence_days=32,
            evidence_from="yesterday",
            reason_length=501,
            clear_statuses=("Held",),
            match_field="",
            foreign_flags="take",
            max_changes=-1,
            max_domain_spike=0,
            max_address_mismatch=50,
        )
    for setting in SyncPolicy().stored().keys() - {"require_same_email"}:
        assert setting in str(failure.value)


def test_match_field_has_no_case() -> None:
    assert SyncPolicy(match_field="EMAIL") == SyncPolicy(match_field="Email")
    assert SyncPolicy(match_field="id") == SyncPolicy()
    assert SyncPolicy(match_field="Customer__c").match_field == "Customer__c"


def test_stored_policy_is_restored_whole() -> None:
    policy = SyncPolicy(clear_statuses=("Active",), evidence_days=3)
    assert SyncPolicy.restore(policy.stored()) == policy
    with pytest.raises(PolicyError, match="unknown settings: spam"):
        SyncPolicy.restore({"spam": 1})


def test_writers_policy_can_only_be_stricter() -> None:
    plans = SyncPolicy(max_changes=100, max_domain_spike=5, max_address_mismatch=0.5)
    other = SyncPolicy(
        max_changes=10, max_domain_spike=9, max_address_mismatch=0.1, require_same_email=False
    )
    assert plans.tightened_by(other) == SyncPolicy(
        max_changes=10, max_domain_spike=5, max_address_mismatch=0.1
    )
