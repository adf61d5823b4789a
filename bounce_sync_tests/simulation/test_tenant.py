"""What a simulated tenant looks like: plausible, and full of what breaks clients."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from bounce_sync.sandbox.simulation.addresses import Receiver, domain_names, domains
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.simulation.conftest import LAST_DAY
from bounce_sync_tests.simulation.invariants import assert_only_the_first_is_unique

SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def _suffix(body: str) -> str:
    """facts/salesforce.md §6."""
    return "".join(
        SUFFIX[sum(1 << k for k in range(5) if "A" <= body[chunk * 5 + k] <= "Z")]
        for chunk in range(3)
    )


def _one(store: Store, sql: str, *parameters: object) -> Any:
    return store.execute(sql, parameters).fetchone()[0]


def _column(store: Store, sql: str, *parameters: object) -> list[Any]:
    return [row[0] for row in store.execute(sql, parameters)]


def test_shares_of_statuses_and_bounces_are_plausible(tenant: Store) -> None:
    count = _one(tenant, "SELECT count(*) FROM subscriber")
    status = Counter(_column(tenant, "SELECT status FROM subscriber"))
    assert 0.70 < status["Active"] / count < 0.90
    assert 0.06 < status["Bounced"] / count < 0.20
    assert 0.03 < status["Held"] / count < 0.10
    assert 0.01 < status["Unsubscribed"] / count < 0.05
    assert status["Deleted"] > 0
    category = Counter(_column(tenant, "SELECT bounce_category FROM bounce"))
    total = category.total()
    assert set(category) == {
        "Hard bounce",
        "Soft bounce",
        "Block bounce",
        "Technical/Other bounce",
        "Unknown bounce",
    }
    assert all(0.04 < number / total < 0.40 for number in category.values())
    # About one bounce a day for every hundred subscribers.
    assert 0.007 < total / 60 / count < 0.013


def test_flagging_every_hard_bounce_would_be_wrong_for_many(tenant: Store) -> None:
    rows = tenant.execute(
        "SELECT DISTINCT s.subscriber_id, s.status = 'Held' FROM bounce b"
        " JOIN subscriber s USING (subscriber_id)"
        " WHERE b.bounce_category = 'Hard bounce' AND b.event_date >= ?",
        ((LAST_DAY - timedelta(days=6)).isoformat(),),
    ).fetchall()
    wrong = sum(1 for _, held in rows if not held)
    assert 0.25 < wrong / len(rows) < 0.85


def test_some_are_held_without_any_hard_bounce(tenant: Store) -> None:
    soft = _one(
        tenant,
        "SELECT count(*) FROM subscriber s WHERE status = 'Held' AND NOT EXISTS (SELECT 1 FROM"
        " bounce b WHERE b.subscriber_id = s.subscriber_id AND b.bounce_category = 'Hard bounce')",
    )
    assert soft > 10


def test_bounces_differ_by_receiver(tenant: Store) -> None:
    """A company's gateway blocks; a mailbox provider says that nobody is there."""
    receivers = {
        name: domain.receiver for name, domain in zip(domain_names(), domains(), strict=True)
    }
    bounces: dict[Receiver, Counter[str]] = {receiver: Counter() for receiver in Receiver}
    for domain, category in tenant.execute("SELECT domain, bounce_category FROM bounce"):
        bounces[receivers[domain]][category] += 1
    blocked = {
        receiver: counts["Block bounce"] / counts.total() for receiver, counts in bounces.items()
    }
    assert max(blocked, key=blocked.__getitem__) == Receiver.GATEWAY
    assert blocked[Receiver.GATEWAY] > 2 * blocked[Receiver.TRUSTED]


def test_the_outage_lies_far_back_and_the_last_day_is_ordinary(tenant: Store) -> None:
    daily = dict(
        map(
            tuple,
            tenant.execute(
                "SELECT substr(created_date, 1, 10), count(*) FROM status_event"
                " WHERE current_status = 'held' GROUP BY 1"
            ),
        )
    )
    usual = statistics.median(daily.values())
    worst = max(daily, key=lambda day: daily[day])
    assert daily[worst] > 3 * usual
    assert LAST_DAY - datetime.fromisoformat(worst).date() > timedelta(days=30)
    recent = [
        number for day, number in daily.items() if day > (LAST_DAY - timedelta(days=30)).isoformat()
    ]
    assert max(recent) < 4 * usual


