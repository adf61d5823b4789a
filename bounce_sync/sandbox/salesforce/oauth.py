"""OAuth: tokens by four grants, introspection and revocation.

Token answers carry no ``expires_in``; an expired token shows by a 401 (facts/salesforce.md §1.2).
Credentials come as form fields or by HTTP Basic (facts/wire.md 28).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import Any

import jwt

from bounce_sync.sandbox.salesforce.http import Answer, Call, Routes
from bounce_sync.sandbox.salesforce.identity import identity_url
from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

SCOPE = "api id refresh_token"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Refused(Exception):
    """A grant that isn't given."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.answer = Answer({"error": error, "error_description": description}, 400)


def _credentials(call: Call, form: dict[str, str]) -> tuple[str, str]:
    header = call.headers.get("authorization", "")
    if header.lower().startswith("basic "):
        try:
            text = base64.b64decode(header[6:], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Refused("invalid_client", "invalid client credentials") from None
        client_id, _, secret = text.partition(":")
        return client_id, secret
    return form.get("client_id", ""), form.get("client_secret", "")


def _known_client(service: Service, client_id: str) -> None:
    if not _same(client_id, service.store.setting("client_id")):
        raise Refused("invalid_client_id", "client identifier invalid")


def _client(service: Service, call: Call, form: dict[str, str]) -> None:
    client_id, secret = _credentials(call, form)
    _known_client(service, client_id)
    if not _same(secret, service.store.setting("client_secret")):
        raise Refused("invalid_client", "invalid client credentials")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


@routes("POST", "/services/oauth2/token", open=True)
def token(service: Service, call: Call) -> Answer:
    form = {**call.query, **call.form()}
    grants = {
        "client_credentials": _client_credentials,
        "password": _password,
        "refresh_token": _refresh,
        JWT_GRANT: _jwt_bearer,
    }
    grant = grants.get(form.get("grant_type", ""))
    if grant is None:
        return Answer(
            {"error": "unsupported_grant_type", "error_description": "grant type not supported"},
            400,
        )
    try:
        return grant(service, call, form)
    except Refused as refused:
        return refused.answer


def _client_credentials(service: Service, call: Call, form: dict[str, str]) -> Answer:
    _client(service, call, form)
    return _granted(service, service.store.setting("user_id"))


def _password(service: Service, call: Call, form: dict[str, str]) -> Answer:
    _client(service, call, form)
    return _granted(
        service,
        check_password(service, form.get("username", ""), form.get("password", "")),
        refresh=True,
    )


def check_password(service: Service, username: str, password: str) -> str:
    """The user of a name and password; a security token may follow the password."""
    expected = service.store.setting("password")
    known = _same(username.lower(), service.store.setting("username").lower())
    if not known or not _same(password[: len(expected)], expected):
        raise Refused("invalid_grant", "authentication failure")
    return service.store.setting("user_id")


def _refresh(service: Service, call: Call, form: dict[str, str]) -> Answer:
    client_id, secret = _credentials(call, form)
    _known_client(service, client_id)
    if secret:
        _client(service, call, form)
    user_id = service.sessions.refreshed(form.get("refresh_token", ""))
    if user_id is None:
        raise Refused("invalid_grant", "expired access/refresh token")
    return _granted(service, user_id)


def _jwt_bearer(service: Service, _: Call, form: dict[str, str]) -> Answer:
    """A signed assertion. The key is checked where the tenant has one (``jwt_public_key``)."""
    assertion = form.get("assertion", "")
    key = service.store.setting("jwt_public_key", "")
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            key,
            algorithms=["RS256"],
            options={
                "verify_signature": bool(key),
                "verify_exp": False,
                "verify_aud": False,
            },
        )
        lasts_until = float(claims.get("exp", 0))
        if jwt.get_unverified_header(assertion).get("alg") != "RS256":
            raise Refused("invalid_grant", "invalid assertion")
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Refused("invalid_grant", "invalid assertion") from None
    if lasts_until < time.time():
        raise Refused("invalid_grant", "assertion expired")
    _known_client(service, str(claims.get("iss", "")))
    if not _audience(service, claims.get("aud")):
        raise Refused("invalid_grant", "audience is invalid")
    username = service.store.setting("username")
    if not _same(str(claims.get("sub", "")).lower(), username.lower()):
        raise Refused("invalid_grant", "user hasn't approved this consumer")
    return _granted(service, service.store.setting("user_id"))


def _audience(service: Service, audience: Any) -> bool:
    known = {service.base_url, "https://login.salesforce.com", "https://test.salesforce.com"}
    given = audience if isinstance(audience, list) else [audience]
    return any(str(one).rstrip("/") in known for one in given) or any(
        str(one).startswith("https://") and str(one).endswith(".salesforce.com") for one in given
    )


def _granted(service: Service, user_id: str, *, refresh: bool = False) -> Answer:
    session = service.sessions.issue(user_id)
    identity = identity_url(service, user_id)
    issued = str(int(session.issued * 1000))
    secret = service.store.setting("client_secret").encode()
    signature = hmac.new(secret, (identity + issued).encode(), hashlib.sha256).digest()
    body = {
        "access_token": session.token,
        "signature": base64.b64encode(signature).decode(),
        "scope": SCOPE,
        "instance_url": service.base_url,
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued,
        "api_instance_url": service.base_url,
    }
    if refresh:
        body["refresh_token"] = service.sessions.issue_refresh(user_id)
    return Answer(body)


@routes("POST", "/services/oauth2/introspect", open=True)
def introspect(service: Service, call: Call) -> Answer:
    form = call.form()
    try:
        _client(service, call, form)
    except Refused as refused:
        refused.answer.status = 401
        return refused.answer
    session = service.sessions.find(form.get("token", ""))
    if session is None:
        return Answer({"active": False})
    return Answer(
        {
            "active": True,
            "scope": SCOPE,
            "client_id": service.store.setting("client_id"),
            "username": service.store.setting("username"),
            "sub": identity_url(service, session.user_id),
            "token_type": "access_token",
            "exp": int(session.expires),
            "iat": int(session.issued),
            "nbf": int(session.issued),
        }
    )


@routes("POST", "/services/oauth2/revoke", open=True)
def revoke(service: Service, call: Call) -> Answer:
    token = {**call.query, **call.form()}.get("token", "")
    if service.sessions.find(token) is None and service.sessions.refreshed(token) is None:
        return Answer({"error": "invalid_token", "error_description": "invalid token"}, 400)
    service.sessions.end(token)
    return Answer()
