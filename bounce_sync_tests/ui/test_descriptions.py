"""What asset pages say, looked at without a browser: right counts, and nobody named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bounce_sync import pictures
from bounce_sync.assets import catalogue, descriptions, spot_check
from bounce_sync.assets.lineage import LINEAGE
from bounce_sync.rules import confirmation, precision
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.storage import Lake
from bounce_sync.tables import TABLES, CrmFlagChanges, CrmFlagUpdates, RawBounces, empty, shape
from bounce_sync_tests.rules.world import World, contact_id, framed

INLINE = 1_000
"""Characters of markdown that the UI shows in its place."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def staging(world: World, day: str) -> pd.DataFrame:
    bounces, held = framed(RawBounces, world.bounces), world.held_frame()
    table = world.staging_frame()
    table.attrs = {
        "funnel": confirmation.funnel(bounces, held, table),
        "naive": precision.of_every_hard_bounce(bounces, held),
        "days": [day],
        "missing_days": [],
        "policy": SyncPolicy().stored(),
    }
    return table


def test_false_flags_are_counted_and_told(lake: Lake) -> None:
    world = World()
    world.held("dead")
    for key in ("alive", "alive too", "alive three"):
        world.subscriber(key, "Active")
        world.bounce(key)
    said = descriptions.confirmed_bounce_staging(staging(world, "2026-01-02"), lake, "2026-01-02")
    assert said["flags of a sync of every hard bounce"] == 4
    assert said["of these wrong"] == 3
    assert said["precision of a sync of every hard bounce"] == 0.25
    assert "would flag 4 subscribers; SFMC holds 1 of them" in said["false flags avoided"]


def test_a_trend_is_drawn_from_the_second_day_on(lake: Lake) -> None:
    world = World()
    world.held("dead")
    name = "flags and false flags over the last days"
    first = staging(world, "2026-01-01")
    assert name not in descriptions.confirmed_bounce_staging(first, lake, "2026-01-01")
    lake.write("confirmed_bounce_staging", "2026-01-01", first)
    second = staging(world, "2026-01-02")
    drawn = descriptions.confirmed_bounce_staging(second, lake, "2026-01-02")[name]
    assert drawn.value.startswith(f"![{name}](data:image/png;base64,")


def test_tables_of_many_domains_stay_in_their_place() -> None:
    world = World()
    for number in range(50):
        world.bounce(f"k{number}", domain=f"the-mail-domain-number-{number}.example")
    table = catalogue.by_category(framed(RawBounces, world.bounces), "domain", catalogue.DOMAIN)
    assert len(table) < INLINE
    assert table.count("\n") == 11


@pytest.mark.parametrize("value", ["ann@people.example", "mailbox|of somebody", "550 no such user"])
def test_what_does_not_look_like_a_domain_is_counted_and_not_shown(value: str) -> None:
    world = World()
    world.bounce("k", domain=value)
    world.bounce("l")
    table = catalogue.by_category(framed(RawBounces, world.bounces), "domain", catalogue.DOMAIN)
    assert value.split()[0] not in table
    assert "| 1 | (not allowed) |" in table


def test_cells_cannot_break_a_table() -> None:
    assert catalogue.table(["a"], [["x|y\nz"]]).splitlines()[-1] == r"| x\|y z |"


def updates(*actions: str, outcome: str = "written") -> pd.DataFrame:
    count = len(actions)
    return shape(
        CrmFlagUpdates,
        {
            "subscriber_key": [f"k{number}" for number in range(count)],
            "object": ["Contact"] * count,
            "record_id": [contact_id(number) for number in range(count)],
            "action": list(actions),
            "reason": ["held"] * count,
            "outcome": [outcome] * count,
            "run_id": ["r"] * count,
            "attempted_at": [pd.Timestamp("2026-01-02T00:00:00Z")] * count,
        },
    )


