"""aiosalesforce, which takes My Domain addresses alone, against the CRM."""

from __future__ import annotations

import pytest

from bounce_sync_tests.clients import tenant
from bounce_sync_tests.clients.conftest import Sandbox
from bounce_sync_tests.clients.installed import Environment

CONTACTS = [tenant.contact_id(number) for number in (1, 2, 3)]
UNKNOWN = tenant.contact_id(9999)


@pytest.mark.clients
def test_aiosalesforce(sandbox: Sandbox, python: Environment) -> None:
    found = sandbox.asked_by(python, "python/composite.py", contacts=CONTACTS, unknown=UNKNOWN)

    assert found["names"] == [f"Doe {number:04}" for number in range(1, tenant.CONTACTS + 1)]
    assert found["everything"] == tenant.CONTACTS
    assert [row["n"] for row in found["by_soap"]] == [tenant.CONTACTS]
    assert found["after"]["Hard_Bounce__c"] is True
    assert found["limits"]["Remaining"] < found["limits"]["Max"]
    assert found["composite"] == [CONTACTS[1], 204, 404]
    assert found["batch"] == [True, 400]
    assert found["jobs"] == ["JobComplete"]
    assert found["successful"] == [CONTACTS[2]]
    (failed,) = found["failed"]
    assert failed.startswith("INVALID_CROSS_REFERENCE_KEY:")
    assert found["unprocessed"] == []
    assert sandbox.flagged() == set(CONTACTS)
    assert "INVALID_LOGIN" in found["wrong"]["text"]
    assert found["refused"]["kind"] == "NotFoundError"
