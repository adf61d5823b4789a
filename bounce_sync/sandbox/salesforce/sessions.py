"""Access tokens: who they speak for and how long."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bounce_sync.sandbox.store import Store

SESSION_SECONDS = 7200
"""Two hours, unless the tenant's setting ``session_seconds`` says otherwise."""


@dataclass(frozen=True)
class Session:
    """A live token; ``expires`` and ``issued`` are seconds since the epoch."""

    token: str
    user_id: str
    issued: float
    expires: float


class Sessions:
    """The tokens of one served org. A new one doesn't end an old one.

    Tokens live as long as the server; refresh tokens too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[str, Session] = {}
        self._refresh: dict[str, str] = {}
        self._lock = threading.Lock()

    def issue(self, user_id: str) -> Session:
        """A new token of a user."""
        org = self._store.setting("organization_id")
        lifetime = float(self._store.setting("session_seconds", str(SESSION_SECONDS)))
        now = time.time()
        session = Session(f"{org[:15]}!AQ{secrets.token_urlsafe(72)}", user_id, now, now + lifetime)
        with self._lock:
            self._live = {t: s for t, s in self._live.items() if s.expires > now}
            self._live[session.token] = session
        return session

    def find(self, token: str) -> Session | None:
        """The session of a token, None once it is over."""
        session = self._live.get(token)
        return session if session is not None and session.expires > time.time() else None

    def end(self, token: str) -> None:
        """Ends one token, as a revocation or the fault ``expire_token`` does."""
        with self._lock:
            self._live.pop(token, None)

    def issue_refresh(self, user_id: str) -> str:
        """A refresh token of a user."""
        token = f"5Aep861{secrets.token_urlsafe(60)}"
        with self._lock:
            self._refresh[token] = user_id
        return token

    def refreshed(self, token: str) -> str | None:
        """The user of a refresh token."""
        return self._refresh.get(token)
