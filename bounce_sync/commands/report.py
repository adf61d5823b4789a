"""`bounce-sync report`: the page for people who never open Dagster."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
from upath import UPath

from bounce_sync.damage import DamagedTable
from bounce_sync.environment import LIVE
from bounce_sync.ledger import Ledger, LedgerError
from bounce_sync.report import making
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.services import Services
from bounce_sync.settings import Settings
from bounce_sync.storage import Lake, MissingTable
from bounce_sync.tables import DRIFT


@click.command(epilog="Example: bounce-sync report --to friday.html")
@click.option(
    "--partition", type=click.DateTime(["%Y-%m-%d"]), help="SFMC day; default: the last written."
)
@click.option("--run", "run_id", metavar="RUN", help="Only what this run wrote.")
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), help="The file.")
@click.option("--with-addresses", is_flag=True, help="Show e-mail addresses; needs --to.")
def report(
    partition: datetime | None, run_id: str | None, target: Path | None, *, with_addresses: bool
) -> None:
    """Write one HTML page about a day: who can be reached, who was flagged, released, left.

    For sales and deliverability people: one file, nothing to install. Without --to it lies in the
    lake, under reports/, where every written day has its page already.
    """
    if partition and run_id:
        raise click.UsageError("Either --partition or --run.")
    if with_addresses and target is None:
        raise click.UsageError(
            "--with-addresses needs --to: the pages in the lake never have addresses."
        )
    settings = Settings.load()
    lake = Lake(settings.lake)
    try:
        day = _day_of(run_id, settings) if run_id else _day(partition, lake)
        if not lake.has("crm_flag_changes", day):
            raise MissingTable("crm_flag_changes", day)
        with Services(settings) as services, Connection(services.org()) as connection:
            text = making.make(
                lake,
                connection,
                day,
                run_id=run_id,
                is_rehearsal=settings.target != LIVE,
                with_addresses=with_addresses,
            )
    except (DamagedTable, MissingTable, LedgerError, SalesforceError) as error:
        raise click.ClickException(str(error)) from error
    where = UPath(target) if target else making.path(lake, day, run_id)
    making.store(text, where)
    click.echo(str(where))


def _day(partition: datetime | None, lake: Lake) -> str:
    if partition:
        return partition.date().isoformat()
    if not (written := lake.partitions("crm_flag_updates")):
        raise click.ClickException("No day was written yet. Start with `bounce-sync run`.")
    return written[-1]


def _day_of(run_id: str, settings: Settings) -> str:
    runs = Ledger(settings.ledger).runs().set_index("run_id")["partition"]
    if run_id not in runs.index:
        raise click.ClickException(
            f"The ledger knows no run {run_id}; `bounce-sync run --json` tells a run's run_id."
        )
    if (day := str(runs[run_id])) == DRIFT:
        raise click.ClickException(
            f"The run {run_id} mended drift, which is of no day: its page in the UI is that of "
            "crm_drift_updates."
        )
    return day
