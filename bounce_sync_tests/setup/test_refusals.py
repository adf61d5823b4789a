"""What isn't made: other types, missing permissions, a no."""

from __future__ import annotations

import json
import os
import pty
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from bounce_sync.commands.setup import setup
from bounce_sync.sandbox.marketing_cloud.access import SCOPES
from bounce_sync.sandbox.store import DataExtensionField
from bounce_sync.setup import components, crm
from bounce_sync.setup.components import Component, Names
from bounce_sync_tests.installation import Installation, environ, installed
from bounce_sync_tests.setup.called import called, line
from bounce_sync_tests.tenant import Tenant

JOURNEY = {"BOUNCE_SYNC_DELIVERY": "journey"}


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Installation]:
    tenant = Tenant()
    tenant.subscriber(tenant.contact("ann@gone.example"), "Held")
    with installed(tenant, tmp_path, bare=True, **JOURNEY) as installation:
        yield installation


def set_up(installation: Installation) -> tuple[int, int, int]:
    """Custom fields, permission sets and data extensions that are there."""
    with installation.store() as store:
        counted = (
            "SELECT count(*) FROM field WHERE custom",
            'SELECT count(*) FROM "PermissionSet" WHERE "IsCustom"',
            "SELECT count(*) FROM data_extension",
        )
        first, second, third = (store.execute(each).fetchone()[0] for each in counted)
    return first, second, third


def test_a_field_of_another_type_is_left_and_nothing_is_made(bare: Installation) -> None:
    with bare.store() as store:
        store.add_field("Lead", "Hard_Bounce__c", "string", length=10, visible=False)
    before = set_up(bare)
    refused = called("--yes")
    assert refused.exit_code == 1
    assert "it is a Text, and has to be a Checkbox" in " ".join(refused.output.split())
    assert "SALESFORCE_FLAG_FIELD" in refused.output
    assert set_up(bare) == before
    told = line(exit_code=1)
    assert [each["name"] for each in told["differs"]] == ["Lead.Hard_Bounce__c"]
    assert told["made"] == []


def test_a_packages_field_cant_be_made(bare: Installation) -> None:
    with environ({"SALESFORCE_FLAG_FIELD": "vendor__Dead__c"}):
        told = line("--only", "crm", exit_code=1)
    assert "install its package" in told["differs"][0]["note"]


def test_a_data_extension_of_other_columns_is_left(bare: Installation) -> None:
    with bare.store() as store:
        column = DataExtensionField("SubscriberKey", max_length=50, is_primary_key=True)
        store.create_data_extension("Hard_Bounce_Staging_DE", [column])
    before = set_up(bare)
    (found,) = line(exit_code=1)["differs"]
    assert found["name"].startswith("Hard_Bounce_Staging_DE")
    assert "EmailAddress Text(254) is missing" in found["note"]
    assert set_up(bare) == before


def test_a_data_extension_that_isnt_sendable_is_told(bare: Installation) -> None:
    assert line("--only", "sfmc")["differs"] == []
    with bare.store() as store:
        store.execute(
            "UPDATE data_extension SET is_sendable = 0, sendable_field = NULL,"
            " sendable_subscriber_field = NULL WHERE customer_key = 'Hard_Bounce_Release_DE'"
        )
    (found,) = line("--only", "sfmc", exit_code=1)["differs"]
    assert "isn't sendable by SubscriberKey" in found["note"]


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("ModifyMetadata", "Modify Metadata Through Metadata API Functions"),
        ("CustomizeApplication", "CustomizeApplication"),
        ("ManageProfilesPermissionsets", "ManageProfilesPermissionsets"),
    ],
)
def test_a_missing_permission_in_the_crm_is_a_message(
    bare: Installation, missing: str, named: str
) -> None:
    with bare.store() as store:
        store.set_setting("missing_permissions", missing)
    before = set_up(bare)
    refused = called("--yes", "--only", "crm")
    assert refused.exit_code == 1
    assert named in " ".join(refused.output.split())
    assert "Traceback" not in refused.output
    assert set_up(bare) == before


def test_without_the_right_to_assign_everything_else_is_made(bare: Installation) -> None:
    with bare.store() as store:
        store.set_setting("missing_permissions", "AssignPermissionSets")
    told = line("--only", "crm", exit_code=1)
    assert [each["kind"] for each in told["missing"]] == ["Assignment"]
    assert "'Assign Permission Sets'" in told["problems"][0]
    assert len(told["made"]) == 13
    with bare.store() as store:
        store.set_setting("missing_permissions", "")
    assert [each.split()[0] for each in line("--only", "crm")["made"]] == ["Assignment"]


