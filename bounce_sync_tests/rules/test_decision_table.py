"""Every row of the table of rules: what is true in the CRM after a run, and why."""

from __future__ import annotations

import pandas as pd
import pytest

from bounce_sync_tests.rules.world import World, at, contact_id, hash_of, lead_id

ANN = contact_id(1)
BOB = contact_id(2)
LEA = lead_id(1)


def test_hard_bounce_at_a_trusted_domain_flags_with_the_date_of_that_bounce() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN, at(30, "23:59:59.999"))
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("set", "held")
    assert (row["flag_before"], row["flag_after"]) == (False, True)
    assert pd.isna(row["date_before"])
    assert row["date_after"] == pd.Timestamp(at(30, "23:59:59"))


@pytest.mark.parametrize("category", ["Soft bounce", "Block bounce", "Technical/Other bounce"])
def test_three_bounces_of_any_category_flag_with_the_date_of_the_latest(category: str) -> None:
    world = World()
    world.record(ANN)
    world.subscriber(ANN, "Held")
    for day in (24, 17, 31):
        world.bounce(ANN, at(day), bounce_category=category)
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("set", "held")
    assert row["date_after"] == pd.Timestamp(at(31))


@pytest.mark.parametrize("status", ["Bounced", "Active"])
def test_bounce_of_an_address_that_sfmc_still_mails_is_not_staged(status: str) -> None:
    world = World()
    world.record(ANN)
    world.subscriber(ANN, status)
    world.bounce(ANN)
    assert world.staging_frame().empty
    assert world.plan().empty


@pytest.mark.parametrize("status", ["Active", "Bounced"])
def test_flag_is_cleared_when_sfmc_mails_the_address_again(status: str) -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(3))
    world.subscriber(ANN, status)
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("clear", "released")
    assert (row["flag_before"], row["flag_after"]) == (True, False)
    assert row["date_after"] == row["date_before"] == pd.Timestamp(at(3))  # kept as history


def test_newer_bounce_while_held_moves_the_date_forward() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(20))
    world.held(ANN, at(30))
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("refresh", "newer_bounce")
    assert row["flag_after"]
    assert row["date_after"] == pd.Timestamp(at(30))


@pytest.mark.parametrize("flag_date", [at(30), at(31)])
def test_older_or_equal_bounce_never_moves_the_date_back(flag_date: str) -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=flag_date)
    world.held(ANN, at(30, "12:00:00.900"))
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("none", "still_held")
    assert row["date_after"] == pd.Timestamp(flag_date)


def test_flag_without_a_date_gets_one() -> None:
    world = World()
    world.record(ANN, flag=True)
    world.held(ANN)
    assert world.decision(ANN) == ("refresh", "newer_bounce")


def test_flagged_and_held_without_a_bounce_in_the_window_stays() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(3))
    world.held(ANN, at(4))
    assert world.staging_frame().empty
    assert world.decision(ANN) == ("none", "still_held")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("Unsubscribed", "unsubscribed"),
        ("Deleted", "deleted"),
        (None, "unknown_subscriber"),
    ],
)
def test_flag_stays_where_sfmc_says_nothing_about_the_address(
    status: str | None, reason: str
) -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(3))
    if status:
        world.subscriber(ANN, status)
    assert world.decision(ANN) == ("none", reason)


def test_email_that_is_not_the_bounced_address_gets_no_flag() -> None:
    world = World()
    world.record(ANN, email="ann.new@corp.com")
    world.held(ANN)
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("none", "email_changed")
    assert pd.notna(row["address_agrees"])
    assert not row["address_agrees"]


@pytest.mark.parametrize("bounced", [True, False], ids=["bounce in the window", "none"])
def test_flag_is_cleared_when_the_email_is_no_longer_the_bounced_address(bounced: bool) -> None:
    world = World()
    world.record(ANN, email="ann.new@corp.com", flag=True, flag_date=at(3))
    world.subscriber(ANN, "Held")
    if bounced:
        world.bounce(ANN)
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("clear", "email_changed")
    assert row["date_after"] == pd.Timestamp(at(3))


