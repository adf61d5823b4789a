"""One answer in twenty faulty in every way the sandbox knows, in both services: a sync ends right,
or says clearly why not and the next ones heal it.

The long form: ``pytest -m thorough bounce_sync_tests/crashes/test_faulty_answers.py``.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from bounce_sync.ledger import Ledger
from bounce_sync.marketing_cloud.errors import MarketingCloudError
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.salesforce import sobject_batches
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.sandbox.faults import SERVICE, SERVICES, WIRE, Faults
from bounce_sync.tables import UNKNOWN, WRITTEN
from bounce_sync_tests.crashes.installation import STORED, Installation, World, nap, world
from bounce_sync_tests.tenant import to_18

SHARE = 0.05
MOST_SYNCS = 60
ROWS_A_BATCH = 5
ROUNDS = 3
"""Syncs against one sandbox, each from the same beginning."""
NOON = datetime(2026, 2, 3, 18, tzinfo=UTC)
DAY, EARLIER = "2026-02-03", NOON - timedelta(days=40)
PATIENCE = Patience(read_timeout=20, attempts=3, first_wait=0.01, longest_wait=0.05)

KINDS = [f"{prefix}{kind}" for kind in ("Gone", "Back", "More", "Kept") for prefix in "CL"]
PEOPLE = {
    kind: [to_18(f"{'003' if kind[0] == 'C' else '00Q'}Dn{kind}{n:05d}") for n in range(20)]
    for kind in KINDS
}
GONE, BACK, MORE, KEPT = (
    [*PEOPLE[f"C{kind}"], *PEOPLE[f"L{kind}"]] for kind in ("Gone", "Back", "More", "Kept")
)
"""Held and bounced; flagged and mailed again; flagged with a newer bounce; bounced and mailed."""
NOW, THEN = f"{NOON:{STORED}}", f"{EARLIER:{STORED}}"
RIGHT = {
    **dict.fromkeys(GONE, (True, NOW)),
    **dict.fromkeys(BACK, (False, THEN)),
    **dict.fromkeys(MORE, (True, NOW)),
    **dict.fromkeys(KEPT, (False, None)),
}
WRITES = 2 * len(GONE) + len(BACK) + len(MORE)
"""Fields that differ between before and after."""


def in_every_way(seed: int) -> Faults:
    kinds = (*WIRE, *SERVICE)
    share = SHARE / len(kinds)
    faults = [
        {"service": service, "kind": kind, "share": share, "ms": 1, "status": 503}
        for service in SERVICES
        for kind in kinds
    ]
    return Faults.parse({"seed": seed, "faults": faults})


@contextlib.contextmanager
def tenant(folder: Path, seed: int) -> Iterator[tuple[World, Faults]]:
    small = functools.partial(sobject_batches.batches, size=ROWS_A_BATCH)
    faults = in_every_way(seed)
    with (
        mock.patch.object(sobject_batches, "batches", small),
        world(folder / "tenant", faults) as here,
    ):
        here.people(*GONE, *BACK, *MORE, *KEPT)
        here.subscribers(*GONE, *MORE, status="Held")
        here.subscribers(*BACK, *KEPT)
        here.bounces(NOON, *GONE, *MORE, *KEPT)
        yield here, faults


def as_before(here: World) -> None:
    """The CRM before the first sync: some are flagged, by whomever."""
    here.store.execute("DELETE FROM crm_write")
    for table in ("Contact", "Lead"):
        here.store.execute(f'UPDATE "{table}" SET Hard_Bounce__c = 0, Hard_Bounce_Date__c = NULL')
    for each in (*BACK, *MORE):
        here.put(each, Hard_Bounce__c=1, Hard_Bounce_Date__c=THEN)


def sync(here: World, installation: Installation, run: str, bulk_from: int) -> bool:
    """Whether it went through and left nothing open; a failure is one that says what failed."""
    through = False
    try:
        with (
            contextlib.closing(here.source(PATIENCE)) as source,
            Connection(here.org(bulk_from), sleep=nap) as crm,
        ):
            updates = installation.sync_once(DAY, run, source, crm).updates
            through = set(updates["outcome"]) <= {WRITTEN}
    except SalesforceError as error:
        says_what(error.request, error.answer, error.advice)
    except MarketingCloudError as error:
        says_what(str(error.place), error.answer, error.advice)
    is_there(here, installation)
    return through


def says_what(*parts: str) -> None:
    assert all(parts), "a failure names the request, the answer and what to do"


def is_there(here: World, installation: Installation) -> None:
    """What the ledger calls written is in the CRM, and what it calls not written isn't."""
    history = installation.ledger.history(list(RIGHT))
    written = history[history["outcome"] == WRITTEN]
    flags = here.flags()
    assert all(flags[each] == RIGHT[each] for each in written["record_id"])
    settled = history[(history["outcome"] != WRITTEN) & (history["outcome"] != UNKNOWN)]
    never = set(settled["record_id"]) - set(written["record_id"])
    open_now = set(installation.ledger.open_intents()["record_id"])
    assert all(flags[each] != RIGHT[each] for each in never - open_now), "written, not reported"


def heals(folder: Path, seed: int, bulk_from: int) -> None:
    with tenant(folder, seed) as (here, faults):
        for number in range(ROUNDS):
            as_before(here)
            installation = Installation(Ledger(f"sqlite:///{folder}/{number}.db"))
            assert any(
                sync(here, installation, f"{DAY}/{number}", bulk_from)
                for number in range(MOST_SYNCS)
            ), "never went through"
            assert here.flags() == RIGHT
            moved = here.store.execute("SELECT count(*) FROM crm_write WHERE before IS NOT after")
            assert moved.fetchone()[0] == WRITES, "each field moved once"
            assert installation.ledger.open_intents().empty
        assert sum(each["applied"] for each in faults.counts()) > 1, "no answer was faulty"


@pytest.mark.parametrize("bulk_from", [2_000, 1], ids=["collections", "bulk"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_sync_ends_right_or_the_next_ones_heal_it(
    tmp_path: Path, seed: int, bulk_from: int
) -> None:
    heals(tmp_path, seed, bulk_from)


@pytest.mark.thorough
@pytest.mark.parametrize("bulk_from", [2_000, 1], ids=["collections", "bulk"])
@pytest.mark.parametrize("seed", range(3, 30))
def test_so_do_many_more(tmp_path: Path, seed: int, bulk_from: int) -> None:
    heals(tmp_path, seed, bulk_from)
