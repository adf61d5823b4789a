"""Bulk API 1.0, which this org hasn't: clients fall back to REST on its answer.

Its errors are objects, not lists, and its session stands in a header of its own
(facts/wire.md 32).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bounce_sync.sandbox.salesforce.http import Answer, Call, Routes

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()


@routes("POST", "/services/async/{version}/job", open=True)
def create(service: Service, call: Call, version: str) -> Answer:
    del version
    if service.sessions.find(call.headers.get("x-sfdc-session", "")) is None:
        code, message = "InvalidSessionId", "Invalid session id"
    else:
        code, message = "FeatureNotEnabled", "Async API not enabled"
    return Answer({"exceptionCode": code, "exceptionMessage": message}, 400)
