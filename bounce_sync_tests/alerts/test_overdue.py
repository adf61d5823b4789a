"""Which days are missing, and who is told of them when."""

from __future__ import annotations

from datetime import date

from bounce_sync.alerts import overdue
from bounce_sync.alerts.digest import Level

WEEK = [f"2026-03-{day:02}" for day in range(4, 11)]


def test_gaps_of_the_last_week_are_missing() -> None:
    written = {"2026-01-01", *WEEK} - {"2026-03-06", "2026-03-10"}
    assert overdue.missing(WEEK, written, set()) == ["2026-03-06", "2026-03-10"]


def test_older_gaps_and_days_that_are_not_due_are_not() -> None:
    assert overdue.looked_at(date(2026, 3, 10)) == WEEK
    assert overdue.missing(WEEK, {"2026-01-01", *WEEK}, set()) == []


def test_before_the_first_written_day_nothing_is_missing() -> None:
    assert overdue.missing(WEEK, set(), set()) == []
    assert overdue.missing(WEEK, {"2026-03-09"}, set()) == ["2026-03-10"]


def test_a_day_whose_bounces_went_into_a_later_one_is_not_missing() -> None:
    written = {"2026-03-04", "2026-03-08", "2026-03-09", "2026-03-10"}
    assert overdue.missing(WEEK, written, {"2026-03-06", "2026-03-07"}) == ["2026-03-05"]


def test_what_somebody_knows_already_is_not_told_again() -> None:
    assert overdue.message(WEEK[:2], WEEK[:2], "live", "") is None
    assert overdue.message([], [], "live", "") is None


def test_new_gaps_and_gaps_that_were_made_up_for_are_told() -> None:
    message = overdue.message(["2026-03-07"], ["2026-03-06"], "live", "https://ui.example")
    assert message is not None
    assert message.level is Level.FAILURE
    assert "2026-03-07: nothing of it reached the CRM" in message.body
    assert "2026-03-06: no longer missing" in message.body
    assert "https://ui.example/assets/crm_flag_updates" in message.body


def test_a_week_made_up_for_is_good_news() -> None:
    message = overdue.message([], ["2026-03-06"], "live", "")
    assert message is not None
    assert message.level is Level.SUCCESS
