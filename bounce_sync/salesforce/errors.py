"""What the CRM can refuse, and what we do about each: one table, in this one place.

Sources: facts/salesforce.md §5 (codes, shapes, texts), facts/wire.md 32 and 34. Nothing here knows
how a request is sent; `connection` and `writing` look their decisions up here.

No message carries a secret or a whole e-mail address: what the CRM says passes through `masked`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What is done about a refusal."""

    RETRY = "retry"
    """The same again after a pause, at most `Remedy.attempts` times in all."""
    REFRESH = "refresh"
    """One new token, then the same request with all its headers, once."""
    SPLIT = "split"
    """The request was too large: the same rows again in smaller requests."""
    SAVE_DUPLICATE = "save_duplicate"
    """Once more with the header that passes duplicate rules which only warn."""
    REROUTE = "reroute"
    """The record lives on elsewhere: the row is rejected, and as the ledger carries rejected keys
    over, the next run's reading follows it to the record it became."""
    DEFER = "defer"
    """Not now: the row is rejected, and the next run tries again."""
    SKIP = "skip"
    """This row can't be written; all others go on."""
    STOP = "stop"
    """Nothing more may be sent: the cause holds for every row."""


@dataclass(frozen=True)
class Remedy:
    """An action and the sentence that an operator reads beside the code."""

    action: Action
    advice: str
    attempts: int = 1
    alert: bool = False
    """Somebody has to change something, in the CRM or here."""
    pause: float = 0.0
    """Least seconds before the next attempt."""


_LOCKED = Remedy(Action.RETRY, "Another transaction held the row; nothing to do.", attempts=5)
_EDGE = Remedy(Action.RETRY, "The CRM was briefly unreachable; run again.", attempts=5)
_RARE = Remedy(
    Action.RETRY,
    "An error inside Salesforce; its id is in the message, for their support.",
    attempts=3,
    alert=True,
)
_TRIGGER = Remedy(
    Action.SKIP,
    "A trigger or flow of the org failed on this record; show its owner the message.",
    alert=True,
)
_TRIGGER_PASSING = Remedy(
    Action.RETRY, "A trigger or flow met a lock or its CPU limit.", attempts=2, alert=True
)
_RIGHTS = Remedy(
    Action.SKIP,
    "The integration user may not edit this record: sharing or permission set.",
    alert=True,
)
_POLICY = Remedy(
    Action.STOP,
    "A transaction security policy refused; the integration user may need 'Exempt from "
    "Transaction Security'.",
    alert=True,
)
_DISABLED = Remedy(
    Action.STOP,
    "The API is switched off for this org or user: edition or 'API Enabled'.",
    alert=True,
)
_OUR_FAULT = Remedy(
    Action.STOP, "The request was malformed: a fault of bounce_sync, please report it.", alert=True
)
_TOO_LARGE = Remedy(Action.SPLIT, "Too many rows in one request.")
_GONE = Remedy(
    Action.REROUTE, "The record is in the recycle bin; if it was merged, the next run follows it."
)
_DAY_SPENT = Remedy(
    Action.STOP,
    "The org's API calls of the last 24 hours are spent; a later run goes on where this stopped.",
    alert=True,
)
_CROWDED = Remedy(
    Action.RETRY, "Too many long requests at once in this org.", attempts=5, pause=30.0
)
_HIDDEN_FIELD = Remedy(
    Action.STOP,
    "A field is missing or hidden from the integration user: grant it by permission set "
    "(`bounce-sync setup`).",
    alert=True,
)
_RETIRED = Remedy(
    Action.STOP, "This API version is retired: set SALESFORCE_API_VERSION.", alert=True
)

