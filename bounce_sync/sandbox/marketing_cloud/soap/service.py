"""The SOAP endpoint: one message in, one answer out, with the service's own errors."""

from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree
from starlette.types import Scope

from bounce_sync.sandbox.marketing_cloud import gaps
from bounce_sync.sandbox.marketing_cloud.access import Unauthorised, caller_of
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.soap.actions import perform
from bounce_sync.sandbox.marketing_cloud.soap.changes import create, delete, update
from bounce_sync.sandbox.marketing_cloud.soap.describe import describe
from bounce_sync.sandbox.marketing_cloud.soap.errors import Refused, Unreadable
from bounce_sync.sandbox.marketing_cloud.soap.reading import (
    MalformedRequest,
    Request,
    read_request,
    text,
)
from bounce_sync.sandbox.marketing_cloud.soap.retrieve import retrieve
from bounce_sync.sandbox.marketing_cloud.soap.writing import (
    XML,
    element,
    fault,
    message,
    new_id,
)
from bounce_sync.sandbox.store import Store

Operation = Callable[[Call, etree._Element], bytes]

# By the message's element: what does it, and the element and action of a refusal.
_OPERATIONS: dict[str, tuple[Operation, str, str]] = {
    "RetrieveRequestMsg": (retrieve, "RetrieveResponseMsg", "RetrieveResponse"),
    "DefinitionRequestMsg": (describe, "DefinitionResponseMsg", "DescribeResponse"),
    "PerformRequestMsg": (perform, "PerformResponseMsg", "PerformResponse"),
    "CreateRequest": (create, "CreateResponse", "CreateResponse"),
    "UpdateRequest": (update, "UpdateResponse", "UpdateResponse"),
    "DeleteRequest": (delete, "DeleteResponse", "DeleteResponse"),
}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: str = XML


def answer(store: Store, scope: Scope, body: bytes, address: str) -> Answer:
    """What `Service.asmx` at this address says to a request body."""
    try:
        request = read_request(body)
    except MalformedRequest:
        return Answer(400, b"Bad Request", "text/plain; charset=utf-8")
    try:
        call = Call(store, caller_of(store, request.token, scope), scope)
    except Unauthorised as refusal:
        return Answer(500, fault(str(refusal), address))
    known = _OPERATIONS.get(request.operation)
    if known is None:
        gaps.report("SOAP", request.operation)
        said = (
            "Server did not recognize the value of HTTP Header SOAPAction:"
            f" {request.operation.removesuffix('Msg').removesuffix('Request')}."
        )
        return Answer(500, fault(said, address, code="Client"))
    operation, name, action = known
    try:
        return Answer(200, operation(call, request.message))
    except Refused as refusal:
        if refusal.gap:
            gaps.report("SOAP", f"{_asked(request)}: {refusal}")
        return Answer(200, _refused(str(refusal), name, action))
    except Unreadable as error:
        gaps.report("SOAP", f"{_asked(request)}: {error}")
        said = f"Server was unable to read request. ---> {error}"
        return Answer(500, fault(said, address, code="Client"))


def _refused(said: str, name: str, action: str) -> bytes:
    """In the order that the WSDL gives the answer's elements."""
    parts = [element("OverallStatus", f"Error: {said}"), element("RequestID", new_id())]
    if name in {"CreateResponse", "UpdateResponse", "DeleteResponse"}:
        parts.reverse()
    return message(name, *parts, action=action)


def _asked(request: Request) -> str:
    return f"{request.operation} {text(request.message, 'RetrieveRequest', 'ObjectType') or ''}"
