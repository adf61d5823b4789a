"""An org and a tenant that nobody prepared: set up, and then the daily run works."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bounce_sync.sandbox.marketing_cloud.automations.running import build_journeys
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.setup.called import DAY, Org, called, fields, line
from bounce_sync_tests.tenant import crm_time

ROADS = {
    "SFMC_SOURCE": "data_views",
    "BOUNCE_SYNC_DELIVERY": "journey",
    "BOUNCE_SYNC_JOURNEY_WAIT": "60",
}


def components(installation: Installation, kind: str) -> dict[str, str]:
    """Full name → body, as the org keeps it."""
    with installation.store() as store:
        statement = "SELECT full_name, body FROM metadata_component WHERE type = ?"
        return {row[0]: row[1] for row in store.execute(statement, (kind,))}


@pytest.fixture(scope="module")
def org() -> Org:
    return Org()


@dataclass
class Prepared:
    """An installation on which setup was called once, and what it told then."""

    installation: Installation
    told: dict[str, Any]


@pytest.fixture(scope="module")
def prepared(org: Org, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """Everything that can be set up, set up; what only a person can do isn't done yet."""
    folder = tmp_path_factory.mktemp("setup")
    with installed(org.tenant, folder, bare=True, **ROADS) as installation:
        shown = called("--dry-run", "--layouts")
        assert shown.exit_code == 0
        assert "Dry run: nothing was made." in shown.output
        assert "Hard_Bounce__c" not in fields(installation, "Contact")
        with installation.store() as store:
            assert store.execute("SELECT count(*) FROM data_extension").fetchone()[0] == 0
        told = line("--layouts")
        assert (told["missing"], told["problems"], told["differs"]) == ([], [], [])
        assert len(told["made"]) == told["there"] == 30
        yield Prepared(installation, told)


def test_a_second_time_there_is_nothing_to_do(prepared: Prepared) -> None:
    kinds = ("PermissionSet", "Layout", "ListView", "Report")
    before = [components(prepared.installation, kind) for kind in kinds]
    again = called("--yes", "--layouts")
    assert again.exit_code == 0
    assert again.stdout.splitlines()[-1] == "Nothing to do."
    assert (line()["made"], line()["missing"]) == ([], [])
    assert [components(prepared.installation, kind) for kind in kinds] == before


def test_what_the_org_has_then(prepared: Prepared) -> None:
    installation = prepared.installation
    for name in ("Contact", "Lead"):
        found = fields(installation, name)
        assert (found["Hard_Bounce__c"], found["Hard_Bounce_Date__c"]) == ("boolean", "datetime")
    assert sorted(components(installation, "ListView")) == [
        "Contact.Hard_Bounced_Contacts",
        "Lead.Hard_Bounced_Leads",
    ]
    assert len(components(installation, "Report")) == 2
    with installation.store() as store:
        rows = store.execute(
            'SELECT p."Name", a."AssigneeId" = (SELECT value FROM tenant WHERE name = ?)'
            ' FROM "PermissionSetAssignment" a JOIN "PermissionSet" p'
            ' ON p."Id" = a."PermissionSetId" WHERE p."IsCustom" = 1',
            ("user_id",),
        )
        assert [tuple(row) for row in rows] == [("Bounce_Sync_Writer", 1)]
        extensions = store.execute(
            "SELECT customer_key, sendable_field, sendable_subscriber_field FROM data_extension"
            " WHERE is_sendable ORDER BY customer_key"
        )
        assert [tuple(row) for row in extensions] == [
            ("Hard_Bounce_Release_DE", "SubscriberKey", "Subscriber Key"),
            ("Hard_Bounce_Staging_DE", "SubscriberKey", "Subscriber Key"),
        ]


def test_the_layouts_kept_everything_else_and_a_copy_is_kept_aside(prepared: Prepared) -> None:
    for name, body in components(prepared.installation, "Layout").items():
        assert body.index("<label>Information</label>") < body.index("Email Deliverability")
        assert "<field>Email</field>" in body, name
        assert body.count("<layoutSections>") == 2
    (backup,) = (prepared.installation.runner.settings.home / "setup").glob("layouts-*.zip")
    assert backup.stat().st_size > 0


def test_what_only_a_person_can_do_is_told_click_by_click(prepared: Prepared) -> None:
    found = prepared.told["by_hand"]
    told = {(each["kind"], each["name"]): each["note"] for each in found}
    entry = told["Journey", "of bounce_sync_set"]
    for words in ("Evaluate all records", "Re-entry anytime", "Id = ContactId", "Id = LeadId"):
        assert words in entry
    release = told["Journey", "of bounce_sync_release"]
    assert "Hard_Bounce__c to false and nothing else" in release
    assert "Map Lead Fields" in told["Lead mapping", "to Contact"]


def test_the_daily_run_works_then(prepared: Prepared, org: Org) -> None:
    installation = prepared.installation
    with installation.store() as store:
        build_journeys(store)  # what the checklist tells a person to do
    left = [each["kind"] for each in line()["by_hand"]]
    assert left == ["Assignment", "Lead mapping"]
    installation.has_fetched_nothing_before(DAY)
    outcome = installation.run(DAY)
    assert outcome.success, outcome.error
    noon = crm_time(DAY, "12:00:00")
    assert org.flags(installation) == {org.ann: (True, noon), org.bob: (True, noon)}
    with installation.store() as store:
        table = store.data_extension("bounce_sync_deliveries")["row_table"]
        rows = [
            tuple(row) for row in store.execute(f'SELECT "Automation", "RowTotal" FROM {table}')
        ]
    assert rows == [("bounce_sync_set", 2)]
