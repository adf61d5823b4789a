"""The sandbox's state: made whole or not at all, shared by threads and processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bounce_sync.sandbox.store import DataExtensionField, SandboxError, Store


def test_a_folder_without_a_sandbox_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="sandbox create --dir"):
        Store.open(tmp_path)


def test_a_sandbox_is_never_replaced(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        secret = store.setting("client_secret")
    with pytest.raises(SandboxError, match="exists already"):
        Store.create(tmp_path)
    with Store.open(tmp_path) as store:
        assert store.setting("client_secret") == secret


def test_a_tenant_whose_making_fails_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with Store.making(tmp_path / "tenant") as store:
            store.set_setting("half", "done")
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        fail()
    assert list((tmp_path / "tenant").iterdir()) == []


def test_a_tenant_isnt_there_before_it_is_whole(tmp_path: Path) -> None:
    with Store.making(tmp_path), pytest.raises(SandboxError):
        Store.open(tmp_path)
    Store.open(tmp_path).close()


def test_every_tenant_has_credentials_of_its_own(tmp_path: Path) -> None:
    names = ("client_id", "client_secret", "password")
    with Store.create(tmp_path / "a") as first, Store.create(tmp_path / "b") as second:
        assert all(len(first.setting(name)) >= 20 for name in names)
        assert not {first.setting(name) for name in names} & {
            second.setting(name) for name in names
        }


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(store: Store) -> None:
        with store.transaction():
            store.set_setting("a", "1")
            with store.transaction():
                store.set_setting("b", "2")
            raise RuntimeError("outer")

    with Store.create(tmp_path) as store:
        with pytest.raises(RuntimeError, match="outer"):
            fail(store)
        assert store.setting("a", "gone") == store.setting("b", "gone") == "gone"


def test_threads_have_their_own_connections_and_see_each_others_writes(tmp_path: Path) -> None:
    seen: list[tuple[bool, str]] = []
    with Store.create(tmp_path) as store:
        mine = store.connection
        store.set_setting("word", "hello")

        def look() -> None:
            seen.append((store.connection is mine, store.setting("word")))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [(False, "hello")]


COUNT_UP = """
import sys
from bounce_sync.sandbox.store import Store

with Store.open(sys.argv[1]) as store:
    for _ in range(25):
        with store.transaction():
            store.set_setting("count", int(store.setting("count")) + 1)
        store.execute("SELECT count(*) FROM field").fetchone()
"""


def test_sixteen_processes_write_one_store_without_a_lock_error(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        store.set_setting("count", 0)
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNT_UP, str(tmp_path)]) for _ in range(16)
    ]
    assert [process.wait() for process in processes] == [0] * 16
    with Store.open(tmp_path) as store:
        assert store.setting("count") == "400"


def test_a_field_is_made_once_and_a_checkbox_starts_false(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        store.insert("Contact", ["Id"], [["0035g00000AbCdEAAV"]])
        for _ in range(2):
            store.add_field("Contact", "Gone__c", "boolean", label="Gone")
        assert store.execute('SELECT "Gone__c" FROM "Contact"').fetchone()[0] == 0
        made = [dict(row) for row in store.fields("contact") if row["name"] == "Gone__c"]
        assert [(row["type"], row["custom"], row["nillable"]) for row in made] == [
            ("boolean", 1, 0)
        ]


def test_a_field_can_be_taken_away_and_come_back_as_another_type(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        for name in ("Hard_Bounce__c", "Hard_Bounce_Date__c"):
            store.remove_field("Contact", name)
            assert name not in [row["name"] for row in store.fields("Contact")]
        store.add_field("Contact", "Hard_Bounce_Date__c", "date")
        ordinals = [row["ordinal"] for row in store.fields("Contact")]
        assert len(set(ordinals)) == len(ordinals)
        assert store.fields("Contact")[-1]["type"] == "date"


def test_rows_of_a_data_extension_have_one_per_key_whatever_its_case(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        store.create_data_extension(
            "Keys",
            [DataExtensionField("SubscriberKey", max_length=254, is_primary_key=True)],
        )
        extension = store.data_extension("KEYS")
        assert extension is not None
        store.insert(extension["row_table"], ["SubscriberKey"], [["abc"]])
        with pytest.raises(sqlite3.IntegrityError):
            store.insert(extension["row_table"], ["SubscriberKey"], [["ABC"]])
        assert [field.name for field in store.data_extension_fields(extension["object_id"])] == [
            "SubscriberKey"
        ]


def test_the_deliverys_data_extensions_always_exist(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        for key in ("Hard_Bounce_Staging_DE", "Hard_Bounce_Release_DE"):
            extension = store.data_extension(key)
            assert extension is not None
            fields = {
                field.name: field for field in store.data_extension_fields(extension["object_id"])
            }
            assert list(fields) == [
                "SubscriberKey", "EmailAddress", "BounceCategory", "SMTPCode", "BounceReason",
                "BounceDate", "ContactId", "LeadId", "FlagDate", "RunId",
            ]  # fmt: skip
            assert [name for name, field in fields.items() if field.is_primary_key] == [
                "SubscriberKey"
            ]
            assert fields["SubscriberKey"].max_length == 254
            assert fields["BounceReason"].max_length == 500
            assert fields["ContactId"].max_length == fields["LeadId"].max_length == 18


def test_indexes_dropped_for_loading_come_back(tmp_path: Path) -> None:
    indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
    with Store.create(tmp_path) as store:
        before = [tuple(row) for row in store.execute(indexes)]
        with store.loading("bounce", "Contact"):
            while_loading = store.execute(indexes).fetchall()
        assert len(while_loading) < len(before)
        assert [tuple(row) for row in store.execute(indexes)] == before
