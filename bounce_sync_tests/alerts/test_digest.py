"""What is worth telling of a run, and in which words."""

from __future__ import annotations

import dataclasses

import pytest

from bounce_sync.alerts.digest import MOST_LINES, Check, Level, RunStory, Status, digest

QUIET = RunStory(
    "run-1", "daily_bounce_sync", Status.SUCCEEDED, "live", "2026-11-20", outcomes={"written": 7}
)
CHECK = Check("crm_flag_updates", "no_update_was_rejected", "2 writes weren't taken.", warns=True)

NEWS = {
    "failed warning": ({"failed": [CHECK]}, Level.WARNING),
    "failed check": ({"failed": [dataclasses.replace(CHECK, warns=False)]}, Level.FAILURE),
    "silent check": ({"silent": [CHECK]}, Level.WARNING),
    "rejected update": ({"outcomes": {"written": 1, "rejected": 2}}, Level.WARNING),
    "unknown update": ({"outcomes": {"written": 1, "unknown": 2}}, Level.WARNING),
    "quarantined domain": ({"quarantined": 60}, Level.WARNING),
    "released guard": ({"released": {"addresses_agree": "9 differ"}}, Level.WARNING),
    "recovered check": ({"recovered": [CHECK]}, Level.SUCCESS),
    "check that reports again": ({"reporting_again": [CHECK]}, Level.SUCCESS),
    "failure": ({"status": Status.FAILED}, Level.FAILURE),
    "cancellation": ({"status": Status.CANCELED}, Level.WARNING),
    "error": ({"status": Status.FAILED, "errors": {"a_step": "It broke."}}, Level.FAILURE),
}


def test_a_run_without_news_is_not_told_of() -> None:
    assert digest(QUIET) is None


@pytest.mark.parametrize("news", NEWS)
def test_each_kind_of_news_is_told_at_its_level(news: str) -> None:
    changes, level = NEWS[news]
    message = digest(dataclasses.replace(QUIET, **changes))
    assert message is not None
    assert message.level is level
    assert message.title.startswith("bounce_sync (live): daily_bounce_sync of 2026-11-20 ")


def test_the_run_is_linked_where_the_ui_is_known_and_named_otherwise() -> None:
    story = dataclasses.replace(QUIET, status=Status.FAILED)
    linked, named = digest(story, "https://dagster.example"), digest(story)
    assert linked is not None
    assert named is not None
    assert linked.body == "[Run run-1](https://dagster.example/runs/run-1)"
    assert named.body == "Run run-1"


def test_a_long_section_says_how_much_it_leaves_out() -> None:
    many = [Check("raw_bounces", f"rule_{n}", "Broken.") for n in range(MOST_LINES + 3)]
    message = digest(dataclasses.replace(QUIET, failed=many))
    assert message is not None
    assert f"rule_{MOST_LINES - 1}: Broken." in message.body
    assert f"rule_{MOST_LINES}: Broken." not in message.body
    assert "and 3 more" in message.body
