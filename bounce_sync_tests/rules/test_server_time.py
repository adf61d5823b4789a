"""The only bridge between SFMC's server time and UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.server_time import (
    Window,
    as_day,
    day_window,
    days_window,
    evidence_days,
    last_finished_day,
    parse_offset,
    to_server,
    to_utc,
)

SIX_BEHIND = timedelta(hours=-6)


@pytest.mark.parametrize(
    ("text", "hours"), [("-06:00", -6), ("+05:30", 5.5), ("+00:00", 0), (" -07:00 ", -7)]
)
def test_offset_is_read(text: str, hours: float) -> None:
    assert parse_offset(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "-6", "06:00", "-06:60", "+15:00", "UTC", "-06:00Z"])
def test_offset_that_is_none_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="write it like -06:00"):
        parse_offset(text)


def test_day_is_the_servers_calendar_day() -> None:
    window = day_window("2026-01-31", SIX_BEHIND)
    assert window.start == datetime(2026, 1, 31, 6, tzinfo=UTC)
    assert window.end == datetime(2026, 2, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_day_never_has_23_or_25_hours(day: str) -> None:
    assert day_window(day, SIX_BEHIND).length == timedelta(days=1)


def test_several_days_are_one_window() -> None:
    window = days_window(["2026-01-30", "2026-01-31"], SIX_BEHIND)
    assert window.start == datetime(2026, 1, 30, 6, tzinfo=UTC)
    assert window.end == datetime(2026, 2, 1, 6, tzinfo=UTC)


def test_halves_meet_at_a_whole_millisecond() -> None:
    window = Window(
        datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 1, 31, 0, 0, 0, 3_000, tzinfo=UTC)
    )
    first, second = window.halves()
    assert (first.start, second.end) == (window.start, window.end)
    assert first.end == second.start == datetime(2026, 1, 31, 0, 0, 0, 1_000, tzinfo=UTC)
    with pytest.raises(ValueError, match="ends after it starts"):
        first.halves()


def test_window_needs_zone_and_order() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="ends after it starts"):
        Window(noon, noon)
    with pytest.raises(ValueError, match="time zone"):
        Window(noon.replace(tzinfo=None), noon)


def test_times_cross_the_bridge_both_ways() -> None:
    server = datetime(2026, 1, 31, 23, 59, 59, 997_000)  # noqa: DTZ001 - server time has no zone
    utc = datetime(2026, 2, 1, 5, 59, 59, 997_000, tzinfo=UTC)
    assert to_utc(server, SIX_BEHIND) == utc
    assert to_server(utc, SIX_BEHIND) == server

    column = pd.Series([server, pd.NaT], dtype="datetime64[ms]")
    there = to_utc(column, SIX_BEHIND)
    assert there.dtype == "datetime64[us, UTC]"
    assert there.iloc[0] == utc
    assert there.isna().tolist() == [False, True]
    back = to_server(there, SIX_BEHIND)
    assert back.dtype == "datetime64[us]"
    assert back.iloc[0] == server


@pytest.mark.parametrize(
    ("now", "day"),
    [("2026-02-01T05:59:59Z", "2026-01-30"), ("2026-02-01T06:00:00Z", "2026-01-31")],
)
def test_last_finished_day_ends_at_the_servers_midnight(now: str, day: str) -> None:
    assert last_finished_day(datetime.fromisoformat(now), SIX_BEHIND) == date.fromisoformat(day)


def test_evidence_days_end_with_the_partition() -> None:
    days = evidence_days("2026-03-01", SyncPolicy(evidence_days=3))
    assert days == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert len(evidence_days(date(2026, 3, 1), SyncPolicy())) == 15


def test_evidence_from_is_for_catching_up() -> None:
    policy = SyncPolicy(evidence_from="2026-01-01")
    assert len(evidence_days("2026-03-01", policy)) == 60
    assert evidence_days("2026-01-01", policy) == ["2026-01-01"]
    with pytest.raises(ValueError, match=r"2026-01-01\) is after the partition"):
        evidence_days("2025-12-31", policy)


def test_time_is_no_day() -> None:
    with pytest.raises(TypeError, match="date, not a time"):
        as_day(datetime(2026, 1, 31, tzinfo=UTC))
