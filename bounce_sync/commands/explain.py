"""`bounce-sync explain`: why somebody is or isn't flagged."""

from __future__ import annotations

import contextlib
import json
import sys

import click

from bounce_sync.commands import output
from bounce_sync.damage import DamagedTable
from bounce_sync.environment import FILES
from bounce_sync.explain import Story
from bounce_sync.explain import explain as tell
from bounce_sync.explain.rendering import render
from bounce_sync.ledger import Ledger, LedgerError
from bounce_sync.marketing_cloud.errors import MarketingCloudError
from bounce_sync.marketing_cloud.sources import Source, open_source
from bounce_sync.rules.server_time import parse_offset
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.services import Services
from bounce_sync.settings import Settings


@click.command(epilog="Example: bounce-sync explain 0033t00003ABCDEAA4")
@click.argument("key")
@click.option("--offline", is_flag=True, help="Don't ask SFMC and the CRM for today's values.")
@click.option("--json", "as_json", is_flag=True, help="Print the story as one line of JSON.")
def explain(key: str, *, offline: bool, as_json: bool) -> None:
    """Tell why KEY is or isn't flagged, as a timeline.

    KEY is a subscriber key, a Contact's or Lead's id in any form, or an e-mail address. The story
    names the person's addresses and what mail servers said.
    """
    settings = Settings.load()
    try:
        story = _story(key, settings, offline=offline)
    except (LedgerError, SalesforceError, MarketingCloudError) as error:
        raise click.ClickException(
            f"{error} (--offline tells what is known without it.)"
        ) from error
    except DamagedTable as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(story.plain()))
    else:
        render(story, output.RESULTS)
    if not story.known:
        sys.exit(1)


def _story(key: str, settings: Settings, *, offline: bool) -> Story:
    ledger, offset = Ledger(settings.ledger), parse_offset(settings.utc_offset)
    if offline:
        return tell(key, settings.lake, ledger, utc_offset=offset)
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(Services(settings))
        connection = stack.enter_context(Connection(services.org()))
        source: Source | None = None
        if settings.source != FILES:  # files tell about their own days only
            source = open_source("soap", services.account())
            stack.callback(source.close)
        return tell(
            key,
            settings.lake,
            ledger,
            crm=RecordReader(connection),
            marketing_cloud=source,
            utc_offset=offset,
        )
