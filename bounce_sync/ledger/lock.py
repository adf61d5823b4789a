"""One writer per ledger, by a lock that ends with its process however that ends.

SQLite: an operating-system lock on `<ledger>.writer`, and beside it who holds it. PostgreSQL: a
session-level advisory lock; the session's application_name says who holds it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from bounce_sync.ledger.database import sqlite_file
from bounce_sync.ledger.errors import LedgerBusy, NotTheWriter

Say = Callable[[str], None]
StillHeld = Callable[[], None]

_POLL_SECONDS = 0.1
_KEY = "hashtextextended('bounce_sync.writer.' || current_schema(), 0)"
_NAME = "bounce_sync "
_HOLDER = """
    SELECT application_name, backend_start FROM pg_stat_activity
    JOIN pg_locks USING (pid)
    JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND pg_database.datname = current_database()
      AND ((classid::bigint << 32) | objid::bigint)
        = hashtextextended('bounce_sync.writer.' || current_schema(), 0)
"""


def writer_lock(
    engine: Engine, run_id: str, wait_seconds: float, say: Say
) -> AbstractContextManager[StillHeld]:
    """Holds the writer's lock for the block, and gives a call that raises where it was lost.

    A live holder is waited for, after `say` was told who it is. Raises `LedgerBusy` where it
    still holds the lock after `wait_seconds`.
    """
    hold = _file_lock if engine.dialect.name == "sqlite" else _advisory_lock
    return hold(engine, run_id, wait_seconds, say)


@contextmanager
def _file_lock(engine: Engine, run_id: str, wait_seconds: float, say: Say) -> Iterator[StillHeld]:
    file = sqlite_file(engine)
    lock = FileLock(f"{file}.writer", thread_local=False)
    note = Path(f"{file}.writer.json")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(_waiting(_noted(note), wait_seconds))
        try:
            lock.acquire(timeout=wait_seconds, poll_interval=_POLL_SECONDS)
        except Timeout:
            raise _busy(_noted(note), wait_seconds) from None
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        fresh = note.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"run_id": run_id, "pid": os.getpid(), "since": since}))
        fresh.replace(note)
        yield lambda: None
    finally:
        lock.release()


def _noted(note: Path) -> str:
    try:
        who = json.loads(note.read_text())
        return f"run {who['run_id']} (process {who['pid']}, since {who['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"


@contextmanager
def _advisory_lock(
    engine: Engine, run_id: str, wait_seconds: float, say: Say
) -> Iterator[StillHeld]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        session.execute(
            text("SELECT set_config('application_name', :name, false)"),
            {"name": (_NAME + run_id)[:63]},
        )
        # The server notices within two minutes that the machine of a writer is gone.
        for setting, value in (("idle", 60), ("interval", 15), ("count", 4)):
            session.execute(text(f"SET tcp_keepalives_{setting} = {value}"))
        if not session.execute(text(f"SELECT pg_try_advisory_lock({_KEY})")).scalar_one():
            say(_waiting(_session_that_holds(session), wait_seconds))
            _wait_on_server(session, wait_seconds)
        yield lambda: _ping(session)


def _wait_on_server(session: Connection, wait_seconds: float) -> None:
    milliseconds = max(1, int(wait_seconds * 1000))
    session.execute(text(f"SET lock_timeout = {milliseconds}"))
    try:
        session.execute(text(f"SELECT pg_advisory_lock({_KEY})"))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") != "55P03":  # lock_not_available
            raise
        raise _busy(_session_that_holds(session), wait_seconds) from None
    session.execute(text("SET lock_timeout = 0"))


def _session_that_holds(session: Connection) -> str:
    held = session.execute(text(_HOLDER)).first()
    if held is None:
        return "another process"
    name, since = held
    return f"run {name.removeprefix(_NAME)} (since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%S+00:00})"


def _ping(session: Connection) -> None:
    try:
        session.execute(text("SELECT 1"))
    except (DBAPIError, SQLAlchemyError) as error:
        raise NotTheWriter(
            "The connection that held the writer's lock of the ledger is gone; nothing more is "
            "sent. Run again: what is open is settled first."
        ) from error


def _waiting(holder: str, wait_seconds: float) -> str:
    return f"The ledger is being written by {holder}; waiting up to {wait_seconds:g} s for it."


def _busy(holder: str, wait_seconds: float) -> LedgerBusy:
    return LedgerBusy(
        f"The ledger is still being written by {holder} after {wait_seconds:g} s. Let it finish "
        "or stop it, then run again."
    )
