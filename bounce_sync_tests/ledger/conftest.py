"""A ledger of its own for each test: on SQLite, and again on PostgreSQL where that is installed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bounce_sync.ledger import Ledger
from bounce_sync_tests.ledger.servers import postgresql, programs


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    if programs() is None:
        pytest.skip("PostgreSQL isn't installed (Debian: apt-get install postgresql)")
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.external)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a ledger that doesn't exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/ledger.db"
    server = request.getfixturevalue("server")
    name = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@pytest.fixture
def ledger(url: str) -> Ledger:
    return Ledger(url)
