"""`bounce-sync undo`: put back what a run wrote, where it still stands."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.table import Table

from bounce_sync.commands import output
from bounce_sync.environment import LIVE
from bounce_sync.ledger import Ledger, LedgerError
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.services import Services
from bounce_sync.settings import Settings
from bounce_sync.tables import REJECTED, UNKNOWN, WRITTEN
from bounce_sync.undo import LEFT, UndoError, Undone, UndoPlan
from bounce_sync.undo import undo as carry_out

SHOWN = 20
"""Records that are listed before the question; the rest are counted."""


@click.command(epilog="Example: bounce-sync undo 4f6edc01 --domain example.com --dry-run")
@click.argument("run")
@click.option("--domain", "domains", multiple=True, metavar="DOMAIN", help="Only this mail domain.")
@click.option("--record", "records", multiple=True, metavar="ID", help="Only this CRM record.")
@click.option("--dry-run", is_flag=True, help="Show what would go back; write nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def undo(
    run: str,
    domains: tuple[str, ...],
    records: tuple[str, ...],
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put back what RUN wrote to the CRM, where the records still hold it.

    RUN is the run_id of `run --json` (or of another undo, which is undone then).
    """
    if not (dry_run or yes or sys.stdin.isatty()):
        raise click.UsageError("There is no terminal to ask on: add --yes, or --dry-run.")

    def confirm(plan: UndoPlan) -> bool:
        _show(plan)
        return yes or click.confirm(f"Write these {len(plan.changes):,} changes?", err=True)

    settings = Settings.load()
    try:
        ledger = Ledger(settings.ledger)
        ledger.intents_of(run)
        with Services(settings) as services, Connection(services.org()) as connection:
            if settings.target == LIVE:
                ledger.bind_org(connection.identity().org_id)
            undone = carry_out(
                run,
                ledger=ledger,
                connection=connection,
                facts=services.facts(RecordReader(connection)),
                target=settings.target,
                domains=domains,
                records=records,
                dry_run=dry_run,
                confirm=confirm,
                say=output.progress,
            )
    except (LedgerError, UndoError, SalesforceError) as error:
        raise click.ClickException(str(error)) from error
    if dry_run or undone.plan.changes.empty:
        _show(undone.plan)
    line = _line(run, undone, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(line))
    else:
        _tell(undone, line)
    if line[REJECTED] or line[UNKNOWN]:
        sys.exit(1)


def _line(run: str, undone: Undone, *, dry_run: bool) -> dict[str, Any]:
    outcomes = undone.updates["outcome"].value_counts()
    left = undone.plan.left
    return {
        "run_id": undone.run_id,
        "undoes": run,
        "dry_run": dry_run,
        "planned": len(undone.plan.changes),
        **{name: int(outcomes.get(name, 0)) for name in (WRITTEN, REJECTED, UNKNOWN)},
        "left": {str(why): int(count) for why, count in left["why"].value_counts().items()},
    }


def _show(plan: UndoPlan) -> None:
    """What goes back and what is left, on stderr: it belongs to the question."""
    if len(plan.changes):
        table = Table(title=f"{len(plan.changes):,} changes", title_justify="left")
        table.add_column("record", no_wrap=True)  # a narrow terminal would cut the id
        for title in ("flag now", "flag then", "date now", "date then"):
            table.add_column(title)
        for row in plan.changes.head(SHOWN).itertuples():
            flags = ("on" if flag else "off" for flag in (row.flag_before, row.flag_after))
            dates = (_date(date) for date in (row.date_before, row.date_after))
            table.add_row(f"{row.object} {row.record_id}", *flags, *dates)
        output.ERRORS.print(table)
        if len(plan.changes) > SHOWN:
            output.ERRORS.print(f"and {len(plan.changes) - SHOWN:,} more")
    if len(plan.left):
        table = Table(title=f"{len(plan.left):,} left", title_justify="left")
        for title in ("why", "records", "meaning"):
            table.add_column(title)
        table.add_column("for instance", overflow="fold")
        for why, rows in plan.left.groupby("why"):
            first = rows.iloc[0]
            by = f" (run {first['by_run']})" if why == "written_again" else ""
            table.add_row(str(why), f"{len(rows):,}", LEFT[str(why)], first["record_id"] + by)
        output.ERRORS.print(table)
    if plan.changes.empty and plan.left.empty:
        output.ERRORS.print("The run wrote nothing of that kind.")


def _date(date: Any) -> str:
    return f"{date:%Y-%m-%d %H:%M:%S}" if date == date else "empty"


def _tell(undone: Undone, line: dict[str, Any]) -> None:
    if not undone.run_id:
        output.RESULTS.print("Nothing was written.")
        return
    output.RESULTS.print(
        f"{line[WRITTEN]:,} put back, {line[REJECTED]:,} rejected, {line[UNKNOWN]:,} unknown. "
        f"To take this back: bounce-sync undo {undone.run_id}",
        soft_wrap=True,
    )
