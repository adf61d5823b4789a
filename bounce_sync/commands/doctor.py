"""`bounce-sync doctor`: what is well and what isn't, line by line. It only reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import click
from rich.table import Table
from rich.text import Text

from bounce_sync import doctor as examination
from bounce_sync.commands import output
from bounce_sync.doctor import Finding, Level, Line, Patient
from bounce_sync.environment import SettingsError
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.services import Services
from bounce_sync.settings import Settings

STYLES = {Level.PASS: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
WIDTH = max(len(line.title) for line in examination.LINES)


@click.command(epilog="Example: bounce-sync doctor --json")
@click.option(
    "--quick", is_flag=True, help="Leave out what the first run would change: it reads everything."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead.")
def doctor(*, quick: bool, as_json: bool) -> None:
    """Look at everything that the daily run needs, and say what to do. Writes nothing.

    Ends with 1 where a line fails.
    """
    findings: list[Finding] = []
    for finding in _findings(first_run=not quick):
        if not as_json:
            _show(finding, heading=not findings or findings[-1].group != finding.group)
        findings.append(finding)
    counts = examination.counted(findings)
    if as_json:
        click.echo(json.dumps({**counts, "findings": [each.plain() for each in findings]}))
    else:
        output.heading(", ".join(f"{count} {level}" for level, count in counts.items()))
    if counts[Level.FAIL]:
        sys.exit(1)


def _findings(*, first_run: bool) -> Iterator[Finding]:
    try:
        settings = Settings.load()
    except SettingsError as error:
        yield examination.without_settings(error)
        return
    with output.ERRORS.status("") as status, Services(settings) as services:
        patient = Patient(services, SyncPolicy(), settings.start_date, output.progress, first_run)

        def begins(line: Line) -> None:
            status.update(f"{line.group}: {line.title}")

        try:
            yield from examination.examine(patient, begins)
        finally:
            patient.close()


def _show(finding: Finding, *, heading: bool) -> None:
    if heading:
        output.heading(finding.group)
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=4)
    row.add_column(width=WIDTH)
    row.add_column(overflow="fold")
    judgement = finding.judgement
    level = Text(str(finding.level), STYLES[finding.level])
    row.add_row(level, Text(finding.title), Text(judgement.said))
    if judgement.to_do:
        row.add_row("", "", Text(f"→ {judgement.to_do}", "bold"))
    output.RESULTS.print(row)
