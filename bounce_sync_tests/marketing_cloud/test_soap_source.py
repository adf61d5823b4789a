"""The real client against the real sandbox, over TLS."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.marketing_cloud.connection import ALL_UNITS
from bounce_sync.marketing_cloud.errors import (
    AuthenticationFailed,
    HeldFilterSilent,
    PermissionMissing,
    Unavailable,
)
from bounce_sync.marketing_cloud.rows import REPEATED
from bounce_sync.marketing_cloud.sources import open_source
from bounce_sync.marketing_cloud.sources.soap import SoapSource
from bounce_sync.sandbox.server import Address
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


def source(address: Address, *units: str, **settings: Any) -> Any:
    changes = settings.pop("account", {})
    settings = {"patience": IMPATIENT, "now": lambda: NOW} | settings
    return closing(SoapSource(account(address, *units, **changes), **settings))


def read_bounces(address: Address, *units: str, **settings: Any) -> pd.DataFrame:
    with source(address, *units, **settings) as opened:
        return tables.RawBounces.validate(opened.bounces(day()))


def read_held(address: Address, **settings: Any) -> pd.DataFrame:
    with source(address, **settings) as opened:
        return tables.HeldSubscribers.validate(opened.held())


# --- bounces -----------------------------------------------------------------------------------


def test_a_day_is_the_servers_calendar_day_to_the_millisecond(tenant: Tenant) -> None:
    inside = [f"{DAY} 00:00:00.000", f"{DAY} 12:34:56.789", f"{DAY} 23:59:59.997"]
    outside = ["2026-06-14 23:59:59.997", "2026-06-16 00:00:00.000", "2026-06-16 00:00:00.003"]
    tenant.bounces(*({"subscriber_key": at, "event_date": at} for at in inside + outside))
    with tenant.served() as address:
        found = read_bounces(address)
    assert tuples(found, ["subscriber_key", "event_at"]) == [
        (inside[0], pd.Timestamp("2026-06-15T06:00:00Z")),
        (inside[1], pd.Timestamp("2026-06-15T18:34:56.789Z")),
        (inside[2], pd.Timestamp("2026-06-16T05:59:59.997Z")),
    ]


def test_a_bounce_keeps_what_the_server_said(tenant: Tenant) -> None:
    reason = "550 5.1.1\r\n<ann@mail.example> &amp; “gone” 🙈\rlast\nline " + "é" * 5_000
    tenant.bounces({"subscriber_key": "0012", "smtp_bounce_reason": reason, "job_id": 2**40})
    with tenant.served() as address:
        found = read_bounces(address)
    assert tuples(found, found.columns) == [
        (
            PARENT,
            "0012",
            pd.Timestamp("2026-06-15T18:00Z"),
            "Hard bounce",
            None,
            "550",
            reason.replace("\r\n", "\n").replace("\r", "\n"),
            None,
            None,
            2**40,
        )
    ]


def test_an_empty_day_has_every_column(tenant: Tenant) -> None:
    with tenant.served() as address:
        assert read_bounces(address).empty


@pytest.mark.parametrize(
    ("stored", "category"),
    [
        ("Hard Bounce", "Hard bounce"),
        ("soft bounce", "Soft bounce"),
        ("Technical or other bounce", "Technical/Other bounce"),
        ("Technical bounce", "Technical/Other bounce"),
        ("", "Unknown bounce"),
        (None, "Unknown bounce"),
    ],
)
def test_categories_have_one_spelling(tenant: Tenant, stored: str | None, category: str) -> None:
    tenant.bounces({"subscriber_key": "k", "bounce_category": stored})
    with tenant.served() as address:
        assert read_bounces(address)["bounce_category"].tolist() == [category]


def test_empty_codes_and_reasons_are_missing(tenant: Tenant) -> None:
    tenant.bounces(
        {"subscriber_key": "a", "smtp_code": None, "smtp_bounce_reason": "", "job_id": None},
        {"subscriber_key": "b"},
    )
    with tenant.served() as address:
        found = read_bounces(address)
    assert tuples(found, ["subscriber_key", "smtp_code", "smtp_reason", "job_id"]) == [
        ("a", None, None, None),
        ("b", "550", "550 5.1.1 user unknown", 100),
    ]


def test_rows_equal_in_every_column_are_one_event(tenant: Tenant) -> None:
    tenant.bounces({"subscriber_key": "k"}, {"subscriber_key": "k"}, {"subscriber_key": "k2"})
    with tenant.served() as address:
        found = read_bounces(address)
    assert found["subscriber_key"].tolist() == ["k", "k2"]
    assert found.attrs[REPEATED] == 1


def test_many_rows_arrive_once_in_windows_of_any_number(tenant: Tenant) -> None:
    count = 23_000
    tenant.store.insert(
        "bounce",
        ["account_id", "subscriber_key", "event_date", "bounce_category"],
        [
            # Most of the day's bounces come within an hour, as they do after a send.
            (
                PARENT,
                f"k{n}",
                f"{DAY} {9 + (n % 13 == 0):02d}:{n % 3600 // 60:02d}:{n % 60:02d}.{n % 997:03d}",
                "Soft bounce",
            )
            for n in range(count)
        ],
    )
    with tenant.served() as address:
        serial = read_bounces(address, workers=1)
        parallel = read_bounces(address, workers=4, say=tenant.said.append)
    assert serial["subscriber_key"].nunique() == len(serial) == count
    pd.testing.assert_frame_equal(serial, parallel)
    assert any("reading it in" in line for line in tenant.said)


def test_each_unit_is_asked_with_its_own_token(tenant: Tenant) -> None:
    tenant.bounces({"subscriber_key": "p"}, {"subscriber_key": "c", "account_id": CHILD})
    with tenant.served() as address:
        alone = read_bounces(address)
        units = read_bounces(address, PARENT, CHILD)
        everyone = read_bounces(address, *ALL_UNITS)
    assert tuples(alone, ["subscriber_key", "business_unit"]) == [("p", PARENT)]
    assert tuples(units, ["business_unit", "subscriber_key"]) == [(PARENT, "p"), (CHILD, "c")]
    pd.testing.assert_frame_equal(units, everyone)


def test_one_units_failure_names_it_and_fails_all(tenant: Tenant) -> None:
    tenant.bounces({"subscriber_key": "p"})
    with tenant.served() as address, pytest.raises(AuthenticationFailed, match="unit 999"):
        read_bounces(address, PARENT, "999")


# --- Held --------------------------------------------------------------------------------------


def test_held_subscribers_and_since_when(tenant: Tenant) -> None:
    tenant.subscribers(("b", "Held"), ("a", "Held"), ("c", "Active"), ("d", "Bounced"))
    tenant.became_held("a", "2026-01-01 00:00:00.000")
    tenant.became_held("a", "2026-06-15 11:00:00.250")
    with tenant.served() as address:
        found = read_held(address)
    assert tuples(found, found.columns) == [
        ("a", "a@mail.example", pd.Timestamp("2026-06-15T17:00:00.250Z"), pd.Timestamp(NOW)),
        ("b", "b@mail.example", None, pd.Timestamp(NOW)),
    ]


def test_a_tenant_without_status_events_has_no_held_at(tenant: Tenant) -> None:
    tenant.subscribers(("a", "Held"))
    tenant.store.set_setting("absent_objects", "SubscriberStatusEvent")
    with tenant.served() as address:
        found = read_held(address, say=tenant.said.append)
    assert tuples(found, ["subscriber_key", "held_at"]) == [("a", None)]
    assert any("since when" in line for line in tenant.said)


def test_many_held_are_read_in_ranges_and_none_is_lost(tenant: Tenant) -> None:
    keys = [f"k{n:05d}" for n in range(12_000)]
    tenant.store.insert(
        "subscriber",
        ["subscriber_key", "email_address", "status", "created_date"],
        [
            # Some have no date, and 3,000 were imported in one second.
            (
                key,
                None,
                "Held",
                None if n < 10 else f"{2010 + n % 9 * (n % 7_000 < 4_000)}-02-03 04:05:06.000",
            )
            for n, key in enumerate(keys)
        ],
    )
    with tenant.served() as address:
        found = read_held(address, say=tenant.said.append)
    assert found["subscriber_key"].tolist() == keys
    assert any("ranges" in line for line in tenant.said)


def test_a_silent_status_filter_is_found_out(tenant: Tenant) -> None:
    tenant.subscribers(("a", "Held"), ("b", "Active"))
    tenant.store.set_setting("subscriber_status_filter", "silent")
    with tenant.served() as address, source(address) as opened:
        with pytest.raises(HeldFilterSilent, match="SFMC_HELD=by_key"):
            opened.held(keys=["a", "b"])
        assert opened.held(keys=["b"]).empty


def test_held_by_key_gives_the_same_rows(tenant: Tenant) -> None:
    tenant.subscribers(("a", "Held"), ("b", "Active"), ("c", "Held"))
    tenant.became_held("c", "2026-06-15 11:00:00.250")
    with tenant.served() as address:
        by_filter = read_held(address)
        with source(address, held_mode="by_key") as opened:
            by_key = opened.held(keys=["c", "zz", "b", "a", "a"])
            nobody = opened.held(keys=[])
    pd.testing.assert_frame_equal(by_filter, by_key)
    assert tables.HeldSubscribers.validate(nobody).empty


# --- statuses ----------------------------------------------------------------------------------


def test_statuses_come_as_asked(tenant: Tenant) -> None:
    id_18 = "003Dn00000AbCdEIAV"
    tenant.subscribers(
        (id_18, "Held"),
        ("003Dn00000xyzAB", "Active"),
        ("Ann@mail.example", "Bounced"),
        ("u", "Unsubscribed"),
        ("d", "Deleted"),
    )
    asked = {
        id_18: "Held",
        id_18.lower(): "Held",
        "003Dn00000xyzAB": "Active",
        "003Dn00000XYZAB": "Unknown",
        "ann@mail.example": "Unknown",
        "u": "Unsubscribed",
        "d": "Deleted",
        "nobody": "Unknown",
        "\x01": "NotJudged",
    }
    with tenant.served() as address, source(address) as opened:
        found = tables.ReleasedSubscribers.validate(opened.statuses([*asked, "u"]))
        assert opened.statuses([]).empty
    assert tuples(found, ["subscriber_key", "status"]) == list(asked.items())


def test_many_keys_are_asked_in_chunks(tenant: Tenant) -> None:
    keys = [f"k{n}" for n in range(1_201)]
    tenant.subscribers(*((key, "Active") for key in keys[::2]))
    with tenant.served() as address, source(address) as opened:
        found = opened.statuses(keys)
        calls = opened.calls
    assert found["status"].tolist() == ["Active", "Unknown"] * 600 + ["Active"]
    assert calls == 1 + 3


# --- tokens, faults ----------------------------------------------------------------------------


def test_threads_share_one_token(tenant: Tenant) -> None:
    tenant.subscribers(*((f"k{n}", "Active") for n in range(3)))
    with tenant.served() as address, source(address) as opened:
        opened.statuses([f"k{n}" for n in range(2_500)])
        assert opened.calls == 1 + 5


def test_an_expired_token_is_renewed(tenant: Tenant) -> None:
    tenant.bounces({"subscriber_key": "k"})
    expired = {"service": "marketing_cloud", "path": "*.asmx", "kind": "expire_token", "times": 1}
    with tenant.served(expired) as address, source(address) as opened:
        assert len(opened.bounces(day())) == 1
        assert opened.calls == 4


def test_a_wrong_secret_says_so_and_not_which(tenant: Tenant) -> None:
    with tenant.served() as address, pytest.raises(AuthenticationFailed) as caught:
        read_bounces(address, account={"client_secret": "not-the-secret"})
    assert "invalid_client" in str(caught.value)
    assert "SFMC_CLIENT_SECRET" in str(caught.value)
    assert "not-the-secret" not in str(caught.value)


def test_a_missing_permission_names_the_scopes(tenant: Tenant) -> None:
    tenant.store.set_setting("scopes", "list_and_subscribers_read")
    with tenant.served() as address, pytest.raises(PermissionMissing, match="tracking_events_read"):
        read_bounces(address)


def test_an_unknown_certificate_is_refused(tenant: Tenant) -> None:
    with (
        tenant.served() as address,
        pytest.raises(Unavailable, match="BOUNCE_SYNC_CA_BUNDLE"),
    ):
        read_bounces(address, account={"ca_bundle": None})


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429, "retry_after": 0},
        {"kind": "status", "status": 500},
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "truncate"},
        {"kind": "garble"},
        {"kind": "query_timeout"},
    ],
    ids=lambda fault: "_".join(str(value) for value in fault.values()),
)
def test_faults_that_pass_change_nothing(tenant: Tenant, fault: dict[str, Any]) -> None:
    keys = [f"k{n}" for n in range(5_100)]
    tenant.store.insert(
        "bounce",
        ["account_id", "subscriber_key", "event_date"],
        [(PARENT, key, f"{DAY} {n % 24:02d}:{n % 60:02d}:00.000") for n, key in enumerate(keys)],
    )
    with tenant.served({"service": "marketing_cloud", "times": 2} | fault) as address:
        assert sorted(read_bounces(address)["subscriber_key"]) == sorted(keys)


def test_a_service_that_stays_down_is_given_up(tenant: Tenant) -> None:
    down = {"service": "marketing_cloud", "path": "*.asmx", "kind": "status", "status": 503}
    with tenant.served(down) as address, pytest.raises(Unavailable, match="503") as caught:
        read_bounces(address)
    assert f"business unit {PARENT}" in str(caught.value)


def test_a_kind_of_source_that_isnt_there() -> None:
    with pytest.raises(ValueError, match="data_views"):
        open_source("soup", None)  # type: ignore[arg-type]
