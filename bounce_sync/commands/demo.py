"""`bounce-sync demo`: one day of a simulated tenant through the real job, told in plain words."""

from __future__ import annotations

import sys
from collections import Counter

import click
from rich import box
from rich.table import Table

from bounce_sync.commands import output
from bounce_sync.commands.outcome import Outcome
from bounce_sync.commands.run import daily
from bounce_sync.commands.runner import Runner, last_finished_day, running
from bounce_sync.environment import LIVE
from bounce_sync.rules import confirmation
from bounce_sync.settings import Settings
from bounce_sync.tables import CLEAR, SET, WRITTEN


@click.command(epilog="Example: bounce-sync demo")
def demo() -> None:
    """Rehearse one day on a simulated tenant: no credentials, no network, nothing of yours."""
    settings = Settings.load()
    if settings.target == LIVE:
        raise click.UsageError(
            "The demo runs on the sandbox; BOUNCE_SYNC_TARGET is live. Use `bounce-sync run`."
        )
    output.progress("Making a simulated SFMC tenant and its CRM (once), then running one day")
    with running(settings) as runner:
        outcome = daily(runner, last_finished_day().isoformat(), say=output.progress)
        if outcome.success:
            _tell(runner, outcome)
    if not outcome.success:
        output.failure(outcome)
        sys.exit(1)


def _tell(runner: Runner, outcome: Outcome) -> None:
    line, day = outcome.line(), outcome.partition
    plan = runner.lake.read("crm_flag_changes", day)
    funnel = plan.attrs["funnel"]

    output.heading(f"From bounces to flags, {day}")
    story = Table(box=box.SIMPLE, show_header=False)
    story.add_column()
    story.add_column(justify="right")
    story.add_row("bounces of the day", f"{line['raw_bounces']:,}")
    for name, count in confirmation.in_words(funnel).items():
        story.add_row(name, f"{count:,}")
    output.RESULTS.print(story)

    flagged = outcome.report.number("crm_flag_state", "flagged") if outcome.report else 0
    after = flagged + _written(runner, day, line["run_id"])
    output.heading("The CRM, before and after")
    world = Table(box=box.SIMPLE)
    for name in ("", "before", "after"):
        world.add_column(name, justify="left" if not name else "right")
    world.add_row("Contacts and Leads flagged", f"{flagged:,}", f"{after:,}")
    world.add_row("  newly flagged", "", f"{line['set']:,}")
    world.add_row("  date moved forward", "", f"{line['refresh']:,}")
    world.add_row("  cleared", "", f"{line['clear']:,}")
    world.add_row("  looked at and left", "", f"{line['none']:,}")
    world.add_row("  writes refused by the CRM", "", f"{line['rejected']:,}")
    output.RESULTS.print(world)

    output.heading("What was decided, and why")
    output.RESULTS.print(output.reasons(Counter(plan["reason"])))
    output.RESULTS.print(
        "\nWhere to look next\n"
        "  bounce-sync dev             the Dagster UI: graph, checks, partitions, this run\n"
        "  bounce-sync run --dry-run   plan a day and write nothing\n"
        f"{_page(outcome)}"
        f"  {runner.lake.path('crm_flag_changes', day)}\n"
        "                              every decision, row by row",
        markup=False,
        soft_wrap=True,
    )


def _page(outcome: Outcome) -> str:
    said = "                              the day's page, for people who never open Dagster\n"
    return f"  {outcome.page}\n{said}" if outcome.page else ""


def _written(runner: Runner, day: str, run_id: str) -> int:
    """By how much the run changed the number of flagged records."""
    updates = runner.lake.read("crm_flag_updates", day)
    own = updates[(updates["run_id"] == run_id) & (updates["outcome"] == WRITTEN)]
    return int((own["action"] == SET).sum() - (own["action"] == CLEAR).sum())
