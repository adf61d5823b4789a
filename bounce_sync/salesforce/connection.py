"""The connection to the CRM: every request of ours goes through `Connection.request`.

A thin client over requests. Of simple-salesforce we use the SOQL formatting; its sessions speak
nothing but TLS, have no time-outs and no retries, hide the answer's headers, and drop ours on the
request that it replays after a refresh (facts/salesforce.md §1.1, §1.5, §1.6).

Safe to share between threads.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import Any, TypeVar

import requests
import tenacity
from simple_salesforce.format import format_soql

from bounce_sync.salesforce import soql, transport
from bounce_sync.salesforce.authentication import Credentials, Token, Tokens
from bounce_sync.salesforce.budget import Budget
from bounce_sync.salesforce.errors import (
    Action,
    AuthenticationFailed,
    RequestRejected,
    SalesforceError,
    ServiceUnavailable,
    UnreadableAnswer,
    remedy_of_request,
)
from bounce_sync.salesforce.transport import Answer

DROP_ATTEMPTS = 5
"""Attempts of a request whose connection breaks."""
UNREADABLE_ATTEMPTS = 3
"""Attempts of a request whose answer can't be read: a body may be damaged on its way."""
LONGEST_PAUSE = 120.0
"""A ``Retry-After`` beyond this many seconds fails the request: a later run serves better."""

CLIENT = "BounceSync"
HEADERS = {
    "Accept": "application/json",
    "Sforce-Call-Options": f"client={CLIENT}",
    # A missing header means TRUE: lead assignment rules would give the Lead another owner.
    "Sforce-Auto-Assign": "FALSE",
}
"""On every request and every replay of it (facts/salesforce.md §7)."""

T = TypeVar("T")


@dataclass(frozen=True)
class Org:
    """The org and how the sync uses it; secrets don't show in its repr."""

    login_url: str
    client_id: str = field(repr=False)
    client_secret: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    jwt_key: str | None = field(default=None, repr=False)
    """The private key as PEM text, or the path of its file."""
    ca_bundle: str | None = None
    api_version: str = "62.0"
    api_share: float = 0.5
    bulk_from: int = 2000
    flag_field: str = "Hard_Bounce__c"
    date_field: str = "Hard_Bounce_Date__c"
    person_accounts: bool = False


@dataclass(frozen=True)
class Identity:
    """Which org this is, and in whose time zone its Date fields are meant."""

    org_id: str
    is_sandbox: bool
    user_time_zone: str
    instance_url: str


