"""Whose account a token is for: the enterprise's own (the parent) or one of its units."""

from __future__ import annotations

import contextlib
from typing import Any

from bounce_sync.marketing_cloud.connection import Connection
from bounce_sync.marketing_cloud.errors import Place, RequestRefused


def account_and_enterprise(connection: Connection, unit: str) -> tuple[Any, Any]:
    """MIDs of the account and of its enterprise, equal at the parent; None where SFMC tells none.

    By ``/platform/v1/tokenContext`` (developer.salesforce.com, "Retrieve tokenContext").
    """
    place = Place("GET /platform/v1/tokenContext", unit)
    told: Any = None
    with contextlib.suppress(RequestRefused):
        told = connection.rest("GET", "platform/v1/tokenContext", place, absent=True)
    told = told if isinstance(told, dict) else {}
    account, enterprise = (
        (told.get(name) or {}).get("id") for name in ("organization", "enterprise")
    )
    return account, enterprise
