"""Every code of facts/salesforce.md §5 and what happens when the CRM answers it.

The expectations are written out here, code by code, not taken from the table under test.
"""

from __future__ import annotations

import pytest

from bounce_sync.salesforce import errors
from bounce_sync.salesforce.errors import (
    Action,
    RequestRejected,
    SalesforceError,
    ServiceUnavailable,
    masked,
    remedy_of_request,
    remedy_of_row,
)
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync_tests.salesforce.changes import (
    FACTS,
    MemoryJournal,
    collections,
    contact,
    refused,
    sent,
    sets,
    taken,
)
from bounce_sync_tests.salesforce.scripted_org import Reply, refusal

BAD = contact(1)

# Code of a row, message → how often the row is sent in all when the code stays.
LEFT_AT_ONCE = [
    ("ENTITY_IS_DELETED", "entity is deleted"),
    ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"),
    ("MALFORMED_ID", "Contact ID: id value of incorrect type: 001"),
    ("NOT_FOUND", "The requested resource does not exist"),
    ("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead"),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Ask Ops first"),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Trigger: execution of BeforeUpdate"),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", "The flow failed"),
    ("APEX_ERROR", "System.NullPointerException"),
    ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "insufficient access"),
    ("TRANSFER_REQUIRES_READ", "The new owner must have read permission"),
    ("ENTITY_IS_LOCKED", "the entity is locked for editing"),
    ("DUPLICATE_VALUE", "duplicate id specified"),
    ("SOME_CODE_OF_NEXT_YEAR", "who knows"),
]
SENT_AGAIN = [
    ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", 5),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "first error: UNABLE_TO_LOCK_ROW", 2),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Apex CPU time limit exceeded", 2),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back", 3),
    ("PROCESSING_HALTED", "The transaction was rolled back", 3),
    ("UNKNOWN_EXCEPTION", "An unexpected error occurred: 1234-5678", 3),
    ("DUPLICATES_DETECTED", "Use one of these records?", 2),
]
STOPS = [
    ("INVALID_FIELD", "No such column 'Hard_Bounce__c' on entity 'Contact'", "permission set"),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields", "not editable"),
    ("JSON_PARSER_ERROR", "Unexpected character", "fault of bounce_sync"),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", "bad value", "fault of bounce_sync"),
    ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", "out of storage"),
    ("TXN_SECURITY_METERING_ERROR", "policies took too long", "Exempt from Transaction Security"),
    ("TXN_SECURITY_NO_ACCESS_POLICY", "blocked", "Exempt from Transaction Security"),
]


@pytest.mark.parametrize(("code", "message"), LEFT_AT_ONCE)
def test_a_row_that_cant_be_written_is_rejected_at_once(org, connection, code, message):
    journal = MemoryJournal()
    org.handler = collections(
        lambda record: refused(code, message) if record["id"] == BAD else taken(record)
    )
    updates = FlagWriter(connection, journal).write(sets(3), FACTS)
    assert updates["outcome"].value_counts().to_dict() == {"written": 2, "rejected": 1}
    assert journal.outcomes[BAD].error_code == code
    assert journal.outcomes[BAD].message == message
    assert len(org.requests) == 1
    assert remedy_of_row(code).advice


@pytest.mark.parametrize(("code", "message", "times"), SENT_AGAIN)
def test_a_row_with_a_passing_trouble_is_sent_again_alone(org, connection, code, message, times):
    journal = MemoryJournal()
    org.handler = collections(
        lambda record: refused(code, message) if record["id"] == BAD else taken(record)
    )
    updates = FlagWriter(connection, journal).write(sets(3), FACTS)
    assert updates["outcome"].value_counts().to_dict() == {"written": 2, "rejected": 1}
    assert journal.outcomes[BAD].error_code == code
    assert [len(chunk) for chunk in sent(org.requests)] == [3] + [1] * (times - 1)


