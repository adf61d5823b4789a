from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync_tests.salesforce import scripted_org
from bounce_sync_tests.salesforce.scripted_org import ScriptedOrg


@pytest.fixture
def org() -> Iterator[ScriptedOrg]:
    with scripted_org.serve() as served:
        yield served


@pytest.fixture
def pauses() -> list[float]:
    """The waits that were asked for, none of which was waited."""
    return []


@pytest.fixture
def connect(org: ScriptedOrg, pauses: list[float]) -> Iterator[Callable[..., Connection]]:
    """Opens connections to the scripted org; settings of `Org` may be given."""
    with ExitStack() as stack:

        def opened(**settings: object) -> Connection:
            known = {"login_url": org.url, "client_id": "app", "client_secret": "s3cret"}
            asked = Org(**{**known, **settings})  # type: ignore[arg-type] # a test's own settings
            return stack.enter_context(Connection(asked, sleep=pauses.append))

        yield opened


@pytest.fixture
def connection(connect: Callable[..., Connection]) -> Connection:
    return connect()
