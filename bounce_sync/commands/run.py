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
from bounce_sync.rules import server_time
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.settings import ImportSettings
from bounce_sync.storage import MissingTable
from bounce_sync.tables import DAILY_TABLES

Say = Callable[[str], None]


def fetch_missing(runner: Runner, days: list[str], say: Say) -> list[RunReport]:
    """Fetches the days that the lake lacks and that can be fetched, one run each."""
    wanted = [day for day in days if not runner.lake.has("raw_bounces", day)]
    reports = []
    for number, day in enumerate(wanted, start=1):
        if stopping.requested.is_set():
            break
        say(f"Fetching the bounces of {day} ({number} of {len(wanted)})")
        reports.append(runner.materialise(day, ["raw_bounces"]))
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
    earliest = ImportSettings.load().start_date.isoformat()
    before = days if first_day else days[:-1]
    if first_day and (forgotten := _forgotten(runner, before)):
        outcome.missing_days = forgotten
        outcome.error = (
            f"{len(forgotten)} day(s) from {forgotten[0]} on are more than "
            f"{server_time.RETENTION.days} days ago and not in the lake: SFMC has forgotten their "
            "bounces. Nothing was fetched and the CRM wasn't touched. Choose a later --from."
        )
        return outcome
    outcome.fetched = fetch_missing(runner, [day for day in before if day >= earliest], say)
    outcome.missing_days = [day for day in before if not runner.lake.has("raw_bounces", day)]
    if stopping.requested.is_set():
        outcome.error = "Stopped by SIGTERM before anything was planned. Run again to go on."
    elif first_day and (wrong := outcome.missing_days or _bad_days(runner, before)):
        failures = {report.error for report in outcome.fetched if report.error}
        outcome.error = (
            f"Not every day from {first_day} to {partition} is in the lake: {', '.join(wrong)}. "
            f"The CRM wasn't touched. {' '.join(sorted(failures))}"
        )
    else:
        assets = [
            asset
            for asset in (*DAILY_TABLES, REPORT)
            if not (dry_run and asset in (WRITER, REPORT))
            and not (first_day and asset == "raw_bounces")
        ]
        say(f"{'Planning' if dry_run else 'Running'} {partition}")
        outcome.report = runner.materialise(partition, assets, tags=tags, policy=policy.stored())
        outcome.error = outcome.report.error
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


def _bad_days(runner: Runner, days: list[str]) -> list[str]:
    from bounce_sync.assets import contracts

    bad = []
    for day in days:
        try:
            contracts.load(runner.lake, "raw_bounces", day)
        except (contracts.BadTable, MissingTable):
            bad.append(day)
    return bad


def _finished(_: click.Context, parameter: click.Parameter, value: Any) -> date | None:
    if value is None:
        return None
    day = value.date()
    first, last = ImportSettings.load().start_date, last_finished_day()
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
