"""Query activities on data views, as the sandbox really runs them, and every way they mislead."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.marketing_cloud.connection import ALL_UNITS
from bounce_sync.marketing_cloud.errors import (
    DataExtensionDiffers,
    NotTheParent,
    QueryFailed,
    UnreadableAnswer,
    WindowTimedOut,
)
from bounce_sync.marketing_cloud.queries import Watch, query_text
from bounce_sync.marketing_cloud.sources import data_views
from bounce_sync.marketing_cloud.sources.data_views import DataViewsSource
from bounce_sync.sandbox.server import Address
from bounce_sync.sandbox.store import DataExtensionField
from bounce_sync_tests.marketing_cloud.tenants import (
    CHILD,
    DAY,
    IMPATIENT,
    PARENT,
    Tenant,
    account,
    day,
    tuples,
)

NOW = datetime(2026, 6, 16, 9, tzinfo=UTC)
WATCH = Watch(first_pause=0.02, longest_pause=0.05, settled=0.6, begun_within=1.5)


def source(address: Address, *units: str, **settings: Any) -> Any:
    settings = {"patience": IMPATIENT, "watch": WATCH, "now": lambda: NOW} | settings
    return closing(DataViewsSource(account(address, *units), **settings))


def read_bounces(address: Address, *units: str, **settings: Any) -> pd.DataFrame:
    with source(address, *units, **settings) as opened:
        return tables.RawBounces.validate(opened.bounces(day()))


def test_bounces_carry_subcategory_and_domain(tenant: Tenant) -> None:
    tenant.bounces(
        {
            "subscriber_key": "0012",
            "event_date": f"{DAY} 23:59:59.997",
            "bounce_category": "Soft bounce",
            "bounce_subcategory": "Mailbox Full",
            "domain": "Mail.example",
            "smtp_bounce_reason": "452 full\r\n" + "é🙈" * 10,
            "job_id": 2**40,
            "smtp_code": 452,
        },
        {"subscriber_key": "out", "event_date": "2026-06-16 00:00:00.000"},
    )
    with tenant.served() as address:
        found = read_bounces(address)
    assert tuples(found, found.columns) == [
        (
            PARENT, "0012", pd.Timestamp("2026-06-16T05:59:59.997Z"), "Soft bounce",
            "Mailbox Full", "452", "452 full\n" + "é🙈" * 10, "Mail.example", None, 2**40,
        )
    ]  # fmt: skip


def test_a_reason_is_cut_to_what_a_data_extension_holds(tenant: Tenant) -> None:
    tenant.bounces({"subscriber_key": "k", "smtp_bounce_reason": "x" * 4_001})
    with tenant.served() as address:
        assert read_bounces(address)["smtp_reason"].str.len().tolist() == [4_000]


def test_working_objects_are_made_once_and_nothing_else_is_touched(tenant: Tenant) -> None:
    before = {row[0] for row in tenant.store.execute("SELECT customer_key FROM data_extension")}
    with tenant.served() as address, source(address, say=tenant.said.append) as opened:
        for _ in range(2):
            assert opened.bounces(day()).empty
            assert opened.held().empty
            assert opened.statuses(["a"])["status"].tolist() == ["Unknown"]
    keys = [row[0] for row in tenant.store.execute("SELECT customer_key FROM data_extension")]
    assert sorted(set(keys) - before) == [
        "bounce_sync_bounces", "bounce_sync_held", "bounce_sync_keys", "bounce_sync_statuses",
    ]  # fmt: skip
    assert len([line for line in tenant.said if line.startswith("Made")]) == 3
    queries = [row[0] for row in tenant.store.execute("SELECT customer_key FROM query_definition")]
    assert sorted(queries) == [
        "bounce_sync_bounces_query", "bounce_sync_held_query", "bounce_sync_statuses_query",
    ]  # fmt: skip
    assert all(len(key) <= 36 for key in keys + queries)


def test_several_pages_arrive_whole(tenant: Tenant) -> None:
    count = 5_100
    tenant.store.insert(
        "bounce",
        ["account_id", "subscriber_key", "event_date"],
        [(PARENT, f"k{n:04d}", f"{DAY} 01:00:00.000") for n in range(count)],
    )
    with tenant.served() as address:
        found = read_bounces(address)
    assert found["subscriber_key"].tolist() == [f"k{n:04d}" for n in range(count)]


def test_each_unit_runs_its_own_query(tenant: Tenant) -> None:
    tenant.bounces({"subscriber_key": "p"}, {"subscriber_key": "c", "account_id": CHILD})
    with tenant.served() as address:
        found = read_bounces(address, PARENT, CHILD)
        with pytest.raises(ValueError, match="MIDs"):
            DataViewsSource(account(address, *ALL_UNITS))
    assert tuples(found, ["business_unit", "subscriber_key"]) == [(PARENT, "p"), (CHILD, "c")]


def test_held_subscribers_are_asked_at_the_parent(tenant: Tenant) -> None:
    tenant.subscribers(("b", "Held"), ("a", "Held"), ("c", "Active"))
    tenant.store.execute(
        "UPDATE subscriber SET date_undeliverable = ? WHERE subscriber_key = 'a'",
        (f"{DAY} 03:04:00.000",),
    )
    with tenant.served() as address, source(address, CHILD) as opened:
        found = tables.HeldSubscribers.validate(opened.held())
    assert tuples(found, found.columns) == [
        ("a", "a@mail.example", pd.Timestamp("2026-06-15T09:04Z"), pd.Timestamp(NOW)),
        ("b", "b@mail.example", None, pd.Timestamp(NOW)),
    ]


def test_a_business_unit_isnt_taken_for_the_parent(tenant: Tenant) -> None:
    """There `_Subscribers` is empty: that isn't a day on which nobody is Held."""
    tenant.subscribers(("a", "Held"))
    with (
        tenant.served() as address,
        closing(DataViewsSource(account(address, account_id=CHILD), watch=WATCH)) as opened,
        pytest.raises(NotTheParent, match=f"{CHILD} is a business unit of the enterprise {PARENT}"),
    ):
        opened.held()


