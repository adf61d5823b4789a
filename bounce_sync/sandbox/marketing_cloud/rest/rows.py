"""Writing rows of a data extension by REST (facts/marketing-cloud.md 5.2)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bounce_sync.sandbox.marketing_cloud import background, data_extensions, saving
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.data_extensions import DataExtension
from bounce_sync.sandbox.marketing_cloud.rest.requests import Asked, RestError, Said, not_found
from bounce_sync.sandbox.marketing_cloud.soap.writing import new_id
from bounce_sync.sandbox.store import server_time

ASYNC_LIMIT = 32_000
_BODY_LIMIT = 6_000_000


def upsert_rowset(call: Call, asked: Asked) -> Said:
    """`POST /hub/v1/dataevents/{key:…|id}/rowset`: all rows or none, at once."""
    target = _target(call, asked.place["which"])
    said = asked.json()
    if not isinstance(said, list):
        raise RestError(400, 10001, "The request body must be an array of rows.")
    _save(call, target, [_parts(row) for row in said])
    return Said(said)


def upsert_row(call: Call, asked: Asked) -> Said:
    """`PUT /hub/v1/dataevents/{key:…|id}/rows/{pk:value[,pk:value]}`."""
    target = _target(call, asked.place["which"])
    keys = dict(part.partition(":")[::2] for part in asked.place["keys"].split(","))
    values = asked.object().get("values", {})
    if not isinstance(values, dict):
        raise RestError(400, 10001, "values must be an object.")
    _save(call, target, [(keys, values)])
    return Said({"keys": keys, "values": values})


def clear(call: Call, asked: Asked) -> Said:
    """`POST /data/v1/customobjects/{id}/cleardata`."""
    saving.clear(call.store, _target(call, asked.place["id"]))
    return Said({})


def insert_async(call: Call, asked: Asked) -> Said:
    """`POST /data/v1/async/dataextensions/{key:…|id}/rows`: a key that is there is an error."""
    return _accepted(call, asked, replacing=False)


def upsert_async(call: Call, asked: Asked) -> Said:
    """`PUT` on the same path."""
    return _accepted(call, asked, replacing=True)


def async_status(call: Call, asked: Asked) -> Said:
    """`GET /data/v1/async/{request}/status`."""
    row = _request(call, asked)
    detail = json.loads(row["detail"])
    failed = row["status"] == "Error"
    status = {
        "callDateTime": row["created_at"].replace(" ", "T"),
        "completionDateTime": (row["finished_at"] or "").replace(" ", "T") or None,
        "hasErrors": bool(detail.get("errors")),
        "pickupDateTime": row["created_at"].replace(" ", "T"),
        "requestStatus": "Complete" if failed else row["status"],
        "resultStatus": "Error" if failed else "OK",
        "requestId": row["request_id"],
    }
    return Said({"status": status, "requestId": new_id(), "resultMessages": []})


def async_results(call: Call, asked: Asked) -> Said:
    """`GET /data/v1/async/{request}/results`."""
    row = _request(call, asked)
    detail = json.loads(row["detail"])
    items = detail.get("errors") or [
        {"errorCode": "", "message": "", "status": "OK"} for _ in range(detail.get("rows", 0))
    ]
    size, page = asked.number("pagesize", 50), asked.number("page", 1)
    shown = items[(page - 1) * size : page * size]
    content = {"page": page, "pageSize": size, "count": len(items), "items": shown}
    return Said({**content, "requestId": row["request_id"], "resultMessages": []})


def _accepted(call: Call, asked: Asked, *, replacing: bool) -> Said:
    target = _target(call, asked.place["which"])
    if len(asked.body) > _BODY_LIMIT:
        raise RestError(400, 10000, "The request body exceeds the maximum size.")
    items = asked.object().get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RestError(400, 10002, "items is required and must be an array of objects.")
    if len(items) > ASYNC_LIMIT:
        raise RestError(
            400, 10005, f"The number of items exceeds the maximum of {ASYNC_LIMIT} per request."
        )
    request_id = new_id()
    call.store.execute(
        "INSERT INTO async_request VALUES (?, ?, 'rows', 'Pending', '{}', ?, NULL)",
        (request_id, call.mid, server_time(call.store.now())),
    )
    background.of(call.store).start(_carry_out, call, target, items, request_id, replacing)
    return Said({"requestId": request_id, "resultMessages": []}, 202)


def _carry_out(
    call: Call,
    target: DataExtension,
    items: Sequence[Mapping[str, Any]],
    request_id: str,
    replacing: bool,
) -> None:
    status, detail = "Complete", {"rows": len(items)}
    failures: list[dict[str, str]] = []
    try:
        saving.save(
            call.store,
            target,
            [saving.fitted(call.store, target, item) for item in items],
            replacing=replacing,
        )
    except saving.Unfit as error:
        failures = [{"errorCode": "InvalidValue", "message": str(error), "status": "Error"}]
    except saving.DuplicateKey as error:
        failures = [{"errorCode": "UnexpectedError", "message": str(error), "status": "Error"}]
    if failures:
        status = "Error"
    call.store.execute(
        "UPDATE async_request SET status = ?, detail = ?, finished_at = ? WHERE request_id = ?",
        (
            status,
            json.dumps({**detail, "errors": failures}),
            server_time(call.store.now()),
            request_id,
        ),
    )


def _target(call: Call, which: str) -> DataExtension:
    """`key:…` or an object id. Raises RestError."""
    if which.lower().startswith("key:"):
        found = data_extensions.find(call.store, call.mid, which[4:])
    else:
        found = data_extensions.find_by_id(call.store, which)
    if found is None:
        raise RestError(400, 10001, f"Parameter {which} is invalid.")
    return found


def _parts(row: object) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(row, dict):
        keys, values = row.get("keys", {}), row.get("values", {})
        if isinstance(keys, dict) and isinstance(values, dict):
            return keys, values
    raise RestError(400, 10001, "Each row must be an object with keys and values.")


def _save(
    call: Call, target: DataExtension, rows: Sequence[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    known = {field.name.lower() for field in target.keys}
    for keys, _ in rows:
        for name in keys:
            if name.lower() not in known:
                raise RestError(400, 10000, f"Primary key '{name}' does not exist.")
    fitted, errors = [], []
    for keys, values in rows:
        try:
            fitted.append(saving.fitted(call.store, target, {**keys, **values}))
        except saving.Unfit as error:
            errors.append({"message": str(error), "errorcode": 10000, "documentation": ""})
    if errors:
        raise RestError(
            400,
            10006,
            f"Unable to save rows for data extension ID {target.object_id}",
            additionalErrors=errors,
        )
    saving.save(call.store, target, fitted)


def _request(call: Call, asked: Asked) -> Any:
    row = call.store.execute(
        "SELECT * FROM async_request WHERE request_id = ? AND mid = ?",
        (asked.place["request"].lower(), call.mid),
    ).fetchone()
    if row is None:
        raise not_found()
    return row
