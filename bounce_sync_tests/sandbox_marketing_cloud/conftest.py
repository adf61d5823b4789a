"""A tenant of a few rows and the service over it, on a real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_marketing_cloud.service import Host, Service, host
from bounce_sync_tests.sandbox_marketing_cloud.tenant import CHILD, PARENT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(
        tmp_path / "tenant", account_id=PARENT, business_units=[(CHILD, "Germany")]
    ) as made:
        yield made


@pytest.fixture(scope="session")
def server() -> Iterator[Host]:
    with host() as made:
        yield made


@pytest.fixture
def service(server: Host, store: Store) -> Iterator[Service]:
    with server.serving(store) as made:
        yield made
