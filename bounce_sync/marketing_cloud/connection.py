"""The connection to one Marketing Cloud account: every HTTP call goes through here.

It knows tokens, time-outs, retries and call rates, and nothing of bounces. Calls are counted, as
the account's allowance counts them: whatever is made again counts again.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import requests
from lxml import etree
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import ReadTimeoutError

from bounce_sync.marketing_cloud import soap
from bounce_sync.marketing_cloud.errors import (
    AuthenticationFailed,
    PermissionMissing,
    Place,
    RequestRefused,
    TimedOut,
    Unavailable,
    UnreadableAnswer,
)
from bounce_sync.marketing_cloud.pace import Pace
from bounce_sync.marketing_cloud.retrying import MadeAgain, Patience, retry_after, retrying
from bounce_sync.marketing_cloud.tokens import Token, TokenKeeper, stale_at

T = TypeVar("T")
Say = Callable[[str], None]

SOAP_CALLS_PER_MINUTE = 2_000
REST_CALLS_PER_MINUTE = 2_500
"""What Salesforce's support advises (facts/marketing-cloud.md §4.5, §5.7)."""

ALL_UNITS = ("*",)
"""Business units of an account that means all of them: the parent's token asks for every one."""

_UNREADABLE_ATTEMPTS = 3
_CONNECTIONS = 64


@dataclass(frozen=True)
class Account:
    """Where and as whom to connect. `account_id` is the enterprise's (parent's) MID."""

    auth_url: str
    client_id: str
    client_secret: str = field(repr=False)
    account_id: str
    business_units: tuple[str, ...] = ()
    ca_bundle: str | None = None
    utc_offset: timedelta = timedelta(hours=-6)

    @property
    def units(self) -> tuple[str, ...]:
        """The accounts whose bounces are read: the business units, or the account alone."""
        return self.business_units or (self.account_id,)


class _TokenRefused(Exception):
    """The service refused the token, with these words."""


