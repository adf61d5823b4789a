"""What holds for every tenant, org, ledger and policy."""

from __future__ import annotations

import pandas as pd
import pandas.testing as pdt
from hypothesis import given
from hypothesis import strategies as st

from bounce_sync import tables
from bounce_sync.rules import guards
from bounce_sync.rules.changes import plan
from bounce_sync_tests.rules.world import World, applied
from bounce_sync_tests.rules.worlds import bounded, worlds


@bounded
@given(worlds())
def test_every_table_satisfies_its_model(world: World) -> None:
    models = (
        tables.ConfirmedBounceStaging,
        tables.CrmFlagState,
        tables.HeldSubscribers,
        tables.ReleasedSubscribers,
        tables.LedgerKnowledge,
        tables.DomainHistory,
        tables.CrmFlagChanges,
    )
    for model, frame in zip(models, [*world.frames(), world.plan()], strict=True):
        model.validate(frame)


@bounded
@given(worlds())
def test_every_staged_key_and_flagged_record_is_accounted_for_by_one_decision(
    world: World,
) -> None:
    changes = world.plan()
    staging, state, *_ = world.frames()
    verdict = guards.accounted_for(changes, staging, state)
    assert verdict.passed, verdict.message
    acting = changes[changes["action"] != tables.NONE]
    assert not acting["record_id"].duplicated().any()
    assert set(changes["record_id"].dropna()) == set(state["record_id"])
    flagged = {r["record_id"] for r in world.records if r["flag"] and not r["is_deleted"]}
    assert flagged <= set(changes["record_id"])


@bounded
@given(worlds())
def test_writes_change_only_what_their_action_says_and_no_date_moves_back(world: World) -> None:
    changes = world.plan()
    before, after = changes["date_before"], changes["date_after"]
    assert not (before > after).any()
    assert not (before.notna() & after.isna()).any()

    by_action = {action: changes[changes["action"] == action] for action in tables.ACTIONS}
    assert by_action["set"]["flag_after"].all()
    assert not by_action["set"]["flag_before"].any()
    assert by_action["set"]["date_after"].notna().all()
    assert by_action["refresh"]["flag_before"].all()
    assert by_action["refresh"]["flag_after"].all()
    assert (
        by_action["refresh"]["date_before"].isna()
        | (by_action["refresh"]["date_after"] > by_action["refresh"]["date_before"])
    ).all()
    assert by_action["clear"]["flag_before"].all()
    assert not by_action["clear"]["flag_after"].any()
    for kept in (by_action["clear"], by_action["none"]):
        pdt.assert_series_equal(kept["date_before"], kept["date_after"], check_names=False)
    nothing = by_action["none"]
    pdt.assert_series_equal(nothing["flag_before"], nothing["flag_after"], check_names=False)


@bounded
@given(worlds())
def test_only_held_subscribers_flag_and_no_converted_lead_is_written(world: World) -> None:
    changes = world.plan()
    held = set(world.held_frame()["subscriber_key"])
    flagging = changes[changes["action"].isin(["set", "refresh"])]
    assert set(flagging["subscriber_key"]) <= held
    gone = {r["record_id"] for r in world.records if r["is_converted"] or r["is_deleted"]}
    assert gone.isdisjoint(changes.loc[changes["action"] != "none", "record_id"])


@bounded
@given(worlds())
def test_planning_again_after_the_writes_plans_nothing_new(world: World) -> None:
    after = applied(world, world.plan())
    again = after.plan()
    assert again.loc[again["action"] != "none", ["record_id", "action", "reason"]].empty


@bounded
@given(worlds(), st.integers(0, 1000))
def test_row_order_never_matters(world: World, seed: int) -> None:
    straight = plan(*world.frames(), world.policy, world.facts)
    for rows in (world.bounces, world.records, world.writes):
        rows.reverse()
    shuffled = [frame.sample(frac=1, random_state=seed) for frame in world.frames()]
    pdt.assert_frame_equal(plan(*shuffled, world.policy, world.facts), straight)


@bounded
@given(worlds(match_fields=("Id", "Email")), st.integers(2, 3))
def test_shards_by_record_make_the_whole_plan(world: World, shards: int) -> None:
    staging, state, *others = world.frames()
    shard_of = state["record_id"].map(lambda record_id: sum(record_id.encode()) % shards)
    leading = staging["subscriber_key"].isin(state["subscriber_key"])
    parts = [plan(staging[~leading], state.head(0), *others, world.policy, world.facts)]
    for shard in range(shards):
        mine = state[shard_of == shard]
        keys = staging["subscriber_key"].isin(mine["subscriber_key"])
        parts.append(plan(staging[keys], mine, *others, world.policy, world.facts))
    together = pd.concat(parts).sort_values(
        ["subscriber_key", "object", "record_id"], ignore_index=True
    )
    pdt.assert_frame_equal(together, world.plan())
