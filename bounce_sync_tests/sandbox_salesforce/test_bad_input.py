"""Whatever comes in, the answer is the service's own error, never a 500 of the sandbox's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bounce_sync_tests.sandbox_salesforce.org import Org, contact_id

WORDS = [
    "SELECT",
    "FROM",
    "WHERE",
    "Id",
    "Email",
    "Contact",
    "Lead",
    "COUNT()",
    "COUNT(Id)",
    "(",
    ")",
    ",",
    "=",
    "!=",
    "<",
    ">=",
    "LIKE",
    "IN",
    "AND",
    "OR",
    "NOT",
    "'x'",
    "'\\q'",
    "1",
    "-1.5",
    "null",
    "TRUE",
    "2026-02-30",
    "2026-05-04",
    "2026-05-04T03:00:00Z",
    "TODAY",
    "0001-01-01T00:00:00+14:00",
    "LAST_N_DAYS:99999999",
    "NEXT_N_YEARS:7973",
    "LIMIT",
    "OFFSET",
    "ORDER",
    "GROUP",
    "BY",
    "99999999999999999999",
    "FIELDS(ALL)",
    "MAX(Birthdate)",
    "Hard_Bounce__c",
    "Hard_Bounce_Date__c",
    "Birthdate",
    "CreatedDate",
    "AnnualRevenue",
    "HAVING",
    "USING",
    "SCOPE",
    "FOR",
    "VIEW",
    ";",
    '"',
    "'",
    "\\",
    "\x00",
]
KEYS = [
    "id",
    "Id",
    "ids",
    "fields",
    "records",
    "attributes",
    "type",
    "Email",
    "Hard_Bounce__c",
    "Hard_Bounce_Date__c",
    "Birthdate",
    "AnnualRevenue",
    "AccountId",
    "IsDeleted",
    "object",
    "operation",
    "query",
    "state",
    "FullName",
    "Metadata",
    "label",
    "length",
    "compositeRequest",
    "batchRequests",
    "method",
    "url",
    "referenceId",
    "body",
    "richInput",
    "allOrNone",
]
VALUES = (
    "Contact",
    "CustomField",
    "update",
    "query",
    "GET",
    "UploadComplete",
    contact_id(1),
    "9999-12-31T23:59:59-12:00",
    "Contact.X__c",
    "/services/data/v62.0/limits",
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(VALUES),
)
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
RESOURCES = (
    "PATCH composite/sobjects",
    "POST composite/sobjects",
    "POST composite/sobjects/Contact",
    "PATCH composite/sobjects/Contact/Id",
    "POST composite",
    "POST composite/batch",
    "POST jobs/ingest",
    "POST jobs/query",
    f"PATCH sobjects/Contact/{contact_id(1)}",
    "PATCH sobjects/Contact/Id/nonsense",
    "POST sobjects/Contact",
    "POST sobjects/FieldPermissions",
    "POST tooling/sobjects/CustomField",
)

fuzzing = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@fuzzing
@given(
    words=st.lists(st.sampled_from(WORDS), max_size=16),
    asked=st.sampled_from(["query", "tooling/query"]),
)
def test_any_statement(org: Org, words: list[str], asked: str) -> None:
    for statement in (" ".join(words), "SELECT Id FROM Contact WHERE " + " ".join(words)):
        said = org.ask("GET", asked, params={"q": statement})
        assert said.status_code in (200, 400), (statement, said.text)


@fuzzing
@given(body=BODIES, resource=st.sampled_from(RESOURCES))
def test_any_body(org: Org, body: Any, resource: str) -> None:
    method, path = resource.split(" ")
    said = org.ask(method, path, json=body)
    assert said.status_code < 500, (resource, body, said.text)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT Id FROM Contact WHERE " + "(" * 4000 + "Id = null" + ")" * 4000,
        "SELECT Id FROM Contact WHERE " + "NOT " * 3000 + "Id = null",
    ],
)
def test_a_statement_that_is_too_deep(org: Org, statement: str) -> None:
    said = org.ask("POST", "jobs/query", json={"operation": "query", "query": statement})
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, "QUERY_TOO_COMPLICATED")


def test_a_statement_with_thousands_of_conditions_runs(org: Org) -> None:
    ids = org.contacts(1)
    where = " OR ".join(f"Id = '{contact_id(n)}'" for n in range(1, 3001))
    request = {
        "method": "GET",
        "url": f"/services/data/v62.0/query?q=SELECT Id FROM Contact WHERE {where}",
        "referenceId": "q",
    }
    said = org.ask("POST", "composite", json={"compositeRequest": [request]}).json()
    (answer,) = said["compositeResponse"]
    assert [record["Id"] for record in answer["body"]["records"]] == ids
