"""A tenant from CSV files: what each cell becomes, and what is said where one can't be read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bounce_sync.sandbox import csv_folder
from bounce_sync.sandbox.server import serve
from bounce_sync.sandbox.store import SandboxError, Store
from bounce_sync_tests.sandbox_core.rehearsal import CONTACT, LEAD, visiting, write

Load = Callable[..., Store]

BY_ROW = "SELECT subscriber_key FROM subscriber ORDER BY subscriber_id"


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in store.execute(sql)]


def complaints(tmp_path: Path, folder: Path) -> list[str]:
    """What loading the folder is refused with; nothing may have been made."""
    with pytest.raises(SandboxError) as refused:
        csv_folder.create(tmp_path / "refused", folder)
    assert not any((tmp_path / "refused").glob("*"))
    return str(refused.value).splitlines()[1:]


def test_only_the_key_columns_are_required(loaded: Load) -> None:
    store = loaded(
        subscribers="SubscriberKey\nk1\n",
        bounces="SubscriberKey,EventDate\nk1,2026-05-01 10:00:00\n",
        contacts=f"Id\n{CONTACT}\n",
        leads=f"Id\n{LEAD}\n",
    )
    assert rows(store, "SELECT subscriber_key, email_address, status FROM subscriber") == [
        ("k1", None, "Active")
    ]
    assert rows(store, "SELECT account_id, bounce_category, domain, smtp_code FROM bounce") == [
        (store.account_id, None, None, None)
    ]
    for table, record_id in (("Contact", CONTACT), ("Lead", LEAD)):
        assert rows(store, f"SELECT Id, Hard_Bounce__c, Hard_Bounce_Date__c FROM {table}") == [
            (record_id, 0, None)
        ]


def test_keys_are_text_and_kept_as_they_stand(loaded: Load) -> None:
    keys = ["00123", " spaced ", "ключ@пример.рф", "1e5", "0035G00000ABCDEAAV", "TRUE"]
    store = loaded(subscribers="\n".join(["SubscriberKey", *keys]))
    assert [key for (key,) in rows(store, BY_ROW)] == keys


@pytest.mark.parametrize("bom", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_quoted_cells_hold_line_breaks_commas_and_quotes(
    loaded: Load, bom: str, line_end: str
) -> None:
    reason = 'line one\nline "two", 三'
    cell = reason.replace('"', '""')
    lines = ["SubscriberKey,EventDate,SMTPBounceReason", f'k,2026-05-01 10:00:00,"{cell}"', ""]
    store = loaded(bounces=bom + line_end.join(lines))
    assert rows(store, "SELECT smtp_bounce_reason FROM bounce") == [(reason,)]


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        ("held", "Held"),
        ("HELD", "Held"),
        ("Active", "Active"),
        ("", "Active"),
        ("unsubscribed", "Unsubscribed"),
        ("Bounced", "Bounced"),
        ("deleted", "Deleted"),
    ],
)
def test_a_status_may_have_any_case(loaded: Load, cell: str, status: str) -> None:
    store = loaded(subscribers=f"SubscriberKey,Status\nk,{cell}\n")
    assert rows(store, "SELECT status FROM subscriber") == [(status,)]


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("2026-05-01 10:00:00", "2026-05-01 10:00:00.000"),
        ("2026-05-01 10:00:00.5", "2026-05-01 10:00:00.500"),
        ("2026-05-01 23:59:59.999", "2026-05-01 23:59:59.999"),
        ("2026-05-01T10:00:00", "2026-05-01 10:00:00.000"),
        ("5/1/2026 12:00:00 AM", "2026-05-01 00:00:00.000"),
        ("5/1/2026 12:30:00 PM", "2026-05-01 12:30:00.000"),
        ("12/31/2026 11:59:59 pm", "2026-12-31 23:59:59.000"),
        ("2026-05-01T10:00:00Z", "2026-05-01 04:00:00.000"),
    ],
)
def test_times_of_sfmc_are_server_time_in_every_spelling(
    loaded: Load, cell: str, kept: str
) -> None:
    store = loaded(bounces=f"SubscriberKey,EventDate\nk,{cell}\n")
    assert rows(store, "SELECT event_date FROM bounce") == [(kept,)]


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("2026-05-01T10:00:00Z", "2026-05-01T10:00:00.000Z"),
        ("2026-05-01T10:00:00.999Z", "2026-05-01T10:00:00.000Z"),
        ("2026-05-01T10:00:00.000+0000", "2026-05-01T10:00:00.000Z"),
        ("2026-05-01T10:00:00+02:00", "2026-05-01T08:00:00.000Z"),
        ("2026-05-01 10:00:00", "2026-05-01T10:00:00.000Z"),
        ("2026-05-01", "2026-05-01T00:00:00.000Z"),
        ("", None),
    ],
)
def test_times_of_the_crm_are_utc(loaded: Load, cell: str, kept: str | None) -> None:
    store = loaded(contacts=f"Id,Hard_Bounce_Date__c\n{CONTACT},{cell}\n")
    assert rows(store, "SELECT Hard_Bounce_Date__c FROM Contact") == [(kept,)]


def test_most_bounces_name_the_enterprise_and_the_others_its_children(loaded: Load) -> None:
    store = loaded(
        bounces="AccountID,SubscriberKey,EventDate\n"
        "20,a,2026-05-01 10:00:00\n30,b,2026-05-01 10:00:00\n"
        "30,c,2026-05-01 10:00:00\n,d,2026-05-01 10:00:00\n"
    )
    assert store.account_id == 30
    assert store.business_units() == [30, 20]
    assert rows(store, "SELECT subscriber_key FROM bounce WHERE account_id = 30") == [
        ("b",), ("c",), ("d",),
    ]  # fmt: skip


def test_a_subscriber_that_only_bounces_know_isnt_in_sfmc(loaded: Load) -> None:
    store = loaded(
        subscribers="SubscriberKey\nknown\n",
        bounces="SubscriberKey,EventDate\ngone,2026-05-01 10:00:00\n",
    )
    assert rows(store, "SELECT subscriber_key FROM subscriber") == [("known",)]


def test_a_bounce_belongs_to_its_subscriber_and_its_address_where_the_domain_fits(
    loaded: Load,
) -> None:
    store = loaded(
        subscribers="SubscriberKey,EmailAddress\nk,a@new.test\n",
        bounces="SubscriberKey,EventDate,Domain\nk,2026-05-01 10:00:00,NEW.test\n"
        "k,2026-05-01 10:00:01,old.test\nk,2026-05-01 10:00:02,\n",
    )
    assert rows(
        store,
        "SELECT b.domain, b.email_address FROM bounce AS b JOIN subscriber USING (subscriber_id)",
    ) == [("NEW.test", "a@new.test"), ("old.test", None), (None, "a@new.test")]


def test_ids_of_both_lengths_are_taken(loaded: Load) -> None:
    store = loaded(
        contacts="Id,AccountId,OwnerId,MasterRecordId,IsDeleted\n"
        f"{CONTACT[:15]},001000000000001,005000000000001AAA,,\n"
        f"0035g00000ZZZZZ,,,{CONTACT[:15]},TRUE\n"
    )
    assert rows(store, "SELECT Id, AccountId, OwnerId, MasterRecordId, IsDeleted FROM Contact") == [
        (CONTACT, "001000000000001AAA", "005000000000001AAA", None, 0),
        ("0035g00000ZZZZZAA5", None, None, CONTACT, 1),
    ]


def test_the_accounts_and_owners_that_records_name_exist(loaded: Load) -> None:
    store = loaded(
        contacts=f"Id,AccountId,OwnerId\n{CONTACT},001000000000001AAA,005000000000009AAA\n",
        leads=f"Id,OwnerId\n{LEAD},00G000000000001EAA\n",
    )
    assert rows(store, "SELECT Id FROM Account") == [("001000000000001AAA",)]
    assert ("005000000000009AAA", 1) in rows(store, 'SELECT Id, IsActive FROM "User"')


def test_custom_fields_become_fields_of_the_type_that_their_values_have(loaded: Load) -> None:
    store = loaded(
        contacts="Id,Code__c,Vip__c,Since__c,Seen__c,Note__c,Empty__c,ns__Hard_Bounce__c\n"
        f"{CONTACT},0012,true,2026-05-01,2026-05-01T10:00:00Z,{'x' * 300},,\n"
        "0035g00000ZZZZZ,12,FALSE,,2026-05-01,,,\n"
    )
    types = {row["name"]: row["type"] for row in store.fields("Contact") if row["custom"]}
    assert types == {
        "Hard_Bounce__c": "boolean",
        "Hard_Bounce_Date__c": "datetime",
        "Code__c": "string",
        "Vip__c": "boolean",
        "Since__c": "date",
        "Seen__c": "datetime",
        "Note__c": "textarea",
        "Empty__c": "string",
        "ns__Hard_Bounce__c": "boolean",
    }
    assert rows(store, "SELECT Code__c, Vip__c, Since__c FROM Contact") == [
        ("0012", 1, "2026-05-01"),
        ("12", 0, None),
    ]


def test_standard_fields_that_few_orgs_have_are_taken(loaded: Load) -> None:
    store = loaded(leads=f"Id,CurrencyIsoCode,LeadSource\n{LEAD},EUR,Web\n")
    assert rows(store, "SELECT CurrencyIsoCode, LeadSource FROM Lead") == [("EUR", "Web")]
    names = {row["name"] for row in store.fields("Lead")}
    assert "CurrencyIsoCode" in names
    assert "PartnerAccountId" not in names


def test_a_person_account_has_its_contact(loaded: Load) -> None:
    store = loaded(
        contacts="Id,AccountId,IsPersonAccount,LastName,Email\n"
        f"{CONTACT},001000000000001AAA,true,Ada,a@x.test\n"
    )
    assert rows(
        store, "SELECT Id, IsPersonAccount, PersonContactId, PersonEmail, Name FROM Account"
    ) == [("001000000000001AAA", 1, CONTACT, "a@x.test", "Ada")]


def test_loading_holds_no_more_than_a_few_rows_in_memory(tmp_path: Path, folder: Path) -> None:
    with (folder / "subscribers.csv").open("w") as file:
        file.write("SubscriberKey,EmailAddress\n")
        file.writelines(f"key{number},a{number}@x.test\n" for number in range(40_000))
    tracemalloc.start()
    try:
        csv_folder.create(tmp_path / "tenant", folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_leads_know_what_they_were_converted_into(loaded: Load) -> None:
    store = loaded(
        leads=f"Id,IsConverted,ConvertedContactId,Company,HasOptedOutOfEmail\n"
        f"{LEAD},true,{CONTACT[:15]},Acme,\n"
    )
    assert rows(
        store, "SELECT IsConverted, ConvertedContactId, Company, HasOptedOutOfEmail FROM Lead"
    ) == [(1, CONTACT, "Acme", 0)]


def test_data_extensions_are_filled_and_made(loaded: Load, folder: Path) -> None:
    write(
        folder / "data_extensions/hard_bounce_staging_de.csv",
        f"SubscriberKey,BounceReason\n{CONTACT},gone\n",
    )
    write(folder / "data_extensions/Own.csv", "Some Column,Other\n1,\n")
    store = loaded(subscribers="SubscriberKey\nk\n")
    filled, made = store.data_extension("Hard_Bounce_Staging_DE"), store.data_extension("Own")
    assert filled is not None
    assert made is not None
    assert rows(store, f"SELECT SubscriberKey, BounceReason FROM {filled['row_table']}") == [
        (CONTACT, "gone")
    ]
    assert rows(store, f'SELECT "Some Column", Other FROM {made["row_table"]}') == [("1", None)]


def test_everything_wrong_is_listed_at_once_by_file_line_and_column(
    tmp_path: Path, folder: Path
) -> None:
    write(
        folder / "subscribers.csv",
        'SubscriberKey,EmailAddress,Status,BounceCount\n"a\nb",x,held,\n,y,held,\n'
        "c,z,paused,many\nc,z\n",
    )
    write(folder / "bounces.csv", "SubscriberKey,EventDate\nk,yesterday\nk,2026-02-30 10:00:00\n")
    write(folder / "contacts.csv", f"Id,IsDeleted\n{LEAD},\n0035g00000AbCdE999,\n{CONTACT},maybe\n")
    found = complaints(tmp_path, folder)
    assert [complaint.partition(": ")[0] for complaint in found] == [
        "subscribers.csv:4",
        "subscribers.csv:5",
        "subscribers.csv:5",
        "subscribers.csv:6",
        "bounces.csv:2",
        "bounces.csv:3",
        "contacts.csv:2",
        "contacts.csv:3",
        "contacts.csv:4",
    ]
    assert "SubscriberKey: is empty" in found[0]
    assert "Status: 'paused' is none of Active" in found[1]
    assert "BounceCount: 'many' is no whole number" in found[2]
    assert "2 cells under 4 columns" in found[3]
    assert "EventDate: 'yesterday' is no time" in found[4]
    assert "begin with 003" in found[6]
    assert "suffix" in found[7]
    assert "IsDeleted: 'maybe'" in found[8]


@pytest.mark.parametrize(
    ("name", "header", "unknown"),
    [
        ("subscribers", "SubscriberKey,Nickname", "Nickname"),
        ("bounces", "SubscriberKey,EventDate,EmailAddress", "EmailAddress"),
        ("contacts", "Id,Emial", "Emial"),
        ("leads", "Id,Account.Name", "Account.Name"),
        ("data_extensions/Hard_Bounce_Staging_DE", "SubscriberKey,Reason", "Reason"),
    ],
)
def test_an_unknown_column_is_named(
    tmp_path: Path, folder: Path, name: str, header: str, unknown: str
) -> None:
    write(folder / f"{name}.csv", header + "\n")
    assert complaints(tmp_path, folder) == [f"{name}.csv:1: the column {unknown!r} isn't known"]


@pytest.mark.parametrize(
    ("name", "header", "missing"),
    [
        ("subscribers", "EmailAddress", "SubscriberKey"),
        ("bounces", "SubscriberKey", "EventDate"),
        ("contacts", "Email", "Id"),
        ("leads", "Email", "Id"),
        ("data_extensions/Hard_Bounce_Staging_DE", "EmailAddress", "SubscriberKey"),
    ],
)
def test_a_missing_column_is_named(
    tmp_path: Path, folder: Path, name: str, header: str, missing: str
) -> None:
    write(folder / f"{name}.csv", header + "\n")
    assert complaints(tmp_path, folder) == [f"{name}.csv:1: the column {missing!r} is missing"]


def test_a_key_that_is_there_twice_is_named_by_its_line(tmp_path: Path, folder: Path) -> None:
    write(folder / "subscribers.csv", "SubscriberKey\na\nb\na\nc\nb\n")
    write(folder / "contacts.csv", f"Id\n{CONTACT}\n{CONTACT[:15]}\n")
    found = complaints(tmp_path, folder)
    assert [complaint.partition(": ")[0] for complaint in found] == [
        "subscribers.csv:4",
        "subscribers.csv:6",
        "contacts.csv:3",
    ]
    assert all("an earlier row has the same" in complaint for complaint in found)


@pytest.mark.parametrize(
    ("data", "place", "what"),
    [
        (b"SubscriberKey\nok\n\xff\xfe\n", "subscribers.csv:3", "isn't UTF-8"),
        (b'SubscriberKey\nok\n"open\n', "subscribers.csv:3", "can't be read as CSV"),
        (b"", "subscribers.csv:1", "has no header"),
    ],
)
def test_a_file_that_is_no_csv_is_named(
    tmp_path: Path, folder: Path, data: bytes, place: str, what: str
) -> None:
    (folder / "subscribers.csv").write_bytes(data)
    assert any(
        complaint.startswith(place) and what in complaint
        for complaint in complaints(tmp_path, folder)
    )


def test_a_long_list_of_complaints_is_cut_and_counted(tmp_path: Path, folder: Path) -> None:
    write(folder / "bounces.csv", "SubscriberKey,EventDate\n" + "k,never\n" * 1234)
    found = complaints(tmp_path, folder)
    assert len(found) == 51
    assert found[-1] == "… and 1,184 more"


def test_a_folder_without_any_of_the_files_is_refused(tmp_path: Path, folder: Path) -> None:
    write(folder / "people.csv", "Id\n")
    with pytest.raises(SandboxError, match=r"holds none of subscribers\.csv"):
        csv_folder.create(tmp_path / "refused", folder)


def test_a_file_that_nobody_reads_is_named(
    loaded: Load, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "contact.csv", "Id\n")
    loaded(subscribers="SubscriberKey\nk\n")
    assert "contact.csv isn't read" in capsys.readouterr().err


def test_what_was_loaded_is_what_the_crm_answers(tmp_path: Path, folder: Path) -> None:
    write(
        folder / "contacts.csv",
        "Id,Email,Hard_Bounce__c,Hard_Bounce_Date__c,Region__c\n"
        f"{CONTACT[:15]},a@x.test,True,2026-05-01T10:00:00Z,North\n",
    )
    csv_folder.create(tmp_path / "tenant", folder)
    with serve(tmp_path / "tenant", http=True) as address, visiting(address) as visitor:
        assert visitor.query(
            "SELECT Id, Email, Hard_Bounce__c, Hard_Bounce_Date__c, Region__c FROM Contact"
        ) == [
            {
                "Id": CONTACT,
                "Email": "a@x.test",
                "Hard_Bounce__c": True,
                "Hard_Bounce_Date__c": "2026-05-01T10:00:00.000+0000",
                "Region__c": "North",
            }
        ]
