"""Counts of the last days, out of what travels with the tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.storage import Lake, MissingTable
from bounce_sync.tables import RawBounces, empty
from bounce_sync.trends import DAYS, last_days


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def store(lake: Lake, day: str, **counts: int) -> None:
    table = empty(RawBounces)
    table.attrs = {"by_category": counts} if counts else {}
    lake.write("raw_bounces", day, table)


def days(lake: Lake, until: str, today: dict[str, int] | None = None) -> dict:
    return last_days(lake, "raw_bounces", "by_category", until, today).to_dict("index")


def test_each_day_has_its_counts_and_a_missing_count_is_zero(lake: Lake) -> None:
    store(lake, "2026-01-01", Hard=3, Soft=1)
    store(lake, "2026-01-02")
    store(lake, "2026-01-03", Block=2)
    store(lake, "2026-01-04", Hard=9)
    assert days(lake, "2026-01-03") == {
        "2026-01-01": {"Hard": 3, "Soft": 1, "Block": 0},
        "2026-01-03": {"Hard": 0, "Soft": 0, "Block": 2},
    }


def test_today_is_what_the_caller_says(lake: Lake) -> None:
    store(lake, "2026-01-01", Hard=3)
    store(lake, "2026-01-02", Hard=100)
    found = days(lake, "2026-01-02", {"Hard": 4})
    assert found == {"2026-01-01": {"Hard": 3}, "2026-01-02": {"Hard": 4}}


def test_there_are_thirty_days_at_most_the_newest(lake: Lake) -> None:
    dates = pd.date_range("2026-01-01", periods=DAYS + 5).strftime("%Y-%m-%d").tolist()
    for number, day in enumerate(dates):
        store(lake, day, Hard=number + 1)
    assert list(days(lake, dates[-1], {"Hard": 1})) == dates[-DAYS:]


def test_a_lake_without_the_table_has_no_days(lake: Lake) -> None:
    assert days(lake, "2026-01-01") == {}
    with pytest.raises(MissingTable):
        lake.attributes("raw_bounces", "2026-01-01")
