"""Asking the CRM."""

from __future__ import annotations

from typing import Any

from simple_salesforce.format import format_soql

from bounce_sync.doctor.findings import Judgement, passed
from bounce_sync.doctor.judging import salesforce as judging
from bounce_sync.doctor.patient import Patient
from bounce_sync.environment import JOURNEY
from bounce_sync.salesforce.errors import UnreadableAnswer
from bounce_sync.salesforce.transport import Answer, with_parameters
from bounce_sync.tables import CONTACT, LEAD

_ADDRESSES = 200
_LISTED = 200
_RECORDS = 200
"""Records of each object whose access is looked at: UserRecordAccess takes no more at once."""

_FLOWS = (
    "SELECT ApiName, RecordTriggerType, TriggerObjectOrEventId FROM FlowDefinitionView "
    "WHERE IsActive = true AND TriggerType IN ('RecordBeforeSave', 'RecordAfterSave') "
    "ORDER BY ApiName"
)
_ON_UPDATE = ("Update", "CreateAndUpdate")


def login(patient: Patient) -> Judgement:
    return passed(f"The org gives a token to the user {patient.crm.user_id}.")


def api(patient: Patient) -> Judgement:
    """Each answer tells how many calls are used; `/limits` would need View Setup."""
    patient.crm.identity()
    told = patient.crm.budget.told
    if told is None:
        raise UnreadableAnswer("query of Organization and User", "no Sforce-Limit-Info header.")
    return judging.api(*told, patient.crm.org.api_share)


def org(patient: Patient) -> Judgement:
    identity = patient.crm.identity()
    statements = [
        format_soql("SELECT Email FROM {:literal} WHERE Email != null LIMIT {}", name, _ADDRESSES)
        for name in (CONTACT, LEAD)
    ]
    found = [row["Email"] for rows in patient.crm.query_many(statements) for row in rows]
    return judging.org(identity.org_id, is_sandbox=identity.is_sandbox, addresses=found)


def objects(patient: Patient) -> Judgement:
    return judging.objects(patient.described, patient.written_objects)


def fields(patient: Patient) -> Judgement:
    match_field = patient.policy.match_field
    return judging.fields(patient.described, patient.crm.org, patient.written_objects, match_field)


def writes(patient: Patient) -> bool:
    """By Journey it is Marketing Cloud Connect's user who writes, not ours."""
    return patient.settings.delivery != JOURNEY


def writable(patient: Patient) -> Judgement:
    return judging.writable(patient.described, patient.crm.org, patient.written_objects)


def record_access(patient: Patient) -> Judgement:
    """UserRecordAccess tells anybody of records that they can read, 200 at a time."""
    statements = [
        format_soql("SELECT Id FROM Contact LIMIT {}", _RECORDS),
        format_soql("SELECT Id FROM Lead WHERE IsConverted = false LIMIT {}", _RECORDS),
    ]
    samples = [[row["Id"] for row in rows] for rows in patient.crm.query_many(statements)]
    asked = [
        format_soql(
            "SELECT RecordId, HasEditAccess FROM UserRecordAccess WHERE UserId = {} AND "
            "RecordId IN {}",
            patient.crm.user_id,
            sample,
        )
        for sample in samples
        if sample
    ]
    told = [row for rows in patient.crm.query_many(asked) for row in rows]
    closed = sum(not row["HasEditAccess"] for row in told)
    return judging.record_access(looked_at=len(told), closed=closed)


def time_zone(patient: Patient) -> Judgement:
    facts = patient.where.facts(patient.reader)
    return judging.time_zone(facts.time_zone, date_is_day=facts.date_is_day)


def person_accounts(patient: Patient) -> Judgement:
    contact = patient.described[CONTACT]
    return judging.person_accounts(
        in_org=contact is not None and "ispersonaccount" in contact.fields,
        written=patient.settings.person_accounts,
    )


def assignment_rules(patient: Patient) -> Judgement:
    statement = "SELECT Name FROM AssignmentRule WHERE SobjectType = 'Lead' AND Active = true"
    names = [row["Name"] for row in patient.crm.query(statement)]
    return judging.assignment_rules(names, by_journey=patient.settings.delivery == JOURNEY)


def flows(patient: Patient) -> Judgement:
    """A standard object's id there is its API name."""
    names = [
        f"{row['ApiName']} ({row['TriggerObjectOrEventId']})"
        for row in patient.crm.query(_FLOWS)
        if row["TriggerObjectOrEventId"] in patient.written_objects
        and row["RecordTriggerType"] in _ON_UPDATE
    ]
    return judging.flows(names)


def triggers(patient: Patient) -> Judgement:
    statement = format_soql(
        "SELECT Name, TableEnumOrId FROM ApexTrigger WHERE Status = 'Active' AND "
        "TableEnumOrId IN {} AND (UsageBeforeUpdate = true OR UsageAfterUpdate = true) "
        "ORDER BY Name",
        list(patient.written_objects),
    )
    rows = patient.crm.query(statement)
    return judging.triggers([f"{row['Name']} ({row['TableEnumOrId']})" for row in rows])


def validation_rules(patient: Patient) -> Judgement:
    statement = format_soql(
        "SELECT ValidationName, EntityDefinitionId FROM ValidationRule WHERE Active = true AND "
        "EntityDefinitionId IN {} ORDER BY ValidationName LIMIT {}",
        list(patient.written_objects),
        _LISTED,
    )
    rows = _tooling(patient, statement)
    names = [f"{row['ValidationName']} ({row['EntityDefinitionId']})" for row in rows]
    return judging.validation_rules(names)


def _tooling(patient: Patient, statement: str) -> list[dict[str, Any]]:
    """Rows of the Tooling API, which alone knows validation rules."""
    what = "tooling query of ValidationRule"

    def read(answer: Answer) -> list[dict[str, Any]]:
        body = answer.json()
        if not isinstance(body, dict) or not isinstance(body.get("records"), list):
            raise UnreadableAnswer(what, "no list of records.")
        return list(body["records"])

    path = with_parameters("tooling/query", {"q": statement})
    return patient.crm.request("GET", path, what=what, read=read)
