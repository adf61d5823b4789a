"""The HTTP session of the CRM client: certificates, proxies, a pool for several threads.

What the environment would change behind our back is decided here instead (facts/salesforce.md
§1.1): with ``trust_env`` on, requests lets ``REQUESTS_CA_BUNDLE`` override the configured CA file
and a ``.netrc`` entry override our bearer token.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

CONNECT_SECONDS = 10.0
READ_SECONDS = 120.0

POOL = 16
"""Connections kept; no part of the client has more requests in flight."""


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Raises ``ValueError`` for a body that isn't JSON in UTF-8."""
        return json.loads(self.content)


class _Trusting(HTTPAdapter):
    """Trusts the public CAs and the given file as well: a company's proxy, or the sandbox."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_maxsize=POOL)

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **settings)

    def proxy_manager_for(self, *args: Any, **settings: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=self._context, **settings)


def open_session(ca_bundle: str | None) -> requests.Session:
    """A session without ambient settings; `ca_bundle` is trusted beside the public CAs.

    Raises ``FileNotFoundError`` or ``ssl.SSLError`` for a CA file that isn't there or holds none.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    ambient = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    for bundle in {ca_bundle, ambient} - {None, ""}:
        context.load_verify_locations(cafile=bundle)
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("https://", _Trusting(context))
    session.mount("http://", HTTPAdapter(pool_maxsize=POOL))
    return session


@lru_cache(maxsize=64)
def proxies_for(origin: str) -> dict[str, str]:
    """The environment's proxies for an origin (``https_proxy``, ``no_proxy``)."""
    return get_environ_proxies(origin)


def with_parameters(path: str, parameters: Mapping[str, str]) -> str:
    """A path with its encoded parameters."""
    return f"{path}?{urlencode(parameters)}"
