"""aio-sf against the CRM."""

from __future__ import annotations

import pytest

from bounce_sync_tests.clients import tenant
from bounce_sync_tests.clients.conftest import Sandbox
from bounce_sync_tests.clients.installed import Environment

CONTACTS = [tenant.contact_id(number) for number in range(1, 301)]
UNKNOWN = tenant.contact_id(9999)


@pytest.mark.clients
def test_aio_sf(sandbox: Sandbox, python: Environment) -> None:
    """The first record is flagged, unflagged beside a row that fails, and then not, together."""
    found = sandbox.asked_by(python, "python/aio.py", contacts=CONTACTS, unknown=UNKNOWN)
    everybody = [f"Doe {number:04}" for number in range(1, tenant.CONTACTS + 1)]

    assert found["expires"] > 0
    assert found["wrong"]["kind"] == "SalesforceAuthError"
    assert (found["total"], found["names"]) == (tenant.CONTACTS, everybody)
    assert found["updated"] == [[record, True] for record in CONTACTS]
    assert [row["success"] for row in found["mixed"]] == [True, False]
    assert [row["errors"][0]["statusCode"] for row in found["together"]] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "INVALID_CROSS_REFERENCE_KEY",
    ]
    assert sandbox.flagged() == set(CONTACTS[1:])
    assert found["count"] == tenant.CONTACTS
    assert [name for _, name, _ in found["bulk"]] == everybody
    assert {record for record, _, flag in found["bulk"] if flag == "true"} == set(CONTACTS[1:])
    assert {"Hard_Bounce__c", "Hard_Bounce_Date__c"} <= set(found["fields"])
    assert found["objects"] >= 4
    assert found["limits"]["Remaining"] < found["limits"]["Max"]
    assert found["organization"]["Id"] == sandbox.store.setting("organization_id")
