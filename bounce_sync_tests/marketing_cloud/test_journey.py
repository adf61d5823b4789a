"""A plan through data extensions, automations and Journeys into the sandbox's CRM."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.marketing_cloud import journey
from bounce_sync.marketing_cloud.connection import Connection
from bounce_sync.marketing_cloud.errors import (
    AutomationFailed,
    DataExtensionDiffers,
    MarketingCloudError,
    Unavailable,
    WriteFailed,
)
from bounce_sync.marketing_cloud.journey import JourneyDelivery, rounds
from bounce_sync.sandbox.server import Address
from bounce_sync_tests.marketing_cloud.tenants import IMPATIENT, Tenant, account
from bounce_sync_tests.tenant import to_18

CONTACT, LEAD = to_18("003Dn00000Aaaaa"), to_18("00QDn00000Bbbbb")
LATER = pd.Timestamp("2026-06-15T18:34:56Z")
EARLIER = pd.Timestamp("2026-06-01T00:00:00Z")


def changes(*rows: dict[str, Any]) -> pd.DataFrame:
    usual = {"object": "Contact", "record_id": CONTACT, "action": "set", "date_after": LATER}
    return pd.DataFrame([usual | row for row in rows])


def staging(*keys: str) -> pd.DataFrame:
    return tables.shape(
        tables.ConfirmedBounceStaging,
        {
            "subscriber_key": list(keys),
            "email_address": [f"{key}@mail.example" for key in keys],
            "bounce_category": ["Hard bounce"] * len(keys),
            "smtp_code": ["550"] * len(keys),
            "bounced_at": [LATER] * len(keys),
            "evidence_count": [1] * len(keys),
            "business_unit": ["1"] * len(keys),
        },
    )


@contextmanager
def delivery(address: Address, **settings: Any) -> Iterator[JourneyDelivery]:
    with closing(Connection(account(address), IMPATIENT)) as connection:
        yield JourneyDelivery(connection, first_pause=0.02, **settings)


def crm(tenant: Tenant, name: str, record: str) -> tuple[Any, ...]:
    row = tenant.store.execute(
        f'SELECT "Hard_Bounce__c", "Hard_Bounce_Date__c" FROM "{name}" WHERE "Id" = ?',
        (record,),
    ).fetchone()
    return tuple(row)


def records(tenant: Tenant, flagged: int = 0) -> None:
    for name, record in (("Contact", CONTACT), ("Lead", LEAD)):
        columns = ["Id", "LastName", "Hard_Bounce__c", "CreatedDate", "LastModifiedDate"]
        columns += ["SystemModstamp", "OwnerId"]
        at = "2026-01-01T00:00:00.000Z"
        row = [record, "X", flagged, at, at, at, tenant.store.setting("user_id")]
        tenant.store.insert(name, columns, [row])


def test_both_records_of_a_key_ride_on_one_row() -> None:
    made = rounds(
        changes(
            {"subscriber_key": "k"},
            {"subscriber_key": "k", "object": "Lead", "record_id": LEAD, "action": "refresh"},
            {"subscriber_key": "gone", "action": "clear", "date_after": pd.NaT},
            {"subscriber_key": "none", "action": "none"},
        ),
        staging("k"),
        "run-1",
    )
    assert len(made) == 1
    assert list(made[0].sets.values()) == [
        {
            "SubscriberKey": "k",
            "ContactId": CONTACT,
            "LeadId": LEAD,
            "FlagDate": "2026-06-15T18:34:56Z",
            "BounceDate": "2026-06-15T18:34:56Z",
            "EmailAddress": "k@mail.example",
            "BounceCategory": "Hard bounce",
            "SMTPCode": "550",
            "RunId": "run-1",
        }
    ]
    assert list(made[0].releases.values()) == [
        {"SubscriberKey": "gone", "ContactId": CONTACT, "RunId": "run-1"}
    ]
    assert made[0].changes == [0, 1, 2]


def test_records_that_need_different_dates_take_two_rounds() -> None:
    plan = changes(
        {"subscriber_key": "k", "date_after": EARLIER},
        {"subscriber_key": "k", "object": "Lead", "record_id": LEAD},
        {"subscriber_key": "k2"},
    )
    made = rounds(plan, staging("k"), "run-1", date_is_day=True)
    assert [each.changes for each in made] == [[0, 2], [1]]
    assert [each.sets["k"]["FlagDate"] for each in made] == ["2026-06-01", "2026-06-15"]
    with pytest.raises(ValueError, match="Account"):
        rounds(changes({"subscriber_key": "k", "object": "Account"}), staging(), "run-1")


def test_keys_that_differ_only_in_case_take_two_rounds(tenant: Tenant) -> None:
    """To SFMC they are one primary key, to the CRM two people."""
    twins = "003Dn00000Aabcq", "003Dn00000AaBCq"
    plan = changes(*({"subscriber_key": key, "record_id": to_18(key)} for key in twins))
    with tenant.served() as address, delivery(address, say=tenant.said.append) as sender:
        for each in rounds(plan, staging(*twins), "run-1"):
            sender.send(each)
    assert tenant.said.count("Hard_Bounce_Staging_DE holds 1 row(s).") == 2


def test_a_plan_reaches_the_crm(tenant: Tenant) -> None:
    records(tenant)
    sets = changes(
        {"subscriber_key": "k"}, {"subscriber_key": "l", "object": "Lead", "record_id": LEAD}
    )
    clears = changes({"subscriber_key": "k", "action": "clear", "date_after": pd.NaT})
    with tenant.served() as address, delivery(address) as sender:
        for each in rounds(sets, staging("k", "l"), "run-1"):
            sender.send(each)
        assert crm(tenant, "Contact", CONTACT) == (1, "2026-06-15T18:34:56.000Z")
        assert crm(tenant, "Lead", LEAD) == (1, "2026-06-15T18:34:56.000Z")
        for each in rounds(clears, staging(), "run-2"):
            sender.send(each)
        assert crm(tenant, "Contact", CONTACT) == (0, "2026-06-15T18:34:56.000Z")
        assert crm(tenant, "Lead", LEAD)[0] == 1


def test_many_rows_are_written_and_counted_back(tenant: Tenant) -> None:
    plan = changes(*({"subscriber_key": f"k{n}"} for n in range(2_600)))
    with tenant.served() as address, delivery(address, say=tenant.said.append) as sender:
        (only,) = rounds(plan, staging(), "run-1")
        sender.send(only)
    assert "Hard_Bounce_Staging_DE holds 2600 row(s)." in tenant.said


def test_a_reason_of_wide_characters_fits(tenant: Tenant) -> None:
    """500 characters of them are nearly 1,000 to a Text(500)."""
    bounces = staging("k").assign(bounce_reason="x" + "\N{GHOST}" * 499)
    with tenant.served() as address, delivery(address, say=tenant.said.append) as sender:
        (only,) = rounds(changes({"subscriber_key": "k"}), bounces, "run-1")
        sender.send(only)
    (reason,) = (row["BounceReason"] for row in only.sets.values())
    assert bounces["bounce_reason"].iloc[0].startswith(reason)
    assert len(reason.encode("utf-16-le")) // 2 == 499


def test_nothing_is_started_when_the_count_differs(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    records(tenant)
    monkeypatch.setattr(journey.DataExtensions, "upsert", lambda *_: None)
    with tenant.served() as address, delivery(address) as sender:
        with pytest.raises(WriteFailed, match="1 rows were written and 0 are there"):
            sender.send(rounds(changes({"subscriber_key": "k"}), staging(), "run-1")[0])
        assert crm(tenant, "Contact", CONTACT)[0] == 0


def test_an_automation_that_fails_is_told(tenant: Tenant) -> None:
    fails = {"service": "marketing_cloud", "path": "*/runallonce", "kind": "job_failed"}
    with (
        tenant.served(fails) as address,
        delivery(address) as sender,
        pytest.raises(AutomationFailed, match=r"bounce_sync_set.*ended as Error"),
    ):
        sender.send(rounds(changes({"subscriber_key": "k"}), staging(), "run-1")[0])


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "truncate", "garble", "status"])
def test_an_automation_whose_start_got_no_answer_runs_once(tenant: Tenant, kind: str) -> None:
    records(tenant)
    lost = {"service": "marketing_cloud", "path": "*/runallonce", "kind": kind, "times": 1}
    with tenant.served(lost) as address, delivery(address) as sender:
        sender.send(rounds(changes({"subscriber_key": "k"}), staging("k"), "run-1")[0])
    assert crm(tenant, "Contact", CONTACT)[0] == 1
    runs = tenant.store.execute("SELECT count(*) FROM automation_run").fetchone()
    assert tuple(runs) == (1,)


def test_an_automation_that_cannot_be_started_is_told(tenant: Tenant) -> None:
    refuses = {"service": "marketing_cloud", "path": "*/runallonce", "kind": "status"}
    with (
        tenant.served(refuses) as address,
        delivery(address) as sender,
        pytest.raises(Unavailable, match=r"bounce_sync_set.*HTTP 503"),
    ):
        sender.send(rounds(changes({"subscriber_key": "k"}), staging(), "run-1")[0])


@pytest.mark.parametrize("table", ["automation", "data_extension"])
def test_what_was_never_set_up_is_told_with_what_to_do(tenant: Tenant, table: str) -> None:
    with tenant.served() as address, delivery(address) as sender:
        tenant.store.execute(f"DELETE FROM {table}")
        with pytest.raises(
            MarketingCloudError, match=r"is(n't| no).*Make it with `bounce-sync setup`"
        ):
            sender.send(rounds(changes({"subscriber_key": "k"}), staging(), "run-1")[0])


def running(tenant: Tenant, automation: str) -> None:
    """A run of the automation that somebody started before, and that goes on."""
    with tenant.store.transaction():
        tenant.store.execute(
            "INSERT INTO automation_run SELECT 'earlier', object_id, ? FROM automation"
            " WHERE customer_key = ?",
            (os.getpid(), automation),
        )
        tenant.store.execute(
            "UPDATE automation SET status_id = 3, last_run_instance_id = 'earlier'"
            " WHERE customer_key = ?",
            (automation,),
        )


@pytest.mark.parametrize("automation", [journey.SET_AUTOMATION, journey.RELEASE_AUTOMATION])
def test_nothing_is_touched_under_an_automation_that_still_runs(
    tenant: Tenant, automation: str
) -> None:
    with tenant.served() as address:
        running(tenant, automation)
        with (
            delivery(address, say=tenant.said.append, longest_run=0) as sender,
            pytest.raises(AutomationFailed, match=rf"{automation}.*Still running"),
        ):
            sender.send(rounds(changes({"subscriber_key": "k"}), staging(), "run-1")[0])
    assert tenant.said == []


def test_whoever_is_asked_to_stop_waits_for_nothing_and_starts_nothing(tenant: Tenant) -> None:
    records(tenant)
    stop = threading.Event()
    stop.set()
    with tenant.served() as address:
        running(tenant, journey.RELEASE_AUTOMATION)
        with delivery(address, stop=stop) as sender:
            sender.send(rounds(changes({"subscriber_key": "k"}), staging(), "run-1")[0])
        assert crm(tenant, "Contact", CONTACT)[0] == 0


def test_a_text_without_a_length_holds_any(tenant: Tenant) -> None:
    records(tenant)
    tenant.store.execute(
        "UPDATE data_extension_field SET max_length = NULL WHERE is_primary_key = 0"
    )
    with tenant.served() as address, delivery(address) as sender:
        sender.send(rounds(changes({"subscriber_key": "k"}), staging("k"), "run-1")[0])
    assert crm(tenant, "Contact", CONTACT)[0] == 1


def test_a_data_extension_without_a_column_is_refused(tenant: Tenant) -> None:
    tenant.store.execute("DELETE FROM data_extension_field WHERE name = 'LeadId'")
    with (
        tenant.served() as address,
        delivery(address) as sender,
        pytest.raises(DataExtensionDiffers, match=r"LeadId Text\(18\) is missing"),
    ):
        sender.check()
