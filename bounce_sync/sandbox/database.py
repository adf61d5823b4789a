"""One SQLite file, shared by any number of processes and threads.

Write-ahead logging lets readers go on while somebody writes; writers wait for each other, up to
30 seconds. Each thread has its own connection, in autocommit: a statement alone is its own
transaction, several belong together in ``with database.transaction():``, which takes the writer's
place at once, so that a transaction never fails half-way because another writer was faster.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

TIMEOUT = 30.0

PRAGMAS: tuple[str, ...] = ("synchronous = NORMAL", "cache_size = -4096")
"""Each of many threads has its own page cache: the operating system's is the one that counts."""

PRAGMAS_WHEN_MAKING = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -65536")


def quoted(name: str) -> str:
    """An SQL identifier, whatever it is made of."""
    return '"' + name.replace('"', '""') + '"'


class Database:
    """An opened file. Threads may share it; a process that forks must open its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pragmas = PRAGMAS
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._endings: list[Callable[[], None]] = []

    def before_close(self, end: Callable[[], None]) -> None:
        """Has ``end`` called when the file is closed, to end the work of threads of its own:
        SQLite mustn't close connections under them."""
        self._endings.append(end)

    def interrupt(self) -> None:
        """Makes the statements that run at this moment, in whatever thread, fail."""
        with self._guard:
            for connection in self._connections:
                connection.interrupt()

    def close(self) -> None:
        """Closes the connections of all threads."""
        while self._endings:
            self._endings.pop()()
        with self._guard:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection: autocommit, rows as :class:`sqlite3.Row`."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(
                self.path, timeout=TIMEOUT, isolation_level=None, check_same_thread=False
            )
            found.row_factory = sqlite3.Row
            found.create_function("lower_case", 1, _lower_case, deterministic=True)
            for pragma in self.pragmas:
                found.execute(f"PRAGMA {pragma}")
            self._local.connection = found
            with self._guard:
                self._connections.append(found)
        return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; the writer's place is taken at the start. One inside another joins it."""
        connection = self.connection
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> sqlite3.Cursor:
        """One statement on this thread's connection."""
        return self.connection.execute(sql, parameters)

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Many rows in one transaction; ``rows`` may be a generator of any length."""
        sql = "INSERT INTO {} ({}) VALUES ({})".format(
            quoted(table), ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
        )
        with self.transaction() as connection:
            connection.executemany(sql, rows)

    @contextmanager
    def loading(self, *tables: str) -> Iterator[None]:
        """For millions of rows: the tables' indexes are dropped, and made again afterwards.

        One transaction, so that nobody sees a table without its indexes.
        """
        with self.transaction() as connection:
            indexes = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
                f" AND tbl_name COLLATE NOCASE IN ({', '.join('?' * len(tables))})",
                tables,
            ).fetchall()
            for name, _ in indexes:
                connection.execute(f"DROP INDEX {quoted(name)}")
            yield
            for _, sql in indexes:
                connection.execute(sql)


def _lower_case(text: str | None) -> str | None:
    """SQL's ``lower`` knows ASCII alone."""
    return None if text is None else text.lower()