def test_bounce_at_an_older_address_than_sfmc_has_today_is_email_changed() -> None:
    world = World()
    world.record(ANN, email="ann@corp.com")
    world.subscriber(ANN, "Held", "ann@corp.com")
    world.bounce(ANN, domain="old-corp.com")
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("none", "email_changed")
    assert row["domain"] == "old-corp.com"


@pytest.mark.parametrize("email", [None, "  "])
def test_empty_email_gets_no_flag(email: str | None) -> None:
    world = World()
    world.record(ANN, email=email)
    world.held(ANN)
    assert world.decision(ANN) == ("none", "email_removed")


def test_flag_is_cleared_when_the_email_is_removed() -> None:
    world = World()
    world.record(ANN, email=None, flag=True, flag_date=at(3))
    world.held(ANN)
    assert world.decision(ANN) == ("clear", "email_removed")


def test_converted_lead_flags_the_contact_it_became_and_is_never_written() -> None:
    world = World()
    world.record(LEA, is_converted=True, converted_contact_id=ANN)
    world.record(ANN)
    world.held(LEA)
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"]) == ("set", "held")
    assert (row["subscriber_key"], row["resolution"]) == (LEA, "converted")
    assert LEA not in set(world.plan()["record_id"])


@pytest.mark.parametrize("status", ["Held", "Active", "Unsubscribed", None])
def test_flagged_lead_that_was_converted_is_left_and_its_contact_judged(
    status: str | None,
) -> None:
    world = World()
    world.record(LEA, is_converted=True, converted_contact_id=ANN, flag=True, flag_date=at(3))
    world.record(ANN, flag=True, flag_date=at(3))
    if status:
        world.subscriber(LEA, status)
    judged = {
        "Held": ("none", "still_held"),
        "Active": ("clear", "released"),
        "Unsubscribed": ("none", "unsubscribed"),
        None: ("none", "unknown_subscriber"),
    }
    assert world.decision(LEA) == ("none", "converted")
    assert world.decision(ANN) == judged[status]


def test_record_merged_away_flags_the_survivor() -> None:
    world = World()
    world.record(BOB, is_deleted=True, master_record_id=ANN)
    world.record(ANN)
    world.held(BOB)
    row = world.decision_row(ANN)
    assert (row["action"], row["reason"], row["resolution"]) == ("set", "held", "merged")


@pytest.mark.parametrize(("hops", "found"), [(10, True), (11, False)])
def test_chain_of_merges_is_followed_ten_hops(hops: int, found: bool) -> None:
    world = World()
    for n in range(hops):
        world.record(contact_id(n), is_deleted=True, master_record_id=contact_id(n + 1))
    survivor = world.record(contact_id(hops))
    world.held(contact_id(0))
    if found:
        assert world.decision(survivor) == ("set", "held")
    else:
        assert world.plan()["reason"].tolist() == ["unmatched"]


def test_circle_of_merges_leads_nowhere() -> None:
    world = World()
    world.record(ANN, is_deleted=True, master_record_id=BOB)
    world.record(BOB, is_deleted=True, master_record_id=ANN)
    world.held(ANN)
    assert world.plan()["reason"].tolist() == ["unmatched"]


def test_chain_of_conversion_and_merge_leads_to_the_survivor() -> None:
    world = World()
    world.record(lead_id(2), is_deleted=True, master_record_id=LEA)
    world.record(LEA, is_converted=True, converted_contact_id=BOB)
    world.record(BOB, is_deleted=True, master_record_id=ANN)
    world.record(ANN)
    world.held(lead_id(2))
    assert world.decision(ANN) == ("set", "held")
    assert world.decision_row(ANN)["resolution"] == "converted"


