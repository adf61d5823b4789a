"""jsforce, whole and in its edition for Node, against the CRM."""

from __future__ import annotations

from typing import Any

import pytest

from bounce_sync_tests.clients import tenant
from bounce_sync_tests.clients.conftest import Sandbox
from bounce_sync_tests.clients.installed import Environment

CONTACTS = [tenant.contact_id(number) for number in range(1, 453)]
UNKNOWN = tenant.contact_id(9999)


@pytest.mark.external
@pytest.mark.clients
@pytest.mark.parametrize("library", ["jsforce", "@jsforce/jsforce-node"])
def test_jsforce(sandbox: Sandbox, node: Environment, library: str) -> None:
    found = sandbox.asked_by(
        node, "node/crm.mjs", library=library, contacts=CONTACTS, unknown=UNKNOWN
    )
    logged_in(found, sandbox)
    described(found)
    paged(found)
    updated(found)
    bulk(found, sandbox)
    refused(found)


def logged_in(found: dict[str, Any], sandbox: Sandbox) -> None:
    user = {
        "id": sandbox.store.setting("user_id"),
        "organizationId": sandbox.store.setting("organization_id"),
    }
    for way in ("identity", "password", "soap"):
        assert user.items() <= found[way].items()
    assert found["userInfo"]["username"] == sandbox.address.username
    assert found["wrong"]["message"].startswith("INVALID_LOGIN: ")
    assert found["refreshed"] == [1, 1]
    assert found["revoked"]["code"] == "INVALID_SESSION_ID"


def described(found: dict[str, Any]) -> None:
    assert {"62.0", "60.0"} <= set(found["versions"])
    assert ["Hard_Bounce__c", "boolean", True] in found["fields"]
    assert ["Hard_Bounce_Date__c", "datetime", True] in found["fields"]
    assert {"Contact", "Lead", "Account", "User"} <= set(found["objects"])
    assert 0 < found["limits"]["Remaining"] < found["limits"]["Max"]
    assert found["limitInfo"]["apiUsage"]["used"] > 0


def paged(found: dict[str, Any]) -> None:
    everybody = [f"Doe {number:04}" for number in range(1, tenant.CONTACTS + 1)]
    assert found["paged"] == everybody
    assert found["pages"] == [tenant.CONTACTS, False, 2000, True, tenant.CONTACTS - 2000]
    assert found["count"] == tenant.CONTACTS
    assert len(found["found"]) == 9
    assert found["all"] == 3


def updated(found: dict[str, Any]) -> None:
    assert found["single"] == {"id": CONTACTS[0], "success": True, "errors": []}
    assert found["after"]["Hard_Bounce__c"] is True
    assert found["after"]["Hard_Bounce_Date__c"] == "2026-05-04T18:00:00.000+0000"
    assert found["many"] == [[record, True, []] for record in CONTACTS[2:]]
    assert found["retrieved"] == [True] * 300
    good, bad = found["mixed"]
    assert good == {"id": CONTACTS[1], "success": True, "errors": []}
    assert bad["success"] is False
    assert bad["errors"][0]["statusCode"] == "INVALID_CROSS_REFERENCE_KEY"


def bulk(found: dict[str, Any], sandbox: Sandbox) -> None:
    """The client writes null as `#N/A`, which empties the date."""
    (good,) = found["loaded"]["successfulResults"]
    assert (good["sf__Id"], good["sf__Created"]) == (CONTACTS[0], "false")
    (bad,) = found["loaded"]["failedResults"]
    assert bad["Id"] == UNKNOWN
    assert bad["sf__Error"].startswith("INVALID_CROSS_REFERENCE_KEY:")
    assert found["loaded"]["unprocessedRecords"] == []
    first = sandbox.contact(1)
    assert (first["Hard_Bounce__c"], first["Hard_Bounce_Date__c"]) == (0, None)
    assert sandbox.flagged() == set(CONTACTS[1:])
    held = {record for record, _, flag in found["bulk"] if flag == "true"}
    assert (len(found["bulk"]), held) == (tenant.CONTACTS, set(CONTACTS[1:]))


def refused(found: dict[str, Any]) -> None:
    codes = {what: error["code"] for what, error in found["refused"].items()}
    assert codes == {
        "field": "INVALID_FIELD",
        "object": "NOT_FOUND",
        "record": "NOT_FOUND",
        "statement": "MALFORMED_QUERY",
        "batch": "EXCEEDED_ID_LIMIT",
    }
