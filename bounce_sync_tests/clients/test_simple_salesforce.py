"""simple-salesforce, which knows https and the services' own hosts alone, against the CRM."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from bounce_sync_tests.clients import tenant
from bounce_sync_tests.clients.conftest import Sandbox
from bounce_sync_tests.clients.installed import Environment

CONTACTS = [tenant.contact_id(number) for number in (1, 2, 3)]
UNKNOWN = tenant.contact_id(9999)
WHEN = "2026-05-04T18:00:00.000Z"


@pytest.mark.clients
def test_simple_salesforce(sandbox: Sandbox, python: Environment) -> None:
    found = sandbox.asked_by(python, "python/simple.py", contacts=CONTACTS, unknown=UNKNOWN)
    logged_in(found, sandbox)
    read(found)
    updated(found)
    bulk(found, sandbox)
    refused(found)


def logged_in(found: dict[str, Any], sandbox: Sandbox) -> None:
    assert found["sessions"] == [True] * 3
    assert found["wrong"]["kind"] == "SalesforceAuthenticationFailed"
    assert "(code: INVALID_LOGIN)" in found["wrong"]["text"]
    assert found["userinfo"]["preferred_username"] == sandbox.address.username


def read(found: dict[str, Any]) -> None:
    assert found["total"] == tenant.CONTACTS
    assert found["names"] == [f"Doe {number:04}" for number in range(1, tenant.CONTACTS + 1)]
    assert found["pages"] == [2000, tenant.CONTACTS - 2000, tenant.CONTACTS - 2000]
    assert found["deleted_too"]["totalSize"] == 3
    assert found["usage"] > 0
    assert found["limits"]["Remaining"] < found["limits"]["Max"]
    assert {"Hard_Bounce__c", "Hard_Bounce_Date__c", "Email"} <= set(found["describe"])
    assert {"Contact", "Lead"} <= set(found["objects"])


def updated(found: dict[str, Any]) -> None:
    assert found["updated"] == 204
    good, bad = found["collected"]
    assert good == {"id": CONTACTS[1], "success": True, "errors": []}
    assert (bad["success"], "id" in bad) == (False, False)
    first, missing, second = found["retrieved"]
    assert (first["Hard_Bounce__c"], missing, second["Hard_Bounce__c"]) == (True, None, True)


def bulk(found: dict[str, Any], sandbox: Sandbox) -> None:
    """An empty cell changes nothing, `#N/A` empties."""
    (job,) = found["jobs"]
    assert (job["numberRecordsTotal"], job["numberRecordsProcessed"]) == (4, 4)
    assert job["numberRecordsFailed"] == 1
    assert [row["sf__Id"] for row in _rows(found["successful"])] == CONTACTS
    (failed,) = _rows(found["failed"])
    assert failed["Id"] == UNKNOWN
    assert failed["sf__Error"].startswith("INVALID_CROSS_REFERENCE_KEY:")
    assert _rows(found["unprocessed"]) == []
    stored = [sandbox.contact(number) for number in (1, 2, 3)]
    assert [(row["Hard_Bounce__c"], row["Hard_Bounce_Date__c"]) for row in stored] == [
        (0, WHEN),
        (0, None),
        (1, WHEN),
    ]
    assert found["after"]["Hard_Bounce__c"] is False
    assert found["after"]["Hard_Bounce_Date__c"] == "2026-05-04T18:00:00.000+0000"
    assert found["bulk_pages"] == [1000, 1000, tenant.CONTACTS - 2000]
    assert found["bulk_first"] == f'"{CONTACTS[0]}","Åsa","Doe 0001"'


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def refused(found: dict[str, Any]) -> None:
    kinds = {what: (error["kind"], error["status"]) for what, error in found["refused"].items()}
    assert kinds == {
        "field": ("SalesforceMalformedRequest", 400),
        "record": ("SalesforceResourceNotFound", 404),
        "value": ("SalesforceMalformedRequest", 400),
        "session": ("SalesforceExpiredSession", 401),
    }
    assert "INVALID_FIELD" in found["refused"]["field"]["text"]
    assert "INVALID_TYPE_ON_FIELD_IN_RECORD" in found["refused"]["value"]["text"]


@pytest.mark.clients
@pytest.mark.parametrize("sandbox", ["https"], indirect=True)
def test_its_metadata_api(sandbox: Sandbox, python: Environment) -> None:
    """Over TLS alone, for its SOAP client can't be told otherwise.

    A field made this way is seen by nobody until somebody is permitted to.
    """
    found = sandbox.asked_by(python, "python/metadata.py")

    assert found["made"] == ["Contact.Bounce_Note__c", "Text", 80]
    assert "Bounce_Note__c" not in found["seen"]
    assert "DUPLICATE_DEVELOPER_NAME" in found["again"]["text"]
    assert {"Contact.Hard_Bounce__c", "Contact.Bounce_Note__c"} <= set(found["listed"])
    assert {"CustomObject", "PermissionSet"} <= set(found["described"])
    assert "Contact.Bounce_Note__c" in found["deleted_twice"]["text"]
