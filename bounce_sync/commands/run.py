"""`bounce-sync run`: the daily job without the UI."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import click

from bounce_sync import stopping
from bounce_sync.commands import output, releases
from bounce_sync.commands.outcome import REPORT, WRITER, Outcome
from bounce_sync.commands.runner import Runner, RunReport, last_finished_day, running
from bounce_sync.damage import DamagedTable
from bounce_sync.rules import server_time
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.settings import Settings
from bounce_sync.tables import DAILY_TABLES

Say = Callable[[str], None]

_NAMED = 10
"""Days that a message names, of those that are missing."""


def fetch_missing(
    runner: Runner, days: list[str], say: Say, *, needs_all: bool = False
) -> list[RunReport]:
    """Fetches those of the days that the lake lacks, one run each.

    Where every day is needed, the first that can't be fetched is the last that is tried; where not,
    the second that fails with the very same words: then it isn't the days.
    """
    wanted = [day for day in days if not runner.lake.has("raw_bounces", day)]
    reports: list[RunReport] = []
    for number, day in enumerate(wanted, start=1):
        if stopping.requested.is_set():
            break
        say(f"Fetching the bounces of {day} ({number} of {len(wanted)})")
        reports.append(runner.materialise(day, ["raw_bounces"]))
        if error := reports[-1].error:
            say(f"{day} wasn't fetched: {error}")
            if needs_all or (number > 1 and reports[-2].error == error):
                break
    return reports


def daily(
    runner: Runner,
    partition: str,
    *,
    dry_run: bool = False,
    first_day: str | None = None,
    tags: dict[str, str] | None = None,
    say: Say,
) -> Outcome:
    """The daily job of one partition, evidence first; with `first_day` the catch-up to it."""
    started = time.monotonic()
    outcome = Outcome(partition, runner.settings.target, dry_run)
    policy = SyncPolicy(evidence_from=first_day or "")
    days = server_time.evidence_days(partition, policy)
    earliest = runner.settings.start_date.isoformat()
    before = days if first_day else days[:-1]
    forgotten = _forgotten(runner, before)
    if first_day and forgotten:
        outcome.missing_days = forgotten
        outcome.error = (
            f"{len(forgotten)} day(s) from {forgotten[0]} on are more than "
            f"{server_time.RETENTION.days} days ago and not in the lake: SFMC has forgotten their "
            "bounces. Nothing was fetched and the CRM wasn't touched. Choose a later --from."
        )
        return outcome
    wanted = [day for day in before if day >= earliest and day not in forgotten]
    outcome.fetched = fetch_missing(runner, wanted, say, needs_all=bool(first_day))
    outcome.missing_days = [day for day in before if not runner.lake.has("raw_bounces", day)]
    if stopping.requested.is_set():
        outcome.error = "Stopped by a signal before anything was planned. Run again to go on."
    elif first_day and outcome.missing_days:
        failures = {report.error for report in outcome.fetched if report.error}
        outcome.error = (
            f"Not every day from {first_day} to {partition} is in the lake: "
            f"{_listed(outcome.missing_days)}. The CRM wasn't touched. {' '.join(sorted(failures))}"
        )
    elif first_day and (refusals := _refusals(runner, days)):
        outcome.error = f"{' '.join(refusals)} The CRM wasn't touched."
    else:
        assets = [
            asset
            for asset in (*DAILY_TABLES, REPORT)
            if not (dry_run and asset in (WRITER, REPORT))
            and not (first_day and asset == "raw_bounces")
        ]
        if first_day:
            outcome.caught_up = sum(runner.lake.count("raw_bounces", day) for day in days)
        say(f"{'Planning' if dry_run else 'Running'} {partition}")
        outcome.report = runner.materialise(partition, assets, tags=tags, policy=policy.stored())
        outcome.error = outcome.report.error
        outcome.attempts = runner.attempts(outcome.report, WRITER)
    outcome.seconds = time.monotonic() - started
    return outcome


def _forgotten(runner: Runner, days: list[str]) -> list[str]:
    offset = server_time.parse_offset(runner.settings.utc_offset)
    now = datetime.now(UTC)
    return [
        day
        for day in days
        if server_time.is_forgotten(day, now, offset) and not runner.lake.has("raw_bounces", day)
    ]


def _refusals(runner: Runner, days: list[str]) -> list[str]:
    """Of the stored days that nothing may be built on, why and what to do."""
    from bounce_sync.assets import contracts

    refusals = []
    for day in days:
        try:
            contracts.load(runner.lake, "raw_bounces", day)
        except (contracts.BadTable, DamagedTable) as error:
            refusals.append(str(error))
    return refusals


def _listed(days: list[str]) -> str:
    more = f" and {len(days) - _NAMED} more" if len(days) > _NAMED else ""
    return ", ".join(days[:_NAMED]) + more


def _finished(_: click.Context, parameter: click.Parameter, value: Any) -> date | None:
    if value is None:
        return None
    day = value.date()
    first, last = Settings.load().start_date, last_finished_day()
    if not first <= day <= last:
        raise click.BadParameter(
            f"{day} is no partition: they go from {first} (BOUNCE_SYNC_START_DATE) to {last}, the "
            "last finished day in SFMC's server time.",
            param=parameter,
        )
    return day


_DAY = click.DateTime(["%Y-%m-%d"])


@click.command(epilog="Example: bounce-sync run --partition 2026-11-20 --dry-run")
@click.option("--partition", type=_DAY, callback=_finished, help="SFMC day; default: yesterday's.")
@click.option("--from", "first", type=_DAY, callback=_finished, help="First day of a catch-up.")
@click.option("--to", "last", type=_DAY, callback=_finished, help="Last day of a catch-up.")
@click.option("--dry-run", is_flag=True, help="Plan only: nothing is written to the CRM.")
@releases.options
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def run(
    partition: date | None,
    first: date | None,
    last: date | None,
    *,
    dry_run: bool,
    as_json: bool,
    **released: Any,
) -> None:
    """Run the daily job of one SFMC day, or catch up on many and touch the CRM once."""
    if (first is None) != (last is None):
        raise click.UsageError("--from and --to go together.")
    if first and partition:
        raise click.UsageError("Either --partition, or --from and --to.")
    if first and last and first > last:
        raise click.UsageError(f"--from {first} is after --to {last}.")
    day = last or partition or last_finished_day()
    with running() as runner, stopping.on_sigterm():
        outcome = daily(
            runner,
            day.isoformat(),
            dry_run=dry_run,
            first_day=first.isoformat() if first else None,
            tags=releases.tags(**released),
            say=output.progress,
        )
    if as_json:
        click.echo(json.dumps(outcome.line()))
    else:
        output.summary(outcome)
    if not outcome.success:
        output.failure(outcome)
        sys.exit(1)