def test_own_key_speaks_before_the_key_of_a_converted_lead() -> None:
    world = World()
    world.record(LEA, is_converted=True, converted_contact_id=ANN)
    world.record(ANN)
    world.held(LEA)
    world.subscriber(ANN, "Active")
    changes = world.plan().set_index("subscriber_key")
    assert changes.loc[ANN, ["action", "reason"]].tolist() == ["none", "released"]
    assert changes.loc[LEA, ["action", "reason"]].tolist() == ["none", "other_key"]


def test_own_key_in_15_characters_speaks_first_too() -> None:
    world = World()
    world.record(LEA, is_converted=True, converted_contact_id=ANN)
    world.record(ANN, flag=True)
    world.subscriber(ANN[:15], "Unsubscribed")
    world.held(LEA)
    assert world.decision(ANN) == ("none", "unsubscribed")


def test_other_keys_count_where_sfmc_does_not_know_the_own() -> None:
    world = World()
    world.record(LEA, is_converted=True, converted_contact_id=ANN)
    world.record(ANN, flag=True)
    world.subscriber(LEA, "Active")
    assert world.decision(ANN) == ("clear", "released")


def test_clearing_status_beats_held_within_the_other_keys() -> None:
    world = World()
    world.record(LEA, is_converted=True, converted_contact_id=ANN)
    world.record(BOB, is_deleted=True, master_record_id=ANN)
    world.record(ANN, flag=True, flag_date=at(3))
    world.held(LEA)
    world.subscriber(BOB, "Bounced")
    assert world.decision(ANN) == ("clear", "released")


def test_clearing_status_beats_held_within_the_own_keys() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(3))
    world.held(ANN)
    world.subscriber(ANN[:15], "Active")
    assert world.decision(ANN) == ("clear", "released")


def test_held_beats_the_rest_within_a_group() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN[:15])
    world.subscriber(ANN, "Unsubscribed")
    assert world.decision(ANN) == ("set", "held")


def test_newest_bounce_of_the_held_keys_gives_the_date() -> None:
    world = World()
    world.record(ANN)
    for n, day in enumerate((25, 31, 28), start=5):
        world.record(contact_id(n), is_deleted=True, master_record_id=ANN)
        world.held(contact_id(n), at(day))
    row = world.decision_row(ANN)
    assert row["date_after"] == pd.Timestamp(at(31))
    assert row["subscriber_key"] == contact_id(6)
    reasons = world.plan()["reason"].value_counts()
    assert reasons.to_dict() == {"other_key": 2, "held": 1}


def test_key_of_one_contact_and_one_lead_flags_both() -> None:
    world = World().with_policy(match_field="Customer__c")
    world.record(ANN, match_value="C-1")
    world.record(LEA, match_value="c-1")
    world.held("C-1")
    assert world.decision(ANN) == world.decision(LEA) == ("set", "held")


def test_key_of_several_records_of_one_object_flags_none_of_them() -> None:
    world = World().with_policy(match_field="Customer__c")
    world.record(ANN, match_value="C-1")
    world.record(BOB, match_value="c-1", flag=True)
    world.record(LEA, match_value="C-1")
    world.held("C-1")
    assert world.decision(ANN) == world.decision(BOB) == ("none", "ambiguous")
    assert world.decision(LEA) == ("set", "held")  # the only Lead


def test_ambiguous_key_that_sfmc_mails_again_clears_the_flags_of_all() -> None:
    world = World().with_policy(match_field="Customer__c")
    for each in (ANN, BOB):
        world.record(each, match_value="C-1", flag=True)
    world.subscriber("C-1", "Active")
    assert world.decision(ANN) == world.decision(BOB) == ("clear", "released")


def test_with_email_as_key_all_records_that_share_it_are_flagged() -> None:
    world = World().with_policy(match_field="Email")
    for each in (ANN, BOB, LEA):
        world.record(each, email="Ann@Corp.com", match_value="Ann@Corp.com")
    world.held("ann@corp.com")
    decisions = {world.decision(each) for each in (ANN, BOB, LEA)}
    assert decisions == {("set", "held")}


