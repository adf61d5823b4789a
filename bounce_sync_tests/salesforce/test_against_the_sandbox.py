"""The real client against the real sandbox, over TLS, with everything that can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pandas as pd
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bounce_sync.salesforce.errors import AuthenticationFailed, RequestRejected
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync.sandbox.faults import Fault
from bounce_sync_tests.salesforce import sandbox_org
from bounce_sync_tests.salesforce.changes import FACTS, MemoryJournal, changes
from bounce_sync_tests.salesforce.sandbox_org import SandboxOrg, account, contact, lead

SET_AT = "2026-05-04T09:00:00.000Z"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxOrg]:
    with sandbox_org.served(tmp_path / "org") as served:
        yield served


def people(sandbox: SandboxOrg, count: int) -> pd.DataFrame:
    """Contacts in families of five and as many Leads, and the plan that flags them all."""
    owner = sandbox.store.setting("user_id")
    numbers = range(count)
    sandbox.contacts(
        *(
            {"Id": contact(n), "AccountId": account(n // 5), "OwnerId": owner, "LastName": f"C{n}"}
            for n in numbers
        )
    )
    sandbox.leads(*({"Id": lead(n), "OwnerId": owner, "LastName": f"L{n}"} for n in numbers))
    return changes(
        *({"record_id": contact(n), "account_id": account(n // 5)} for n in numbers),
        *({"record_id": lead(n), "object": "Lead"} for n in numbers),
    )


def write(sandbox: SandboxOrg, plan: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    journal = MemoryJournal()
    with sandbox.connected(**settings) as connection:
        try:
            return FlagWriter(connection, journal).write(plan, FACTS)
        finally:
            assert journal.open == set()


def assert_all_flagged(sandbox: SandboxOrg, before: dict[str, dict[str, dict]]) -> None:
    """Each record carries flag and date, and nothing else of it changed."""
    ours = {"Hard_Bounce__c": 1, "Hard_Bounce_Date__c": SET_AT}
    stamps = {"LastModifiedDate", "LastModifiedById", "SystemModstamp"}
    for name, rows in before.items():
        for record_id, row in sandbox.rows(name).items():
            expected = {**rows[record_id], **ours}
            assert {key: row[key] for key in row if key not in stamps} == {
                key: expected[key] for key in row if key not in stamps
            }


def snapshot(sandbox: SandboxOrg) -> dict[str, dict[str, dict]]:
    return {name: sandbox.rows(name) for name in ("Contact", "Lead")}


def test_flags_and_dates_are_written_and_nothing_else_changes(sandbox):
    plan = people(sandbox, 700)
    before = snapshot(sandbox)
    updates = write(sandbox, plan)
    assert set(updates["outcome"]) == {"written"}
    assert len(updates) == 1400
    assert_all_flagged(sandbox, before)
    assert {row["header_auto_assign"] for row in sandbox.audit()} == {"FALSE"}
    with sandbox.connected() as connection:
        records = RecordReader(connection).read([])
        assert records["flag"].all()
        assert len(records) == 1400


FAULTS = {
    "overload": [{"kind": "status", "status": 503}, {"kind": "status", "status": 429}],
    "drops": [{"kind": "drop_before"}, {"kind": "drop_after"}],
    "damage": [{"kind": "truncate"}, {"kind": "garble", "times": 1}],
    "session": [{"kind": "expire_token", "times": 1}],
    "locks": [{"kind": "lock_rows"}],
}


@pytest.mark.parametrize("kind", FAULTS)
def test_under_faults_the_end_is_the_same(tmp_path, kind):
    known = {"service": "salesforce", "path": "/services/data/*", "times": 2}
    faults = [Fault(**{**known, **each}) for each in FAULTS[kind]]
    with sandbox_org.served(tmp_path / "org", faults) as sandbox:
        plan = people(sandbox, 800)
        before = snapshot(sandbox)
        assert set(write(sandbox, plan)["outcome"]) == {"written"}
        assert_all_flagged(sandbox, before)
        assert {row["header_auto_assign"] for row in sandbox.audit()} == {"FALSE"}
        assert all(fault.spent for fault in sandbox.faults.entries)


def test_two_requests_never_collide_on_an_account(sandbox):
    sandbox.store.set_setting("lock_accounts", "true")
    sandbox.store.set_setting("write_ms", "20")
    plan = people(sandbox, 1800)
    with sandbox.connected() as connection:
        updates = FlagWriter(connection, MemoryJournal()).write(plan, FACTS)
        assert set(updates["outcome"]) == {"written"}
        assert connection.calls == 4  # not one retry


def test_what_the_crm_refuses_comes_back_as_rows(sandbox):
    plan = people(sandbox, 3)
    sandbox.store.execute(
        'UPDATE "Lead" SET "IsConverted" = 1, "ConvertedContactId" = ? WHERE "Id" = ?',
        (contact(0), lead(0)),
    )
    sandbox.store.execute('UPDATE "Contact" SET "IsDeleted" = 1 WHERE "Id" = ?', (contact(1),))
    plan.loc[plan["record_id"] == contact(2), "record_id"] = contact(77)
    updates = write(sandbox, plan).set_index("record_id")
    codes = updates["error_code"].dropna().to_dict()
    assert codes == {
        lead(0): "CANNOT_UPDATE_CONVERTED_LEAD",
        contact(1): "ENTITY_IS_DELETED",
        contact(77): "INVALID_CROSS_REFERENCE_KEY",
    }
    assert updates["outcome"].value_counts().to_dict() == {"written": 3, "rejected": 3}


def test_a_field_that_may_not_be_edited_stops_the_run(sandbox):
    plan = people(sandbox, 10)
    sandbox.store.execute(
        "UPDATE field SET updateable = 0 WHERE object = 'Contact' AND name = 'Hard_Bounce__c'"
    )
    with pytest.raises(RequestRejected, match="not editable"):
        write(sandbox, plan)


def test_the_days_limit_stops_the_run(tmp_path):
    faults = [Fault("daily_limit", service="salesforce")]
    with sandbox_org.served(tmp_path / "org", faults) as sandbox:
        plan = people(sandbox, 2)
        with pytest.raises(RequestRejected, match="later run goes on"):
            write(sandbox, plan)
        assert sandbox.audit() == []


def test_wrong_credentials_say_what_the_org_answered(sandbox):
    answer = r"Salesforce, login: HTTP 400 invalid_client"
    with (
        sandbox.connected(client_secret="wrong") as connection,
        pytest.raises(AuthenticationFailed, match=answer),
    ):
        connection.identity()


def test_a_certificate_that_nobody_knows_is_refused(sandbox):
    with (
        sandbox.connected(ca_bundle=None) as connection,
        pytest.raises(AuthenticationFailed, match="BOUNCE_SYNC_CA_BUNDLE"),
    ):
        connection.identity()


def test_the_ca_file_holds_whatever_the_environment_says(sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with sandbox.connected() as connection:
        assert connection.identity().is_sandbox is False


def test_jwt_bearer(sandbox):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    sandbox.store.set_setting("jwt_public_key", public.decode())
    settings = {"client_secret": None, "username": sandbox.address.username}
    with sandbox.connected(**settings, jwt_key=private.decode()) as connection:
        assert connection.identity().org_id == sandbox.store.setting("organization_id")


def test_plain_http(tmp_path):
    with sandbox_org.served(tmp_path / "org", http=True) as sandbox:
        assert sandbox.address.ca_bundle is None
        assert set(write(sandbox, people(sandbox, 2))["outcome"]) == {"written"}
