"""What the connection does with answers, one by one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bounce_sync.salesforce import soql
from bounce_sync.salesforce.authentication import Credentials, login_form
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.errors import (
    AuthenticationFailed,
    BudgetSpent,
    RequestRejected,
    SalesforceError,
    ServiceUnavailable,
    UnreadableAnswer,
)
from bounce_sync.salesforce.retrying import LONGEST_PAUSE
from bounce_sync_tests.salesforce.scripted_org import EXPIRED, ORG_ID, Reply, Request, refusal

OK = Reply({"fine": True})


def ask(connection: Connection, method: str = "PATCH", **how):
    return connection.request(
        method, "things", what="the thing", read=lambda answer: answer.json(), **how
    )


def test_every_request_carries_our_headers(org, connection):
    org.script = [OK]
    ask(connection, json={"a": 1}, headers={"Sforce-Duplicate-Rule-Header": "allowSave=true"})
    (request,) = org.requests
    assert request.path == "/services/data/v62.0/things"
    assert request.headers["Authorization"] == "Bearer token-1"
    assert request.headers["Sforce-Auto-Assign"] == "FALSE"
    assert request.headers["Sforce-Call-Options"] == "client=BounceSync"
    assert request.headers["Sforce-Duplicate-Rule-Header"] == "allowSave=true"


def test_an_expired_session_is_renewed_and_the_request_replayed_whole(org, connection):
    org.script = [EXPIRED, OK]
    assert ask(connection, json={"a": 1}, headers={"X-Mine": "kept"}) == {"fine": True}
    first, second = org.requests
    assert (first.body, first.method, first.path) == (second.body, second.method, second.path)
    changed = {name for name in first.headers if first.headers[name] != second.headers.get(name)}
    assert changed == {"Authorization"}
    assert second.headers["X-Mine"] == "kept"
    assert len(org.logins) == 2


def test_a_second_401_fails_instead_of_logging_in_for_ever(org, connection):
    org.script = [EXPIRED] * 10
    with pytest.raises(AuthenticationFailed, match=r"the thing.*INVALID_SESSION_ID"):
        ask(connection)
    assert len(org.requests) == 2
    assert len(org.logins) == 2


def test_many_threads_with_one_stale_token_log_in_once(org, connection):
    together = threading.Barrier(8)

    def answer(request: Request) -> Reply:
        if request.headers["Authorization"] == "Bearer token-1":
            together.wait(timeout=30)  # all eight are refused with the same token
            return EXPIRED
        return OK

    org.handler = answer
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: ask(connection), range(8))) == [{"fine": True}] * 8
    assert len(org.logins) == 2


@pytest.mark.parametrize("status", [406, 420, 429, 500, 502, 503, 504])
def test_passing_trouble_is_tried_again(org, connection, pauses, status):
    org.script = [Reply(b"<html>busy</html>", status), OK]
    assert ask(connection) == {"fine": True}
    assert len(pauses) == 1


@pytest.mark.parametrize("broken", [Reply(drop=True), Reply({"fine": True}, cut=5)])
def test_a_broken_connection_is_tried_again(org, connection, broken):
    org.script = [broken, OK]
    assert ask(connection, json={}) == {"fine": True}


def test_a_request_that_may_have_taken_effect_isnt_replayed_where_that_matters(org, connection):
    org.script = [Reply(drop=True), OK]
    with pytest.raises(ServiceUnavailable, match="the thing: no answer"):
        ask(connection, replay=False)
    assert len(org.requests) == 1


def test_a_body_damaged_on_its_way_is_asked_for_again_and_then_named(org, connection):
    org.script = [Reply(b'{"fine": tr'), OK]
    assert ask(connection) == {"fine": True}
    org.script = [Reply(b'{"fine": tr')] * 3
    with pytest.raises(UnreadableAnswer, match="the thing: the answer can't be read"):
        ask(connection)


def test_after_all_attempts_the_error_names_request_and_answer(org, connection, pauses):
    org.script = [Reply(b"", 503)] * 5
    with pytest.raises(ServiceUnavailable, match=r"Salesforce, the thing: HTTP 503"):
        ask(connection)
    assert len(org.requests) == 5
    assert len(pauses) == 4


def test_retry_after_is_waited_in_seconds_and_as_a_date(org, connection, pauses):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    org.script = [
        Reply(b"", 503, {"Retry-After": "7"}),
        Reply(b"", 429, {"Retry-After": soon}),
        Reply(b"", 503, {"Retry-After": "when it suits"}),
        OK,
    ]
    ask(connection)
    assert 7 <= pauses[0] < 8
    assert 30 < pauses[1] < 42
    assert pauses[2] < 5


def test_a_pause_of_hours_is_an_error_now(org, connection, pauses):
    org.script = [Reply(b"", 503, {"Retry-After": str(LONGEST_PAUSE * 10)})]
    with pytest.raises(ServiceUnavailable):
        ask(connection)
    assert pauses == []


def test_concurrent_limit_is_waited_out_and_the_daily_limit_stops(org, connection, pauses):
    crowded = refusal(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.")
    org.script = [crowded, OK]
    ask(connection)
    assert pauses[0] >= 30
    org.script = [refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")]
    with pytest.raises(RequestRejected, match="later run goes on") as stopped:
        ask(connection)
    assert stopped.value.remedy.alert
    assert len(org.requests) == 3


def test_the_budget_is_a_share_of_what_was_left(org, connect):
    connection = connect(api_share=0.5)
    org.handler = lambda request: Reply(
        {}, headers={"Sforce-Limit-Info": f"api-usage={90 + len(org.requests)}/100; api-bursts=1/9"}
    )
    for _ in range(5):
        ask(connection)
    with pytest.raises(BudgetSpent, match="may take 50% of the 10 that were left"):
        ask(connection)
    assert connection.calls == len(org.requests) == 5


def test_retries_count_as_calls_and_logins_dont(org, connection):
    org.script = [Reply(b"", 503), EXPIRED, OK]
    ask(connection)
    assert connection.calls == 3


def test_errors_and_reprs_hold_no_secret_and_no_address(org, connect):
    connection = connect(client_secret="open-sesame")
    org.script = [refusal(400, "MALFORMED_QUERY", "near 'jane.doe@example.com' and \n more")]
    with pytest.raises(RequestRejected) as rejected:
        ask(connection)
    assert "jane" not in str(rejected.value)
    assert "near …@…' and more" in str(rejected.value)
    assert "open-sesame" not in repr(connection.org)
    org.login_script = [Reply({"error": "invalid_client", "error_description": "bad secret"}, 400)]
    org.script = [EXPIRED]
    with pytest.raises(AuthenticationFailed, match="HTTP 400 invalid_client: bad secret") as failed:
        ask(connection)
    assert "open-sesame" not in str(failed.value)


def test_client_credentials_go_to_the_login_address(org, connection):
    org.script = [OK]
    ask(connection)
    assert org.logins[0].form == {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": "s3cret",
    }


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.mark.parametrize("given", ["text", "one line", "file"])
def test_jwt_bearer_from_pem_or_file(org, connect, key, pem, tmp_path: Path, given):
    (tmp_path / "key.pem").write_text(pem)
    jwt_key = {
        "text": pem,
        "one line": pem.replace("\n", "\\n"),
        "file": str(tmp_path / "key.pem"),
    }[given]
    connection = connect(client_secret=None, username="sync@org.example", jwt_key=jwt_key)
    org.script = [OK]
    ask(connection)
    form = org.logins[0].form
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(form["assertion"], key.public_key(), ["RS256"], audience=org.url)
    assert (claims["iss"], claims["sub"]) == ("app", "sync@org.example")
    assert claims["exp"] > datetime.now(UTC).timestamp()


@pytest.mark.parametrize(
    ("login_url", "audience"),
    [
        ("https://login.salesforce.com", "https://login.salesforce.com"),
        ("https://test.salesforce.com/", "https://test.salesforce.com"),
        ("https://acme.my.salesforce.com", "https://login.salesforce.com"),
        ("https://acme--uat.sandbox.my.salesforce.com", "https://test.salesforce.com"),
        ("https://acme--uat.my.salesforce.com", "https://test.salesforce.com"),
        ("https://127.0.0.1:8443", "https://127.0.0.1:8443"),
    ],
)
def test_an_assertion_is_meant_for_the_shared_login(pem, login_url, audience):
    form = login_form(Credentials(login_url, "app", None, "sync@org.example", pem))
    claims = jwt.decode(form["assertion"], options={"verify_signature": False})
    assert claims["aud"] == audience


def test_a_key_that_isnt_one_is_named_without_being_shown(connect):
    connection = connect(client_secret=None, username="u", jwt_key="-----BEGIN nonsense")
    with pytest.raises(AuthenticationFailed, match="private key can't be used") as failed:
        ask(connection)
    assert "nonsense" not in str(failed.value)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(b"<html>not here</html>"),
        Reply({"access_token": "t"}),
        Reply(["t"]),
        Reply({"access_token": "t", "instance_url": "ftp://x", "id": f"/id/{ORG_ID}/{ORG_ID}"}),
    ],
)
def test_a_token_answer_that_isnt_one_is_refused(org, connection, answer):
    org.login_script = [answer]
    with pytest.raises(AuthenticationFailed, match="login"):
        ask(connection)


def test_a_login_address_that_is_down_is_tried_again(org, connection):
    org.login_script = [Reply(drop=True), Reply(b"", 503)]
    org.script = [OK]
    assert ask(connection) == {"fine": True}
    assert len(org.logins) == 3


def test_client_credentials_at_the_shared_login_address_say_what_to_set():
    connection = Connection(Org("https://login.salesforce.com", "app", "secret"))
    with pytest.raises(AuthenticationFailed, match="My Domain"):
        ask(connection)


def test_the_identity_comes_with_one_call(org, connection):
    def answer(request: Request) -> Reply:
        queries = [part["url"] for part in request.json["compositeRequest"]]
        rows = [{"Id": ORG_ID, "IsSandbox": True}, {"Id": "005", "TimeZoneSidKey": "Europe/Berlin"}]
        assert "Organization" in queries[0]
        return Reply(
            {
                "compositeResponse": [
                    {
                        "referenceId": f"part{at}",
                        "httpStatusCode": 200,
                        "body": {"totalSize": 1, "done": True, "records": [row]},
                    }
                    for at, row in enumerate(rows)
                ]
            }
        )

    org.handler = answer
    identity = connection.identity()
    assert (identity.org_id, identity.is_sandbox) == (ORG_ID, True)
    assert identity.user_time_zone == "Europe/Berlin"
    assert connection.identity() is identity
    assert connection.calls == 1


def page(records: list, total: int, following: str | None = None) -> Reply:
    body = {"totalSize": total, "done": following is None, "records": records}
    return Reply({**body, **({"nextRecordsUrl": following} if following else {})})


NEXT = "/services/data/v62.0/query/0r8xx-2000"


def test_pages_are_followed_to_the_end(org, connection):
    org.script = [page([{"Id": "1"}], 2, NEXT), page([{"Id": "2"}], 2)]
    assert connection.query("SELECT Id FROM Contact") == [{"Id": "1"}, {"Id": "2"}]
    assert [request.path for request in org.requests][1] == NEXT
    assert org.requests[0].query["q"] == ["SELECT Id FROM Contact"]


def test_deleted_records_are_asked_for_at_their_own_address(org, connection):
    org.script = [page([], 0)]
    assert connection.query_all("SELECT Id FROM Lead") == []
    assert org.requests[0].path.endswith("/queryAll")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ([page([{"Id": "1"}], 2)], "1 records of 2 came"),
        ([page([{"Id": "1"}], 3, NEXT), page([{"Id": "2"}], 3, NEXT)], "page 3: .*same page"),
        ([page([{"Id": "1"}], 3, NEXT), page([{"Id": "2"}], 2)], "page 2: totalSize 2"),
        ([page([], 3, NEXT)], "page 2: .*same page"),
        ([page([{"Id": "1"}], 1, "https://elsewhere.example/x")] * 3, "isn't an address"),
        ([Reply({"records": [], "done": True})] * 3, "no records, totalSize or done"),
        ([Reply([])] * 3, "not a query result"),
        ([page([3], 1)] * 3, "a record that isn't one"),
    ],
)
def test_pages_that_dont_add_up_are_refused_by_name(org, connection, script, complaint):
    org.script = list(script)
    with pytest.raises(UnreadableAnswer, match=rf"query of Contact.*{complaint}"):
        connection.query("SELECT Id FROM Contact")


def test_a_long_statement_travels_in_a_body(org, connection):
    (statement,) = soql.in_lists("SELECT Id FROM Contact WHERE Email IN ", ["x" * 20_000])
    org.script = [refusal(400, "INVALID_FIELD", "No such column 'Email'")]
    with pytest.raises(RequestRejected, match=r"query of Contact.*INVALID_FIELD"):
        connection.query(statement)
    assert org.requests[0].method == "POST"
    assert len(org.requests[0].path) < 100


def test_every_error_is_one_kind_with_its_three_parts(org, connection):
    org.script = [refusal(400, "WHO_KNOWS", "something new")]
    with pytest.raises(SalesforceError) as raised:
        ask(connection)
    assert raised.value.request == "the thing"
    assert "WHO_KNOWS: something new" in raised.value.answer
    assert raised.value.advice