def test_a_view_that_the_org_refuses_keeps_nothing_else_back(
    bare: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_an_odd_column(names: Names) -> list[Component]:
        odd = [
            replace(each, content=each.content.replace(b"LEAD.COMPANY", b"Nowhere__c"))
            for each in components.shipped(names)
        ]
        assert odd != components.shipped(names)
        return odd

    monkeypatch.setattr(crm, "shipped", with_an_odd_column)
    told = line("--only", "crm", exit_code=1)
    assert [each["name"] for each in told["missing"]] == ["Lead.Hard_Bounced_Leads"]
    assert told["problems"] == [
        "ListView Lead.Hard_Bounced_Leads: Could not resolve list view column: Nowhere__c"
    ]
    assert len(told["made"]) == 13


@pytest.mark.parametrize("scope", ["data_extensions_read", "data_extensions_write"])
def test_a_missing_scope_in_sfmc_is_a_message(bare: Installation, scope: str) -> None:
    with bare.store() as store:
        store.set_setting("scopes", " ".join(set(SCOPES) - {scope}))
    refused = called("--yes", "--only", "sfmc")
    assert refused.exit_code == 1
    assert scope in " ".join(refused.output.split())
    assert set_up(bare)[2] == 0


def test_a_permission_set_keeps_what_an_admin_added(bare: Installation) -> None:
    line("--only", "crm")
    more = (
        "<fieldPermissions><editable>true</editable><field>Contact.Title</field>"
        "<readable>true</readable></fieldPermissions>"
    )
    with bare.store() as store:
        (body,) = store.execute(
            "SELECT body FROM metadata_component WHERE full_name = 'Bounce_Sync_Writer'"
        ).fetchone()
        lesser = body.replace("Contact.Email", "Contact.Department").replace(
            "<hasActivationRequired>", f"{more}<hasActivationRequired>"
        )
        store.execute(
            "UPDATE metadata_component SET body = ? WHERE full_name = 'Bounce_Sync_Writer'",
            (lesser,),
        )
    told = line("--only", "crm")
    assert told["made"] == ["Permission set Bounce_Sync_Writer"]
    with bare.store() as store:
        granted = store.execute('SELECT "Field" FROM "FieldPermissions" WHERE "PermissionsRead"')
        assert {"Contact.Title", "Contact.Email", "Contact.Department"} <= {
            row[0] for row in granted
        }


def test_a_no_makes_nothing_and_without_a_terminal_nobody_is_asked(
    bare: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unasked = called("--only", "sfmc")
    assert unasked.exit_code == 2
    assert "--yes" in unasked.output
    before = set_up(bare)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal, os.fdopen(ours, "wb", buffering=0) as person:
        monkeypatch.setattr(sys, "stdin", terminal)
        person.write(b"n\n")
        with pytest.raises(click.Abort):
            setup.main(["--only", "sfmc"], standalone_mode=False)
        assert "Make these 7?" in capsys.readouterr().err
        assert set_up(bare) == before
        person.write(b"y\n")
        setup.main(["--only", "sfmc"], standalone_mode=False)
        assert "7 made" in capsys.readouterr().out
    assert set_up(bare) != before


def test_nothing_that_is_told_is_a_secret_or_an_address(bare: Installation) -> None:
    with bare.store() as store:
        hidden = [
            *(store.setting(name) for name in ("client_secret", "password", "username")),
            "ann@gone.example",
        ]
        store.set_setting("missing_permissions", "AssignPermissionSets")
    told = called("--yes", "--json", "--layouts")
    assert json.loads(told.stdout)["made"]
    assert not [each for each in hidden if each in told.output]


def test_layouts_of_which_no_copy_can_be_kept_stay_as_they_are(bare: Installation) -> None:
    bare.runner.settings.home.mkdir(exist_ok=True)
    (bare.runner.settings.home / "setup").write_text("in the way")
    told = line("--only", "crm", "--layouts", exit_code=1)
    assert {each["kind"] for each in told["missing"]} == {"Layout"}
    assert "no copy of them can be kept" in told["problems"][0]


def test_a_folder_that_cant_be_written_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = called("--export", str(tmp_path / "file" / "source"))
    assert refused.exit_code == 1
    assert "The folder can't be written" in refused.output


def test_the_folder_for_other_tools_needs_no_org(tmp_path: Path) -> None:
    told = called("--export", str(tmp_path / "source"))
    assert told.exit_code == 0
    assert "sf project deploy start" in told.output
    assert (tmp_path / "source" / "sfdx-project.json").exists()
