"""drt-core's Bulk destination against the CRM."""

from __future__ import annotations

import pytest

from bounce_sync_tests.clients import tenant
from bounce_sync_tests.clients.conftest import Sandbox
from bounce_sync_tests.clients.installed import Environment

CONTACTS = [tenant.contact_id(number) for number in range(1, 501)]
UNKNOWN = tenant.contact_id(9999)


@pytest.mark.clients
def test_drt(sandbox: Sandbox, python: Environment) -> None:
    found = sandbox.asked_by(python, "python/destination.py", contacts=CONTACTS, unknown=UNKNOWN)

    assert (found["success"], found["failed"]) == (len(CONTACTS), 1)
    ((record, error),) = found["errors"]
    assert UNKNOWN in record
    assert error.startswith("INVALID_CROSS_REFERENCE_KEY:")
    assert sandbox.flagged() == set(CONTACTS)
    assert sandbox.contact(1)["Hard_Bounce_Date__c"] == "2026-05-04T18:00:00.000Z"
    assert "invalid_grant" in found["wrong"]["text"]
