"""`/automation/v1/queries`: query activities (facts/marketing-cloud.md 5.4, wire.md 24)."""

import re
import sqlite3
from typing import Any

from bounce_sync.sandbox.marketing_cloud import data_extensions
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.queries import activity, runs
from bounce_sync.sandbox.marketing_cloud.rest.requests import Asked, RestError, Said, not_found
from bounce_sync.sandbox.marketing_cloud.soap.writing import new_id
from bounce_sync.sandbox.store import server_time

MOST = 25
"""Of `$pageSize`, on the tenant that was probed."""

_FILTER = re.compile(r"\s*(\w+)\s+(eq|like)\s+'((?:[^']|'')*)'\s*", re.IGNORECASE)
_FILTERED = {"name": "name", "key": "customer_key", "customerkey": "customer_key"}
_SELECT = (
    "SELECT q.*, d.object_id AS target_id, d.name AS target_name, d.description AS target_said"
    " FROM query_definition AS q LEFT JOIN data_extension AS d"
    " ON d.customer_key = q.target_customer_key AND d.mid = q.mid"
)


def listed(call: Call, asked: Asked) -> Said:
    where = "q.mid = ?"
    values: list[object] = [call.mid]
    if said := asked.query.get("filter"):
        found = _FILTER.fullmatch(said)
        if found is None or found[1].lower() not in _FILTERED:
            raise RestError(400, 10003, f"The filter '{said}' is not valid.", gap=True)
        like = found[2].lower() == "like"
        where += f" AND q.{_FILTERED[found[1].lower()]} {'LIKE' if like else '='} ?"
        text = found[3].replace("''", "'")
        values.append(f"%{text}%" if like else text)
    size, page = min(asked.number("pagesize", MOST), MOST), asked.number("page", 1)
    count = call.store.execute(
        f"SELECT count(*) FROM query_definition AS q WHERE {where}", values
    ).fetchone()[0]
    rows = call.store.execute(
        f"{_SELECT} WHERE {where} ORDER BY q.name LIMIT ? OFFSET ?",
        (*values, size, (page - 1) * size),
    )
    items = [_shown(row) for row in rows]
    return Said({"count": count, "page": page, "pageSize": size, "items": items})


def fetched(call: Call, asked: Asked) -> Said:
    return Said(_shown(_found(call, asked)))


def created(call: Call, asked: Asked) -> Said:
    said = asked.object()
    for needed in ("name", "queryText", "targetKey", "categoryId"):
        if said.get(needed) in (None, ""):
            raise RestError(400, 10002, f"{needed} is required.")
    if not isinstance(said["categoryId"], int):
        raise RestError(400, 10001, "categoryId must be a number.")
    key = str(said.get("key") or new_id())
    update_type = _update_type(said.get("targetUpdateTypeId", 0))
    _validated(call, str(said["queryText"]), str(said["targetKey"]), update_type)
    at, object_id = server_time(call.store.now()), new_id()
    try:
        call.store.execute(
            "INSERT INTO query_definition VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                object_id,
                key,
                str(said["name"]),
                call.mid,
                said.get("description"),
                str(said["queryText"]),
                str(said["targetKey"]),
                update_type,
                said["categoryId"],
                at,
                at,
            ),
        )
    except sqlite3.IntegrityError as error:
        raise RestError(400, 10005, f"A query with the key '{key}' already exists.") from error
    return Said(_shown(_by_id(call, object_id)))


def changed(call: Call, asked: Asked) -> Said:
    row, said = _found(call, asked), asked.object()
    text = str(said.get("queryText", row["query_text"]))
    target = str(said.get("targetKey", row["target_customer_key"]))
    update_type = row["target_update_type"]
    if "targetUpdateTypeId" in said:
        update_type = _update_type(said["targetUpdateTypeId"])
    _validated(call, text, target, update_type)
    call.store.execute(
        "UPDATE query_definition SET name = ?, description = ?, query_text = ?,"
        " target_customer_key = ?, target_update_type = ?, modified_date = ? WHERE object_id = ?",
        (
            said.get("name", row["name"]),
            said.get("description", row["description"]),
            text,
            target,
            update_type,
            server_time(call.store.now()),
            row["object_id"],
        ),
    )
    return Said(_shown(_by_id(call, row["object_id"])))


