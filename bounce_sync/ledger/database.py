"""The database under the ledger: opening it, migrating it, and moving many rows at once.

SQLite (a file, in WAL mode) and PostgreSQL (through psycopg) are supported. Nothing here knows
what the tables mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    DateTime,
    Engine,
    Integer,
    Select,
    Table,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeEngine

from bounce_sync.ledger.errors import LedgerError, LedgerTooNew

BUSY_SECONDS = 60
"""How long one transaction waits for another one of the same SQLite file."""

CONNECT_SECONDS = 20
"""How long a PostgreSQL server has to answer."""

CHUNK = 50_000
"""Rows that are in memory as Python objects at once."""

_MIGRATIONS = Path(__file__).with_name("migrations")
_ONE_AT_A_TIME = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('bounce_sync.rows.' || current_schema(), 0))"
)


def open_database(url: str) -> Engine:
    """An engine on `url`, migrated to the newest shape; several processes may do this at once.

    Raises `LedgerError` for an address that can't be used or reached, `LedgerTooNew` where a newer
    release migrated it already.
    """
    where = address(url)
    engine = _engine(where)
    try:
        _migrate(engine)
    except SQLAlchemyError as error:
        raise LedgerError(
            f"The ledger at {where.render_as_string()} can't be opened: "
            f"{getattr(error, 'orig', None) or type(error).__name__}. Check BOUNCE_SYNC_LEDGER."
        ) from error
    return engine


def open_existing(url: str) -> Engine | None:
    """An engine on what is at `url`, where nothing is made or migrated; None where nothing is.

    Raises `LedgerError` for an address that can't be used.
    """
    where = address(url)
    if where.get_backend_name() == "sqlite" and not Path(str(where.database)).is_file():
        return None
    return _engine(where)


def revisions() -> list[str]:
    """Every shape that this release knows, the newest first."""
    return [script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()]


def revision_of(connection: Connection) -> str | None:
    """The shape that a database has; None where it holds no ledger."""
    return MigrationContext.configure(connection).get_current_revision()


def sqlite_file(engine: Engine) -> Path:
    """The file of a SQLite ledger."""
    return Path(str(engine.url.database)).absolute()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes, committed at the end of the block; there is one at a time."""
    with engine.execution_options(bounce_sync_writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(_ONE_AT_A_TIME)
        yield connection


def add(connection: Connection, table: Table, rows: pd.DataFrame) -> None:
    """Adds `rows`, whose columns are columns of `table`: in bulk, as the database likes it best."""
    columns = list(rows.columns)
    for start in range(0, len(rows), CHUNK):
        chunk = rows.iloc[start : start + CHUNK]
        tuples = zip(*(_plain(chunk[name]) for name in columns), strict=True)
        if connection.dialect.name == "postgresql":
            _copy(connection, table, columns, tuples)
        else:
            names, marks = ", ".join(columns), ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 (ours)
            connection.exec_driver_sql(statement, list(tuples))


def _copy(
    connection: Connection, table: Table, columns: list[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    cursor: Any = connection.connection.cursor()
    with cursor, cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def read(connection: Connection, query: Select) -> pd.DataFrame:
    """The rows of `query` as a frame.

    Text is `str`, times are UTC, numbers `Int64`, truth values `boolean`; JSON comes as objects.
    """
    names = [column.key or "" for column in query.selected_columns]
    kinds = [_dtype(column.type) for column in query.selected_columns]
    result = connection.execution_options(stream_results=True).execute(query)
    frames = [_frame(rows, names, kinds) for rows in result.partitions(CHUNK)]
    return pd.concat(frames, ignore_index=True) if frames else _frame([], names, kinds)


def _frame(rows: Sequence[Any], names: list[str], kinds: list[Any]) -> pd.DataFrame:
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return pd.DataFrame(
        {
            name: _column(list(values), kind)
            for name, values, kind in zip(names, columns, kinds, strict=True)
        }
    )


def _column(values: list[Any], kind: Any) -> pd.Series:
    if kind == "datetime64[us, UTC]":
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object), utc=True)).astype(kind)
    return pd.Series(values, dtype=object).astype(kind)


def _dtype(kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, DateTime):
        return "datetime64[us, UTC]"
    if isinstance(kind, Boolean):
        return "boolean"
    if isinstance(kind, Integer):
        return "Int64"
    return "object" if isinstance(kind, JSON) else "str"


def _plain(column: pd.Series) -> list[Any]:
    """Values that both drivers take as they are; times as the text that SQLAlchemy stores."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        codes, moments = pd.factorize(column.dt.tz_convert("UTC"))
        texts = [*moments.strftime("%Y-%m-%d %H:%M:%S.%f"), None]  # code -1 is a missing time
        return [texts[code] for code in codes]
    return column.astype(object).where(column.notna(), None).tolist()


def address(url: str) -> URL:
    """The address that `url` is. Raises `LedgerError` where no ledger can live there."""
    try:
        where = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise LedgerError(
            "The ledger's address isn't a database URL; one looks like sqlite:////var/lib/"
            "bounce_sync/ledger.db or postgresql://user@host/database."
        ) from error
    kind = where.get_backend_name()
    if kind in ("postgresql", "postgres"):
        return where.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise LedgerError(f"A ledger lives in SQLite or PostgreSQL, not in {kind}.")
    if where.database in (None, "", ":memory:"):
        raise LedgerError("A ledger must outlive its process: give the SQLite URL a file.")
    return where


def _engine(address: URL) -> Engine:
    """Each transaction has a connection of its own: between them nothing is open."""
    if address.get_backend_name() == "sqlite":
        Path(str(address.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(address, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(
            address,
            poolclass=NullPool,
            connect_args={"options": "-c timezone=UTC", "connect_timeout": CONNECT_SECONDS},
        )
    except ImportError as error:
        raise LedgerError(
            "A ledger on PostgreSQL needs psycopg: pip install 'bounce-sync[postgresql]'."
        ) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: sqlite3 does it too late
    connection.execute("PRAGMA synchronous = FULL")  # an intent outlives a power cut
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -65536")  # 64 MB: indexes of a large batch stay in it


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts by reading and then writes fails at once if another one wrote.
    writes = connection.get_execution_options().get("bounce_sync_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine) -> None:
    scripts = ScriptDirectory(str(_MIGRATIONS))
    head = scripts.get_current_head()
    with engine.connect() as connection:
        if revision_of(connection) == head:
            return
    if engine.dialect.name == "sqlite":
        file = sqlite_file(engine)
        with FileLock(f"{file}.opening"):
            with engine.connect() as connection:
                connection.connection.cursor().execute("PRAGMA journal_mode = WAL")
            with writing(engine) as connection:
                _upgrade(connection, scripts, head)
    else:
        with writing(engine) as connection:
            _upgrade(connection, scripts, head)


def _upgrade(connection: Connection, scripts: ScriptDirectory, head: str | None) -> None:
    current = revision_of(connection)
    if current is not None and current not in revisions():
        raise LedgerTooNew(
            f"The ledger has revision {current}; this release knows revisions up to {head}. "
            "Install the release that wrote it, or a newer one."
        )
    if current != head:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
