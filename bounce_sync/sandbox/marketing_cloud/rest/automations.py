"""`/automation/v1/automations` and `/interaction/v1`: automations, Journeys and their events
(facts/marketing-cloud.md 5.5, 5.6, wire.md 25)."""

import json
import sqlite3
from typing import Any

from bounce_sync.sandbox.marketing_cloud import data_extensions
from bounce_sync.sandbox.marketing_cloud.automations import journeys, running
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.rest.queries import iso
from bounce_sync.sandbox.marketing_cloud.rest.requests import Asked, RestError, Said, not_found
from bounce_sync.sandbox.marketing_cloud.soap.writing import new_id
from bounce_sync.sandbox.store import server_time


def listed(call: Call, asked: Asked) -> Said:
    size, page = min(asked.number("pagesize", 50), 50), asked.number("page", 1)
    rows = call.store.execute(
        "SELECT * FROM automation WHERE mid = ? ORDER BY name", (call.mid,)
    ).fetchall()
    items = [_shown(call, row) for row in rows[(page - 1) * size : page * size]]
    return Said({"count": len(rows), "page": page, "pageSize": size, "items": items})


def fetched(call: Call, asked: Asked) -> Said:
    return Said(_detailed(call, _found(call, asked)))


def instance(call: Call, asked: Asked) -> Said:
    """`GET …/automations/instance/{instance}`: the last run only."""
    row = call.store.execute(
        "SELECT * FROM automation WHERE mid = ? AND last_run_instance_id = ?",
        (call.mid, asked.place["instance"].lower()),
    ).fetchone()
    if row is None:
        raise not_found()
    status = running.status(call.store, row)
    return Said(
        {
            "id": asked.place["instance"],
            "automationId": row["object_id"],
            "statusId": status,
            "status": running.STATUSES[status],
            "startTime": iso(row["last_run_time"]),
        }
    )


def created(call: Call, asked: Asked) -> Said:
    said = asked.object()
    if not said.get("name") or not isinstance(said.get("steps"), list):
        raise RestError(400, 10002, "name and steps are required.")
    at, object_id = server_time(call.store.now()), new_id()
    key = str(said.get("key") or new_id())
    try:
        call.store.execute(
            "INSERT INTO automation (object_id, customer_key, name, mid, steps, created_date,"
            " modified_date) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (object_id, key, said["name"], call.mid, json.dumps(said["steps"]), at, at),
        )
    except sqlite3.IntegrityError as error:
        raise RestError(
            400, 10005, f"An automation with the key '{key}' already exists."
        ) from error
    return Said(_detailed(call, _by_id(call, object_id)))


def changed(call: Call, asked: Asked) -> Said:
    """Steps and name. A schedule that can't be read is answered with 200 and has no effect."""
    row, said = _found(call, asked), asked.object()
    steps = json.dumps(said["steps"]) if isinstance(said.get("steps"), list) else row["steps"]
    call.store.execute(
        "UPDATE automation SET name = ?, steps = ?, modified_date = ? WHERE object_id = ?",
        (
            said.get("name", row["name"]),
            steps,
            server_time(call.store.now()),
            row["object_id"],
        ),
    )
    return Said(_detailed(call, _by_id(call, row["object_id"])))


def run_once(call: Call, asked: Asked) -> Said:
    """`actions/runallonce`: while a run goes on, another is refused."""
    row = _found(call, asked)
    if running.status(call.store, row) == running.RUNNING:
        raise RestError(400, 10000, "The automation is already running.")
    running.start(call.store, row, doomed=call.fault("job_failed") is not None)
    return Said("OK")


def start(call: Call, asked: Asked) -> Said:
    """`actions/start` is for schedules: refused on the tenant that was probed; the setting
    `automation_start` is `accepted` where it runs the automation."""
    if call.store.setting("automation_start", "refused") != "accepted":
        _found(call, asked)
        raise RestError(400, 10002, "field is required: 'Steps'")
    return run_once(call, asked)


def interactions(call: Call, asked: Asked) -> Said:
    """`GET /interaction/v1/interactions`: Journeys, without their activities."""
    rows = call.store.execute(
        "SELECT * FROM journey WHERE mid = ? ORDER BY name", (call.mid,)
    ).fetchall()
    size, page = asked.number("pagesize", 50), asked.number("page", 1)
    items = [_interaction(row) for row in rows[(page - 1) * size : page * size]]
    return Said({"count": len(rows), "page": page, "pageSize": size, "items": items})


def interaction(call: Call, asked: Asked) -> Said:
    which = asked.place["which"]
    row = call.store.execute(
        "SELECT * FROM journey WHERE mid = ? AND (id = ? OR journey_key = ?)",
        (call.mid, which.lower(), which[4:] if which.lower().startswith("key:") else ""),
    ).fetchone()
    if row is None:
        raise not_found()
    return Said(_interaction(row))


def event(call: Call, asked: Asked) -> Said:
    """`POST /interaction/v1/events`: one contact enters a Journey."""
    said = asked.object()
    for needed in ("ContactKey", "EventDefinitionKey"):
        if not said.get(needed):
            raise RestError(400, 10002, f"{needed} is required.")
    key = str(said["EventDefinitionKey"])
    journey = None if "." in key else journeys.by_event(call.store, call.mid, key)
    if journey is None:
        raise RestError(400, 10005, f"The EventDefinitionKey '{key}' is not valid.")
    if str(said["ContactKey"]) in call.store.setting("inactive_contacts", "").split():
        raise RestError(400, 10005, "The contact is not active.")
    data = said.get("Data") or {}
    entry = data_extensions.find(call.store, journey.mid, journey.data_extension)
    if not isinstance(data, dict) or entry is None:
        raise RestError(400, 10001, "Data must be an object.")
    given = {name.lower() for name in data}
    missing = [f.name for f in entry.fields if f.is_required and f.name.lower() not in given]
    if missing:
        raise RestError(400, 10002, f"Data lacks a required field: {', '.join(missing)}")
    journeys.enter(call.store, journey, [data])
    return Said({"eventInstanceId": new_id()}, 201)


def _found(call: Call, asked: Asked) -> sqlite3.Row:
    which = asked.place["id"]
    if which.lower().startswith("key:"):
        row: sqlite3.Row | None = call.store.execute(
            "SELECT * FROM automation WHERE mid = ? AND customer_key = ?", (call.mid, which[4:])
        ).fetchone()
        if row is None:
            raise not_found()
        return row
    return _by_id(call, which.lower())


def _by_id(call: Call, object_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = call.store.execute(
        "SELECT * FROM automation WHERE mid = ? AND object_id = ?", (call.mid, object_id)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def _shown(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    status = running.status(call.store, row)
    return {
        "id": row["object_id"],
        "name": row["name"],
        "description": "",
        "key": row["customer_key"],
        "typeId": 1,
        "type": "scheduled",
        "statusId": status,
        "status": running.STATUSES[status],
        "categoryId": 0,
        "createdDate": iso(row["created_date"]),
        "modifiedDate": iso(row["modified_date"]),
        "lastRunTime": iso(row["last_run_time"]),
        "lastRunInstanceId": row["last_run_instance_id"],
    }


def _detailed(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    return {**_shown(call, row), "steps": json.loads(row["steps"])}


def _interaction(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "key": row["journey_key"],
        "name": row["name"],
        "version": row["version"],
        "status": row["status"],
        "triggers": [{"key": row["event_definition_key"]}],
    }
