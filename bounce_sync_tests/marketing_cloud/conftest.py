"""A tenant with a child business unit, empty, in a folder of the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bounce_sync.sandbox.store import Store
from bounce_sync_tests.marketing_cloud.tenants import CHILD, PARENT, Tenant


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    with Store.create(
        tmp_path / "tenant", account_id=int(PARENT), business_units=[(int(CHILD), "Germany")]
    ) as store:
        yield Tenant(store)