@pytest.mark.parametrize("key", [ANN, "ann@corp.com", "4711", "005aB0000Cd0001"])
def test_key_that_matches_nothing_is_reported_and_no_error(key: str) -> None:
    world = World()
    world.held(key)
    changes = world.plan()
    assert changes[["subscriber_key", "action", "reason"]].values.tolist() == [
        [key, "none", "unmatched"]
    ]
    assert changes[["object", "record_id", "flag_before"]].isna().all(axis=None)


def test_held_by_hand_without_a_bounce_in_the_window_is_not_staged() -> None:
    world = World()
    world.record(ANN)
    world.subscriber(ANN, "Held")
    world.bounce(ANN, at(16, "05:59:59"))  # the 16th in UTC, the day before on SFMC's server
    assert world.staging_frame().empty
    assert world.plan().empty


def test_flag_that_a_person_unticked_is_left_without_a_newer_bounce() -> None:
    world = World()
    world.record(ANN, flag_date=at(30))
    world.held(ANN, at(30))
    world.wrote(ANN, "set", at(30))
    assert world.decision(ANN) == ("none", "conflict")


def test_newer_bounce_flags_again_what_a_person_unticked() -> None:
    world = World()
    world.record(ANN, flag_date=at(30))
    world.held(ANN, at(31))
    world.wrote(ANN, "refresh", at(30))
    assert world.decision(ANN) == ("set", "held")


def test_flag_that_a_person_ticked_after_we_cleared_is_left() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(3))
    world.subscriber(ANN, "Active")
    world.wrote(ANN, "clear", at(3))
    assert world.decision(ANN) == ("none", "conflict")


@pytest.mark.parametrize("undone", ["set", "refresh"])
@pytest.mark.parametrize("status", ["Held", "Active", "Unsubscribed"])
def test_undone_set_or_refresh_is_left_until_a_newer_bounce(undone: str, status: str) -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(3))
    world.held(ANN, at(30))
    world.subscriber(ANN, status)
    world.wrote(ANN, "refresh", at(3), is_undo=True, undone_action=undone, undone_bounced_at=at(30))
    assert world.decision(ANN) == ("none", "undone")


def test_newer_bounce_lifts_an_undo() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN, at(31))
    world.wrote(ANN, "clear", None, is_undo=True, undone_action="set", undone_bounced_at=at(30))
    assert world.decision(ANN) == ("set", "held")


@pytest.mark.parametrize(
    ("status", "email", "decision"),
    [
        ("Active", "ann@corp.com", ("none", "undone")),
        ("Active", "ann.new@corp.com", ("clear", "released")),
        ("Bounced", "ann@corp.com", ("clear", "released")),
    ],
)
def test_undone_clear_is_left_until_status_or_address_change(
    status: str, email: str, decision: tuple[str, str]
) -> None:
    world = World()
    world.record(ANN, email=email, flag=True, flag_date=at(3))
    world.subscriber(ANN, status)
    world.wrote(
        ANN,
        "set",
        at(3),
        is_undo=True,
        undone_action="clear",
        undone_status="Active",
        undone_email_hash=hash_of("ann@corp.com"),
    )
    assert world.decision(ANN) == decision


def test_stricter_policy_clears_no_flag() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date=at(17))
    world.subscriber(ANN, "Held")
    world.bounce(ANN, at(30), bounce_category="Soft bounce")
    strict = world.with_policy(confirm="held_with_hard_bounce", evidence_days=1)
    assert strict.decision(ANN) == ("none", "still_held")


def test_older_partition_after_a_newer_one_may_set_but_never_moves_a_date_back() -> None:
    world = World()
    world.record(ANN, flag=True, flag_date="2026-02-20T00:00:00Z")
    world.record(BOB, flag_date="2026-02-20T00:00:00Z")
    world.held(ANN)
    world.held(BOB)
    world.wrote(BOB, "clear", "2026-02-20T00:00:00Z")
    assert world.decision(ANN) == ("none", "still_held")
    row = world.decision_row(BOB)
    assert (row["action"], row["reason"]) == ("set", "held")
    assert row["date_after"] == pd.Timestamp("2026-02-20T00:00:00Z")