def planned(*decisions: tuple[str, str], domain: str = "mail.example") -> pd.DataFrame:
    count = len(decisions)
    plan = shape(
        CrmFlagChanges,
        {
            "subscriber_key": [f"k{number}" for number in range(count)],
            "action": [action for action, _ in decisions],
            "reason": [reason for _, reason in decisions],
            "status": ["Held"] * count,
            "domain": [domain] * count,
            "staged": [True] * count,
        },
    )
    plan.attrs = {"funnel": {"raw_bounces": 1, "naive_false_flags": 0}}
    return plan


def test_what_was_done_stands_before_what_was_left() -> None:
    plan = planned(*[("none", "still_held")] * 9, ("clear", "released"), ("set", "held"))
    told = catalogue.decisions_table(plan).value.splitlines()[2:]
    assert [line.split(" | ")[1] for line in told] == ["set", "clear", "none"]


def test_the_page_of_the_morning_tells_of_a_quarantine() -> None:
    plan = planned(("none", "domain_spike"), ("set", "held"), domain="outage.example")
    said = descriptions.crm_flag_updates(updates("set"), plan, "2026-01-02")
    assert said["quarantined"] == 1
    assert "| 1 | outage.example |" in said["quarantined domains"].value
    calm = descriptions.crm_flag_updates(updates("set"), planned(("set", "held")), "2026-01-02")
    assert calm["quarantined"] == 0
    assert "quarantined domains" not in calm


def test_guards_that_nobody_released_are_not_told_of() -> None:
    assert descriptions.released_guards({}) == {}
    told = descriptions.released_guards({"addresses_agree": {"share": 0.7}})
    assert told["released guards"].data == {"addresses_agree": {"share": 0.7}}


def test_a_spot_check_has_five_records_of_every_action() -> None:
    chosen = spot_check.sample(updates(*["set"] * 200, "clear", "refresh"))
    assert len(chosen) == spot_check.RECORDS
    assert chosen["action"].value_counts().to_dict() == {"set": 3, "clear": 1, "refresh": 1}


def test_a_spot_check_has_written_records_only() -> None:
    assert spot_check.sample(updates("set", outcome="rejected")).empty
    assert spot_check.sample(empty(CrmFlagUpdates)).empty


def test_a_picture_that_cannot_be_drawn_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise OSError("no fonts here")

    monkeypatch.setattr(pictures, "bars", fail)
    plan = empty(CrmFlagChanges)
    plan.attrs = {"funnel": {"raw_bounces": 1, "naive_false_flags": 0}}
    said = descriptions.crm_flag_updates(updates("set"), plan, "2026-01-02")
    assert said["written"] == 1
    assert "can't be drawn (OSError)" in said["from bounce to flag, drawn"].value


def test_records_that_cannot_be_read_again_are_a_sentence(lake: Lake) -> None:
    nowhere = Org(login_url="https://127.0.0.1:9", client_id="id", client_secret="s")
    with Connection(nowhere, sleep=lambda _: None) as connection:
        reader = RecordReader(connection)
        said = spot_check.page(updates("set"), empty(CrmFlagChanges), lake, "2026-01-02", reader)
    assert said.startswith("The records can't be read again: Salesforce, ")


OF_THE_RUN = {
    *("read_at", "carried_since", "action", "reason", "finding"),
    *("outcome", "error_code", "message", "run_id", "attempted_at"),
}
"""Columns that a run makes: they come from no other column."""


@pytest.mark.parametrize("asset", TABLES)
def test_every_column_says_where_it_comes_from(asset: str) -> None:
    columns = {name: set(table.to_schema().columns) for name, table in TABLES.items()}
    told = LINEAGE[asset]
    assert set(told) <= columns[asset]
    untold = columns[asset] - set(told) - OF_THE_RUN
    assert untold <= {"object", "email_address"}, "named by the graph; only some sources have it"
    for sources in told.values():
        for table, column in sources:
            assert column in columns.get(table, {column}), f"{table} has no {column}"
    shown = catalogue.definition_metadata(asset)["where columns come from"].value
    assert all(f"| {column} |" in shown for column in told)