REMEDIES: dict[str, Remedy] = {
    # Rows, and requests of one row.
    "UNABLE_TO_LOCK_ROW": _LOCKED,
    "ENTITY_IS_DELETED": _GONE,
    "INVALID_CROSS_REFERENCE_KEY": Remedy(
        Action.SKIP,
        "No such record, or not visible to the integration user; many of these mean a wrong org.",
        alert=True,
    ),
    "MALFORMED_ID": Remedy(Action.SKIP, "Not an id of this object.", alert=True),
    "NOT_FOUND": Remedy(Action.SKIP, "The record or address doesn't exist."),
    "CANNOT_UPDATE_CONVERTED_LEAD": Remedy(
        Action.REROUTE, "The Lead was converted meanwhile; the next run follows it to its Contact."
    ),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": Remedy(
        Action.SKIP,
        "A validation rule of the org refuses; its admin has to exempt this user.",
        alert=True,
    ),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": _TRIGGER,
    "CANNOT_EXECUTE_FLOW_TRIGGER": _TRIGGER,
    "APEX_ERROR": _TRIGGER,
    "INSUFFICIENT_ACCESS_OR_READONLY": _RIGHTS,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": _RIGHTS,
    "TRANSFER_REQUIRES_READ": _RIGHTS,
    "ENTITY_IS_LOCKED": Remedy(
        Action.DEFER, "The record is in an approval process; a later run tries again."
    ),
    "DUPLICATES_DETECTED": Remedy(
        Action.SAVE_DUPLICATE,
        "A duplicate rule blocks this record; its admin has to exempt us.",
        alert=True,
    ),
    "DUPLICATE_VALUE": Remedy(
        Action.SKIP, "The same record twice in one request, or a unique field.", alert=True
    ),
    "STORAGE_LIMIT_EXCEEDED": Remedy(Action.STOP, "The org is out of storage.", alert=True),
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": Remedy(
        Action.RETRY, "An innocent row of a failed set.", attempts=3
    ),
    "PROCESSING_HALTED": Remedy(Action.RETRY, "An innocent row of a failed set.", attempts=3),
    # Whole requests.
    "INVALID_FIELD": _HIDDEN_FIELD,
    "INVALID_FIELD_FOR_INSERT_UPDATE": Remedy(
        Action.STOP,
        "A field is readable but not editable: grant edit by permission set (`bounce-sync setup`).",
        alert=True,
    ),
    "JSON_PARSER_ERROR": _OUR_FAULT,
    "INVALID_TYPE_ON_FIELD_IN_RECORD": _OUR_FAULT,
    "MALFORMED_QUERY": _OUR_FAULT,
    "INVALID_TYPE": Remedy(
        Action.STOP, "An object is missing or hidden from the integration user.", alert=True
    ),
    "QUERY_TOO_COMPLICATED": _OUR_FAULT,
    "INVALID_QUERY_LOCATOR": Remedy(
        Action.STOP, "A query's cursor expired while it was read; run again."
    ),
    "INSUFFICIENT_ACCESS": Remedy(
        Action.STOP,
        "Changing the org's set-up needs the permissions 'Modify Metadata Through Metadata API "
        "Functions' and 'Customize Application': see `bounce-sync setup --help`.",
        alert=True,
    ),
    "REQUEST_LIMIT_EXCEEDED": _DAY_SPENT,
    "SERVER_UNAVAILABLE": _EDGE,
    "UNKNOWN_EXCEPTION": _RARE,
    "INVALID_SESSION_ID": Remedy(
        Action.REFRESH, "The session was refused twice: IP range or session policy of the app."
    ),
    "API_DISABLED_FOR_ORG": _DISABLED,
    "API_CURRENTLY_DISABLED": _DISABLED,
    "TXN_SECURITY_METERING_ERROR": _POLICY,
    "TXN_SECURITY_NO_ACCESS": _POLICY,
    "UNSUPPORTED_API_VERSION": _RETIRED,
    # Bulk jobs (facts/salesforce.md §3.1).
    "InvalidBatch": Remedy(
        Action.STOP,
        "Bulk refused the whole file, mostly for a field that is missing or hidden from the "
        "integration user: grant it by permission set (`bounce-sync setup`).",
        alert=True,
    ),
    "ClientInputError": _OUR_FAULT,
    "INVALIDJOBSTATE": Remedy(
        Action.STOP, "The Bulk job isn't in the state that this step needs; run again."
    ),
    "UNPROCESSED": Remedy(
        Action.RETRY, "The Bulk job ended before it took up this row.", attempts=3
    ),
    "NOT_SENT": Remedy(
        Action.RETRY, "Nothing was sent for this row; a later run sends it.", attempts=3
    ),
    "OPERATION_TOO_LARGE": _TOO_LARGE,
    "EXCEEDED_ID_LIMIT": _TOO_LARGE,
    "TOO_MANY_ENUM": _TOO_LARGE,
}
"""Salesforce's code → remedy. Codes that end in a variable part stand here by their beginning."""

BY_BEGINNING = ("TXN_SECURITY_NO_ACCESS", "TOO_MANY_ENUM")

STATUSES: dict[int, Remedy] = {
    401: REMEDIES["INVALID_SESSION_ID"],
    406: _EDGE,
    408: _EDGE,
    410: _RETIRED,
    420: Remedy(Action.RETRY, "The CRM throttles this user.", attempts=3, pause=1.0),
    429: Remedy(Action.RETRY, "Too many requests at once.", attempts=5, pause=1.0),
    500: _RARE,
    502: _EDGE,
    503: _EDGE,
    504: _EDGE,
}
"""HTTP status → remedy, for answers without a code that we know (edge errors come as HTML)."""

