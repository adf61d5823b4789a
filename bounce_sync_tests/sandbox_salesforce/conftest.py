"""An org of a few records and the service over it, on a real socket."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bounce_sync.sandbox.faults import Faults
from bounce_sync.sandbox.salesforce.setup.objects import prepare
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_salesforce.org import Host, Org, host


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty tenant, made once: each test works on a copy."""
    folder = tmp_path_factory.mktemp("founded") / "tenant"
    with Store.create(folder) as made:
        prepare(made)
    return folder


@pytest.fixture
def store(founded: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copytree(founded, tmp_path / "tenant")
    with Store.open(tmp_path / "tenant") as made:
        yield made


@pytest.fixture(scope="session")
def server() -> Iterator[Host]:
    with host() as made:
        yield made


@pytest.fixture
def anonymous(server: Host, store: Store) -> Iterator[Org]:
    """Nobody has logged in yet."""
    with server.serving(store) as made:
        yield made


@pytest.fixture
def org(anonymous: Org) -> Org:
    anonymous.login()
    return anonymous


@pytest.fixture
def faulty(server: Host, store: Store) -> Iterator[Callable[..., Org]]:
    """An org that misbehaves as the entries of a faults file say, once logged in."""
    with ExitStack() as stack:

        def make(*entries: dict[str, object]) -> Org:
            faults = Faults.parse({"faults": list(entries)})
            made = stack.enter_context(server.serving(store, faults))
            made.login()
            return made

        yield make