def test_support_released_most_of_those_whom_the_outage_held(tenant: Store) -> None:
    day = LAST_DAY - timedelta(days=49)
    held = set(
        _column(
            tenant,
            "SELECT e.subscriber_id FROM status_event e JOIN subscriber s USING (subscriber_id)"
            " WHERE e.current_status = 'held' AND s.domain = 'orchardmail.example'"
            " AND e.created_date >= ? AND e.created_date < ?",
            day.isoformat(),
            (day + timedelta(days=1)).isoformat(),
        )
    )
    released = set(
        _column(
            tenant,
            "SELECT subscriber_id FROM simulation_log WHERE action = 'support' AND at LIKE ?",
            f"{day + timedelta(days=3)}%",
        )
    )
    assert len(held) > 15
    assert len(held & released) / len(held) > 0.5


def test_reasons_are_of_every_length_and_script(tenant: Store) -> None:
    reasons = _column(tenant, "SELECT smtp_bounce_reason FROM bounce")
    assert None in reasons
    texts = [reason for reason in reasons if reason is not None]
    lengths = {len(text) for text in texts}
    assert {499, 500, 501, 4_000, 4_001} <= lengths
    assert max(lengths) > 4_000
    letters = {letter for text in texts for letter in text}
    scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in letters}
    assert {"LATIN", "CYRILLIC", "ARABIC", "HEBREW", "CJK", "HIRAGANA", "HANGUL"} <= scripts
    assert any("\r\n" in text for text in texts)
    assert any('"' in text and "," in text for text in texts)
    assert any("<" in text and "&" in text for text in texts)
    assert max(letters) > "\uffff"
    # What XML 1.0 can't carry SFMC couldn't have sent either.
    assert not [letter for letter in letters if letter < " " and letter not in "\t\r\n"]


def test_soft_bounces_come_up_to_three_days_late_and_others_soon(tenant: Store) -> None:
    rows = tenant.execute(
        "SELECT b.bounce_type, b.bounce_category, b.is_unique,"
        " 24 * (julianday(b.event_date) - julianday(s.event_date)) FROM bounce b"
        " JOIN sent s ON s.job_id = b.job_id AND s.subscriber_id = b.subscriber_id"
    ).fetchall()
    assert len(rows) == _one(tenant, "SELECT count(*) FROM bounce")
    late = [hours for kind, _, _, hours in rows if kind == "delayed"]
    prompt = [hours for kind, _, first, hours in rows if kind == "immediate" and first]
    assert 71 < max(late) <= 74
    assert min(late) > 0.9
    assert 0.5 < max(prompt) <= 1.001
    assert min(prompt) > 0
    waits = Counter(category for kind, category, _, _ in rows if kind == "delayed")
    assert waits["Soft bounce"] > waits["Hard bounce"]


def test_some_mails_bounce_twice_and_only_the_first_is_unique(tenant: Store) -> None:
    assert_only_the_first_is_unique(tenant)
    assert _one(tenant, "SELECT count(*) FROM bounce WHERE is_unique = 0") > 5


def test_several_units_send_and_the_enterprise_sends_most(tenant: Store) -> None:
    units = Counter(_column(tenant, "SELECT account_id FROM bounce"))
    assert set(units) == set(tenant.business_units())
    assert len(units) == 4
    assert units[tenant.account_id] > units.total() / 2
    mixed = _one(
        tenant, "SELECT count(*) FROM bounce WHERE (oyb_account_id IS NULL) <> (account_id = ?)",
        tenant.account_id,
    )  # fmt: skip
    assert mixed == 0
    strays = _one(
        tenant, "SELECT count(*) FROM bounce b JOIN job j USING (job_id)"
        " WHERE j.account_id <> b.account_id",
    )  # fmt: skip
    assert strays == 0
    assert _one(tenant, "SELECT count(*) FROM bounce WHERE triggered_send_customer_key > ''") > 0


