"""sfmc-sdk against SOAP and REST of Marketing Cloud."""

from __future__ import annotations

from typing import Any

import pytest

from bounce_sync_tests.clients import tenant
from bounce_sync_tests.clients.conftest import Sandbox
from bounce_sync_tests.clients.installed import Environment

KEYS = [tenant.key(1), tenant.key(10)]
EXPIRED = "a token whose time is over"


@pytest.mark.external
@pytest.mark.clients
def test_sfmc_sdk(sandbox: Sandbox, node: Environment) -> None:
    sandbox.expired_token(EXPIRED)
    found = sandbox.asked_by(
        node,
        "node/marketing.mjs",
        keys=KEYS,
        extension=tenant.EXTENSION,
        expired=EXPIRED,
        **{"from": f"{tenant.DAY}T00:00:00", "until": f"{tenant.DAY}T23:59:59"},
    )
    logged_in(found, sandbox)
    events(found)
    subscribers(found)
    rows(found)
    query(found, sandbox)
    refused(found)


def logged_in(found: dict[str, Any], sandbox: Sandbox) -> None:
    assert found["token"]["expires_in"] == 1079
    for api in ("rest", "soap"):
        assert found["token"][f"{api}_instance_url"] == sandbox.address.rest_url
    assert found["renewed"] == [[1, True], [1, True]]


def events(found: dict[str, Any]) -> None:
    """Three pages. The client keeps the first one's status, and reads digits as a number."""
    assert found["status"] == "MoreDataAvailable"
    assert len(found["bounces"]) == tenant.BOUNCES
    assert len({bounce["EventDate"] for bounce in found["bounces"]}) == tenant.BOUNCES
    first = min(found["bounces"], key=lambda bounce: bounce["EventDate"])
    assert (
        first.items()
        >= {
            "Client": {"ID": 7281698},
            "SendID": 12,
            "SubscriberKey": tenant.key(1),
            "EventDate": f"{tenant.DAY}T00:00:00.12",
            "EventType": "SoftBounce",
            "BounceCategory": "Soft bounce",
            "SMTPReason": tenant.REASON,
            "SMTPCode": 550,
        }.items()
    )
    assert found["none"] == ["OK", None]


def subscribers(found: dict[str, Any]) -> None:
    assert {one["Status"] for one in found["held"]} == {"Held"}
    assert len(found["held"]) == tenant.HELD
    assert [one["SubscriberKey"] for one in found["some"]] == [KEYS[0], int(KEYS[1])]
    assert {"SubscriberKey", "EmailAddress", "Status"} <= set(found["described"])
    assert "ModifiedDate" not in found["described"]


def rows(found: dict[str, Any]) -> None:
    count, items = found["rows"]
    keys = {item["keys"]["subscriberkey"] for item in items}
    assert (count, len(items), len(keys)) == (tenant.ROWS, tenant.ROWS, tenant.ROWS)
    assert found["written"][0]["values"] == {"Note": "said again"}
    assert [item["values"] for item in found["changed"]] == [{"note": "said again"}]
    status, count, read = found["load"]
    assert (status["requestStatus"], status["hasErrors"]) == ("Complete", False)
    assert (count, read) == (tenant.ROWS + 3000, tenant.ROWS + 3000)


def query(found: dict[str, Any], sandbox: Sandbox) -> None:
    assert found["made"][0] == "OK"
    assert found["definition"]["targetUpdateTypeName"] == "Overwrite"
    assert found["started"] == "OK"
    assert found["running"] == {
        "queryDefinitionId": found["definition"]["queryDefinitionId"],
        "isRunning": False,
    }
    assert found["filled"] == tenant.CONTACTS
    target = sandbox.store.data_extension("sdk_target")
    assert target is not None
    total = sandbox.store.execute(f"SELECT sum(Bounces) FROM {target['row_table']}").fetchone()[0]
    assert total == tenant.BOUNCES


def refused(found: dict[str, Any]) -> None:
    said = {what: error["message"] for what, error in found["refused"].items()}
    assert found["refused"]["secret"]["code"] == "invalid_client"
    assert found["refused"]["account"]["code"] == "invalid_request"
    assert said["property"].startswith("The Request Property(s) BounceReason do not match")
    assert said["object"].startswith("Unable to find a handler for object type: DeliveryProfile.")
    assert said["extension"] == "Not Found"
    assert said["again"] == "One or more errors in the Results"
