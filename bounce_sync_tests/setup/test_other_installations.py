"""Set-ups of other shapes: the default roads, other field names, another user."""

from __future__ import annotations

from pathlib import Path

from bounce_sync_tests.installation import installed
from bounce_sync_tests.setup.called import DAY, Org, called, fields, line


def test_by_the_api_nothing_is_made_in_sfmc(tmp_path: Path) -> None:
    org = Org()
    with installed(org.tenant, tmp_path, bare=True) as installation:
        told = line()
        assert len(told["made"]) == 14
        assert [each["name"] for each in told["by_hand"]] == ["of Contact", "of Lead", "to Contact"]
        installation.has_fetched_nothing_before(DAY)
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        assert all(flag for flag, _ in org.flags(installation).values())
        with installation.store() as store:
            assert store.execute("SELECT count(*) FROM data_extension").fetchone()[0] == 0


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
