"""Ids of every damage, and the keys that lead to a record."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounce_sync.rules.identity import (
    compared_form,
    object_of,
    record_id,
    record_ids,
    same_subscriber,
    to_18,
)
from bounce_sync_tests.rules.world import World, contact_id, lead_id
from bounce_sync_tests.rules.worlds import bounded

PUBLISHED = ["a0D30000001n7PiEAI", "a0FE000000D6r3FMAR", "0F9E000000092w2KAA"]
ANN, BOB, LEA = contact_id(1), contact_id(2), lead_id(1)

ids_15 = st.text(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=15, max_size=15
)


@pytest.mark.parametrize("published", PUBLISHED)
def test_suffix_is_that_of_published_ids(published: str) -> None:
    assert to_18(published[:15]) == published


@bounded
@given(ids_15, st.data())
def test_every_damage_of_the_18_characters_resolves_to_the_same_record(
    id15: str, data: st.DataObject
) -> None:
    whole = to_18(id15)
    damaged = "".join(letter.swapcase() if data.draw(st.booleans()) else letter for letter in whole)
    assert record_id(damaged) == record_id(id15) == whole
    assert same_subscriber(damaged) == whole


@bounded
@given(ids_15)
def test_15_characters_are_taken_as_they_are(id15: str) -> None:
    assert record_id(id15.swapcase()) == to_18(id15.swapcase())
    assert same_subscriber(id15) == id15


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ann@corp.com",
        "003aB0000Cd000",  # 14
        "003aB0000Cd00016",  # 16
        ANN + "x",
        ANN + "\n",
        " " + ANN[:14],
        ANN[:15] + "QQ9",  # no suffix has a 9
        "123456789012345A1B",  # a suffix that calls a digit a capital
        "003aB0000Cd00ſ1QAC",  # not ASCII, though its capital is
        "００３aB0000Cd0001",
    ],
)
def test_anything_else_is_no_id(key: str) -> None:
    assert record_id(key) is None
    assert same_subscriber(key) == key


def test_objects_are_told_by_prefix() -> None:
    kinds = [object_of(prefix + "aB0000Cd0001QAC") for prefix in ("003", "00Q", "001", "005")]
    assert kinds == ["Contact", "Lead", "Account", None]
    assert object_of("00qaB0000Cd0001QAC") is None  # prefixes are case-sensitive


def test_record_ids_keep_every_key_and_name_only_ours() -> None:
    keys = pd.Series([ANN.lower(), LEA[:15], "005aB0000Cd0001", "ann@corp.com"], dtype="str")
    found = record_ids(keys)
    assert found["subscriber_key"].tolist() == keys.tolist()
    assert found["record_id"].fillna("").tolist() == [ANN, LEA, "", ""]
    assert found["object"].fillna("").tolist() == ["Contact", "Lead", "", ""]


@bounded
@given(st.lists(st.one_of(ids_15.map(to_18), ids_15), max_size=5))
def test_compared_forms_are_equal_exactly_where_subscribers_are_the_same(keys: list[str]) -> None:
    both = [*keys, *(key.swapcase() for key in keys)]
    forms = compared_form(pd.Series(both, dtype="str"), "Id").tolist()
    for key, form in zip(both, forms, strict=True):
        for other, other_form in zip(both, forms, strict=True):
            assert (form == other_form) == (same_subscriber(key) == same_subscriber(other))


def keys_of(world: World, record: str) -> dict[str, str]:
    """Key → resolution of a record's rows in `crm_flag_state`."""
    state = world.frames()[1]
    rows = state[state["record_id"] == record]
    return dict(zip(rows["subscriber_key"], rows["resolution"], strict=True))


def test_flagged_record_may_be_spoken_for_by_all_its_keys() -> None:
    world = World()
    world.record(ANN, flag=True)
    world.record(BOB, is_deleted=True, master_record_id=ANN)
    world.record(LEA, is_converted=True, converted_contact_id=BOB)
    assert keys_of(world, ANN) == {
        ANN: "own",
        ANN[:15]: "own",
        BOB: "merged",
        BOB[:15]: "merged",
        LEA: "converted",
        LEA[:15]: "converted",
    }


def test_staged_key_is_there_as_sfmc_spells_it() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN.upper())
    assert keys_of(world, ANN) == {ANN: "own", ANN[:15]: "own", ANN.upper(): "own"}


def test_15_characters_in_another_case_are_another_record() -> None:
    world = World()
    world.record(ANN)
    world.held(ANN[:15].upper())
    assert world.plan()["reason"].tolist() == ["unmatched"]


def test_record_of_no_interest_is_left_out() -> None:
    world = World()
    world.record(ANN)
    world.record(BOB, flag=True, is_deleted=True)
    assert world.frames()[1].empty


def test_deleted_record_leads_nowhere() -> None:
    world = World()
    world.record(ANN, is_deleted=True)
    world.held(ANN)
    assert world.plan()["reason"].tolist() == ["unmatched"]


def test_merged_record_whose_survivor_was_not_found_leads_nowhere() -> None:
    world = World()
    world.record(ANN, is_deleted=True, master_record_id=BOB)
    world.held(ANN)
    assert world.plan()["reason"].tolist() == ["unmatched"]


def test_values_of_another_field_match_without_regard_to_case() -> None:
    world = World().with_policy(match_field="Customer__c")
    world.record(ANN, match_value="Straße-1")
    world.record(BOB, match_value=None)
    world.held("STRAßE-1")
    assert keys_of(world, ANN) == {"Straße-1": "own", "STRAßE-1": "own"}
    assert world.decision(ANN) == ("set", "held")
    assert not keys_of(world, BOB)


def test_value_longer_than_any_subscriber_key_is_no_key() -> None:
    world = World().with_policy(match_field="Customer__c")
    world.record(ANN, match_value="x" * 255, flag=True)
    world.record(BOB, match_value="x" * 254, flag=True)
    assert list(keys_of(world, BOB)) == ["x" * 254]
    assert list(keys_of(world, ANN)) == [ANN]


def test_flag_without_a_value_to_match_on_is_reported_under_its_id() -> None:
    world = World().with_policy(match_field="Email")
    world.record(ANN, email=None, match_value=None, flag=True)
    assert world.decision(ANN) == ("none", "unknown_subscriber")
