"""Tokens: OAuth client credentials or JWT bearer, renewed by one thread at a time.

Ours instead of simple-salesforce's because its refresh drops the headers of the request that it
replays, logs in again and again on a lasting 401, and can't be pointed at another host
(facts/salesforce.md §1.2 and §1.6). SOAP and password logins aren't offered: both
are being retired.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import requests
import tenacity

from bounce_sync.salesforce.errors import AuthenticationFailed
from bounce_sync.salesforce.transport import CONNECT_SECONDS, proxies_for

LOGIN_ATTEMPTS = 4
JWT_SECONDS = 180
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SHARED_LOGINS = ("https://login.salesforce.com", "https://test.salesforce.com")

_ID = re.compile(r"/id/(00D[A-Za-z0-9]{12}(?:[A-Z0-5]{3})?)/(005[A-Za-z0-9]{12}(?:[A-Z0-5]{3})?)$")


@dataclass(frozen=True)
class Credentials:
    """How to log in: `client_secret`, or `username` with `jwt_key` (PEM text or a file's path)."""

    login_url: str
    client_id: str
    client_secret: str | None
    username: str | None
    jwt_key: str | None


@dataclass(frozen=True)
class Token:
    """What the org gave; `org_id` and `user_id` in the form that the org uses (18 characters)."""

    bearer: str
    instance_url: str
    org_id: str
    user_id: str


class Tokens:
    """The current token of a connection. A stale one is replaced once, whoever notices first."""

    def __init__(
        self,
        credentials: Credentials,
        session: requests.Session,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._credentials, self._session, self._sleep = credentials, session, sleep
        self._lock = threading.Lock()
        self._token: Token | None = None

    def current(self, stale: Token | None = None) -> Token:
        """The token to use; `stale` is the one that the org has just refused.

        Threads that come with the same stale token wait for the one login and share its token.
        Raises ``AuthenticationFailed`` with what the org answered.
        """
        with self._lock:
            if self._token is None or self._token is stale:
                self._token = self._log_in()
            return self._token

    def _log_in(self) -> Token:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Unreachable),
            stop=tenacity.stop_after_attempt(LOGIN_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=20),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._ask)
        except _Unreachable as unreachable:
            raise _failed(str(unreachable)) from unreachable.__cause__

    def _ask(self) -> Token:
        form = login_form(self._credentials)
        address = self._credentials.login_url.rstrip("/") + "/services/oauth2/token"
        try:
            response = self._session.post(
                address,
                data=form,
                timeout=(CONNECT_SECONDS, 30),
                proxies=proxies_for(self._credentials.login_url),
                allow_redirects=False,
            )
            answer = response.json() if response.content else {}
        except requests.exceptions.SSLError as error:
            raise AuthenticationFailed(
                "login",
                "the certificate isn't trusted.",
                "A company CA goes into BOUNCE_SYNC_CA_BUNDLE.",
            ) from error
        except requests.exceptions.JSONDecodeError as error:
            raise _unreadable(response.status_code) from error
        except requests.RequestException as error:
            raise _Unreachable(f"no answer ({type(error).__name__}).") from error
        if response.status_code >= 500 or response.status_code == 429:
            raise _Unreachable(f"HTTP {response.status_code}.")
        if not isinstance(answer, dict):
            raise _unreadable(response.status_code)
        if response.status_code != 200:
            code, said = answer.get("error", ""), answer.get("error_description", "")
            raise _failed(f"HTTP {response.status_code} {code}: {said}.")
        return _token(answer)


class _Unreachable(Exception):
    """The token address gave no usable answer; worth another attempt."""


def login_form(credentials: Credentials) -> Mapping[str, str]:
    """What is posted to the token address. Raises ``AuthenticationFailed`` for what can't work."""
    if credentials.client_secret:
        if credentials.login_url.rstrip("/") in SHARED_LOGINS:
            raise AuthenticationFailed(
                "login",
                "client credentials aren't accepted at the shared login address.",
                "Set SALESFORCE_LOGIN_URL to the org's My Domain (https://….my.salesforce.com).",
            )
        return {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
    if not (credentials.username and credentials.jwt_key):
        raise AuthenticationFailed(
            "login",
            "neither a client secret nor a user with a key is set.",
            "Set SALESFORCE_CLIENT_SECRET, or SALESFORCE_USERNAME with SALESFORCE_JWT_KEY_FILE.",
        )
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.username,
        "aud": _audience(credentials.login_url),
        "exp": int(time.time()) + JWT_SECONDS,
    }
    try:
        assertion = jwt.encode(claims, _private_key(credentials.jwt_key), algorithm="RS256")
    except (OSError, ValueError, TypeError, jwt.exceptions.PyJWTError) as error:
        raise AuthenticationFailed(
            "login",
            f"the private key can't be used ({type(error).__name__}).",
            "It has to be an RSA key in PEM, in the file or in the variable.",
        ) from None
    return {"grant_type": JWT_GRANT, "assertion": assertion}


def _private_key(key: str) -> str:
    """PEM text as it is, also from a variable whose line ends are written out; else a file."""
    if "-----BEGIN" in key:
        return key.replace("\\n", "\n")
    return Path(key).read_text(encoding="ascii")


def _audience(login_url: str) -> str:
    """Whom the assertion is meant for: Salesforce's shared login, also where a My Domain is asked.

    The address itself where it isn't Salesforce's (a sandbox of ours, a test).
    """
    parts = urlsplit(login_url)
    host = parts.hostname or ""
    if not host.endswith(".salesforce.com"):
        return f"{parts.scheme}://{parts.netloc}"
    is_sandbox = host.startswith("test.") or any(
        mark in host for mark in (".sandbox.", ".scratch.", "--")
    )
    return SHARED_LOGINS[is_sandbox]


def _token(answer: dict[str, object]) -> Token:
    bearer, instance, identity = (
        answer.get(name) for name in ("access_token", "instance_url", "id")
    )
    found = _ID.search(identity) if isinstance(identity, str) else None
    if not (isinstance(bearer, str) and bearer and isinstance(instance, str) and found):
        raise _failed("the answer lacks access_token, instance_url or id.")
    if urlsplit(instance).scheme not in ("http", "https"):
        raise _failed("instance_url isn't an address.")
    return Token(bearer, instance.rstrip("/"), found[1], found[2])


def _failed(answer: str) -> AuthenticationFailed:
    return AuthenticationFailed(
        "login", answer, "Check SALESFORCE_LOGIN_URL and the credentials beside it."
    )


def _unreadable(status: int) -> AuthenticationFailed:
    return _failed(f"HTTP {status}, and the answer isn't JSON: this isn't a token address.")