def test_ids_are_valid_and_near_enough_to_be_mixed_up(tenant: Store) -> None:
    ids = [
        record
        for table in ("Contact", "Lead", "Account", "User")
        for record in _column(tenant, f"SELECT Id FROM {table}")
    ]
    assert all(re.fullmatch(r"[0-9A-Za-z]{15}[A-Z0-5]{3}", record) for record in ids)
    assert all(record[15:] == _suffix(record[:15]) for record in ids)
    assert len(set(ids)) == len(ids)
    stems = Counter(record[:15].casefold() for record in ids)
    assert max(stems.values()) > 1


def test_keys_take_every_form_and_are_told_apart_without_case(tenant: Store) -> None:
    keys = _column(tenant, "SELECT subscriber_key FROM subscriber")
    records = set(_column(tenant, "SELECT Id FROM Contact UNION ALL SELECT Id FROM Lead"))
    folded = {record.casefold(): record for record in records}
    stems = {record[:15] for record in records}
    forms = Counter(
        "plain" if key in records
        else "damaged" if key.casefold() in folded
        else "short" if key in stems
        else "address" if "@" in key
        else "stranger" if key.startswith("003bs0") and key[15:] == _suffix(key[:15])
        else "foreign"
        for key in keys
    )  # fmt: skip
    assert forms.keys() == {"plain", "damaged", "short", "address", "stranger", "foreign"}
    assert 0.75 < forms["plain"] / len(keys) < 0.92
    assert all(number > len(keys) / 200 for number in forms.values())
    assert len({key.casefold() for key in keys}) == len(keys)
    assert any(key.startswith("0000") for key in keys)


def test_one_address_can_stand_under_two_keys(tenant: Store) -> None:
    addresses = Counter(_column(tenant, "SELECT email_address FROM subscriber"))
    assert sum(1 for number in addresses.values() if number > 1) > 5


