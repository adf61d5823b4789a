"""`bounce-sync drift`: where SFMC and the CRM say different things, and mending that."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click
from rich import box
from rich.table import Table

from bounce_sync import stopping
from bounce_sync.commands import output, releases
from bounce_sync.commands.runner import Runner, RunReport, running
from bounce_sync.storage import LATEST
from bounce_sync.tables import AGREES, CLEAR, FINDINGS, OUTCOMES, REFRESH, SET

DRIFT, UPDATES = "crm_drift", "crm_drift_updates"


@click.command(epilog="Example: bounce-sync drift --mend")
@click.option("--mend", is_flag=True, help="Then write what the policy allows, after a yes.")
@click.option(
    "--held-without-bounce",
    is_flag=True,
    help="Also flag those of whom no bounce is left, dated by their hold: for the first day of a "
    "tenant that has held addresses for years.",
)
@releases.options
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def drift(
    *, mend: bool, held_without_bounce: bool, yes: bool, as_json: bool, **released: Any
) -> None:
    """Compare everything that SFMC holds with everything that is flagged in the CRM.

    The daily run follows bounces; what it can't see is found here: addresses Held by hand or long
    ago, bounces that SFMC recorded late, flags that somebody ticked. Writes nothing without --mend.
    """
    if mend and not yes and not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask on: add --yes, or leave out --mend.")
    started, tags = time.monotonic(), releases.tags(**released)
    config = {DRIFT: {"held_without_bounce": "flag" if held_without_bounce else "report"}}
    written = None
    with running() as runner, stopping.on_sigterm():
        from bounce_sync.automation import DRIFT_JOB, MEND_JOB  # reads a part of the environment

        output.progress("Comparing all of Held with all of flagged")
        found = runner.execute(DRIFT_JOB, tags=tags, config=config)
        if not as_json and DRIFT in found.materialised:
            _show(found, runner)
        if mend and found.success and _changes(found) and (yes or _agreed(found)):
            written = runner.execute(
                MEND_JOB, assets=[UPDATES], tags=tags, config={UPDATES: {"dry_run": False}}
            )
    if as_json:
        click.echo(json.dumps(_line(runner, found, written, time.monotonic() - started)))
    elif written is not None:
        _tell(written, runner.attempts(written, UPDATES))
    wrong = written if written is not None and not written.success else found
    if wrong.blocked_by:
        output.ERRORS.print(
            f"The check {wrong.blocked_by} stops a mend: nothing was written to the CRM.",
            style="bold red",
            markup=False,
        )
    if wrong.error:
        output.ERRORS.print(wrong.error, style="red", markup=False, soft_wrap=True)
    if not wrong.success and (mend or DRIFT not in wrong.materialised):
        sys.exit(1)


def _changes(found: RunReport) -> int:
    return sum(found.number(DRIFT, f"to {action}") for action in (SET, REFRESH, CLEAR))


def _agreed(found: RunReport) -> bool:
    return click.confirm(f"Write these {_changes(found):,} changes?", err=True)


def _show(found: RunReport, runner: Runner) -> None:
    table = Table(box=box.SIMPLE)
    table.add_column("finding")
    table.add_column("records", justify="right")
    table.add_column("what to do")
    for finding, (_, advice) in FINDINGS.items():
        if count := found.number(DRIFT, finding.replace("_", " ")):
            table.add_row(finding, f"{count:,}", advice)
    output.RESULTS.print(table)
    sets, refreshes, clears = (found.number(DRIFT, f"to {each}") for each in (SET, REFRESH, CLEAR))
    output.RESULTS.print(
        f"To mend: {sets:,} to set, {refreshes:,} to refresh, {clears:,} to clear. "
        f"SFMC and the CRM agree on {found.number(DRIFT, AGREES):,}."
    )
    rows = runner.lake.path(DRIFT, LATEST)
    for said in (_not_asked(found), f"Each key and record, with its finding: {rows}"):
        if said:
            output.RESULTS.print(said, markup=False, soft_wrap=True)


def _not_asked(found: RunReport) -> str | None:
    """What the report can't know, in words."""
    return found.materialised.get(DRIFT, {}).get("not asked")


def _tell(written: RunReport, attempts: dict[str, int]) -> None:
    if not written.success and not attempts:
        return
    told = ", ".join(f"{attempts.get(each, 0):,} {each}" for each in OUTCOMES)
    output.RESULTS.print(
        f"{told}. To take this back: bounce-sync undo {written.run_id}", soft_wrap=True
    )


def _line(
    runner: Runner, found: RunReport, written: RunReport | None, seconds: float
) -> dict[str, Any]:
    last = written or found
    attempts = runner.attempts(written, UPDATES) if written is not None else {}
    return {
        "target": runner.settings.target,
        "run_id": last.run_id,
        "stopped": last.blocked_by,
        "findings": {
            finding: found.number(DRIFT, finding.replace("_", " ")) for finding in FINDINGS
        },
        "not_asked": _not_asked(found),
        **{each: found.number(DRIFT, f"to {each}") for each in (SET, REFRESH, CLEAR)},
        **{each: attempts.get(each, 0) for each in OUTCOMES},
        "seconds": round(seconds, 1),
    }
