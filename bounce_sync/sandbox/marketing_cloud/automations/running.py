"""Automations: their steps one after the other, in the background."""

import json
import os
import sqlite3
from typing import Any

from bounce_sync.sandbox.marketing_cloud import background, gaps
from bounce_sync.sandbox.marketing_cloud.automations import journeys
from bounce_sync.sandbox.marketing_cloud.queries import runs
from bounce_sync.sandbox.marketing_cloud.soap.writing import new_id
from bounce_sync.sandbox.store import Store, server_time

ERROR, READY, RUNNING = -1, 2, 3
STATUSES = {
    -1: "Error",
    0: "BuildingError",
    1: "Building",
    2: "Ready",
    3: "Running",
    4: "PausedSchedule",
    5: "Stopped",
    6: "Scheduled",
    7: "AwaitingTrigger",
    8: "InactiveTrigger",
}
QUERY, JOURNEY = 300, 952
"""Activities' objectTypeId (facts/marketing-cloud.md 5.5)."""


def found(store: Store) -> None:
    """Makes the automations that deliver to the CRM, and their Journeys, where they are missing.

    Not in a tenant that nobody has set up (setting ``delivery`` is ``absent``).
    """
    if store.setting("delivery", "") == "absent":
        return
    with store.transaction():
        journeys.found(store)
        for key in (journeys.SET, journeys.RELEASE):
            at = server_time(store.now())
            store.execute(
                "INSERT OR IGNORE INTO automation (object_id, customer_key, name, mid, steps,"
                " created_date, modified_date) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (new_id(), key, key, store.account_id, json.dumps([_entry(key)]), at, at),
            )


def build_journeys(store: Store) -> None:
    """What a person does in Journey Builder: makes both Journeys, whose entry starts with the
    automations that are there. Each automation gets the Journey as its last step."""
    with store.transaction():
        journeys.found(store)
        for key in (journeys.SET, journeys.RELEASE):
            row = store.execute("SELECT steps FROM automation WHERE customer_key = ?", (key,))
            steps = [*json.loads(row.fetchone()["steps"]), _entry(key)]
            store.execute(
                "UPDATE automation SET steps = ? WHERE customer_key = ?", (json.dumps(steps), key)
            )


def _entry(key: str) -> dict[str, Any]:
    """The step by which a Journey takes its data extension in."""
    activity = {
        "name": key,
        "objectTypeId": JOURNEY,
        "activityObjectId": key,
        "displayOrder": 1,
    }
    return {"name": "Journey", "step": 1, "activities": [activity]}


def status(store: Store, automation: sqlite3.Row) -> int:
    """Its status; a run whose process is gone ended in error."""
    if automation["status_id"] == RUNNING:
        row = store.execute(
            "SELECT process FROM automation_run WHERE instance_id = ?",
            (automation["last_run_instance_id"],),
        ).fetchone()
        if row is None or not background.lives(row["process"]):
            return ERROR
    return int(automation["status_id"])


def start(store: Store, automation: sqlite3.Row, *, doomed: bool = False) -> str:
    """Starts a run and doesn't wait for it; returns the instance's id."""
    instance = new_id()
    with store.transaction():
        store.execute(
            "INSERT INTO automation_run VALUES (?, ?, ?)",
            (instance, automation["object_id"], os.getpid()),
        )
        store.execute(
            "UPDATE automation SET status_id = ?, last_run_instance_id = ?, last_run_time = ?"
            " WHERE object_id = ?",
            (RUNNING, instance, server_time(store.now()), automation["object_id"]),
        )
    background.of(store).start(_carry_out, store, automation, doomed)
    return instance


def _carry_out(store: Store, automation: sqlite3.Row, doomed: bool) -> None:
    ended = ERROR
    try:
        if not doomed and _steps(store, automation):
            ended = READY
    finally:
        store.execute(
            "UPDATE automation SET status_id = ? WHERE object_id = ?",
            (ended, automation["object_id"]),
        )


def _steps(store: Store, automation: sqlite3.Row) -> bool:
    """Whether all activities went well; the first that doesn't ends the run."""
    for step in json.loads(automation["steps"]):
        for activity in step.get("activities", []):
            if not _activity(store, automation["mid"], activity):
                return False
    return True


def _activity(store: Store, mid: int, activity: dict[str, Any]) -> bool:
    which = str(activity.get("activityObjectId") or activity.get("name"))
    kind = activity.get("objectTypeId")
    if kind == QUERY:
        return _query(store, mid, which)
    if kind == JOURNEY:
        journey = journeys.by_key(store, which)
        if journey is not None:
            journeys.evaluate_all(store, journey)
        return journey is not None
    gaps.report("automation", f"activities of type {kind}")
    return True


def _query(store: Store, mid: int, which: str) -> bool:
    row = store.execute(
        "SELECT * FROM query_definition WHERE mid = ? AND (object_id = ? OR customer_key = ?)",
        (mid, which.lower(), which),
    ).fetchone()
    return row is not None and runs.finish(store, row, new_id())