def test_statuses_come_as_asked(tenant: Tenant) -> None:
    id_18 = "003Dn00000AbCdEIAV"
    tenant.subscribers((id_18, "Held"), ("003Dn00000xyzAB", "Active"), ("u", "Unsubscribed"))
    asked = {
        id_18: "Held",
        id_18.lower(): "Held",
        "003Dn00000xyzAB": "Active",
        "003Dn00000XYZAB": "Unknown",
        "u": "Unsubscribed",
        "o'brien@mail.example": "Unknown",
    }
    with tenant.served() as address, source(address) as opened:
        found = tables.ReleasedSubscribers.validate(opened.statuses([*asked, "u"]))
        assert opened.statuses([]).empty
    assert tuples(found, ["subscriber_key", "status"]) == list(asked.items())


# --- runs that mislead -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting", ["query_seconds", "query_false_early_seconds", "rowset_lag_seconds"]
)
def test_a_run_is_over_when_its_rows_are_there(tenant: Tenant, setting: str) -> None:
    tenant.bounces({"subscriber_key": "k"})
    tenant.store.set_setting(setting, "0.4")
    with tenant.served() as address:
        assert len(read_bounces(address)) == 1


@pytest.mark.parametrize("left", ["rolled_back", "emptied", "partial"])
def test_a_run_that_failed_is_found_out(tenant: Tenant, left: str) -> None:
    tenant.bounces({"subscriber_key": "k"}, {"subscriber_key": "k2"})
    tenant.store.set_setting("query_failure", left)
    fails = {"service": "marketing_cloud", "path": "*/actions/start*", "kind": "job_failed"}
    with tenant.served() as address:
        assert len(read_bounces(address)) == 2
    with tenant.served(fails) as address, pytest.raises(QueryFailed) as caught:
        read_bounces(address)
    said = str(caught.value)
    assert f"query activity bounce_sync_bounces_query, business unit {PARENT}" in said
    assert "Automation Studio" in said


def test_a_run_that_was_killed_for_its_length_is_halved(tenant: Tenant) -> None:
    tenant.bounces(
        {"subscriber_key": "am", "event_date": f"{DAY} 05:00:00.000"},
        {"subscriber_key": "pm", "event_date": f"{DAY} 17:00:00.000"},
    )
    slow = {"service": "marketing_cloud", "path": "*/actions/start*", "kind": "query_timeout"}
    with tenant.served(slow | {"times": 1}) as address:
        assert read_bounces(address)["subscriber_key"].tolist() == ["am", "pm"]
    with tenant.served(slow) as address, pytest.raises(WindowTimedOut):
        read_bounces(address, watch=Watch(0.01, 0.02, 0.03, 0.06))


@pytest.mark.parametrize("before", [1, 3], ids=["Create data extension", "Create query activity"])
def test_what_was_made_by_a_call_whose_answer_was_lost_is_there(
    tenant: Tenant, before: int
) -> None:
    """The Create is made again, and finds its name taken."""
    tenant.bounces({"subscriber_key": "k"})
    soap = {"service": "marketing_cloud", "path": "*.asmx"}
    passing = soap | {"kind": "latency", "ms": 0, "times": before}
    with tenant.served(passing, soap | {"kind": "drop_after", "times": 1}) as address:
        assert len(read_bounces(address)) == 1
    assert tenant.store.execute("SELECT count(*) FROM query_definition").fetchone()[0] == 1


def test_a_data_extension_of_other_columns_is_left_alone(tenant: Tenant) -> None:
    made = [DataExtensionField("SubscriberKey", "Text", 100), DataExtensionField("Mine", "Date")]
    tenant.store.create_data_extension("bounce_sync_held", made)
    with (
        tenant.served() as address,
        source(address) as opened,
        pytest.raises(DataExtensionDiffers) as caught,
    ):
        opened.held()
    said = str(caught.value)
    assert "SubscriberKey Text(254) is SubscriberKey Text(100)" in said
    assert "Status Text(20) is missing" in said
    assert "Mine Date is too many" in said
    assert not tenant.store.execute("SELECT count(*) FROM query_definition").fetchone()[0]


def test_rows_that_change_while_they_are_read_are_refused(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's row in the target, put there between the run and the reading."""
    tenant.bounces({"subscriber_key": "k"}, {"subscriber_key": "k2"})
    with tenant.served() as address, source(address) as opened:
        run = data_views.QueryActivities.run

        def run_and_meddle(*args: Any, **kwargs: Any) -> Any:
            page = run(*args, **kwargs)
            page.columns["rownumber"][0] = "7"
            return page

        monkeypatch.setattr(data_views.QueryActivities, "run", run_and_meddle)
        with pytest.raises(UnreadableAnswer, match="aren't numbered from 1 to 2"):
            opened.bounces(day())


def test_a_quote_cant_leave_its_place_in_a_query() -> None:
    with pytest.raises(ValueError, match="quote"):
        query_text("held", run="' OR 1=1", subscribers="_Subscribers")
