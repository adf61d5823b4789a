"""What the runs after a crash or a refusal still know, and what they forget in time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bounce_sync.ledger import Ledger
from bounce_sync.salesforce.connection import Connection
from bounce_sync_tests.crashes.dying import Killed, dies
from bounce_sync_tests.crashes.installation import Installation, World, nap, world
from bounce_sync_tests.tenant import to_18

ANN, BOB = (to_18(f"003Dn{name}") for name in ("0000000Ann", "0000000Bob"))
NOON = datetime(2026, 2, 3, 18, tzinfo=UTC)
DAY, NEXT_DAY, WEEKS_LATER = "2026-02-03", "2026-02-04", "2026-02-24"
BY_BULK = 1


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "tenant") as served:
        served.people(ANN, BOB)
        served.subscribers(ANN, BOB, status="Held")
        served.bounces(NOON, ANN, BOB)
        yield served


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(Ledger(f"sqlite:///{tmp_path}/ledger.db"))


def sync(here: World, installation: Installation, day: str, bulk_from: int = 2_000) -> None:
    with (
        contextlib.closing(here.source()) as source,
        Connection(here.org(bulk_from), sleep=nap) as crm,
    ):
        installation.sync_once(day, f"run of {day}", source, crm)


def refuse(here: World, record: str) -> None:
    here.store.execute(
        "INSERT INTO crm_refusal (record_id, code, message) VALUES (?, 'SOME_TRIGGER', 'no')",
        (record,),
    )


def statuses(here: World, status: str) -> None:
    here.store.execute("UPDATE subscriber SET status = ?", (status,))


def flagged(here: World) -> set[str]:
    return {record for record, (flag, _) in here.flags().items() if flag}


def test_a_row_refused_in_a_job_that_a_crash_left_keeps_its_code(here, installation) -> None:
    refuse(here, BOB)
    with pytest.raises(Killed), dies(3, noted=False):  # the job ended, nobody noted how
        sync(here, installation, DAY, BY_BULK)
    sync(here, installation, WEEKS_LATER)
    first = installation.ledger.updates(f"run of {DAY}").set_index("record_id")
    assert first["outcome"].to_dict() == {ANN: "written", BOB: "rejected"}
    assert first.loc[BOB, "error_code"] == "SOME_TRIGGER"


def test_a_write_that_a_crash_left_open_is_planned_by_the_first_run_after_it(
    here, installation
) -> None:
    with pytest.raises(Killed), dies(1, noted=True):
        sync(here, installation, DAY)
    assert flagged(here) == set()
    sync(here, installation, WEEKS_LATER)  # the bounce is out of the window by now
    assert flagged(here) == {ANN, BOB}
    assert installation.ledger.carried(WEEKS_LATER).empty


def test_a_clean_rerun_of_the_day_leaves_nothing_to_be_carried(here, installation) -> None:
    with pytest.raises(Killed), dies(1, noted=True):
        sync(here, installation, DAY)
    sync(here, installation, DAY)
    assert flagged(here) == {ANN, BOB}
    assert installation.ledger.carried(NEXT_DAY).empty


def test_a_refused_key_that_is_released_is_forgotten(here, installation) -> None:
    """Held by hand weeks later, it isn't flagged from a bounce that SFMC has forgiven."""
    refuse(here, ANN)
    sync(here, installation, DAY)
    assert installation.ledger.carried(NEXT_DAY)["subscriber_key"].tolist() == [ANN]
    statuses(here, "Active")
    sync(here, installation, NEXT_DAY)
    here.store.execute("DELETE FROM crm_refusal")
    statuses(here, "Held")
    sync(here, installation, WEEKS_LATER)
    assert flagged(here) == set()
