"""Opening a ledger: migrations, several processes at once, addresses that can't be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from bounce_sync.ledger import Ledger, LedgerError, LedgerState, LedgerTooNew, look
from bounce_sync.ledger.database import open_database
from bounce_sync.ledger.schema import metadata
from bounce_sync_tests.ledger.frames import change, changes

OPEN_AND_BEGIN = """
import sys
from bounce_sync.ledger import Ledger
ready = sys.stdin.readline()
Ledger(sys.argv[1]).begin_run(sys.argv[2], "2026-02-03")
"""


def test_the_migrations_lead_to_the_tables_that_the_code_uses(url: str) -> None:
    engine = open_database(url)
    with engine.connect() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), metadata
        )
    assert differences == []


def test_several_processes_may_open_a_new_ledger_at_once(url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_BEGIN, url, f"r{number}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    complaints = [each.communicate()[1] for each in started]
    assert complaints == [""] * 4
    assert sorted(Ledger(url).runs()["run_id"]) == ["r0", "r1", "r2", "r3"]


def test_looking_makes_and_migrates_nothing(url: str, tmp_path: Path) -> None:
    assert look(url) == LedgerState()
    assert not list(tmp_path.rglob("*.db"))
    ledger = Ledger(url)
    assert look(url).is_newest
    assert look(url).org_id is None
    ledger.bind_org("00Dxx0000000001EAA")
    assert look(url).org_id == "00Dxx0000000001EAA"
    with open_database(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    newer = look(url)
    assert (newer.revision, newer.is_known) == ("9999", False)


def test_a_ledger_of_a_newer_release_is_refused(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerTooNew, match="9999"):
        Ledger(url)


def test_reading_goes_on_while_a_writer_writes(url: str) -> None:
    ledger, reader = Ledger(url), Ledger(url)
    with ledger.writer(0):
        journal = ledger.run_journal("r1", "2026-02-03")
        journal.intend(changes(change(1)))
        assert len(reader.open_intents()) == 1


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("ledger.db", "isn't a database URL"),
        ("sqlite://", "give the SQLite URL a file"),
        ("mysql://host/ledger", "not in mysql"),
        ("postgresql://ledger:hunter2@127.0.0.1:1/none", "can't be opened"),
    ],
)
def test_an_address_that_cannot_be_used_says_so(address: str, complaint: str) -> None:
    with pytest.raises(LedgerError, match=complaint) as failure:
        Ledger(address)
    assert "hunter2" not in str(failure.value)


def test_a_file_that_is_no_ledger_says_so(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("This is a letter, not a database. " * 40)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(f"sqlite:///{tmp_path}/ledger.db")
