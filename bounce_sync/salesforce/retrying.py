"""Attempts of one request: which answers are worth another, when, and what is raised in the end."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests
import tenacity
from lxml import etree

from bounce_sync.salesforce.errors import (
    Action,
    RequestRejected,
    SalesforceError,
    ServiceUnavailable,
    remedy_of_request,
)

DROP_ATTEMPTS = 5
"""Attempts of a request whose connection breaks."""
UNREADABLE_ATTEMPTS = 3
"""Attempts of a request whose answer can't be read: a body may be damaged on its way."""
LONGEST_PAUSE = 120.0
"""A ``Retry-After`` beyond this many seconds fails the request: a later run serves better."""

T = TypeVar("T")


class Again(Exception):
    """Worth another attempt, up to `attempts` in all; `final` is raised after the last."""

    def __init__(self, final: SalesforceError, attempts: int, pause: float = 0.0) -> None:
        super().__init__(str(final))
        self.final, self.attempts, self.pause = final, attempts, pause


def persist(attempt: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """Calls `attempt` until it doesn't raise `Again`, or its attempts are used up."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Again),
        stop=lambda state: state.attempt_number >= _raised(state).attempts,
        wait=_pause,
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except Again as again:
        raise again.final from again.__cause__


def _raised(state: tenacity.RetryCallState) -> Again:
    raised = state.outcome.exception() if state.outcome else None
    assert isinstance(raised, Again)  # noqa: S101 - the retry condition admits no other
    return raised


def _pause(state: tenacity.RetryCallState) -> float:
    """Full jitter over a doubling span, after what the answer asked for."""
    jitter = random.uniform(0, min(0.25 * 2**state.attempt_number, 30))  # noqa: S311 - no secret
    return _raised(state).pause + jitter


def rejection(what: str, status: int, body: Any) -> RequestRejected:
    """A refusal in Salesforce's shape, with its remedy."""
    code, message = code_and_message(body)
    return RequestRejected(what, status, code, message, remedy_of_request(status, code, message))


def refusal(
    what: str, status: int, body: Any, headers: Mapping[str, str] | None = None
) -> RequestRejected | Again:
    """What to raise for a refusal: it itself, or `Again` where the table says to try again."""
    rejected = rejection(what, status, body)
    remedy = rejected.remedy
    if remedy.action is not Action.RETRY:
        return rejected
    asked = _retry_after(headers or {})
    final: SalesforceError = rejected
    if status >= 500 or status in (408, 420, 429):
        final = ServiceUnavailable(what, f"HTTP {status} {rejected.code}.", remedy.advice)
    attempts = 1 if asked > LONGEST_PAUSE else remedy.attempts
    return Again(final, attempts, max(asked, remedy.pause))


def body_of(response: requests.Response) -> Any:
    """The JSON of a refusal, a SOAP fault in the same shape; None for HTML and the like."""
    try:
        return response.json()
    except requests.exceptions.JSONDecodeError:
        return _fault(response.content)


def _fault(content: bytes) -> dict[str, str] | None:
    """A SOAP fault: its code comes with a prefix (``sf:``), and again before its message."""
    try:
        root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None
    fault = root.find("{*}Body/{*}Fault")
    if fault is None:
        return None
    code = (fault.findtext("{*}faultcode") or "").rpartition(":")[2]
    message = (fault.findtext("{*}faultstring") or "").removeprefix(f"{code}: ")
    return {"errorCode": code, "message": message}


def token_refused(response: requests.Response) -> bool:
    """Whether the token is dead: 401, or what SOAP says instead under 500."""
    if response.status_code == 500:
        return code_and_message(body_of(response))[0] == "INVALID_SESSION_ID"
    return response.status_code == 401


def code_and_message(body: Any) -> tuple[str, str]:
    """Of a list of errors (REST), or one (Bulk 1.0, OAuth, SOAP); empty for anything else."""
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
