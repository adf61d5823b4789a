"""Faults on purpose, seen by a client on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from bounce_sync.sandbox.faults import Faults, take
from bounce_sync.sandbox.server import serve
from bounce_sync.sandbox.store import SandboxError
from bounce_sync_tests.sandbox_core.rehearsal import CONTACT, Visitor, visiting

RECORD = f"sobjects/Contact/{CONTACT}"


@contextmanager
def suffering(tenant: Path, *faults: dict[str, Any], http: bool = True) -> Iterator[Visitor]:
    planned = Faults.parse({"seed": 7, "faults": list(faults)})
    with serve(tenant, http=http, faults=planned) as address, visiting(address) as visitor:
        yield visitor


def flag(visitor: Visitor, token: str) -> requests.Response:
    return visitor.crm("PATCH", RECORD, token, json={"Hard_Bounce__c": True})


def is_flagged(visitor: Visitor) -> bool:
    return bool(visitor.query("SELECT Hard_Bounce__c FROM Contact")[0]["Hard_Bounce__c"])


def applied(visitor: Visitor) -> list[int]:
    return [entry["applied"] for entry in visitor.status()["faults"]]


def test_a_status_is_answered_in_the_services_own_words(tenant: Path) -> None:
    with suffering(
        tenant,
        {"service": "salesforce", "path": "*/sobjects/*", "kind": "status", "times": 1}
        | {"status": 503, "retry_after": 5},
    ) as visitor:
        token = visitor.crm_token()
        refused = flag(visitor, token)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert refused.json()[0]["errorCode"] == "SERVER_UNAVAILABLE"
        assert not is_flagged(visitor)
        assert flag(visitor, token).status_code == 204
        assert applied(visitor) == [1]


def test_a_refusal_of_soap_is_a_fault_and_one_of_rest_is_json(tenant: Path) -> None:
    with suffering(tenant, {"kind": "status", "status": 429, "retry_after": 2}) as visitor:
        soap = visitor.session.post(visitor.address.soap_url + "Service.asmx", data=b"x", timeout=9)
        rest = visitor.session.get(visitor.address.rest_url + "data/v1", timeout=9)
    assert b"<faultstring>Rate limit exceeded</faultstring>" in soap.content
    assert soap.headers["Content-Type"].startswith("text/xml")
    assert rest.json() == {
        "message": "Rate limit exceeded",
        "errorcode": 50100,
        "retryAfter": 2,
        "documentation": rest.json()["documentation"],
    }


def test_a_refused_token_has_the_shape_of_oauth(tenant: Path) -> None:
    with suffering(tenant, {"kind": "status", "status": 503, "times": 1}) as visitor:
        refused = visitor.sfmc_token()
    assert refused.status_code == 503
    assert refused.json()["error"] == "temporarily_unavailable"


@pytest.mark.parametrize("http", [True, False])
def test_a_connection_dropped_before_leaves_no_trace(tenant: Path, http: bool) -> None:
    with suffering(
        tenant, {"path": "*/sobjects/*", "kind": "drop_before", "times": 1}, http=http
    ) as visitor:
        token = visitor.crm_token()
        with pytest.raises(requests.ConnectionError):
            flag(visitor, token)
        assert visitor.status()["crm_writes"] == []
        assert not is_flagged(visitor)


@pytest.mark.parametrize("http", [True, False])
def test_a_connection_dropped_after_has_taken_effect(tenant: Path, http: bool) -> None:
    with suffering(
        tenant, {"path": "*/sobjects/*", "kind": "drop_after", "times": 1}, http=http
    ) as visitor:
        token = visitor.crm_token()
        with pytest.raises(requests.ConnectionError):
            flag(visitor, token)
        assert is_flagged(visitor)
        assert [write["record_id"] for write in visitor.status()["crm_writes"]] == [CONTACT]


@pytest.mark.parametrize("http", [True, False])
def test_a_truncated_answer_ends_early(tenant: Path, http: bool) -> None:
    with (
        suffering(tenant, {"path": "/v2/token", "kind": "truncate", "times": 1}, http=http) as v,
    ):
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            v.sfmc_token()
        assert v.sfmc_token().status_code == 200


def test_a_garbled_answer_isnt_utf8(tenant: Path) -> None:
    with suffering(tenant, {"path": "/V2/TOKEN", "kind": "garble", "times": 1}) as visitor:
        spoiled = visitor.sfmc_token()
        with pytest.raises(UnicodeDecodeError):
            spoiled.content.decode()
        assert int(spoiled.headers["Content-Length"]) == len(spoiled.content)
        assert visitor.sfmc_token().json()["access_token"]


def test_latency_delays_and_changes_nothing(tenant: Path) -> None:
    with suffering(tenant, {"path": "/v2/token", "kind": "latency", "ms": 60}) as visitor:
        answer = visitor.sfmc_token()
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() >= 0.06
        assert applied(visitor) == [1]


def test_latency_is_fixed_or_has_a_long_tail() -> None:
    fixed, spread = Faults.parse(
        {"faults": [{"kind": "latency", "ms": 50}, {"kind": "latency", "ms": 50, "spread": 1.0}]}
    ).entries
    assert {fixed.wait() for _ in range(5)} == {0.05}
    waits = sorted(spread.wait() for _ in range(1001))
    assert 0.04 < waits[500] < 0.06
    assert waits[-1] > 10 * waits[500]


def test_the_first_entry_that_matches_and_draws_applies(tenant: Path) -> None:
    with suffering(
        tenant,
        {"service": "salesforce", "kind": "status", "status": 500},
        {"path": "/v2/*", "kind": "status", "status": 502, "times": 2},
        {"path": "*", "kind": "status", "status": 503, "share": 0},
        {"path": "*", "kind": "status", "status": 504, "times": 1},
    ) as visitor:
        assert [visitor.sfmc_token().status_code for _ in range(4)] == [502, 502, 504, 200]
        assert applied(visitor) == [0, 2, 0, 1]


def test_the_same_seed_strikes_the_same_requests() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults.parse({"seed": seed, "faults": [{"kind": "status", "share": 0.3}]})
        return [faults.draw("salesforce", "/") is not None for _ in range(400)]

    assert struck(7) == struck(7)
    assert struck(7) != struck(8)
    assert 80 <= sum(struck(7)) <= 160


def test_a_fault_of_the_service_counts_when_the_service_takes_it() -> None:
    faults = Faults.parse({"faults": [{"kind": "lock_rows", "times": 1, "path": "/write"}]})
    states = [{"fault": faults.draw("salesforce", "/write"), "faults": faults} for _ in range(2)]
    scopes = [{"type": "http", "state": state} for state in states]
    assert take(scopes[0], "expire_token") is None
    assert faults.counts()[0]["applied"] == 0
    assert take(scopes[0], "lock_rows") is not None
    assert take(scopes[0], "lock_rows") is None
    assert take(scopes[1], "lock_rows") is None, "the other request took the last of its times"
    assert faults.counts() == [{"kind": "lock_rows", "times": 1, "path": "/write", "applied": 1}]


def test_a_request_without_faults_has_nothing_to_take() -> None:
    assert take({"type": "http"}, "lock_rows") is None


def test_the_services_take_their_faults(tenant: Path) -> None:
    with suffering(
        tenant,
        {"path": "*/query*", "kind": "expire_token", "times": 1},
        {"path": "*/sobjects/*", "kind": "lock_rows", "times": 1},
    ) as visitor:
        token = visitor.crm_token()
        assert flag(visitor, token).json()[0]["errorCode"] == "UNABLE_TO_LOCK_ROW"
        query = {"q": "SELECT Id FROM Contact"}
        assert visitor.crm("GET", "query", token, params=query).status_code == 401
        assert applied(visitor) == [1, 1]
        assert flag(visitor, visitor.crm_token()).status_code == 204


@pytest.mark.parametrize(
    ("document", "complaints"),
    [
        ([], ["expected"]),
        ({"faults": {}}, ["expected"]),
        ({"faults": [], "Seed": 1}, ["'Seed' isn't known"]),
        ({"seed": "x"}, ["seed is 'x'"]),
        (
            {"faults": [{"kind": "latency"}, {"kind": "earthquake"}, {"path": "*"}, 3]},
            ["fault 2: kind is 'earthquake'", "fault 3: has no kind", "fault 4: isn't an object"],
        ),
        (
            {"faults": [{"kind": "status", "share": 5, "status": 200, "times": 1.5, "mss": 1}]},
            ["share is 5", "status is 200", "times is 1.5", "'mss' isn't known"],
        ),
    ],
)
def test_a_faults_file_with_mistakes_is_refused_with_all_of_them(
    tmp_path: Path, document: Any, complaints: list[str]
) -> None:
    (tmp_path / "faults.json").write_text(json.dumps(document))
    with pytest.raises(SandboxError) as refused:
        Faults.load(tmp_path / "faults.json")
    assert [complaint for complaint in complaints if complaint not in str(refused.value)] == []


def test_a_faults_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text("{")
    with pytest.raises(SandboxError, match=r"faults\.json can't be read as a faults file"):
        Faults.load(tmp_path / "faults.json")