def deleted(call: Call, asked: Asked) -> Said:
    row = _found(call, asked)
    call.store.execute("DELETE FROM query_definition WHERE object_id = ?", (row["object_id"],))
    return Said("OK")


def validated(call: Call, asked: Asked) -> Said:
    """`actions/validate`: the text stands in `Text`."""
    said = {name.lower(): value for name, value in asked.object().items()}
    if not said.get("text"):
        raise RestError(400, 10002, "Text is required.")
    target = data_extensions.find(call.store, call.mid, str(said.get("targetkey") or ""))
    update_type = _update_type(said.get("targetupdatetypeid", 0))
    found = activity.complaints(call.store, call.mid, str(said["text"]), target, update_type)
    errors = [{"message": message} for message in found]
    return Said({"queryValid": not errors, "errors": errors, "warnings": []})


def started(call: Call, asked: Asked) -> Said:
    """`actions/start`: `"OK"`, whatever becomes of it. A body with anything in it is accepted
    and nothing runs."""
    row = _found(call, asked)
    if asked.body.strip() in {b"", b"{}"}:
        doomed = "The activity failed." if call.fault("job_failed") else None
        if call.fault("query_timeout"):
            doomed = "AutoKill"
        runs.start(call.store, row, new_id(), doomed)
    return Said("OK")


def running(call: Call, asked: Asked) -> Said:
    row = _found(call, asked)
    return Said(
        {
            "queryDefinitionId": row["object_id"],
            "isRunning": runs.is_running(call.store, row["object_id"]),
        }
    )


def log(call: Call, asked: Asked) -> Said:
    """Empty after success. What it says after a failure isn't documented anywhere."""
    row = _found(call, asked)
    return Said(
        [
            {"queryDefinitionId": row["object_id"], "message": failed["error"]}
            for failed in runs.log(call.store, row["object_id"])
        ]
    )


def _found(call: Call, asked: Asked) -> sqlite3.Row:
    return _by_id(call, asked.place["id"].lower())


def _by_id(call: Call, object_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = call.store.execute(
        f"{_SELECT} WHERE q.object_id = ? AND q.mid = ?", (object_id, call.mid)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def _update_type(said: object) -> str:
    if str(said) not in {"0", "1", "2"}:
        raise RestError(400, 10005, f"targetUpdateTypeId {said} is not valid.")
    return activity.UPDATE_TYPES[int(str(said))]


def _validated(call: Call, text: str, target_key: str, update_type: str) -> None:
    target = data_extensions.find(call.store, call.mid, target_key)
    if target is None:
        raise RestError(400, 10005, f"The target data extension '{target_key}' does not exist.")
    found = activity.complaints(call.store, call.mid, text, target, update_type)
    if found:
        raise RestError(
            400,
            10006,
            found[0],
            additionalErrors=[
                {"message": message, "errorcode": 10000, "documentation": ""} for message in found
            ],
        )


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "queryDefinitionId": row["object_id"],
        "name": row["name"],
        "key": row["customer_key"],
        "description": row["description"] or "",
        "queryText": row["query_text"],
        "targetName": row["target_name"],
        "targetKey": row["target_customer_key"],
        "targetId": row["target_id"],
        "targetDescription": row["target_said"] or "",
        "createdDate": iso(row["created_date"]),
        "modifiedDate": iso(row["modified_date"]),
        "targetUpdateTypeId": activity.UPDATE_TYPES.index(row["target_update_type"]),
        "targetUpdateTypeName": row["target_update_type"],
        "validatedQueryText": _wrapped(row),
        "categoryId": row["category_id"],
        "isFrozen": False,
    }


def iso(moment: str | None) -> str | None:
    return None if moment is None else moment.replace(" ", "T")


def _wrapped(row: sqlite3.Row) -> str:
    return (
        "SET NOCOUNT ON; SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED;\r\n\r\n"
        f"INSERT INTO C{row['mid']}.[{row['target_name']}]\r\nSELECT *\r\n"
        f"FROM ({row['query_text']}) AS querydef \r\nSELECT @rcInsert = @@ROWCOUNT;;\r\n"
    )
