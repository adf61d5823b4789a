"""Starting query activities and what can be known of them afterwards, which is little.

Settings of the tenant: `query_seconds` (how long a run takes at least), `query_false_early_seconds`
(for so long after the start it hasn't begun, and isRunning says false), `rowset_lag_seconds`
(for so long after its end the target can't be read).
"""

import os
import sqlite3
import time

from bounce_sync.sandbox.marketing_cloud import background, gaps
from bounce_sync.sandbox.marketing_cloud.queries.activity import AUTO_KILL, query_of, run
from bounce_sync.sandbox.marketing_cloud.queries.values import QueryError
from bounce_sync.sandbox.store import Store


def start(store: Store, definition: sqlite3.Row, task_id: str, doomed: str | None = None) -> None:
    """Starts a run and doesn't wait for it."""
    number = _noted(store, definition, task_id)
    background.of(store).start(_carry_out, store, definition, number, doomed)


def finish(store: Store, definition: sqlite3.Row, task_id: str, doomed: str | None = None) -> bool:
    """Runs it here and now, as a step of an automation does; returns whether it succeeded."""
    number = _noted(store, definition, task_id)
    return _carry_out(store, definition, number, doomed) is None


def is_running(store: Store, object_id: str) -> bool:
    row = store.execute(
        "SELECT * FROM query_run WHERE query_object_id = ? ORDER BY id DESC LIMIT 1", (object_id,)
    ).fetchone()
    if row is None or row["finished_at"] is not None:
        return False
    age = time.time() - row["started_at"]
    early = float(store.setting("query_false_early_seconds", "0"))
    return early <= age < AUTO_KILL and background.lives(row["process"])


def log(store: Store, object_id: str) -> list[sqlite3.Row]:
    """The failed runs, newest first."""
    return store.execute(
        "SELECT * FROM query_run WHERE query_object_id = ? AND error IS NOT NULL ORDER BY id DESC",
        (object_id,),
    ).fetchall()


def _noted(store: Store, definition: sqlite3.Row, task_id: str) -> int:
    cursor = store.execute(
        "INSERT INTO query_run (query_object_id, task_id, process, started_at) VALUES (?, ?, ?, ?)",
        (definition["object_id"], task_id, os.getpid(), time.time()),
    )
    return int(cursor.lastrowid or 0)


def _carry_out(
    store: Store, definition: sqlite3.Row, number: int, doomed: str | None
) -> str | None:
    idle = background.of(store)
    idle.sleep(float(store.setting("query_false_early_seconds", "0")))
    began = time.monotonic()
    try:
        error = run(store, query_of(store, definition), doomed=doomed)
    except QueryError as refusal:
        error = str(refusal)
    except sqlite3.Error as trouble:
        gaps.report("query", f"{definition['customer_key']}: {trouble}")
        error = str(trouble)
    idle.sleep(float(store.setting("query_seconds", "0")) - (time.monotonic() - began))
    store.execute(
        "UPDATE query_run SET finished_at = ?, error = ? WHERE id = ?", (time.time(), error, number)
    )
    return error
