"""Every road through the daily job: three sources, two deliveries, one staging and one CRM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from bounce_sync.sandbox.command import sandbox
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.marketing_cloud.tenants import CHILD, PARENT, tuples
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

DAY = last_day()
OLD = "2026-01-02T03:04:05.000Z"
FLAGGED = {"Hard_Bounce__c": "true", "Hard_Bounce_Date__c": OLD}
REASON = '550 "no", <nobody>; 📪\r\n' * 22 + "x" * 15 + "📪\r\n📪" * 20
"""The 500th character is a 📪 where line breaks are LF: more than one unit of UTF-16."""

BREAK = "y" * 499 + "\r\n📪"
"""The 500th character is a line break of two."""

FILES = {"SFMC_SOURCE": "files", "SFMC_FILES_FORMAT": '{"settle_seconds": 0}'}
JOURNEY = {"BOUNCE_SYNC_DELIVERY": "journey", "BOUNCE_SYNC_JOURNEY_WAIT": "60"}


class World:
    """A tenant of two business units, and what any road has to make of it."""

    def __init__(self) -> None:
        self.tenant = Tenant()
        self.staging: list[tuple[Any, ...]] = []
        self.flags: dict[str, tuple[bool, str | None]] = {}
        noon, evening = crm_time(DAY, "12:00:00"), crm_time(DAY, "23:59:59")

        contact = self._person(self.tenant.contact(), "Held", (True, evening))
        self._bounce(contact, "12:00:00", BounceCategory="Soft bounce", SMTPCode="452")
        for _ in range(2):  # equal in every column: one event
            self._bounce(contact, "23:59:59")
        self._staged(contact, evening, evidence=2)

        lead = self._person(self.tenant.lead(), "Held", (True, noon))
        self._bounce(
            lead, "12:00:00", AccountID=CHILD, SMTPBounceReason=REASON, SMTPCode="",
            BounceCategory="Technical/Other bounce",
        )  # fmt: skip
        self._staged(
            lead, noon, unit=CHILD, category="Technical/Other bounce", code=None,
            reason='550 "no", <nobody>; 📪\n' * 22 + "x" * 15 + "📪",
        )  # fmt: skip

        refreshed = self._person(self.tenant.contact(**FLAGGED), "Held", (True, noon))
        self._bounce(refreshed, "12:00:00", SMTPBounceReason=BREAK)
        self._staged(refreshed, noon, reason="y" * 499 + "\n")

        nobody = self.tenant.subscriber("0012", "Held", "nobody@ok.example")
        self._bounce(nobody, "12:00:00", JobID="")
        self._staged(nobody, noon)

        self._person(self.tenant.contact(**FLAGGED), "Active", (False, OLD))
        self._bounce(self._person(self.tenant.lead(**FLAGGED), "Bounced", (False, OLD)), "12:00:00")
        self._person(self.tenant.contact(**FLAGGED), "Unsubscribed", (True, OLD))
        self._bounce(self._person(self.tenant.contact(), "Active", (False, None)), "12:00:00")
        early = self._person(self.tenant.contact(), "Held", (False, None))
        self.tenant.bounce(early, day_before(DAY, 15), "23:59:59", Domain="ok.example")

    def _person(self, record: str, status: str, after: tuple[bool, str | None]) -> str:
        self.flags[record] = after
        return self.tenant.subscriber(record, status)

    def _bounce(self, key: str, clock: str, **fields: str) -> None:
        self.tenant.bounce(
            key, DAY, clock, **({"Domain": "ok.example", "AccountID": PARENT} | fields)
        )

    def _staged(
        self,
        key: str,
        at: str,
        *,
        category: str = "Hard bounce",
        code: str | None = "550",
        reason: str = "550 5.1.1 user unknown",
        evidence: int = 1,
        unit: str = PARENT,
    ) -> None:
        row = next(each for each in self.tenant.subscribers if each["SubscriberKey"] == key)
        self.staging.append(
            (
                key, row["EmailAddress"], "ok.example", category, code, reason, pd.Timestamp(at),
                evidence, unit, None,
            )
        )  # fmt: skip


def fill(installation: Installation, folder: Path) -> None:
    """What SFMC's extract activities would have put there by now."""
    command = ["export", "--dir", str(installation.folder), "--to", str(folder)]
    done = CliRunner().invoke(sandbox, [*command, "--from", DAY, "--until", DAY])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("delivery", [{}, JOURNEY], ids=["api", "journey"])
@pytest.mark.parametrize(
    "source",
    [{"SFMC_SOURCE": "soap"}, {"SFMC_SOURCE": "data_views"}, FILES],
    ids=["soap", "data_views", "files"],
)
def test_any_road_leads_there(
    tmp_path: Path, source: dict[str, str], delivery: dict[str, str]
) -> None:
    world = World()
    units = {"SFMC_BUSINESS_UNITS": f"{PARENT},{CHILD}"}
    exports = tmp_path / "sftp"
    road = source | delivery | units | {"SFMC_FILES": str(exports)}
    with installed(world.tenant, tmp_path, **road) as installation:
        fill(installation, exports)
        installation.has_fetched_nothing_before(DAY)
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        staging = installation.runner.lake.read("confirmed_bounce_staging", DAY)
        assert tuples(staging, staging.columns) == sorted(world.staging)
        assert installation.flags() == world.flags
        assert outcome.report is not None
        assert outcome.report.number("raw_bounces", "equal rows dropped") == 1
        line = outcome.line()
        assert (line["set"], line["refresh"], line["clear"]) == (2, 1, 2)
        assert (line["written"], line["unmatched"]) == (5, 1)
        with installation.store() as store:
            (by,) = {api for (api,) in store.execute("SELECT DISTINCT api FROM crm_write")}
        assert (by == "journey") == bool(delivery)


@pytest.mark.parametrize("releases", ["soap", "files"])
def test_a_staging_that_sfmc_joined_is_enough(tmp_path: Path, releases: str) -> None:
    """An export of one row a Held key: it tells neither earlier bounces nor who is mailed again."""
    world, exports = World(), tmp_path / "sftp"
    settings = {"settle_seconds": 0, "releases": releases}
    road = {
        "SFMC_SOURCE": "files",
        "SFMC_FILES": str(exports),
        "SFMC_FILES_FORMAT": json.dumps(settings),
        "SFMC_BUSINESS_UNITS": f"{PARENT},{CHILD}",
    }
    with installed(world.tenant, tmp_path, **road) as installation:
        fill(installation, exports)
        for file in exports.iterdir():
            if "Staging" not in file.name:
                file.unlink()
        installation.has_fetched_nothing_before(DAY)
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        staging = installation.runner.lake.read("confirmed_bounce_staging", DAY)
        assert tuples(staging, staging.columns) == sorted(
            (*row[:7], 1, *row[8:]) for row in world.staging
        )
        unreleased = {
            record: (True, OLD) if after == (False, OLD) else after
            for record, after in world.flags.items()
        }
        assert installation.flags() == (world.flags if releases == "soap" else unreleased)
