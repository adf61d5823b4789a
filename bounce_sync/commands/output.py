"""What commands say on a terminal: progress on stderr, results on stdout."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from bounce_sync.commands.outcome import Outcome
from bounce_sync.tables import OUTCOMES, REASONS

ERRORS = Console(stderr=True, highlight=False)
RESULTS = Console(highlight=False)


def progress(message: str) -> None:
    ERRORS.print(message, style="dim", markup=False, soft_wrap=True)


def heading(text: str) -> None:
    RESULTS.print(f"\n{text}", style="bold", markup=False, soft_wrap=True)


def failure(outcome: Outcome) -> None:
    """Why a run ended badly, in its own words."""
    report = outcome.report
    if report is not None and report.blocked_by:
        ERRORS.print(
            f"Stopped by the check {report.blocked_by}: nothing was written to the CRM.",
            style="bold red",
            markup=False,
        )
    if outcome.error:
        ERRORS.print(outcome.error, style="red", markup=False, soft_wrap=True)


def summary(outcome: Outcome) -> None:
    """The run in a few lines."""
    line = outcome.line()
    heading(f"{line['partition']} ({line['target']})")
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name in (
        "raw_bounces",
        "held_subscribers",
        "staged",
        "set",
        "refresh",
        "clear",
        "none",
        "unmatched",
        "quarantined",
        *OUTCOMES,
    ):
        table.add_row(name.replace("_", " "), f"{line[name]:,}")
    RESULTS.print(table)
    if outcome.dry_run and outcome.success:
        RESULTS.print("Dry run: nothing was written to the CRM.")
    if outcome.missing_days:
        RESULTS.print(f"Evidence days that could not be fetched: {', '.join(outcome.missing_days)}")
    for warning in outcome.report.warnings if outcome.report else ():
        RESULTS.print(warning, style="yellow", markup=False, soft_wrap=True)
    if line["run_id"]:
        RESULTS.print(f"Run {line['run_id']}, {line['seconds']} s")
    if outcome.page:
        RESULTS.print(f"Page: {outcome.page}", markup=False, soft_wrap=True)


def reasons(counts: dict[str, int]) -> Table:
    """Reasons with their meaning, the commonest first."""
    table = Table(box=box.SIMPLE)
    table.add_column("reason")
    table.add_column("records", justify="right")
    table.add_column("meaning")
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(reason, f"{count:,}", REASONS[reason])
    return table
