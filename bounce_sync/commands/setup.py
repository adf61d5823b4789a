"""`bounce-sync setup`: look at what the CRM and SFMC need, and make what is missing after a yes."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bounce_sync.commands import output
from bounce_sync.salesforce.connection import Connection
from bounce_sync.services import Services
from bounce_sync.settings import Settings
from bounce_sync.setup.components import READER, WRITER, Names, export
from bounce_sync.setup.crm import CrmSetup
from bounce_sync.setup.sfmc import SfmcSetup
from bounce_sync.setup.steps import State, Step
from bounce_sync.setup.whole import Outcome, Part, SetupFailed, set_up

STYLES = {
    State.THERE: "green",
    State.MISSING: "yellow",
    State.DIFFERS: "bold red",
    State.BY_HAND: "cyan",
}


@click.command(epilog="Example: bounce-sync setup --dry-run")
@click.option("--only", type=click.Choice(["crm", "sfmc"]), help="One of the two systems.")
@click.option(
    "--integration-user",
    metavar="USERNAME",
    help="Who gets the permission set, if not the user that these credentials log in.",
)
@click.option(
    "--layouts", is_flag=True, help="Put the section into every Contact and Lead page layout."
)
@click.option(
    "--export",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the CRM's components as a folder for `sf project deploy start`, and end.",
)
@click.option("--dry-run", is_flag=True, help="Show what is missing; make nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def setup(
    *,
    only: str | None,
    integration_user: str | None,
    layouts: bool,
    folder: Path | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show what the CRM and SFMC still need for the daily run, and make it after a yes.

    What is there in another shape is never changed: that ends with 1 and says what to do. A second
    time there is nothing to do.

    \b
    Permissions in the CRM: an administrator's, to wit
      Modify Metadata Through Metadata API Functions, Customize Application,
      Manage Profiles and Permission Sets, Assign Permission Sets,
      Manage Public List Views, Manage Custom Report Types,
      Manage Reports in Public Folders
    The daily run needs none of them. Run setup once with an administrator's credentials and
    --integration-user, or deploy what --export writes and run it with --only sfmc.

    \b
    Scopes in SFMC, for the source data_views or the delivery journey:
      data_extensions_read, data_extensions_write,
      automations_read, automations_write
    For other sources with the delivery api nothing is made there, and nothing asked.
    """
    settings = Settings.load()
    names = Names(
        settings.flag_field, settings.date_field, person_accounts=settings.person_accounts
    )
    if folder is not None:
        _export(folder, names)
        return
    if not (dry_run or yes or sys.stdin.isatty()):
        raise click.UsageError("There is no terminal to ask on: add --yes, or --dry-run.")
    console = output.ERRORS if as_json else output.RESULTS

    with contextlib.ExitStack() as stack:
        services = stack.enter_context(Services(settings))
        parts: list[Part] = []
        if only != "sfmc":
            connection = stack.enter_context(Connection(services.org()))
            parts.append(_crm(connection, settings, names, integration_user, layouts))
        if only != "crm":
            parts.append(stack.enter_context(_sfmc(services, names)))

        def show(steps: list[Step]) -> None:
            for part in parts:
                _show(console, part, [step for step in steps if step.system == part.system])

        def agree(missing: list[Step]) -> bool:
            return yes or click.confirm(f"Make these {len(missing)}?", abort=True, err=True)

        try:
            outcome = set_up(parts, show, agree, dry_run=dry_run)
        except SetupFailed as error:
            raise click.ClickException(str(error)) from error
    _tell(console, outcome, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(_line(settings.target, outcome, dry_run=dry_run)))
    unfinished = outcome.of(State.MISSING) and not dry_run
    if outcome.of(State.DIFFERS) or outcome.problems or unfinished:
        sys.exit(1)


def _crm(
    connection: Connection,
    settings: Settings,
    names: Names,
    integration_user: str | None,
    layouts: bool,
) -> CrmSetup:
    now = datetime.now(UTC)
    return CrmSetup(
        connection,
        names,
        user=integration_user,
        layouts=layouts,
        backup=settings.home / "setup" / f"layouts-{now:%Y%m%dT%H%M%S}.zip",
        say=output.progress,
    )


def _sfmc(services: Services, names: Names) -> SfmcSetup:
    settings = services.settings
    fields = (names.flag_field, names.date_field)
    return SfmcSetup(
        services.account(), settings.source, settings.delivery, fields, output.progress
    )


def _export(folder: Path, names: Names) -> None:
    try:
        export(folder, names)
    except OSError as error:
        raise click.ClickException(f"The folder can't be written: {error}") from error
    output.RESULTS.print(
        f"Written to {folder}. There: sf project deploy start --target-org ORG, then\n"
        f"sf org assign permset --name {WRITER} --on-behalf-of INTEGRATION_USER\n"
        f"and {READER} in the same way to everybody who is to see the fields.",
        markup=False,
        soft_wrap=True,
    )


def _show(console: Console, part: Part, steps: Sequence[Step]) -> None:
    """What was found in one system; what a person has to do comes at the end."""
    console.print(Text(f"\n{part.system}: {part.where()}", "bold"), soft_wrap=True)
    if not steps:
        console.print("Nothing is needed there for this source and delivery.")
        return
    table = Table(box=box.SIMPLE, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for step in steps:
        if step.state is not State.BY_HAND:
            state = Text(str(step.state), STYLES[step.state])
            table.add_row(state, Text(str(step)), Text(step.why))
            if step.note:
                table.add_row("", Text(step.note, "bold"), "")
    if table.row_count:
        console.print(table)


def _tell(console: Console, outcome: Outcome, *, dry_run: bool) -> None:
    """What went wrong, what a person has to do, and how it ended."""
    for problem in outcome.problems:
        output.ERRORS.print(problem, style="red", markup=False, soft_wrap=True)
    console.print()
    for step in outcome.of(State.BY_HAND):
        title = Text.assemble(("by hand", STYLES[State.BY_HAND]), f"  {step}: {step.why}")
        console.print(title, soft_wrap=True)
        console.print(Padding(Text(step.note), (0, 0, 1, 9)))
    made, missing = len(outcome.made), outcome.of(State.MISSING)
    if outcome.of(State.DIFFERS):
        console.print("Nothing was made: first mend what differs.", style="bold red")
    elif missing and dry_run:
        console.print(f"{len(missing)} missing. Dry run: nothing was made.")
    elif missing:
        left = ", ".join(map(str, missing))
        console.print(f"{made} made. Still missing: {left}", style="bold red", markup=False)
    elif made:
        console.print(f"{made} made, and read again: everything is there.", style="green")
    else:
        console.print("Nothing to do.", style="green")


def _line(target: str, outcome: Outcome, *, dry_run: bool) -> dict[str, object]:
    def told(state: State) -> list[dict[str, str]]:
        return [
            {"system": step.system, "kind": step.kind, "name": step.name, "note": step.note}
            for step in outcome.of(state)
        ]

    return {
        "target": target,
        "dry_run": dry_run,
        "there": len(outcome.of(State.THERE)),
        "made": [str(step) for step in outcome.made],
        "missing": told(State.MISSING),
        "differs": told(State.DIFFERS),
        "by_hand": told(State.BY_HAND),
        "problems": outcome.problems,
    }
