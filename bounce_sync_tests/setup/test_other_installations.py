"""Set-ups of other shapes: the default roads, other field names, another user."""

from __future__ import annotations

from pathlib import Path

from bounce_sync_tests.installation import environ, installed
from bounce_sync_tests.setup.called import DAY, Org, called, fields, line


def test_by_the_api_nothing_is_made_in_sfmc(tmp_path: Path) -> None:
    org = Org()
    with installed(org.tenant, tmp_path, bare=True) as installation:
        told = line()
        assert len(told["made"]) == 14
        assert [each["name"] for each in told["by_hand"]] == [
            "Bounce_Sync_Reader to sales",
            "of Contact",
            "of Lead",
            "to Contact",
        ]
        installation.has_fetched_nothing_before(DAY)
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        assert all(flag for flag, _ in org.flags(installation).values())
        with installation.store() as store:
            assert store.execute("SELECT count(*) FROM data_extension").fetchone()[0] == 0


def test_a_field_that_is_there_in_another_case_is_used_as_the_org_spells_it(
    tmp_path: Path,
) -> None:
    with installed(Org().tenant, tmp_path, bare=True) as installation:
        with installation.store() as store:
            store.add_field("Contact", "hard_BOUNCE__c", "boolean", visible=False)
        told = line("--layouts")
        assert (told["missing"], told["problems"]) == ([], [])
        assert "Custom field Lead.hard_BOUNCE__c" in told["made"]
        with environ({"SALESFORCE_FLAG_FIELD": "HARD_bounce__c"}):
            again = line("--layouts")
        assert (again["made"], again["missing"]) == ([], [])


def test_whoever_has_the_readers_permission_set_isnt_named(tmp_path: Path) -> None:
    with installed(Org().tenant, tmp_path, bare=True) as installation:
        (step,) = [each for each in line()["by_hand"] if each["kind"] == "Assignment"]
        assert "Permission Sets › Bounce_Sync_Reader › Manage Assignments" in step["note"]
        with installation.store() as store:
            store.execute(
                'UPDATE "PermissionSetAssignment" SET "PermissionSetId" = (SELECT "Id" FROM'
                ' "PermissionSet" WHERE "Name" = ?) WHERE "PermissionSetId" = (SELECT "Id" FROM'
                ' "PermissionSet" WHERE "Name" = ?)',
                ("Bounce_Sync_Reader", "Bounce_Sync_Writer"),
            )
        told = line()
    assert "Assignment" not in [each["kind"] for each in told["by_hand"]]
    assert [each.split(" to ")[0] for each in told["made"]] == ["Assignment Bounce_Sync_Writer"]


def test_other_fields_and_another_user(tmp_path: Path) -> None:
    more = {"SALESFORCE_FLAG_FIELD": "Dead__c", "SALESFORCE_DATE_FIELD": "Dead_Since__c"}
    with installed(Org().tenant, tmp_path, bare=True, **more) as installation:
        with installation.store() as store:
            store.add_field("Contact", "Dead_Since__c", "date", visible=False)
        nobody = called("--yes", "--integration-user", "nobody@example.invalid")
        assert nobody.exit_code == 1
        assert "Username of the user" in nobody.output
        told = line("--integration-user", "lead.router@bounce-sync.invalid")
        assert "Custom field Lead.Dead_Since__c" in told["made"]
        assert "Custom field Contact.Dead_Since__c" not in told["made"]
        assert fields(installation, "Lead")["Dead_Since__c"] == "date", "both are of one type"
        with installation.store() as store:
            row = store.execute(
                'SELECT u."Name" FROM "PermissionSetAssignment" a JOIN "User" u'
                ' ON u."Id" = a."AssigneeId" JOIN "PermissionSet" p'
                ' ON p."Id" = a."PermissionSetId" WHERE p."Name" = ?',
                ("Bounce_Sync_Writer",),
            )
            assert [tuple(each) for each in row] == [("Lead Router",)]
