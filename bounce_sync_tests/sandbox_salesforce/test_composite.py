"""Composite and Batch."""

from __future__ import annotations

from typing import Any

import pytest

from bounce_sync_tests.sandbox_salesforce.org import (
    NO_ASSIGNMENT,
    Org,
    contact_id,
    flagged,
)

BASE = "/services/data/v62.0"


def sub(reference: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    made = {"method": method, "url": f"{BASE}/{path}", "referenceId": reference, **more}
    return made if body is None else made | {"body": body}


def composite(org: Org, *requests: dict[str, Any], all_or_none: bool = False) -> list[Any]:
    body = {"allOrNone": all_or_none, "compositeRequest": list(requests)}
    said = org.ask("POST", "composite", json=body)
    assert said.status_code == 200, said.text
    return said.json()["compositeResponse"]


def calls_used(org: Org) -> int:
    header = org.ask("GET", "limits").headers["Sforce-Limit-Info"]
    return int(header.removeprefix("api-usage=").split("/")[0])


def test_five_collections_ride_in_one_call(org: Org) -> None:
    ids = org.contacts(1000)
    before = calls_used(org)
    answers = composite(
        org,
        *(
            sub(
                f"c{n}",
                "PATCH",
                "composite/sobjects",
                {"records": [flagged(key) for key in ids[n * 200 : n * 200 + 200]]},
            )
            for n in range(5)
        ),
    )
    assert calls_used(org) - before == 2  # the Composite, and the question
    assert [one["referenceId"] for one in answers] == [f"c{n}" for n in range(5)]
    assert [len(one["body"]) for one in answers] == [200] * 5
    assert org.column("SELECT COUNT(Id) FROM Contact WHERE Hard_Bounce__c = true") == [1000]


def test_a_sixth_collection_or_query_is_one_too_many(org: Org) -> None:
    queries = [sub(f"q{n}", "GET", "query?q=SELECT+Id+FROM+Contact") for n in range(6)]
    said = org.ask("POST", "composite", json={"compositeRequest": queries})
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, "LIMIT_EXCEEDED")
    limits = [sub(f"l{n}", "GET", "limits") for n in range(26)]
    said = org.ask("POST", "composite", json={"compositeRequest": limits})
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, "LIMIT_EXCEEDED")
    assert len(composite(org, *limits[:25])) == 25


def test_a_long_query_fits_in(org: Org) -> None:
    ids = org.contacts(3)
    wanted = ", ".join(f"'{contact_id(n)}'" for n in range(1, 2001))
    statement = f"query?q=SELECT Id FROM Contact WHERE Id IN ({wanted})"
    (answer,) = composite(org, sub("q", "GET", statement))
    assert [record["Id"] for record in answer["body"]["records"]] == ids


def test_a_subrequest_has_its_own_headers_only(org: Org) -> None:
    ids = org.leads(2)
    said = org.ask(
        "POST",
        "composite",
        headers=NO_ASSIGNMENT,
        json={
            "compositeRequest": [
                sub("a", "PATCH", f"sobjects/Lead/{ids[0]}", {"Hard_Bounce__c": True}),
                sub("b", "PATCH", f"sobjects/Lead/{ids[1]}", {"Hard_Bounce__c": True})
                | {"httpHeaders": NO_ASSIGNMENT},
            ]
        },
    )
    assert [one["httpStatusCode"] for one in said.json()["compositeResponse"]] == [204, 204]
    owners = [org.value("Lead", key, "OwnerId") == org.user_id for key in ids]
    assert owners == [False, True]


def test_later_subrequests_use_earlier_answers(org: Org) -> None:
    key = org.contacts(1)[0]
    answers = composite(
        org,
        sub("found", "GET", "query?q=SELECT+Id+FROM+Contact"),
        sub("change", "PATCH", "sobjects/Contact/@{found.records[0].Id}", {"Title": "x"}),
    )
    assert answers[1] == {
        "body": None,
        "httpHeaders": {},
        "httpStatusCode": 204,
        "referenceId": "change",
    }
    assert org.value("Contact", key, "Title") == "x"


def test_all_or_none_rolls_everything_back(org: Org) -> None:
    key = org.contacts(1)[0]
    answers = composite(
        org,
        sub("good", "PATCH", f"sobjects/Contact/{key}", {"Title": "x"}),
        sub("bad", "GET", f"sobjects/Contact/{contact_id(9)}"),
        sub("late", "GET", "limits"),
        all_or_none=True,
    )
    codes = [one["body"][0]["errorCode"] for one in answers]
    assert codes == ["PROCESSING_HALTED", "NOT_FOUND", "PROCESSING_HALTED"]
    assert [one["httpStatusCode"] for one in answers] == [400, 404, 400]
    assert org.value("Contact", key, "Title") is None
    assert org.audit() == []


@pytest.mark.parametrize("names", [("a b",), ("_a",), ("x", "x")])
def test_reference_ids_are_plain_and_unique(org: Org, names: tuple[str, ...]) -> None:
    body = {"compositeRequest": [sub(name, "GET", "limits") for name in names]}
    assert org.ask("POST", "composite", json=body).status_code == 400


def test_composite_isnt_nested(org: Org) -> None:
    (answer,) = composite(org, sub("x", "POST", "composite", {"compositeRequest": []}))
    assert answer["httpStatusCode"] == 404


def test_batch_counts_each_subrequest(org: Org) -> None:
    key = org.contacts(1)[0]
    before = calls_used(org)
    said = org.ask(
        "POST",
        "composite/batch",
        json={
            "batchRequests": [
                {
                    "method": "PATCH",
                    "url": f"v62.0/sobjects/Contact/{key}",
                    "richInput": {"Title": "x"},
                },
                {"method": "GET", "url": f"v62.0/sobjects/Contact/{key}?fields=Title"},
                {"method": "GET", "url": "v62.0/sobjects/Nope"},
            ]
        },
    ).json()
    assert calls_used(org) - before == 4
    assert said["hasErrors"] is True
    assert [one["statusCode"] for one in said["results"]] == [204, 200, 404]
    assert said["results"][1]["result"]["Title"] == "x"


def test_batch_halts_when_asked(org: Org) -> None:
    requests = [{"method": "GET", "url": "v62.0/nope"}, {"method": "GET", "url": "v62.0/limits"}]
    body = {"haltOnError": True, "batchRequests": requests}
    results = org.ask("POST", "composite/batch", json=body).json()["results"]
    assert [one["statusCode"] for one in results] == [404, 412]