@pytest.mark.parametrize(("code", "message", "advice"), STOPS)
@pytest.mark.parametrize("where", ["row", "request"])
def test_a_cause_that_holds_for_all_stops_the_run(org, connection, where, code, message, advice):
    journal = MemoryJournal()
    if where == "row":
        org.handler = collections(lambda record: refused(code, message))
    else:
        org.handler = collections(taken, lambda records: refusal(400, code, message))
    with pytest.raises(RequestRejected, match=advice) as stopped:
        FlagWriter(connection, journal).write(sets(6000), FACTS)
    assert stopped.value.remedy.alert
    assert {each.outcome for each in journal.outcomes.values()} == {"rejected"}
    assert len(journal.intended) < 6000


# Status, code, message → attempts, or the error of the first answer.
REQUESTS = [
    (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 1),
    (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.", 5),
    (429, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", 5),
    (503, "SERVER_UNAVAILABLE", "down for maintenance", 5),
    (500, "UNKNOWN_EXCEPTION", "error id 42", 3),
    (500, "INSUFFICIENT_ACCESS", "use of the Metadata API requires ModifyMetadata", 1),
    (400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", 5),
    (403, "API_DISABLED_FOR_ORG", "not enabled", 1),
    (403, "API_CURRENTLY_DISABLED", "disabled", 1),
    (410, "UNSUPPORTED_API_VERSION", "version retired", 1),
    (410, "GONE", "version retired", 1),
    (400, "MALFORMED_QUERY", "unexpected token", 1),
    (400, "QUERY_TOO_COMPLICATED", "too long", 1),
    (400, "INVALID_QUERY_LOCATOR", "expired", 1),
    (400, "INVALID_TYPE", "sObject type 'Lead' is not supported", 1),
    (404, "NOT_FOUND", "The requested resource does not exist", 1),
    (400, "INVALIDJOBSTATE", "not in the right state", 1),
    (418, "TEAPOT", "short and stout", 1),
    (420, "", "", 3),
    (406, "", "", 5),
    (502, "", "", 5),
    (504, "", "", 5),
]


@pytest.mark.parametrize(("status", "code", "message", "attempts"), REQUESTS)
def test_a_refused_request(org, connection, status, code, message, attempts):
    org.handler = lambda request: refusal(status, code, message) if code else Reply(b"<", status)
    with pytest.raises(SalesforceError) as raised:
        connection.request("GET", "x", what="it", read=lambda answer: answer.json())
    assert len(org.requests) == attempts
    assert isinstance(raised.value, RequestRejected | ServiceUnavailable)
    assert raised.value.advice
    assert remedy_of_request(status, code, message).advice in str(raised.value)


@pytest.mark.parametrize("code", ["OPERATION_TOO_LARGE", "EXCEEDED_ID_LIMIT", "TOO_MANY_ENUM_X"])
def test_what_is_too_large_is_split(org, connection, code):
    org.handler = collections(
        taken, lambda records: refusal(400, code, "too many") if len(records) > 50 else None
    )
    updates = FlagWriter(connection, MemoryJournal()).write(sets(200), FACTS)
    assert set(updates["outcome"]) == {"written"}


def test_no_code_of_the_table_is_left_without_a_test():
    tested = {case[0] for case in (*LEFT_AT_ONCE, *SENT_AGAIN, *STOPS)}
    tested |= {case[1] for case in REQUESTS}
    tested |= {"OPERATION_TOO_LARGE", "EXCEEDED_ID_LIMIT", "TOO_MANY_ENUM"}
    elsewhere = {
        "INVALID_SESSION_ID",  # test_connection: renewed once, replayed once
        "InvalidBatch",  # test_bulk, as the three below
        "ClientInputError",
        "UNPROCESSED",
        "NOT_SENT",
    }
    variable = {"TXN_SECURITY_NO_ACCESS"}
    assert set(errors.REMEDIES) - tested - elsewhere - variable == set()


def test_the_kinds_of_action_are_all_used():
    assert {remedy.action for remedy in errors.REMEDIES.values()} == set(Action)


def test_words_of_the_crm_are_cut_and_lose_their_addresses():
    said = "No,\n jane.o'doe+x@mail.example is\ttaken (Jane <jane@m.example>)" + "." * 400
    text = masked(said)
    assert text.startswith("No, …@… is taken (Jane <…@…>)")
    assert len(text) == 300
