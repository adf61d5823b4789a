"""The sandbox of an installation: made when first needed, kept up to date, served by each process.

Every run process serves it on free ports for its own lifetime, and all of them see the same tenant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import filelock

from bounce_sync.sandbox.server import Address, serve
from bounce_sync.sandbox.simulation import advance, simulate
from bounce_sync.sandbox.store import FILE, Store

SUBSCRIBERS, DAYS, SEED = 20_000, 60, 7


@contextlib.contextmanager
def serve_own(folder: Path) -> Iterator[Address]:
    """Serves the sandbox in `folder` while the context lasts; makes it first where there is none.

    A simulated tenant is moved on to yesterday, so that the last finished day is never empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "making.lock"):
        _prepare(folder)
    with serve(folder) as address:
        yield address


def business_units(folder: Path) -> tuple[str, ...]:
    """MIDs of the sandbox's business units, the enterprise first."""
    with Store.open(folder) as store:
        return tuple(str(mid) for mid in store.business_units())


def _prepare(folder: Path) -> None:
    if not (folder / FILE).exists():
        with Store.making(folder, seed=SEED) as store:
            simulate(store, subscribers=SUBSCRIBERS, days=DAYS, seed=SEED)
        return
    with Store.open(folder) as store:
        today = store.setting("today", "")
        if not today:
            return  # loaded from files: its clock is the real one
        real_day = (datetime.now(UTC) + store.utc_offset).date()
        behind = (real_day - datetime.fromisoformat(today).date()).days
        if behind > 0:
            advance(store, behind)