class _Bearer(AuthBase):
    """The token as a header; given as auth so that no netrc entry is used in its place."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _TrustingAdapter(HTTPAdapter):
    """Connections that trust one more certificate authority than the usual ones."""

    def __init__(self, ca_bundle: str | None) -> None:
        self._context = ssl.create_default_context()
        if ca_bundle:
            self._context.load_verify_locations(ca_bundle)
        super().__init__(pool_connections=8, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


class Connection:
    """Calls to one account, for any of its business units, from any thread.

    Raises `MarketingCloudError` of the kind that fits; nothing else comes out of it.
    """

    def __init__(self, account: Account, patience: Patience | None = None) -> None:
        self.account = account
        self._patience = patience or Patience()
        self._tokens = TokenKeeper(self._fetch_token)
        self._soap_pace = Pace(SOAP_CALLS_PER_MINUTE)
        self._rest_pace = Pace(REST_CALLS_PER_MINUTE)
        self._calls = 0
        self._counting = threading.Lock()
        self._session = requests.Session()
        self._session.mount("https://", _TrustingAdapter(account.ca_bundle))
        self._session.mount("http://", HTTPAdapter(pool_maxsize=_CONNECTIONS))

    @property
    def calls(self) -> int:
        """HTTP requests made so far, tokens and repeats included."""
        return self._calls

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def scopes(self, unit: str) -> frozenset[str]:
        """What the unit's token allows; empty where the service doesn't say."""
        return retrying(self._patience)(lambda: self._tokens.token(unit).scopes)

    def soap(
        self,
        action: str,
        body: etree._Element,
        read: Callable[[bytes], T],
        place: Place,
        *,
        wait_out_timeouts: bool = True,
    ) -> T:
        """Post `body` for the place's unit and give what `read` makes of the answer.

        An answer that `read` finds unreadable is asked for again, twice. Without
        `wait_out_timeouts` the first `TimedOut` is raised, so that less can be asked for.
        """

        def send(token: Token) -> T:
            self._soap_pace.wait()
            answer = self._post(
                place,
                "POST",
                token.soap_url + "Service.asmx",
                data=soap.message(token.value, body),
                headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": action},
                auth=_Bearer(None),
            )
            if answer.status_code == 500 and (fault := soap.read_fault(answer.content)):
                raise _judge_fault(fault, answer, place)
            _require_success(answer, place)
            return read(answer.content)

        return self._call(place, send, wait_out_timeouts)

    def act(self, action: str, body: etree._Element, answer: str, place: Place) -> None:
        """Post a Create or a Perform, and raise `RequestRefused` unless all of it was done."""
        read = partial(soap.outcomes, message_name=answer, place=place)
        for code, said in self.soap(action, body, read, place):
            if code != "OK":
                raise RequestRefused(place, said or code)

    def rest(
        self,
        method: str,
        path: str,
        place: Place,
        *,
        payload: Any = None,
        params: Mapping[str, str] | None = None,
        absent: bool = False,
        repeatable: bool = True,
    ) -> Any:
        """Call `path` (relative to the REST address) for the place's unit and give the JSON.

        A `payload` of None sends an empty body. `absent` lets a 404 or 400 mean None. What isn't
        `repeatable` isn't sent again once it may have reached the service.
        """

        def send(token: Token) -> Any:
            self._rest_pace.wait()
            answer = self._post(
                place,
                method,
                token.rest_url + path.lstrip("/"),
                json=payload,
                params=params,
                auth=_Bearer(token.value),
            )
            if answer.status_code == 401:
                raise _TokenRefused(_said(answer))
            if absent and answer.status_code in (400, 404):
                return None
            _require_success(answer, place)
            return _json(answer, place) if answer.content else None

        return self._call(place, send, wait_out_timeouts=repeatable, repeatable=repeatable)

    def _call(
        self,
        place: Place,
        send: Callable[[Token], T],
        wait_out_timeouts: bool,
        repeatable: bool = True,
    ) -> T:
        unit = place.unit or self.account.account_id

        def once() -> T:
            token = self._tokens.token(unit)
            try:
                return send(token)
            except _TokenRefused:
                token = self._tokens.token(unit, refused=token)
            try:
                return send(token)
            except _TokenRefused as again:
                raise AuthenticationFailed(place, f"A new token was refused: {again}") from None

        def attempt() -> T:
            try:
                return once()
            except TimedOut as error:
                raise (MadeAgain(error) if wait_out_timeouts else error) from error
            except UnreadableAnswer as error:
                if not repeatable:
                    raise
                raise MadeAgain(error, attempts=_UNREADABLE_ATTEMPTS) from error
            except MadeAgain as failure:
                if not repeatable and failure.retry_after is None:
                    raise failure.error from failure
                raise

        return retrying(self._patience)(attempt)

    def _fetch_token(self, unit: str) -> Token:
        place = Place("POST /v2/token", unit)
        account = self.account
        url = account.auth_url.rstrip("/") + "/v2/token"
        asked_at = time.monotonic()
        answer = self._post(
            place,
            "POST",
            url,
            json={
                "grant_type": "client_credentials",
                "client_id": account.client_id,
                "client_secret": account.client_secret,
                "account_id": unit,
            },
            auth=_Bearer(None),
        )
        if answer.status_code in (400, 401, 403):
            raise AuthenticationFailed(place, self._without_secret(_said(answer)))
        _require_success(answer, place)
        told = _json(answer, place)
        try:
            token = Token(
                _present(told["access_token"]),
                instance_address(told["rest_instance_url"], url),
                instance_address(told["soap_instance_url"], url),
                stale_at(asked_at, float(told["expires_in"])),
                frozenset(str(told.get("scope") or "").split()),
            )
        except (KeyError, TypeError, ValueError) as error:
            reason = f"no usable {error.args[0]}" if isinstance(error, KeyError) else "unusable"
            raise UnreadableAnswer(place, f"The token's answer is {reason}") from None
        return token

    def _post(self, place: Place, method: str, url: str, **request: Any) -> requests.Response:
        """One HTTP request; what may pass is raised as `MadeAgain`."""
        with self._counting:
            self._calls += 1
        try:
            answer = self._session.request(
                method,
                url,
                timeout=(self._patience.connect_timeout, self._patience.read_timeout),
                allow_redirects=False,
                **request,
            )
        except requests.exceptions.RequestException as error:
            raise self._judge_failure(error, place) from None
        wait = retry_after(answer.headers.get("Retry-After"))
        if answer.status_code == 429:
            raise MadeAgain(Unavailable(place, f"Throttled: {_said(answer)}"), wait or None)
        if answer.status_code in (408, 504):
            raise TimedOut(place, _said(answer))
        if answer.status_code > 500:
            raise MadeAgain(Unavailable(place, _said(answer)), wait)
        return answer

    def _judge_failure(
        self, error: requests.exceptions.RequestException, place: Place
    ) -> Exception:
        cause = _innermost(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unavailable(
                place,
                f"The server's certificate wasn't accepted ({cause.verify_message})",
                "Check the address; behind a proxy or with a private authority, set "
                "BOUNCE_SYNC_CA_BUNDLE.",
            )
        if isinstance(error, requests.exceptions.ReadTimeout) or isinstance(
            cause, ReadTimeoutError
        ):
            limit = self._patience.read_timeout
            return TimedOut(place, f"No answer within {limit:g} seconds")
        return MadeAgain(Unavailable(place, f"The connection failed ({type(cause).__name__})"))

    def _without_secret(self, text: str) -> str:
        return text.replace(self.account.client_secret, "<secret>")


def _judge_fault(fault: soap.Fault, answer: requests.Response, place: Place) -> Exception:
    """Faults of the Security code are about the token, of the Client code about the request; any
    other may pass, throttling among them (facts/marketing-cloud.md §4.5)."""
    if fault.code == "Security" or fault.is_expired_token:
        return _TokenRefused(fault.text)
    if fault.is_timeout:
        return TimedOut(place, fault.text)
    if fault.code == "Client":
        return RequestRefused(place, fault.text)
    return MadeAgain(Unavailable(place, fault.text), retry_after(answer.headers.get("Retry-After")))


def _require_success(answer: requests.Response, place: Place) -> None:
    status = answer.status_code
    if status == 403:
        raise PermissionMissing(place, _said(answer))
    if status >= 500:
        wait = retry_after(answer.headers.get("Retry-After"))
        raise MadeAgain(Unavailable(place, _said(answer)), wait)
    if status >= 400:
        raise RequestRefused(place, _said(answer))
    if not 200 <= status < 300:
        raise UnreadableAnswer(place, f"HTTP {status} where an answer was expected")


def _json(answer: requests.Response, place: Place) -> Any:
    """Strictly UTF-8: requests' own reading would replace what it can't decode."""
    try:
        return json.loads(answer.content.decode("utf-8-sig"))
    except ValueError:
        raise UnreadableAnswer(place, "The answer is no JSON") from None


def _said(answer: requests.Response) -> str:
    """What the service said of an error, short, without what it was asked."""
    said = f"HTTP {answer.status_code}"
    try:
        told = json.loads(answer.content)
    except ValueError:
        return said
    if not isinstance(told, dict):
        return said
    words = [told.get(name) for name in ("error", "error_description", "message")]
    words += [each.get("message") for each in told.get("additionalErrors") or [] if each]
    return ": ".join([said, *(str(word) for word in words if word)])


def _present(text: object) -> str:
    if not isinstance(text, str) or not text:
        raise ValueError("Nothing where a text was promised.")
    return text


def instance_address(told: object, token_url: str) -> str:
    """An address that came with a token, ending in a slash; ValueError if it's less protected than
    the token's own, or none at all."""
    text = str(told or "")
    if not text.startswith("https:" if token_url.startswith("https:") else "http"):
        raise ValueError("The address isn't protected as the token's is.")
    return text if text.endswith("/") else text + "/"


def _innermost(error: BaseException) -> BaseException:
    """What really happened, below the wrappers; only its type is told, its text holds addresses."""
    while True:
        reason = getattr(error, "reason", None)
        inner = reason if isinstance(reason, BaseException) else next(iter(error.args), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner


__all__ = ["Account", "Connection", "Patience", "Say"]