def test_no_address_can_belong_to_anybody(tenant: Store) -> None:
    places = {
        "subscriber": "email_address",
        "bounce": "email_address",
        "Contact": "Email",
        "Lead": "Email",
        "User": "Email",
    }
    addresses = [
        address
        for table, column in places.items()
        for address in _column(tenant, f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
    ]
    own = tenant.setting("username")
    assert [one for one in addresses if not one.lower().endswith(".example") and one != own] == []


def test_the_crm_knows_most_subscribers_and_often_differs(tenant: Store) -> None:
    rows = tenant.execute(
        "SELECT s.email_address, c.Email FROM simulation_subscriber h"
        " JOIN subscriber s USING (subscriber_id) JOIN Contact c ON c.Id = h.record_id"
        " WHERE NOT c.IsDeleted"
    ).fetchall()
    assert len(rows) > 3_000
    kinds = Counter(
        "empty" if crm is None
        else "same" if crm == sfmc
        else "spelled otherwise" if _folded(crm) == _folded(sfmc)
        else "another"
        for sfmc, crm in rows
    )  # fmt: skip
    assert kinds["same"] > 0.8 * len(rows)
    assert kinds["empty"] > 10
    assert kinds["spelled otherwise"] > 50
    assert 0.01 < kinds["another"] / len(rows) < 0.1


def _folded(address: str) -> str:
    local, _, domain = address.casefold().partition("@")
    return f"{local}@{domain.encode('idna').decode()}"


def test_leads_were_converted_and_records_merged(tenant: Store) -> None:
    broken = _one(
        tenant,
        "SELECT count(*) FROM Lead l LEFT JOIN Contact c ON c.Id = l.ConvertedContactId"
        " WHERE l.IsConverted AND (c.Id IS NULL OR l.ConvertedAccountId IS NULL"
        " OR l.ConvertedDate IS NULL)",
    )
    assert broken == 0
    lonely = _one(
        tenant,
        "SELECT count(*) FROM Lead l JOIN simulation_subscriber h ON h.record_id = l.Id"
        " WHERE l.IsConverted AND NOT EXISTS (SELECT 1 FROM simulation_subscriber o"
        " WHERE o.record_id = l.ConvertedContactId)",
    )
    accompanied = _one(
        tenant,
        "SELECT count(*) FROM Lead l JOIN simulation_subscriber h ON h.record_id = l.Id"
        " WHERE l.IsConverted AND EXISTS (SELECT 1 FROM simulation_subscriber o"
        " WHERE o.record_id = l.ConvertedContactId)",
    )
    assert min(lonely, accompanied) > 20
    for table in ("Contact", "Lead"):
        masters = dict(
            map(
                tuple,
                tenant.execute(
                    f"SELECT Id, MasterRecordId FROM {table} WHERE MasterRecordId IS NOT NULL"
                ),
            )
        )
        live = set(_column(tenant, f"SELECT Id FROM {table} WHERE NOT IsDeleted"))
        hops = Counter(_hops(record, masters, live) for record in masters)
        assert hops[1] > hops[2] > 0, table
        assert max(hops) <= 10
        assert not masters.keys() & live
    assert _one(tenant, "SELECT count(*) FROM Contact WHERE IsDeleted AND MasterRecordId IS NULL")


def _hops(record: str, masters: dict[str, str], live: set[str]) -> int:
    hops = 0
    while record in masters:
        record = masters[record]
        hops += 1
    assert record in live
    return hops


def test_contacts_have_siblings_and_everybody_an_owner(tenant: Store) -> None:
    sizes = _column(tenant, "SELECT count(*) FROM Contact WHERE NOT IsDeleted GROUP BY AccountId")
    assert sum(1 for size in sizes if size > 1) > len(sizes) / 2
    for table in ("Contact", "Lead", "Account"):
        ownerless = _one(
            tenant,
            f"SELECT count(*) FROM {table} r LEFT JOIN User u ON u.Id = r.OwnerId"
            " WHERE u.Id IS NULL",
        )
        assert ownerless == 0


def test_people_have_been_at_work_in_the_crm(tenant: Store) -> None:
    actions = Counter(_column(tenant, "SELECT action FROM simulation_log"))
    assert actions.keys() == {
        *("support", "reimport", "unsubscribe", "delete", "address", "crm_address", "convert"),
        *("merge", "tick", "untick"),
    }
    flagged = tenant.execute(
        "SELECT Hard_Bounce_Date__c IS NULL, count(*) FROM Contact WHERE Hard_Bounce__c = 1"
        " GROUP BY 1"
    ).fetchall()
    assert [bool(undated) for undated, _ in flagged] == [False, True]
    assert _one(tenant, "SELECT count(*) FROM Contact WHERE HasOptedOutOfEmail = 1") > 20


def test_reps_work_in_office_hours(tenant: Store) -> None:
    """The audit is in UTC, the office six hours behind it."""
    hours = [
        (datetime.fromisoformat(at) - timedelta(hours=6)).hour
        for at in _column(tenant, "SELECT at FROM crm_write WHERE api = 'rep'")
    ]
    assert min(hours) == 8
    assert sum(1 for hour in hours if hour < 18) > 0.9 * len(hours)
    assert len(set(hours)) > 5


def test_addresses_change_in_one_system_or_in_both(tenant: Store) -> None:
    changes: dict[str, set[tuple[int, str]]] = {"address": set(), "crm_address": set()}
    for action, subscriber, after in tenant.execute(
        "SELECT action, subscriber_id, after FROM simulation_log"
        " WHERE action IN ('address', 'crm_address') AND after IS NOT NULL"
    ):
        changes[action].add((subscriber, after))
    both = changes["address"] & changes["crm_address"]
    assert both
    assert changes["address"] - both
    assert changes["crm_address"] - both


def test_stamps_are_spelled_as_each_system_spells_them(tenant: Store) -> None:
    server = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")
    utc = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z")
    for table, column in (
        ("sent", "event_date"),
        ("bounce", "event_date"),
        ("job", "sent_at"),
        ("subscriber", "created_date"),
        ("subscriber", "date_joined"),
        ("status_event", "created_date"),
    ):
        texts = _column(tenant, f"SELECT {column} FROM {table} LIMIT 500")
        assert all(server.fullmatch(text) for text in texts), (table, column)
    for table in ("Contact", "Lead", "Account"):
        for column in ("CreatedDate", "LastModifiedDate", "SystemModstamp"):
            texts = _column(
                tenant, f"SELECT {column} FROM {table} ORDER BY {column} DESC LIMIT 500"
            )
            assert all(utc.fullmatch(text) for text in texts), (table, column)
