"""The connection to the CRM: every request of ours goes through `Connection.request`.

A thin client over requests. Of simple-salesforce we use the SOQL formatting; its sessions speak
nothing but TLS, have no time-outs and no retries, hide the answer's headers, and drop ours on the
request that it replays after a refresh (facts/salesforce.md §1.1, §1.5, §1.6).

Safe to share between threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

import requests
from simple_salesforce.format import format_soql

from bounce_sync.salesforce import soql, transport
from bounce_sync.salesforce.authentication import Credentials, Token, Tokens
from bounce_sync.salesforce.budget import Budget
from bounce_sync.salesforce.errors import (
    AuthenticationFailed,
    RequestRejected,
    ServiceUnavailable,
    UnreadableAnswer,
    remedy_of_request,
)
from bounce_sync.salesforce.retrying import (
    DROP_ATTEMPTS,
    UNREADABLE_ATTEMPTS,
    Again,
    body_of,
    code_and_message,
    persist,
    refusal,
    token_refused,
)
from bounce_sync.salesforce.transport import Answer

CLIENT = "BounceSync"
HEADERS = {
    "Accept": "application/json",
    "Sforce-Call-Options": f"client={CLIENT}",
    # A missing header means TRUE: lead assignment rules would give the Lead another owner.
    "Sforce-Auto-Assign": "FALSE",
}
"""On every request and every replay of it (facts/salesforce.md §7)."""

T = TypeVar("T")

Envelope = Callable[[str], bytes]
"""A body made for the access token: SOAP carries it in the envelope."""


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
        self.remembered: dict[str, Any] = {}
        """What was asked of the org once and needn't be asked again (describe)."""

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
        data: bytes | Envelope | None = None,
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
            except Again as again:
                unheard |= isinstance(again.final, ServiceUnavailable)
                raise
            unheard = True
            try:
                return read(answer)
            except ValueError as error:
                unreadable = UnreadableAnswer(what, f"the answer can't be read ({error}).")
                raise Again(unreadable, UNREADABLE_ATTEMPTS if replay else 1) from error
            except UnreadableAnswer as error:
                raise Again(error, UNREADABLE_ATTEMPTS if replay else 1) from error

        return persist(attempt, self.sleep)

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
        data: bytes | Envelope | None,
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
                    data=data(token.bearer) if callable(data) else data,
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
                raise Again(lost, attempts) from error
            self.budget.note(response.headers.get("Sforce-Limit-Info"))
            return response

        token = self._tokens.current()
        response = once(token)
        if token_refused(response):
            response = once(self._tokens.current(stale=token))
        if token_refused(response):
            code, message = code_and_message(body_of(response))
            raise AuthenticationFailed(
                what,
                f"HTTP {response.status_code} {code}: {message}.",
                remedy_of_request(401, code, message).advice,
            )
        if not 200 <= response.status_code < 300:
            raise refusal(what, response.status_code, body_of(response), response.headers)
        return Answer(response.status_code, response.headers, response.content)
