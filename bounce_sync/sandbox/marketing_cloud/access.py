"""`POST /v2/token` and what a token allows (facts/marketing-cloud.md 3, wire.md 19-21)."""

import secrets
import time
from dataclasses import dataclass

from starlette.types import Scope

from bounce_sync.sandbox import faults
from bounce_sync.sandbox.store import Store

EXPIRES_IN = 1079
"""What the service says; a token is good for twenty minutes."""
LIFETIME = 1200.0

SCOPES = (
    "offline",
    "documents_and_images_read",
    "saved_content_read",
    "automations_execute",
    "automations_read",
    "automations_write",
    "journeys_execute",
    "journeys_read",
    "email_read",
    "list_and_subscribers_read",
    "list_and_subscribers_write",
    "data_extensions_read",
    "data_extensions_write",
    "file_locations_read",
    "tracking_events_read",
)
_DOCUMENTATION = "https://developer.salesforce.com/docs"


class TokenRefused(Exception):
    """An OAuth error: HTTP status and the three keys of its body."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {
            "error": error,
            "error_description": description,
            "error_uri": _DOCUMENTATION,
        }


class Unauthorised(Exception):
    """No token, an unknown one, or one whose time is over (`expired`)."""

    def __init__(self, *, expired: bool) -> None:
        super().__init__("Token Expired" if expired else "Login Failed")
        self.expired = expired


@dataclass(frozen=True)
class Caller:
    """Who asks: one account, for which a token was given, and what its package may do."""

    mid: int
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes


def issue_token(store: Store, asked: object, base_url: str) -> dict[str, object]:
    """The answer to a token request. Raises TokenRefused.

    Each token is bound to one account, and a new one leaves the old ones valid.
    """
    if not isinstance(asked, dict):
        raise TokenRefused(400, "invalid_request", "The request body must be a JSON object.")
    grant = asked.get("grant_type")
    if not grant:
        raise TokenRefused(400, "invalid_request", "grant_type is required.")
    if grant != "client_credentials":
        raise TokenRefused(
            400, "unsupported_grant_type", f"The grant type '{grant}' is not supported."
        )
    for needed in ("client_id", "client_secret"):
        if not asked.get(needed):
            raise TokenRefused(400, "invalid_request", f"{needed} is required.")
    known = (store.setting("client_id"), store.setting("client_secret"))
    if (asked["client_id"], asked["client_secret"]) != known:
        raise TokenRefused(
            401,
            "invalid_client",
            "Client authentication failed. Make sure that the client ID and client secret are"
            " valid and that the package is installed and enabled.",
        )
    mid = _account(store, asked.get("account_id"))
    scope = _scope(store, asked.get("scope"))
    token = secrets.token_urlsafe(48)
    lifetime = float(store.setting("token_seconds", str(LIFETIME)))
    store.execute(
        "INSERT INTO access_token VALUES (?, ?, ?, ?)", (token, mid, scope, time.time() + lifetime)
    )
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": EXPIRES_IN,
        "scope": scope,
        "soap_instance_url": f"{base_url}/",
        "rest_instance_url": f"{base_url}/",
    }


def caller_of(store: Store, token: str, scope: Scope) -> Caller:
    """Whose token this is. Raises Unauthorised."""
    if faults.take(scope, "expire_token"):
        store.execute("UPDATE access_token SET expires_at = 0 WHERE token = ?", (token,))
    row = store.execute(
        "SELECT mid, scope, expires_at FROM access_token WHERE token = ?", (token,)
    ).fetchone()
    if row is None:
        raise Unauthorised(expired=False)
    if row["expires_at"] <= time.time():
        raise Unauthorised(expired=True)
    return Caller(row["mid"], frozenset(row["scope"].split()))


def _account(store: Store, asked: object) -> int:
    """The account asked for, as a number or as text; without one the enterprise's own."""
    if asked is None or asked == "":
        return store.account_id
    if str(asked).isdecimal() and int(str(asked)) in store.business_units():
        return int(str(asked))
    raise TokenRefused(
        400,
        "invalid_request",
        f"The account_id '{asked}' is not valid or the client has no access to it.",
    )


def _scope(store: Store, asked: object) -> str:
    """All of the package's scopes where none are named; an empty text names none at all."""
    granted = store.setting("scopes", " ".join(SCOPES))
    if asked is None:
        return granted
    wanted = str(asked).split()
    if not set(wanted) <= set(granted.split()):
        raise TokenRefused(
            400, "invalid_scope", "The requested scope is invalid, unknown, or malformed."
        )
    return " ".join(wanted)
