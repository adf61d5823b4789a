"""One tenant, three roads, the same cells (where a road carries the column at all)."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.marketing_cloud.connection import Connection
from bounce_sync.marketing_cloud.data_extensions import (
    DataExtension,
    DataExtensions,
    Field,
    RowsetPage,
)
from bounce_sync.marketing_cloud.errors import Place
from bounce_sync.marketing_cloud.queries import query_text
from bounce_sync.marketing_cloud.sources import Source
from bounce_sync.marketing_cloud.sources.data_views import DataViewsSource
from bounce_sync.marketing_cloud.sources.files import FilesSource
from bounce_sync.marketing_cloud.sources.soap import SoapSource
from bounce_sync.sandbox.export import export
from bounce_sync_tests.marketing_cloud.tenants import (
    CHILD,
    DAY,
    IMPATIENT,
    PARENT,
    Tenant,
    account,
    day,
)
from bounce_sync_tests.marketing_cloud.test_data_views_source import WATCH

NOW = datetime(2026, 6, 16, 9, tzinfo=UTC)

NOT_CARRIED = {
    "soap": ["bounce_subcategory", "domain", "email_address"],
    "data_views": ["email_address"],
    "files": ["bounce_subcategory", "domain"],
}
"""Columns of `raw_bounces` that a source leaves empty, as their descriptions in the table say."""

CATEGORIES = ("Hard bounce", "Soft bounce", "Technical/Other bounce", None, "hard Bounce")
REASONS = (
    "550 5.1.1 user unknown", "a, \"b\" 'c'; d|e\tf", "line\r\nbreak\rand\nmore", "", None,
    "  spaces  ", "<x>&amp;</x> ]]> é🙈 \u2028", "control \x1b[31m \x07", "z" * 3_999 + "é",
)  # fmt: skip
STATUSES = ("Held", "Active", "Bounced", "Unsubscribed")


def fill(tenant: Tenant) -> list[str]:
    """Bounces of every kind, at whole seconds since extracts print no more; gives the keys."""
    keys = [f"003Dn{n:010d}AAA" if n % 3 else f"{n:04d}" for n in range(120)]
    for n, key in enumerate(keys):
        tenant.bounces(
            {
                "subscriber_key": key,
                "account_id": CHILD if n % 4 == 0 else PARENT,
                "event_date": f"{DAY} {n % 24:02d}:{n * 7 % 60:02d}:{n % 60:02d}.000",
                "bounce_category": CATEGORIES[n % len(CATEGORIES)],
                "bounce_subcategory": "Other" if n % 2 else None,
                "smtp_code": None if n % 5 == 0 else 500 + n,
                "smtp_bounce_reason": REASONS[n % len(REASONS)],
                "domain": f"d{n % 7}.example",
                "email_address": f"{key}@d{n % 7}.example",
                "job_id": None if n % 11 == 0 else n % 3,
            }
        )
    tenant.bounces({"subscriber_key": "twice"}, {"subscriber_key": "twice"})
    tenant.subscribers(*((key, STATUSES[n % 4]) for n, key in enumerate(keys)))
    held_at = f"{DAY} 03:04:00.000"
    tenant.store.execute(
        "UPDATE subscriber SET date_undeliverable = ? WHERE status = 'Held'", (held_at,)
    )
    for key in keys[::4]:
        tenant.became_held(key, held_at)
    return keys


def test_three_sources_give_the_same_cells(tenant: Tenant, tmp_path: Path) -> None:
    keys = fill(tenant)
    folder = tmp_path / "sftp"
    export(tenant.store, folder, date.fromisoformat(DAY), date.fromisoformat(DAY))
    read: dict[str, tuple[pd.DataFrame, ...]] = {}
    with tenant.served() as address:
        known = account(address, PARENT, CHILD)
        sources: dict[str, Source] = {
            "soap": SoapSource(known, patience=IMPATIENT, now=lambda: NOW),
            "data_views": DataViewsSource(known, patience=IMPATIENT, watch=WATCH, now=lambda: NOW),
            "files": FilesSource(known, str(folder), {"settle_seconds": 0}),
        }
        for name, source in sources.items():
            with closing(source):
                read[name] = (
                    tables.RawBounces.validate(source.bounces(day())),
                    tables.HeldSubscribers.validate(source.held(keys)),
                    tables.ReleasedSubscribers.validate(
                        source.statuses([*keys, keys[1].lower(), "nobody"])
                    ),
                )

    for name, columns in NOT_CARRIED.items():
        assert read[name][0][columns].isna().all(axis=None)
        assert len(read[name][0]) == 121
        assert len(read[name][1]) == 30
    for one, other in (("soap", "data_views"), ("soap", "files"), ("data_views", "files")):
        missing = {*NOT_CARRIED[one], *NOT_CARRIED[other]}
        agree(read[one][0], read[other][0], missing)
        agree(read[one][1], read[other][1], {"read_at"})
        agree(read[one][2], read[other][2], {"read_at"})


def test_bounces_by_key_are_those_of_the_days(tenant: Tenant) -> None:
    keys = fill(tenant)
    tenant.bounces({"subscriber_key": keys[3], "event_date": "2026-02-01 01:02:03.000"})
    wanted = [*keys[:40], *keys[:2], "nobody", "illegal\x01in XML"]
    with tenant.served() as address:
        known = account(address, PARENT, CHILD)
        sources: dict[str, Source] = {
            "soap": SoapSource(known, patience=IMPATIENT),
            "data_views": DataViewsSource(known, patience=IMPATIENT, watch=WATCH),
        }
        for name, source in sources.items():
            with closing(source):
                found = tables.RawBounces.validate(source.bounces_of(wanted))
                every = pd.concat([source.bounces(day("2026-02-01")), source.bounces(day())])
                theirs = every[every["subscriber_key"].isin(wanted)].reset_index(drop=True)
                pd.testing.assert_frame_equal(found, theirs)
                assert len(found) == 41, name
                assert source.bounces_of([]).empty


EDGES = {
    "2026-06-14": ["23:59:59.000", "23:59:59.500", "23:59:59.997"],
    DAY: ["00:00:00.000", "00:00:00.003", "00:00:00.997", "23:59:59.003", "23:59:59.997"],
    "2026-06-16": ["00:00:00.000", "00:00:00.500", "00:00:01.000"],
}


def test_rows_at_the_edges_belong_to_the_day_of_their_time(tenant: Tenant) -> None:
    """Windows are asked for a second wider than they are; each row arrives in one of them."""
    at = [f"{on} {clock}" for on, clocks in EDGES.items() for clock in clocks]
    tenant.bounces(*({"subscriber_key": each, "event_date": each} for each in at))
    with tenant.served() as address:
        known = account(address)
        sources: list[Source] = [
            SoapSource(known, patience=IMPATIENT),
            DataViewsSource(known, patience=IMPATIENT, watch=WATCH),
        ]
        for source in sources:
            with closing(source):
                for on, clocks in EDGES.items():
                    found = source.bounces(day(on))["subscriber_key"].tolist()
                    assert found == [f"{on} {clock}" for clock in clocks]


def agree(one: pd.DataFrame, other: pd.DataFrame, without: set[str]) -> None:
    kept = [name for name in one.columns if name not in without]
    pd.testing.assert_frame_equal(one[kept], other[kept])


@pytest.mark.parametrize(
    ("unit", "subscribers"), [(PARENT, "_Subscribers"), (CHILD, "Ent._Subscribers")]
)
def test_the_staging_query_stages_each_held_key_once(
    tenant: Tenant, unit: str, subscribers: str
) -> None:
    """The query that ships for teams who join in SFMC: each Held key with its newest bounce."""
    tenant.store.set_setting("today", "2026-06-16 03:00:00.000")
    tenant.subscribers(("h", "Held"), ("a", "Active"), ("old", "Held"))
    tenant.bounces(
        *(
            {"account_id": unit} | bounce
            for bounce in (
                {"subscriber_key": "h", "event_date": "2026-06-03 10:00:00.000"},
                {"subscriber_key": "h", "event_date": f"{DAY} 10:00:00.500", "smtp_code": 551},
                {"subscriber_key": "a"},
                {"subscriber_key": "old", "event_date": "2026-05-31 23:59:59.000"},
            )
        )
    )
    tenant.store.execute(
        "UPDATE bounce SET subscriber_id = s.subscriber_id FROM subscriber AS s"
        " WHERE s.subscriber_key = bounce.subscriber_key"
    )
    with tenant.served() as address, closing(Connection(account(address), IMPATIENT)) as connection:
        page = staged(connection, unit, subscribers)
    assert dict(page.columns) == {
        "subscriberkey": ["h"],
        "emailaddress": ["h@mail.example"],
        "bouncecategory": ["Hard bounce"],
        "smtpcode": ["551"],
        "bouncereason": ["550 5.1.1 user unknown"],
        "bouncedate": [f"{DAY} 10:00:00.500"],
        "domain": [""],
        "evidencecount": ["2"],
        "businessunit": [unit],
    }


def staged(connection: Connection, unit: str, subscribers: str) -> RowsetPage:
    """What the query puts into a data extension of its columns."""
    columns = (
        "SubscriberKey", "EmailAddress", "BounceCategory", "SMTPCode", "BounceReason",
        "BounceDate", "Domain", "EvidenceCount", "BusinessUnit",
    )  # fmt: skip
    extensions, place = DataExtensions(connection, unit), Place("staging", unit)
    extensions.ensure(DataExtension("staged", tuple(Field(name, length=500) for name in columns)))
    query = connection.rest(
        "POST",
        "automation/v1/queries",
        place,
        payload={
            "name": "staged",
            "key": "staged",
            "queryText": query_text("staging", evidence_days="15", subscribers=subscribers),
            "targetKey": "staged",
            "targetUpdateTypeId": 0,
            "categoryId": 1,
        },
    )
    actions = f"automation/v1/queries/{query['queryDefinitionId']}/actions"
    connection.rest("POST", f"{actions}/start/", place)
    until = time.monotonic() + 30
    while not (page := extensions.page("staged", 1)).count:
        assert time.monotonic() < until, connection.rest("GET", actions[:-7] + "log", place)
    return page
