"""One simulated tenant for all tests that only read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from bounce_sync.sandbox.simulation import simulate
from bounce_sync.sandbox.store import Store

LAST_DAY = date(2026, 11, 21)


@pytest.fixture(scope="session")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """6,000 subscribers, 60 days, nothing set but the seed. Not to be written to."""
    with Store.create(tmp_path_factory.mktemp("tenant") / "sandbox") as store:
        simulate(store, subscribers=6_000, days=60, seed=11, until=LAST_DAY)
        yield store
