"""A tenant of a few rows and the service over it, on a real socket."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bounce_sync.sandbox.salesforce.setup.objects import prepare
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_marketing_cloud.service import Host, Service, host
from bounce_sync_tests.sandbox_marketing_cloud.tenant import CHILD, PARENT


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty tenant that each test has a copy of: to found one takes longer than a test."""
    directory = tmp_path_factory.mktemp("founded") / "tenant"
    with Store.create(directory, account_id=PARENT, business_units=[(CHILD, "Germany")]) as made:
        prepare(made)
        made.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return directory


@pytest.fixture
def store(founded: Path, tmp_path: Path) -> Iterator[Store]:
    with Store.open(shutil.copytree(founded, tmp_path / "tenant")) as made:
        yield made


@pytest.fixture(scope="session")
def server() -> Iterator[Host]:
    with host() as made:
        yield made


@pytest.fixture
def service(server: Host, store: Store) -> Iterator[Service]:
    with server.serving(store) as made:
        yield made
