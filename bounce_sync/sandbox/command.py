"""`bounce-sync sandbox …`: makes a tenant, serves it, moves it on, exports it.

Exit status: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click

from bounce_sync.sandbox import founding
from bounce_sync.sandbox.store import SandboxError, Store

Command = TypeVar("Command", bound=Callable[..., Any])

_directory = click.option(
    "--dir",
    "directory",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the sandbox.",
)
_port = click.IntRange(0, 65535)
_day = click.DateTime(formats=["%Y-%m-%d"])


def _explained(command: Command) -> Command:
    """What a person can mend ends the command with its message and status 1."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except SandboxError as error:
            raise click.ClickException(str(error)) from error

    return wrapped  # type: ignore[return-value]  # the same signature, by wraps


@click.group(epilog="Example: bounce-sync sandbox create --dir tenant")
def sandbox() -> None:
    """A local SFMC and CRM behind real HTTP, to rehearse and test against."""


@sandbox.command()
@_directory
@click.option("--subscribers", type=click.IntRange(1), help="Size of a simulated tenant [20000].")
@click.option("--days", type=click.IntRange(1), help="How many days it has lived [60].")
@click.option("--seed", type=int, help="The same seed makes the same tenant [7].")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of CSV files to load instead of simulating.",
)
@click.option(
    "--bare",
    is_flag=True,
    help="Without the fields, data extensions and automations that `bounce-sync setup` makes.",
)
@_explained
def create(
    directory: Path,
    subscribers: int | None,
    days: int | None,
    seed: int | None,
    data: Path | None,
    bare: bool,
) -> None:
    """Makes a tenant: simulated, or loaded from CSV files.

    \b
    Examples:
      bounce-sync sandbox create --dir tenant --subscribers 20000 --days 60 --seed 7
      bounce-sync sandbox create --dir tenant --data exports/
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # tidied up first
    if data is not None:
        if (subscribers, days, seed) != (None, None, None):
            raise click.UsageError("--data goes without --subscribers, --days and --seed")
        from bounce_sync.sandbox import csv_folder

        csv_folder.create(directory, data, bare=bare)
    else:
        from bounce_sync.sandbox.simulation import simulate

        seed = 7 if seed is None else seed
        with Store.making(directory, seed=seed) as store:
            simulate(store, subscribers=subscribers or 20_000, days=days or 60, seed=seed)
            if bare:
                founding.strip(store)
    with Store.open(directory) as store:
        click.echo(_summary(store))


@sandbox.command()
@_directory
@click.option("--http", is_flag=True, help="Plain HTTP instead of HTTPS.")
@click.option("--marketing-cloud-port", type=_port, default=0, help="Default: any free port.")
@click.option("--salesforce-port", type=_port, default=0, help="Default: any free port.")
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of faults to play.",
)
@click.option("--host", default="127.0.0.1", help="Address to listen on [127.0.0.1].")
@_explained
def serve(
    directory: Path,
    http: bool,
    marketing_cloud_port: int,
    salesforce_port: int,
    faults: Path | None,
    host: str,
) -> None:
    """Serves a tenant until SIGTERM or Ctrl-C.

    Prints one line of JSON when the services answer: addresses and credentials.

    \b
    Example:
      bounce-sync sandbox serve --dir tenant --marketing-cloud-port 8443
    """
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    from bounce_sync.sandbox.server import serve as served

    with served(
        directory,
        http=http,
        marketing_cloud_port=marketing_cloud_port,
        salesforce_port=salesforce_port,
        faults=faults,
        host=host,
    ) as address:
        click.echo(address.json())
        sys.stdout.flush()
        stopped.wait()


@sandbox.command()
@_directory
@click.option("--days", type=click.IntRange(1), required=True, help="How many days to play.")
@_explained
def advance(directory: Path, days: int) -> None:
    """Moves a simulated tenant on.

    \b
    Example:
      bounce-sync sandbox advance --dir tenant --days 3
    """
    from bounce_sync.sandbox.simulation import advance as play

    with Store.open(directory) as store:
        play(store, days)
        click.echo(_summary(store))


@sandbox.command()
@_directory
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that gets the files.",
)
@click.option("--from", "first", type=_day, required=True, help="First day (server time).")
@click.option("--until", "last", type=_day, required=True, help="Last day, included.")
@_explained
def export(directory: Path, folder: Path, first: datetime, last: datetime) -> None:
    """Writes what SFMC's extract activities would put on the SFTP server.

    \b
    Example:
      bounce-sync sandbox export --dir tenant --to sftp/ --from 2026-01-01 --until 2026-01-31
    """
    if last < first:
        raise click.UsageError("--until lies before --from")
    from bounce_sync.sandbox.export import export as write

    with Store.open(directory) as store:
        write(store, folder, _date(first), _date(last))


def _date(moment: datetime) -> date:
    return moment.date()


def _summary(store: Store) -> str:
    counts = {
        name: store.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
        for name, table in {
            "subscribers": "subscriber",
            "bounces": "bounce",
            "contacts": "Contact",
            "leads": "Lead",
        }.items()
    }
    numbers = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"{store.directory}: {numbers}; it is {store.now():%Y-%m-%d %H:%M} there"
