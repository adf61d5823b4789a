"""From lake and CRM to the page, and where it lies: ``<lake>/reports/<day>.html``.

The page beside the tables never has addresses. It is replaced with each run of its day, and tells
of all of them, as the day's table of writes does.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pandas as pd
from upath import UPath

from bounce_sync import trends
from bounce_sync.report import day as days
from bounce_sync.report import page, reachability
from bounce_sync.report.names import Names, belonging, nobody_s
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.storage import Lake
from bounce_sync.tables import CLEAR, REFRESH, SET

FOLDER = "reports"


def make(
    lake: Lake,
    connection: Connection,
    partition: str,
    *,
    run_id: str | None = None,
    is_rehearsal: bool = False,
    with_addresses: bool = False,
) -> str:
    """The page of a day, or of what one run wrote on it. Raises `MissingTable`.

    What the CRM doesn't tell is left out, with a note on the page.
    """
    day = days.read(lake, partition, run_id)
    names, notes = Names(connection), []
    counted: reachability.Reachability | None = None
    whose = nobody_s()
    try:
        whose = belonging(connection, _shown(day))
        counted = reachability.count(connection)
        names.learn([*whose["owner_id"], *whose["account_id"]])
        names.learn([*counted.owners.index[: page.MOST_OWNERS], *counted.accounts.index])
    except SalesforceError as error:
        notes.append(f"The CRM didn't tell everything: {error}")
    trend = trends.last_days(lake, "crm_flag_changes", trends.BY_ACTION, partition)
    return page.render(
        day,
        reachability=counted,
        belonging=whose,
        name_of=names,
        trend=trend.reindex(columns=[SET, REFRESH, CLEAR], fill_value=0),
        notes=[*notes, *names.notes],
        made_at=datetime.now(UTC),
        is_rehearsal=is_rehearsal,
        with_addresses=with_addresses,
    )


def _shown(day: days.Day) -> pd.DataFrame:
    lists = (day.new, day.released, day.conflicts, day.refused)
    return pd.concat([each.head(page.MOST_ROWS) for each in lists])[["object", "record_id"]]


def path(lake: Lake, partition: str, run_id: str | None = None) -> UPath:
    """Where the page of a day lies, or that of one run."""
    name = f"{partition}.{run_id}.html" if run_id else f"{partition}.html"
    return lake.root / FOLDER / name


def store(text: str, where: UPath) -> None:
    """Writes a page whole or not at all."""
    where.parent.mkdir(parents=True, exist_ok=True)
    unfinished = where.parent / f".{where.name}-{uuid.uuid4().hex}.tmp"
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(where)
    finally:
        unfinished.unlink(missing_ok=True)
