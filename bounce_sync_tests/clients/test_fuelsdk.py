"""Salesforce-FuelSDK, which builds its requests from the WSDL, against Marketing Cloud's SOAP."""

from __future__ import annotations

from pathlib import Path

import pytest

from bounce_sync_tests.clients import tenant
from bounce_sync_tests.clients.conftest import Sandbox
from bounce_sync_tests.clients.installed import Environment

KEYS = [tenant.key(1), tenant.key(10)]


@pytest.mark.clients
def test_fuelsdk(sandbox: Sandbox, python: Environment, tmp_path: Path) -> None:
    """The window is the tenant's day, said in UTC."""
    found = sandbox.asked_by(
        python,
        "python/fuel.py",
        keys=KEYS,
        extension=tenant.EXTENSION,
        wsdl=str(tmp_path / "etframework.wsdl"),
        **{"from": "2026-05-04T06:00:00Z", "until": "2026-05-05T06:00:00Z"},
    )

    assert found["pages"] == [2500, 2500, tenant.BOUNCES - 5000]
    assert found["status"] == [True, "OK"]
    assert len({bounce[2] for bounce in found["bounces"]}) == tenant.BOUNCES
    assert min(found["bounces"], key=lambda bounce: bounce[2]) == [
        "12",
        tenant.key(1),
        f"{tenant.DAY} 00:00:00.120000",
        "SoftBounce",
        "Soft bounce",
        tenant.REASON,
    ]
    assert found["subscribers"] == [
        [KEYS[0], "1@example.com", "Held"],
        [KEYS[1], "10@example.com", "Held"],
    ]
    assert found["row_pages"] == [tenant.ROWS]
    assert {"SubscriberKey": tenant.key(7), "Note": "note 7"} in found["rows"]
    assert found["extensions"] == [[tenant.EXTENSION, tenant.EXTENSION]]
    assert sorted(found["fields"]) == [
        ["Note", "Text", "False", "100"],
        ["SubscriberKey", "Text", "True", "254"],
    ]
    assert found["created"] == [True, "Data Extension created."]
    assert found["again"][0] is False
    assert found["written"] == [True, False, True, False, True, True, False]
    assert found["left"] == [{"SubscriberKey": "0010", "Note": "changed"}]
    assert found["wrong"][0] is False
    assert "BounceReason do not match with the fields" in found["wrong"][1]
    assert {"SubscriberKey", "EventDate", "SMTPReason"} <= set(found["described"])