UNKNOWN_ROW = Remedy(
    Action.SKIP, "A code that bounce_sync doesn't know; the message is Salesforce's.", alert=True
)
UNKNOWN_REQUEST = Remedy(
    Action.STOP, "An answer that bounce_sync doesn't know; the message is Salesforce's.", alert=True
)

NOT_SENT = "NOT_SENT"
"""Code of ours: nothing was sent for this row, it is certain that it isn't written."""
UNPROCESSED = "UNPROCESSED"
"""Code of ours: a Bulk job ended without taking up this row."""
NO_ANSWER = "NO_ANSWER"
"""Code of ours: sent, but no answer told what became of it; the next run reads the record."""


def remedy_of_row(code: str, message: str = "") -> Remedy:
    """What to do about one rejected row."""
    if code == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" and (
        "UNABLE_TO_LOCK_ROW" in message or "CPU" in message
    ):
        return _TRIGGER_PASSING
    return _known(code, message) or UNKNOWN_ROW


def remedy_of_request(status: int, code: str = "", message: str = "") -> Remedy:
    """What to do about a request that was refused as a whole."""
    return _known(code, message) or STATUSES.get(status) or UNKNOWN_REQUEST


def _known(code: str, message: str) -> Remedy | None:
    if code == "REQUEST_LIMIT_EXCEEDED" and "Concurrent" in message:
        return _CROWDED
    if remedy := REMEDIES.get(code):
        return remedy
    beginning = next((known for known in BY_BEGINNING if code.startswith(known)), None)
    return REMEDIES[beginning] if beginning else None


_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[^\s'\"<>(),;]+")
_LONGEST = 300


def masked(text: str) -> str:
    """Salesforce's words, cut, on one line and without e-mail addresses."""
    line = _ADDRESS.sub("…@…", " ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


class SalesforceError(RuntimeError):
    """The CRM didn't do what was asked: names the request, the answer and what to do."""

    def __init__(self, request: str, answer: str, advice: str) -> None:
        self.request, self.answer, self.advice = request, masked(answer), advice
        super().__init__(f"Salesforce, {request}: {self.answer} {advice}")


class AuthenticationFailed(SalesforceError):
    """The org gave no token, or refused a fresh one."""


class RequestRejected(SalesforceError):
    """The CRM refused a whole request, with its code; `remedy` is what the table says about it."""

    def __init__(self, request: str, status: int, code: str, message: str, remedy: Remedy) -> None:
        self.status, self.code, self.message, self.remedy = status, code, message, remedy
        self.after_drop = False
        """An earlier attempt got no answer and may have taken effect all the same."""
        super().__init__(
            request, f"HTTP {status} {code}{': ' if message else ''}{message}.", remedy.advice
        )


class ServiceUnavailable(SalesforceError):
    """No usable answer after all attempts; whether the last one took effect isn't known."""


class UnreadableAnswer(SalesforceError):
    """The CRM answered something that its documentation doesn't allow."""

    def __init__(self, request: str, why: str) -> None:
        super().__init__(
            request, why, "Nothing was taken from it; run again, and report it if it stays."
        )


class FieldsMissing(SalesforceError):
    """Fields that the sync needs aren't there, are hidden or have a type that can't hold them."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(
            "describe of the objects",
            "; ".join(problems) + ".",
            "`bounce-sync setup` makes what is missing and grants it to the integration user; for "
            "a field of another type name another one in SALESFORCE_FLAG_FIELD or "
            "SALESFORCE_DATE_FIELD.",
        )


class BudgetSpent(SalesforceError):
    """The share of the day's API calls that a run may take is taken."""

    def __init__(self, request: str, taken: int, left_at_start: int, share: float) -> None:
        super().__init__(
            request,
            f"not sent: this run took {taken:,} API calls, and may take {share:.0%} of the "
            f"{left_at_start:,} that were left of the day's.",
            "A later run goes on where this one stopped; SALESFORCE_API_SHARE sets the share.",
        )


class RunStopped(SalesforceError):
    """Asked to stop (SIGTERM): what was in flight is finished and settled, the rest isn't sent."""

    def __init__(self, settled: int, remaining: int) -> None:
        self.settled, self.remaining = settled, remaining
        super().__init__(
            "writing",
            f"stopped as asked after {settled:,} of {settled + remaining:,} changes.",
            "Run again for the rest; what is still open is settled first.",
        )
