"""Composite and Batch: several requests in one.

Composite counts as one API call and may hold 25 subrequests, at most 5 of them Collections or
queries; Batch counts each (facts/salesforce.md §2.3, §2.4). A subrequest has the headers that it
names itself and none of the outer ones.
"""

from __future__ import annotations

import re
from typing import Any

from bounce_sync.sandbox.salesforce.errors import ServiceError, bad_json, not_found
from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes, subrequest
from bounce_sync.sandbox.salesforce.service import Service, report_gap

routes = Routes()

MOST = 25
MOST_HEAVY = 5

_HEAVY = re.compile(
    r"/services/data/v[\d.]+/(composite/sobjects|query|queryAll)(/|$)", re.IGNORECASE
)
_COMPOSITE = re.compile(r"/services/data/v[\d.]+/composite(/batch)?", re.IGNORECASE)
_REFERENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*", re.ASCII)
_REFERENCE = re.compile(r"@\{(\w+)\.([\w.\[\]]+)\}")


def _subrequests(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise bad_json(f"The request body must hold a list named {name}")
    if len(found) > MOST:
        raise ServiceError(
            400, "LIMIT_EXCEEDED", f"The maximum number of subrequests is {MOST}: {len(found)}"
        )
    return found


def _run(service: Service, call: Call) -> Answer:
    try:
        if _COMPOSITE.fullmatch(call.path) or not call.path.startswith("/services/data/v"):
            raise not_found()
        return service.table.answer(service, call)
    except ServiceError as error:
        report_gap(call, error)
        return Answer(error.body(), error.status)


@routes("POST", f"{DATA}/composite")
def composite(service: Service, call: Call) -> Answer:
    body = call.json_object()
    requests = _subrequests(body, "compositeRequest")
    heavy = sum(bool(_HEAVY.match(str(one.get("url", "")).split("?")[0])) for one in requests)
    if heavy > MOST_HEAVY:
        raise ServiceError(
            400,
            "LIMIT_EXCEEDED",
            f"The maximum number of query and sObject collection subrequests is {MOST_HEAVY}: "
            f"{heavy}",
        )
    _check_references(requests)
    if body.get("allOrNone", False) is not True:
        return Answer({"compositeResponse": _in_turn(service, call, requests, halting=False)})
    with service.writing, service.store.transaction() as connection:
        connection.execute("SAVEPOINT composite")
        results = _in_turn(service, call, requests, halting=True)
        if any(one["httpStatusCode"] >= 400 for one in results):
            connection.execute("ROLLBACK TO composite")
            results = [one if one["httpStatusCode"] >= 400 else _halted(one) for one in results]
        connection.execute("RELEASE composite")
    return Answer({"compositeResponse": results})


def _check_references(requests: list[dict[str, Any]]) -> None:
    names = [one.get("referenceId") for one in requests]
    for name in names:
        if not isinstance(name, str) or not _REFERENCE_ID.fullmatch(name):
            raise ServiceError(
                400,
                "INVALID_INPUT",
                f"Provided referenceId ('{name}') must start with a letter or "
                "a number, and it can contain only letters, numbers and underscores ('_').",
            )
        if names.count(name) > 1:
            raise ServiceError(400, "DUPLICATE_VALUE", f"Duplicate referenceId provided: {name}")


def _in_turn(
    service: Service, call: Call, requests: list[dict[str, Any]], *, halting: bool
) -> list[dict[str, Any]]:
    answered: dict[str, Any] = {}
    results: list[dict[str, Any]] = []
    for request in requests:
        if halting and results and results[-1]["httpStatusCode"] >= 400:
            results.append(_halted({"referenceId": request["referenceId"]}))
            continue
        filled = _filled(request, answered)
        answer = _run(
            service,
            subrequest(
                call,
                str(filled.get("method", "GET")),
                str(filled.get("url", "")),
                filled.get("httpHeaders") or {},
                filled.get("body"),
            ),
        )
        answered[request["referenceId"]] = answer.body
        results.append(
            {
                "body": answer.body,
                "httpHeaders": answer.headers,
                "httpStatusCode": answer.status,
                "referenceId": request["referenceId"],
            }
        )
    return results


def _halted(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "body": [
            {
                "errorCode": "PROCESSING_HALTED",
                "message": "The transaction was rolled back since another operation in the same "
                "transaction failed.",
            }
        ],
        "httpHeaders": {},
        "httpStatusCode": 400,
        "referenceId": one["referenceId"],
    }


def _filled(part: Any, answered: dict[str, Any]) -> Any:
    """The request with ``@{reference.path}`` replaced by values of earlier answers."""
    if isinstance(part, dict):
        return {name: _filled(value, answered) for name, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, answered) for value in part]
    if isinstance(part, str):
        return _REFERENCE.sub(lambda found: _value(found, answered), part)
    return part


def _value(found: re.Match[str], answered: dict[str, Any]) -> str:
    value: Any = answered.get(found.group(1))
    for step in re.findall(r"\w+", found.group(2)):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, TypeError, ValueError):
            raise ServiceError(
                400,
                "PROCESSING_HALTED",
                f"Invalid reference specified. No value for {found.group(1)}.{found.group(2)} "
                "found",
            ) from None
    return str(value)


@routes("POST", f"{DATA}/composite/batch")
def batch(service: Service, call: Call) -> Answer:
    body = call.json_object()
    requests = _subrequests(body, "batchRequests")
    service.count(max(len(requests) - 1, 0))  # the request itself was counted as one
    results: list[dict[str, Any]] = []
    failed = False
    for request in requests:
        if failed and body.get("haltOnError"):
            error = ServiceError(
                412, "BATCH_PROCESSING_HALTED", "Batch processing halted per request"
            )
            results.append({"statusCode": 412, "result": error.body()})
            continue
        url = str(request.get("url", "")).lstrip("/")
        url = "/" + url if url.startswith("services/") else f"/services/data/{url}"
        method = str(request.get("method", "GET"))
        answer = _run(service, subrequest(call, method, url, {}, request.get("richInput")))
        failed = failed or answer.status >= 400
        results.append({"statusCode": answer.status, "result": answer.body})
    return Answer({"hasErrors": failed, "results": results})
