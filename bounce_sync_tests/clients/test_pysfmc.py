"""pysfmc, which makes its address from a subdomain, against Marketing Cloud's REST."""

from __future__ import annotations

import pytest

from bounce_sync_tests.clients import tenant
from bounce_sync_tests.clients.conftest import Sandbox
from bounce_sync_tests.clients.installed import Environment


@pytest.mark.clients
def test_pysfmc(sandbox: Sandbox, python: Environment) -> None:
    found = sandbox.asked_by(python, "python/pysfmc_rows.py", extension=tenant.EXTENSION)

    assert (found["pages"], found["count"]) == ([50, 50, 30], tenant.ROWS)
    assert set(found["keys"]) == {tenant.key(number) for number in range(1, tenant.ROWS + 1)}
    assert found["found"] == 1
    assert found["started"] == "OK"
    assert found["missing"]["kind"] == "SFMCNotFoundError"
    assert found["wrong"]["kind"] == "SFMCAuthenticationError"
