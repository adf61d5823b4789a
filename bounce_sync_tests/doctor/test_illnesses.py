"""One thing wrong at a time: the line that notices, what it says, and what isn't looked at then."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bounce_sync.doctor.judging.salesforce import time_zone
from bounce_sync.sandbox.export import export
from bounce_sync_tests.doctor.patient import DAY, Patient, admitted
from bounce_sync_tests.tenant import Tenant, to_18

FLAG, DATE = "Hard_Bounce__c", "Hard_Bounce_Date__c"
CHILD = 4711
SET, RELEASE = "bounce_sync_set", "bounce_sync_release"
AFTER_SFMC = {
    "sfmc_account",
    "sfmc_units",
    "sfmc_scopes",
    "sfmc_offset",
    "sfmc_status_filter",
    "keys",
    "first_run",
}

# Marketing Cloud


def test_a_wrong_secret_of_sfmc_leaves_the_crm_looked_at(patient: Patient) -> None:
    report = patient.look("--json", SFMC_CLIENT_SECRET="wrong")
    assert report.unwell == {"sfmc_login": "fail", **dict.fromkeys(AFTER_SFMC, "warn")}
    assert "SFMC_CLIENT_SECRET" in report.said("sfmc_login")
    assert report.findings["sfmc_scopes"]["said"] == "Not looked at, as this failed: credentials."
    assert report.exit_code == 1


def test_a_service_that_isnt_there_is_a_finding(patient: Patient) -> None:
    report = patient.look(SFMC_AUTH_URL="https://127.0.0.1:1/")
    assert report.level("sfmc_login") == "fail"
    assert "The connection failed" in report.said("sfmc_login")
    assert "SFMC_SUBDOMAIN" in report.said("sfmc_login")


def test_a_certificate_that_isnt_trusted_names_the_setting(patient: Patient) -> None:
    report = patient.look(BOUNCE_SYNC_CA_BUNDLE="")
    for name in ("sfmc_login", "crm_login"):
        assert report.level(name) == "fail"
        assert "BOUNCE_SYNC_CA_BUNDLE" in report.said(name)


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, "list_and_subscribers_read"),
        ({"SFMC_SOURCE": "data_views"}, "automations_write"),
        ({"BOUNCE_SYNC_DELIVERY": "journey"}, "data_extensions_write"),
    ],
)
def test_a_missing_scope_is_named(
    patient: Patient, variables: dict[str, str], missing: str
) -> None:
    granted = {"tracking_events_read", "list_and_subscribers_read", "automations_execute"}
    granted |= {"automations_read", "automations_write", "data_extensions_read"}
    granted |= {"data_extensions_write"}
    patient.store.set_setting("scopes", " ".join(granted - {missing}))
    report = patient.look(**variables)
    assert report.level("sfmc_scopes") == "fail"
    assert report.findings["sfmc_scopes"]["said"] == f"Missing: {missing}."
    assert "Installed Packages" in report.said("sfmc_scopes")
    assert report.level("sfmc_offset") == "warn"


def test_scopes_that_only_the_doctor_needs_are_no_failure(patient: Patient) -> None:
    scopes = "automations_execute automations_read automations_write"
    patient.store.set_setting("scopes", f"{scopes} data_extensions_read data_extensions_write")
    report = patient.look("--json", SFMC_SOURCE="data_views")
    assert report.unwell == dict.fromkeys(
        ("sfmc_scopes", "sfmc_offset", "keys", "first_run"), "warn"
    )
    assert "for want of a permission" in report.said("sfmc_offset")
    assert report.exit_code == 0


def test_exports_need_no_scope_and_a_missing_one_is_named(patient: Patient, tmp_path: Path) -> None:
    patient.store.set_setting("scopes", "")
    exports = tmp_path / "exports"
    variables = {
        "SFMC_SOURCE": "files",
        "SFMC_FILES": str(exports),
        "SFMC_FILES_FORMAT": '{"settle_seconds": 0}',
        "BOUNCE_SYNC_START_DATE": DAY,
    }
    day = date.fromisoformat(DAY)
    export(patient.store, exports, day, day)
    report = patient.look("--json", **variables)
    assert report.unwell == dict.fromkeys(("sfmc_scopes", "sfmc_offset", "keys"), "warn")
    assert "A run needs none." in report.said("sfmc_scopes")
    assert report.findings["first_run"]["numbers"]["set"] == 2
    (exports / f"Bounces-{DAY}.csv").unlink()
    (exports / f"Hard_Bounce_Staging-{DAY}.csv").unlink()
    report = patient.look("--json", **variables)
    assert report.level("first_run") == "fail"
    assert f"There is no file of bounces dated {DAY}" in report.said("first_run")


def test_a_format_of_files_that_cant_be_is_named(patient: Patient, tmp_path: Path) -> None:
    variables = {"SFMC_SOURCE": "files", "SFMC_FILES": str(tmp_path)}
    report = patient.look("--json", **variables, SFMC_FILES_FORMAT='{"delimitre": ";"}')
    assert report.level("settings") == "fail"
    assert "SFMC_FILES_FORMAT: 'delimitre' isn't known" in report.said("settings")


def test_a_childs_token_names_its_parent(patient: Patient) -> None:
    patient.store.add_business_unit(CHILD, "Child")
    report = patient.look(SFMC_ACCOUNT_ID=str(CHILD))
    assert report.level("sfmc_account") == "fail"
    parent = patient.address.account_id
    assert f"Set SFMC_ACCOUNT_ID={parent}" in report.said("sfmc_account")
    assert f"{CHILD} in SFMC_BUSINESS_UNITS" in report.said("sfmc_account")


def test_a_unit_that_gives_no_token_is_named(patient: Patient) -> None:
    units = f"{patient.address.account_id},999"
    report = patient.look(SFMC_BUSINESS_UNITS=units)
    assert report.findings["sfmc_units"]["said"] == "No token for 999 (1 of 2)."
    assert report.level("sfmc_units") == "fail"


def test_all_units_are_asked_for_with_the_parents_token(patient: Patient) -> None:
    patient.store.add_business_unit(CHILD, "Child")
    patient.store.execute("UPDATE bounce SET account_id = ?", (CHILD,))
    assert patient.look(SFMC_BUSINESS_UNITS="*").unwell == {}
    assert patient.look().level("sfmc_offset") == "warn", "the parent's own bounces are none"


@pytest.mark.parametrize("actual", ["-06:00", "-07:00", "+01:00"])
def test_the_tenants_clock_is_measured(patient: Patient, actual: str) -> None:
    patient.store.set_setting("utc_offset", actual)
    right = patient.look(SFMC_UTC_OFFSET=actual)
    assert right.level("sfmc_offset") == "pass"
    wrong = patient.look("--json", SFMC_UTC_OFFSET="-05:00")
    assert wrong.level("sfmc_offset") == "fail"
    assert f"Set SFMC_UTC_OFFSET={actual}." in wrong.said("sfmc_offset")
    assert "as this failed: Marketing Cloud, server time." in wrong.said("first_run")


def test_a_tenant_without_bounces_cant_be_measured(tmp_path: Path) -> None:
    with admitted(Tenant(), tmp_path) as patient:
        report = patient.look("--json")
    assert report.unwell == dict.fromkeys(
        ("sfmc_offset", "sfmc_status_filter", "keys", "first_run"), "warn"
    )
    assert "no unit has a bounce" in report.said("sfmc_offset")


def test_a_silent_filter_by_status_names_the_way_around(patient: Patient) -> None:
    patient.store.set_setting("subscriber_status_filter", "silent")
    report = patient.look("--json")
    assert report.level("sfmc_status_filter") == "fail"
    assert "SFMC_HELD=by_key" in report.said("sfmc_status_filter")
    around = patient.look("--json", SFMC_HELD="by_key")
    assert around.unwell == {}
    assert around.findings["first_run"]["numbers"]["set"] == 2


def test_a_data_extension_of_the_journeys_that_differs(patient: Patient) -> None:
    patient.store.execute("DELETE FROM data_extension_field WHERE name = 'FlagDate'")
    patient.store.execute("DELETE FROM automation WHERE customer_key = 'bounce_sync_release'")
    report = patient.look(BOUNCE_SYNC_DELIVERY="journey")
    assert report.level("sfmc_journey") == "fail"
    assert "FlagDate" in report.said("sfmc_journey")
    assert "bounce_sync_release" in report.said("sfmc_journey")


def test_an_automation_without_its_journey(patient: Patient) -> None:
    patient.store.execute("UPDATE automation SET steps = '[]' WHERE customer_key = ?", (SET,))
    report = patient.look("--json", BOUNCE_SYNC_DELIVERY="journey")
    assert report.level("sfmc_journey") == "fail"
    assert f"The automation {SET} starts no Journey." in report.said("sfmc_journey")
    assert RELEASE not in report.said("sfmc_journey")
    assert "`bounce-sync setup`" in report.said("sfmc_journey")


def test_a_data_extension_that_no_journey_takes_in(patient: Patient) -> None:
    patient.store.execute(
        "UPDATE data_extension SET is_sendable = 0, sendable_field = NULL,"
        " sendable_subscriber_field = NULL WHERE customer_key = 'Hard_Bounce_Release_DE'"
    )
    report = patient.look(BOUNCE_SYNC_DELIVERY="journey")
    assert report.level("sfmc_journey") == "fail"
    assert "Hard_Bounce_Release_DE isn't sendable by SubscriberKey." in report.said("sfmc_journey")


# Salesforce


def test_a_wrong_secret_of_the_crm_leaves_sfmc_looked_at(patient: Patient) -> None:
    report = patient.look(SALESFORCE_CLIENT_SECRET="wrong")
    assert report.level("crm_login") == "fail"
    assert "SALESFORCE_LOGIN_URL" in report.said("crm_login")
    assert report.level("sfmc_status_filter") == "pass"
    others = [name for name in report.findings if name.startswith("crm_") and name != "crm_login"]
    assert {report.level(name) for name in others} == {"warn"}


@pytest.mark.parametrize(("limit", "level"), [(1, "fail"), (60, "fail"), (500, "warn")])
def test_a_days_calls_that_are_spent(patient: Patient, limit: int, level: str) -> None:
    patient.store.set_setting("api_limit", limit)
    if limit == 1:
        patient.store.set_setting("api_used", 1)
    report = patient.look()
    assert report.level("crm_api") == level
    assert (report.level("crm_fields") == "pass") is (level == "warn")


def test_an_api_that_is_switched_off(patient: Patient) -> None:
    patient.store.set_setting("missing_permissions", "ApiEnabled")
    report = patient.look()
    assert report.level("crm_api") == "fail"
    assert "API Enabled" in report.said("crm_api")


def test_an_object_that_isnt_visible(patient: Patient) -> None:
    patient.store.set_setting("missing_permissions", "ReadLead")
    report = patient.look()
    assert report.level("crm_objects") == "fail"
    assert "Not visible to the integration user: Lead." in report.said("crm_objects")
    assert "as this failed: objects." in report.said("crm_fields")


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (f"UPDATE field SET visible = 0 WHERE object = 'Lead' AND name = '{DATE}'",
         "crm_fields", f"Lead.{DATE} is missing or hidden"),
        (f"UPDATE field SET type = 'string' WHERE object = 'Lead' AND name = '{FLAG}'",
         "crm_fields", f"Lead.{FLAG} is a string, not a checkbox"),
        (f"UPDATE field SET type = 'string' WHERE object = 'Contact' AND name = '{DATE}'",
         "crm_fields", f"Contact.{DATE} is a string, not a Date or DateTime"),
        (f"UPDATE field SET updateable = 0 WHERE object = 'Contact' AND name = '{FLAG}'",
         "crm_writable", f"Readable but not editable: Contact.{FLAG}."),
    ],
)  # fmt: skip
def test_a_field_that_cant_serve(patient: Patient, change: str, line: str, said: str) -> None:
    patient.store.execute(change)
    report = patient.look()
    assert report.level(line) == "fail"
    assert said in report.said(line)
    assert "setup" in report.said(line)
    assert ("SALESFORCE_FLAG_FIELD" in report.said(line)) is (line == "crm_fields")


def test_an_object_that_may_not_be_edited(patient: Patient) -> None:
    patient.store.set_setting("missing_permissions", "EditContact")
    report = patient.look()
    assert report.unwell == {"crm_writable": "fail", "crm_record_access": "warn"}
    assert "Readable but not editable: Contact." in report.said("crm_writable")


def test_records_that_arent_shared_for_editing(patient: Patient) -> None:
    records = [row[0] for row in patient.store.execute("SELECT Id FROM Contact")]
    refusals = [(record, "INSUFFICIENT_ACCESS_OR_READONLY", "not shared") for record in records]
    patient.store.insert("crm_refusal", ("record_id", "code", "message"), refusals)
    report = patient.look()
    assert report.unwell == {"crm_record_access": "warn"}
    assert "Of 3 records looked at, 2 aren't shared for editing" in report.said("crm_record_access")
    patient.store.execute("DELETE FROM Lead")
    assert patient.look().level("crm_record_access") == "fail"


def test_a_day_field_names_whose_day_it_is(patient: Patient) -> None:
    patient.store.execute("UPDATE field SET type = 'date' WHERE name = ?", (DATE,))
    patient.store.execute("UPDATE User SET TimeZoneSidKey = 'Europe/Vienna'")
    report = patient.look()
    assert report.level("crm_time_zone") == "pass"
    assert "day in Europe/Vienna" in report.said("crm_time_zone")


def test_a_time_zone_that_this_machine_doesnt_know() -> None:
    unknown = time_zone("Mars/Olympus", date_is_day=True)
    assert unknown.level == "fail"
    assert "Mars/Olympus" in unknown.said


@pytest.mark.parametrize(("is_sandbox", "level"), [(1, "warn"), (0, "fail")])
def test_masked_addresses(patient: Patient, is_sandbox: int, level: str) -> None:
    patient.store.execute("UPDATE Contact SET Email = Email || '.invalid'")
    patient.store.execute("UPDATE Organization SET IsSandbox = ?", (is_sandbox,))
    report = patient.look()
    assert report.level("crm_org") == level
    assert "2 of 3 e-mails looked at end in .invalid" in report.said("crm_org")


def test_person_accounts(patient: Patient) -> None:
    wanted = {"SALESFORCE_PERSON_ACCOUNTS": "true"}
    absent = patient.look(**wanted)
    assert "has no Person Accounts" in absent.said("crm_person_accounts")
    assert "as this failed: Person Accounts." in absent.said("crm_fields")
    patient.store.set_setting("person_accounts", "true")
    left = patient.look()
    assert left.unwell == {"crm_person_accounts": "warn"}
    assert "they are left" in left.said("crm_person_accounts")
    written = patient.look(**wanted)
    assert written.level("crm_person_accounts") == "warn"
    assert "hasn't been tried on a real org" in written.said("crm_person_accounts")


def _automated(patient: Patient) -> None:
    flow = ("ApiName", "TriggerType", "RecordTriggerType", "TriggerObjectOrEventId", "IsActive")
    trigger = ("Name", "TableEnumOrId", "Status", "UsageBeforeUpdate")
    rule = ("ValidationName", "EntityDefinitionId", "Active", "Condition", "ErrorMessage")
    condition = ("Id = null", "Never")
    for name, columns, rows in (
        (
            "FlowDefinitionView",
            flow,
            [
                ("Tell_Sales", "RecordAfterSave", "Update", "Contact", 1),
                ("Score", "RecordBeforeSave", "CreateAndUpdate", "Lead", 1),
                ("Welcome", "RecordAfterSave", "Create", "Lead", 1),
                ("Draft", "RecordAfterSave", "Update", "Lead", 0),
                ("Elsewhere", "RecordAfterSave", "Update", "Case", 1),
            ],
        ),
        (
            "ApexTrigger",
            trigger,
            [
                ("LeadTrigger", "Lead", "Active", 1),
                ("OnInsert", "Lead", "Active", 0),
                ("Old", "Contact", "Inactive", 1),
            ],
        ),
        (
            "ValidationRule",
            rule,
            [("Needs_Phone", "Contact", 1, *condition), ("Off", "Lead", 0, *condition)],
        ),
    ):
        prefix = {"FlowDefinitionView": "3dd", "ApexTrigger": "01q", "ValidationRule": "03d"}[name]
        ids = [to_18(f"{prefix}{number:012d}") for number in range(len(rows))]
        patient.store.insert(
            name, ("Id", *columns), [(key, *row) for key, row in zip(ids, rows, strict=True)]
        )


def test_what_will_run_with_an_update_is_listed(patient: Patient) -> None:
    _automated(patient)
    report = patient.look()
    lines = ("crm_flows", "crm_triggers", "crm_validation_rules")
    assert report.unwell == dict.fromkeys(lines, "warn")
    found = {name: report.findings[name]["said"] for name in lines}
    assert "Score (Lead), Tell_Sales (Contact)." in found["crm_flows"]
    assert found["crm_flows"].startswith("2 will run")
    assert "LeadTrigger (Lead)." in found["crm_triggers"]
    assert "1 active: Needs_Phone (Contact)." in found["crm_validation_rules"]


def test_without_view_setup_the_automations_arent_looked_at(patient: Patient) -> None:
    _automated(patient)
    patient.store.set_setting("missing_permissions", "ViewSetup")
    report = patient.look()
    lines = ("crm_flows", "crm_triggers", "crm_validation_rules")
    assert report.unwell == dict.fromkeys(lines, "warn")
    for name in lines:
        assert "for want of a permission" in report.said(name)
        assert "View Setup and Configuration" in report.said(name)
    assert report.exit_code == 0


def test_an_inactive_assignment_rule_is_not_named(patient: Patient) -> None:
    assert "Sandbox lead routing" in patient.look().said("crm_assignment_rules")
    patient.store.execute("UPDATE AssignmentRule SET Active = 0")
    assert "No lead assignment rule" in patient.look().said("crm_assignment_rules")