class Connection:
    """One org, one user. Close it, or use it as a context manager."""

    def __init__(self, org: Org, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.org = org
        self.sleep = sleep
        self.budget = Budget(org.api_share)
        self.data_path = f"/services/data/v{org.api_version.lstrip('v')}"
        self._session = transport.open_session(org.ca_bundle)
        self._session.headers.update(HEADERS)
        credentials = Credentials(
            org.login_url, org.client_id, org.client_secret, org.username, org.jwt_key
        )
        self._tokens = Tokens(credentials, self._session, sleep)
        self._identity: Identity | None = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the pooled connections. The token is left to expire: others may share it."""
        self._session.close()

    @property
    def calls(self) -> int:
        """API calls sent, retries included."""
        return self.budget.taken

    @property
    def user_id(self) -> str:
        """The integration user."""
        return self._tokens.current().user_id

    def request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        read: Callable[[Answer], T],
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = transport.READ_SECONDS,
        replay: bool = True,
    ) -> T:
        """Sends a request, again where that helps, and gives what `read` makes of its answer.

        `path` is below the versioned data path, or absolute from ``/services/``. `what` names the
        request in errors. `read` raises ``UnreadableAnswer`` or ``ValueError`` for an answer that
        it can't take. A request with ``replay=False`` isn't sent again after its connection broke,
        as it may have taken effect.

        Raises ``RequestRejected`` (with the code's remedy), ``AuthenticationFailed``,
        ``ServiceUnavailable``, ``UnreadableAnswer``, ``BudgetSpent``.
        """
        target = path if path.startswith("/services/") else f"{self.data_path}/{path}"
        unheard = False

        def attempt() -> T:
            nonlocal unheard
            try:
                answer = self._send(method, target, what, json, data, headers, seconds, replay)
            except RequestRejected as rejected:
                rejected.after_drop = unheard
                raise
            except _Again as again:
                unheard |= isinstance(again.final, ServiceUnavailable)
                raise
            unheard = True
            try:
                return read(answer)
            except ValueError as error:
                unreadable = UnreadableAnswer(what, f"the answer can't be read ({error}).")
                raise _Again(unreadable, UNREADABLE_ATTEMPTS) from error
            except UnreadableAnswer as error:
                raise _Again(error, UNREADABLE_ATTEMPTS) from error

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Again),
            stop=_enough,
            wait=_pause,
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except _Again as again:
            raise again.final from again.__cause__

    def refusal(
        self, what: str, status: int, body: Any, headers: Mapping[str, str] | None = None
    ) -> Exception:
        """The exception to raise, inside `read` too, for a refusal in Salesforce's shape.

        Retried by `request` where the table says so.
        """
        rejected = rejection(what, status, body)
        code, remedy = rejected.code, rejected.remedy
        if remedy.action is not Action.RETRY:
            return rejected
        asked = _retry_after(headers or {})
        final: SalesforceError = rejected
        if status >= 500 or status in (408, 420, 429):
            final = ServiceUnavailable(what, f"HTTP {status} {code}.", remedy.advice)
        return _Again(
            final, 1 if asked > LONGEST_PAUSE else remedy.attempts, max(asked, remedy.pause)
        )

    def query(self, soql: str) -> list[dict[str, Any]]:
        """All records of a SOQL statement, every page of it. Deleted records aren't seen."""
        return self.query_many([soql])[0]

    def query_all(self, soql: str) -> list[dict[str, Any]]:
        """Like `query`, and sees deleted, merged and archived records."""
        return self.query_many([soql], deleted_too=True)[0]

    def query_many(
        self, statements: Sequence[str], *, deleted_too: bool = False
    ) -> list[list[dict[str, Any]]]:
        """The records of each statement, with as few calls as it takes.

        Short single statements go into the address, others five at a time through Composite, where
        a statement may have 100,000 characters. Raises ``UnreadableAnswer`` where pages don't add
        up to the count that the CRM gave.
        """
        results = soql.run(
            self, statements, deleted_too=deleted_too, take=lambda _, records: records
        )
        return [list(chain.from_iterable(pages)) for pages in results]

    def identity(self) -> Identity:
        """Which org this is (asked once)."""
        if self._identity is None:
            token = self._tokens.current()
            organization, user = self.query_many(
                [
                    "SELECT Id, IsSandbox FROM Organization",
                    format_soql("SELECT Id, TimeZoneSidKey FROM User WHERE Id = {}", token.user_id),
                ]
            )
            try:
                (org,), (me,) = organization, user
                self._identity = Identity(
                    str(org["Id"]),
                    bool(org["IsSandbox"]),
                    str(me["TimeZoneSidKey"]),
                    token.instance_url,
                )
            except (KeyError, ValueError) as error:
                raise UnreadableAnswer(
                    "query of Organization and User", "not one row of each."
                ) from error
        return self._identity

    def _send(
        self,
        method: str,
        target: str,
        what: str,
        body: Any,
        data: bytes | None,
        headers: Mapping[str, str] | None,
        seconds: float,
        replay: bool,
    ) -> Answer:
        """One request, and its one replay under a new token with all its headers."""
        sent = dict(headers or {})
        if body is not None:
            data = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json; charset=UTF-8")

        def once(token: Token) -> requests.Response:
            self.budget.take(what)
            try:
                response = self._session.request(
                    method,
                    token.instance_url + target,
                    data=data,
                    headers={**sent, "Authorization": f"Bearer {token.bearer}"},
                    timeout=(transport.CONNECT_SECONDS, seconds),
                    proxies=transport.proxies_for(token.instance_url),
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                lost = ServiceUnavailable(
                    what, f"no answer ({type(error).__name__}).", "Run again."
                )
                never_sent = isinstance(error, requests.exceptions.ConnectTimeout)
                attempts = DROP_ATTEMPTS if replay or never_sent else 1
                raise _Again(lost, attempts) from error
            self.budget.note(response.headers.get("Sforce-Limit-Info"))
            return response

        token = self._tokens.current()
        response = once(token)
        if response.status_code == 401:
            response = once(self._tokens.current(stale=token))
        if response.status_code == 401:
            code, message = _code_and_message(_body(response))
            raise AuthenticationFailed(
                what,
                f"HTTP 401 {code}: {message}.",
                remedy_of_request(401, code, message).advice,
            )
        if not 200 <= response.status_code < 300:
            raise self.refusal(what, response.status_code, _body(response), response.headers)
        return Answer(response.status_code, response.headers, response.content)


def rejection(what: str, status: int, body: Any) -> RequestRejected:
    """A refusal in Salesforce's shape, with its remedy."""
    code, message = _code_and_message(body)
    return RequestRejected(what, status, code, message, remedy_of_request(status, code, message))


class _Again(Exception):
    """Worth another attempt, up to `attempts` in all; `final` is raised after the last."""

    def __init__(self, final: SalesforceError, attempts: int, pause: float = 0.0) -> None:
        super().__init__(str(final))
        self.final, self.attempts, self.pause = final, attempts, pause


def _again(state: tenacity.RetryCallState) -> _Again:
    raised = state.outcome.exception() if state.outcome else None
    assert isinstance(raised, _Again)  # noqa: S101 - the retry condition admits no other
    return raised


def _enough(state: tenacity.RetryCallState) -> bool:
    return state.attempt_number >= _again(state).attempts


def _pause(state: tenacity.RetryCallState) -> float:
    """Full jitter over a doubling span, after what the answer asked for."""
    jitter = random.uniform(0, min(0.25 * 2**state.attempt_number, 30))  # noqa: S311 - no secret
    return _again(state).pause + jitter


def _body(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.exceptions.JSONDecodeError:
        return None


def _code_and_message(body: Any) -> tuple[str, str]:
    """Of a list of errors (REST), or one (Bulk 1.0, OAuth); empty for HTML and the like."""
    error = body[0] if isinstance(body, list) and body else body
    if not isinstance(error, dict):
        return "", ""
    code = error.get("errorCode") or error.get("exceptionCode") or error.get("error") or ""
    message = error.get("message") or error.get("exceptionMessage") or ""
    return str(code), str(message)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the answer asks to wait: a number or a date."""
    asked = headers.get("Retry-After", "").strip()
    if not asked:
        return 0.0
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())
