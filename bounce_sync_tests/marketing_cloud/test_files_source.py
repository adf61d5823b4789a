"""Exports as SFMC writes them: the sandbox's own, and every form and damage of them."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.marketing_cloud.connection import ALL_UNITS, Account
from bounce_sync.marketing_cloud.errors import FileMissing, NotByKey, UnreadableFile
from bounce_sync.marketing_cloud.sources.files import FilesSource
from bounce_sync.sandbox.export import export
from bounce_sync_tests.marketing_cloud.tenants import CHILD, DAY, PARENT, Tenant, day, tuples

HEADER = "ClientID,SubscriberKey,EmailAddress,EventDate,BounceCategory,SMTPCode,BounceReason,SendID"
ROW = f'{PARENT},k1,ann@mail.example,6/15/2026 3:04:05 PM,Hard bounce,550,"no, ""gone""",7'
SUBSCRIBERS = "SubscriberKey,EmailAddress,Status,DateHeld"


def account(*units: str) -> Account:
    return Account("https://nowhere.example", "id", "secret", PARENT, units)


def source(folder: Path | str, *units: str, **settings: Any) -> FilesSource:
    chosen = {"settle_seconds": 0} | settings.pop("format", {})
    return FilesSource(account(*units), str(folder), chosen, **settings)


def bounces(folder: Path | str, *units: str, on: str = DAY, **settings: Any) -> pd.DataFrame:
    return tables.RawBounces.validate(source(folder, *units, **settings).bounces(day(on)))


def put(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_bytes("\r\n".join([*lines, ""]).encode())
    return path


@pytest.fixture
def exported(tenant: Tenant, tmp_path: Path) -> Callable[..., Path]:
    def write(first: str = DAY, until: str = DAY) -> Path:
        folder = tmp_path / "sftp"
        export(tenant.store, folder, date.fromisoformat(first), date.fromisoformat(until))
        return folder

    return write


# --- the sandbox's exports ---------------------------------------------------------------------


def test_the_extract_carries_the_address_that_bounced(
    tenant: Tenant, exported: Callable[..., Path]
) -> None:
    tenant.bounces(
        {
            "subscriber_key": "k1",
            "email_address": "old@mail.example",
            "smtp_bounce_reason": '550 "no",\r\nnever',
            "event_date": f"{DAY} 23:59:59.000",
        },
        {"subscriber_key": "k2", "account_id": CHILD, "event_date": f"{DAY} 00:00:01.000"},
    )
    folder = exported()
    found = bounces(folder, PARENT, CHILD)
    assert tuples(found, found.columns) == [
        (
            CHILD, "k2", pd.Timestamp("2026-06-15T06:00:01Z"), "Hard bounce", None, "550",
            "550 5.1.1 user unknown", None, None, 100,
        ),
        (
            PARENT, "k1", pd.Timestamp("2026-06-16T05:59:59Z"), "Hard bounce", None, "550",
            '550 "no",\nnever', None, "old@mail.example", 100,
        ),
    ]  # fmt: skip
    assert len(bounces(folder, say=tenant.said.append)) == 1
    assert tenant.said == ["1 row(s) left, of units that SFMC_BUSINESS_UNITS doesn't list."]
    assert len(bounces(folder, *ALL_UNITS)) == 2


def test_held_and_statuses_come_from_the_newest_subscribers(
    tenant: Tenant, exported: Callable[..., Path]
) -> None:
    tenant.subscribers(("a", "Active"), ("h", "Held"), ("u", "Unsubscribed"))
    exported()
    tenant.store.execute("UPDATE subscriber SET status = 'Held' WHERE subscriber_key = 'a'")
    opened = source(exported(until="2026-06-16"))
    held = tables.HeldSubscribers.validate(opened.held())
    assert tuples(held, ["subscriber_key", "email_address"]) == [
        ("a", "a@mail.example"),
        ("h", "h@mail.example"),
    ]
    statuses = tables.ReleasedSubscribers.validate(opened.statuses(["u", "A", "a", "zz"]))
    assert tuples(statuses, ["subscriber_key", "status"]) == [
        ("u", "Unsubscribed"),
        ("A", "Unknown"),
        ("a", "Held"),
        ("zz", "Unknown"),
    ]
    assert opened.calls == 0


def test_keys_are_found_whatever_their_letters(tmp_path: Path) -> None:
    keys = ["İ@mail.example", "ß", "ǅ"]
    put(tmp_path, "subscribers.csv", SUBSCRIBERS, "a,,held,", *(f"{key},,active," for key in keys))
    assert source(tmp_path).statuses(keys)["status"].tolist() == ["Active"] * 3


def test_the_staging_alone_is_enough(tenant: Tenant, exported: Callable[..., Path]) -> None:
    tenant.subscribers(("h", "Held"), ("a", "Active"))
    tenant.bounces({"subscriber_key": "h", "domain": "older.example"}, {"subscriber_key": "a"})
    folder = exported("2026-06-10")
    for path in [*folder.glob("Bounces*"), *folder.glob("Subscribers*")]:
        path.unlink()
    opened = source(folder)
    columns = ["subscriber_key", "smtp_reason", "domain", "email_address"]
    assert tuples(opened.bounces(day()), columns) == [
        ("h", "550 5.1.1 user unknown", "older.example", None)
    ]
    assert opened.bounces(day("2026-06-12")).empty
    assert tuples(opened.held(), ["subscriber_key", "email_address"]) == [("h", "h@mail.example")]
    assert opened.statuses(["h", "a"])["status"].tolist() == ["Held", "NotJudged"]


def test_releases_can_be_asked_by_soap(tmp_path: Path) -> None:
    put(tmp_path, "staging.csv", "SubscriberKey,BounceDate,BounceCategory")

    class Soap:
        calls = 3

        def statuses(self, keys: list[str]) -> list[str]:
            return keys

        bounces_of = statuses

    opened = source(tmp_path, format={"releases": "soap"}, soap=Soap)
    assert opened.statuses(["a"]) == ["a"]
    assert opened.bounces_of(["b"]) == ["b"]
    assert opened.calls == 3


def test_files_alone_cant_tell_the_bounces_of_a_subscriber(tmp_path: Path) -> None:
    with pytest.raises(NotByKey, match="recorded late aren't found"):
        source(tmp_path).bounces_of(["a"])


# --- every form --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("Bounces-2026-06-15.csv", lambda text: text.encode()),
        ("bounces_20260615.CSV", lambda text: text.encode("utf-8-sig")),
        ("x-Bounces-2026-06-15-0310.txt", lambda text: b"\xff\xfe" + text.encode("utf-16-le")),
        ("Bounces-2026-06-15.tab", lambda text: b"\xfe\xff" + text.encode("utf-16-be")),
        ("Bounces-2026-06-15.csv.gz", lambda text: gzip.compress(text.encode())),
        ("bounces.csv", lambda text: text.encode().replace(b"\r\n", b"\n")),
    ],
)
def test_every_form_gives_the_same_rows(
    tmp_path: Path, name: str, encode: Callable[[str], bytes]
) -> None:
    (tmp_path / name).write_bytes(encode(f"{HEADER}\r\n{ROW.replace('gone', 'été 🙈')}\r\n"))
    found = bounces(tmp_path)
    assert tuples(found, ["subscriber_key", "event_at", "smtp_reason", "job_id"]) == [
        ("k1", pd.Timestamp("2026-06-15T21:04:05Z"), 'no, "été 🙈"', 7)
    ]


def test_a_zip_holds_one_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Bounces-2026-06-15.zip", "w") as archive:
        archive.writestr("inside.csv", f"{HEADER}\n{ROW}\n")
    assert len(bounces(tmp_path)) == 1
    with zipfile.ZipFile(tmp_path / "Bounces-2026-06-15.zip", "a") as archive:
        archive.writestr("another.csv", "")
    with pytest.raises(UnreadableFile, match="2 files"):
        bounces(tmp_path)


@pytest.mark.parametrize("delimiter", ["|", "\t", ";"])
def test_delimiters_and_headers_are_as_configured(tmp_path: Path, delimiter: str) -> None:
    row = ["9", "7", "k1", "a@b.c", "1", "2", "6/15/2026 12:00:00 AM", "Bounce", "", "", "", "", ""]
    put(tmp_path, "bounces-20260615.txt", delimiter.join(row))
    found = bounces(tmp_path, "9", format={"delimiter": delimiter, "header": False})
    assert tuples(found, ["subscriber_key", "event_at", "bounce_category", "smtp_code"]) == [
        ("k1", pd.Timestamp("2026-06-15T06:00:00Z"), "Unknown bounce", None)
    ]


def test_columns_without_a_header_can_be_named(tmp_path: Path) -> None:
    names = {"subscribers": ["Status", "SubscriberKey", "EmailAddress"]}
    put(tmp_path, "Subscribers.csv", "held,k1,a@b.c", "active,k2,")
    opened = source(tmp_path, format={"header": False, "columns": names})
    assert opened.held()["subscriber_key"].tolist() == ["k1"]


@pytest.mark.parametrize(
    ("printed", "utc"),
    [
        ("6/15/2026 12:00:00 AM", "2026-06-15T06:00:00Z"),
        ("6/15/2026 12:34:56 PM", "2026-06-15T18:34:56Z"),
        ("06/15/2026 01:02:03 PM", "2026-06-15T19:02:03Z"),
        ("06/15/2026 1:02:03 am", "2026-06-15T07:02:03Z"),
        ("6/15/2026 11:59:59.997 PM", "2026-06-16T05:59:59.997Z"),
        ("2026-06-15 13:02:03.123", "2026-06-15T19:02:03.123Z"),
        ("2026-06-15T13:02:03", "2026-06-15T19:02:03Z"),
    ],
)
def test_times_are_read_as_sfmc_prints_them(tmp_path: Path, printed: str, utc: str) -> None:
    put(tmp_path, "bounces.csv", HEADER, ROW.replace("6/15/2026 3:04:05 PM", printed))
    assert bounces(tmp_path)["event_at"].tolist() == [pd.Timestamp(utc)]


def test_a_date_in_the_name_can_be_the_extractions(tmp_path: Path) -> None:
    put(tmp_path, "Bounces-2026-06-16.csv", HEADER, ROW)
    assert len(bounces(tmp_path, format={"dated": "extraction"})) == 1
    with pytest.raises(UnreadableFile, match="outside of the window"):
        bounces(tmp_path, on="2026-06-16")


def test_a_file_is_taken_once_by_content(tmp_path: Path) -> None:
    said: list[str] = []
    put(tmp_path, "Bounces-2026-06-15.csv", HEADER, ROW)
    put(tmp_path, "Bounces-2026-06-15 (2).csv", HEADER, ROW)
    put(tmp_path, "Bounces-2026-06-15 (3).csv", HEADER, ROW, ROW.replace("k1", "k2"))
    assert bounces(tmp_path, say=said.append)["subscriber_key"].tolist() == ["k1", "k2"]
    assert [line for line in said if "taken once" in line]


# --- whole or not ------------------------------------------------------------------------------


def test_a_file_that_grows_is_waited_for(tmp_path: Path) -> None:
    path = put(tmp_path, "bounces.csv", HEADER)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) < 3:
            with path.open("a", encoding="utf-8") as file:
                file.write(ROW.replace("k1", f"k{len(waited)}") + "\r\n")

    found = bounces(tmp_path, format={"settle_seconds": 5}, sleep=sleep)
    assert found["subscriber_key"].tolist() == ["k1", "k2"]
    assert waited == [5, 5, 5]


def test_a_file_that_never_stands_still_is_missing(tmp_path: Path) -> None:
    path = put(tmp_path, "bounces.csv", HEADER)

    def sleep(seconds: float) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(ROW + "\r\n")

    with pytest.raises(FileMissing, match="still grows"):
        bounces(tmp_path, format={"settle_seconds": 5, "wait_seconds": 20}, sleep=sleep)


def test_a_marker_says_that_a_file_is_whole(tmp_path: Path) -> None:
    put(tmp_path, "Bounces-2026-06-15.csv", HEADER, ROW)
    with pytest.raises(FileMissing, match="dated 2026-06-15"):
        bounces(tmp_path, format={"marker": ".done"})
    put(tmp_path, "Bounces-2026-06-15.csv.done")
    assert len(bounces(tmp_path, format={"marker": ".done"})) == 1


def test_a_missing_day_isnt_an_empty_one(tmp_path: Path) -> None:
    put(tmp_path, "Bounces-2026-06-14.csv", HEADER)
    put(tmp_path, "Bounces-2026-06-16.csv")
    assert bounces(tmp_path, on="2026-06-14").empty
    assert bounces(tmp_path, on="2026-06-16").empty
    put(tmp_path, "Bounces_20260614031000.csv", HEADER)
    with pytest.raises(FileMissing, match="no file of bounces dated 2026-06-15"):
        bounces(tmp_path)


def written(path: Path, at: str) -> None:
    stamp = datetime.fromisoformat(at).timestamp()
    os.utime(path, (stamp, stamp))


def test_a_file_without_a_day_speaks_from_first_bounce_to_last_and_for_the_day_before_it(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "bounces.csv", HEADER, ROW, ROW.replace("6/15", "6/11"))
    written(path, "2026-06-17T09:00Z")
    assert len(bounces(tmp_path)) == 1
    for empty in ("2026-06-12", "2026-06-16"):
        assert bounces(tmp_path, on=empty).empty
    for other in ("2026-06-10", "2026-06-17"):
        with pytest.raises(FileMissing, match="file of bounces"):
            bounces(tmp_path, on=other)


@pytest.mark.parametrize("name", ["bounces.csv", "Bounces-2026-06-15.csv"])
def test_a_file_from_before_the_days_end_isnt_the_days(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, name, HEADER, ROW)
    written(path, "2026-06-16T05:59Z")
    with pytest.raises(FileMissing, match="dated 2026-06-15 that was written after the day"):
        bounces(tmp_path)
    written(path, "2026-06-16T06:00Z")
    assert len(bounces(tmp_path)) == 1


def test_old_subscribers_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "subscribers.csv", SUBSCRIBERS, "k1,,held,")
    old = (datetime.now(UTC) - timedelta(hours=49)).timestamp()
    os.utime(path, (old, old))
    with pytest.raises(FileMissing, match="max_age_hours"):
        source(tmp_path).held()
    assert len(source(tmp_path, format={"max_age_hours": 50}).held()) == 1


def test_a_folder_that_isnt_there_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="can't be listed"):
        bounces(tmp_path / "nowhere")
    with pytest.raises(FileMissing) as caught:
        bounces("sftp://me:p@hunter2@127.0.0.1:1/export")
    assert "hunter2" not in str(caught.value)


class Exotic(fsspec.AbstractFileSystem):
    """A file system with errors of its own, as most have."""

    protocol = "exotic"

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[dict[str, Any]]:
        if path == "shut":
            raise RuntimeError("the password hunter2 was refused")
        return [{"name": f"{path}/bounces.csv", "size": 1, "type": "file"}]

    def size(self, path: str) -> int:
        return 1

    def cat_file(self, path: str, *_: Any, **__: Any) -> bytes:
        raise RuntimeError("hunter2")


def test_any_error_of_a_file_system_says_what_to_do() -> None:
    fsspec.register_implementation("exotic", Exotic, clobber=True)
    for url, complaint in (
        ("exotic://shut", "can't be listed"),
        ("exotic://open", "can't be read"),
    ):
        with pytest.raises(FileMissing, match=complaint) as caught:
            bounces(url)
        assert "RuntimeError" in str(caught.value)
        assert "hunter2" not in str(caught.value)


# --- what can't be read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "complaint", "line"),
    [
        (f"{HEADER}\r\n{ROW}\r\n{ROW[:-8]}", "ends within a quoted field", 3),
        (f"{HEADER}\r\n{ROW},more\r\n", "9 fields, the file 8 columns", 2),
        (f"{HEADER}\r\n{ROW}\r\n{PARENT},k2\r\n", "2 fields", 3),
        (f"{HEADER}\r\n{ROW.replace('gone', 'x' + chr(13) + chr(10))}\r\nshort", "1 fields", 4),
        (f'{HEADER}\r\n"a"b,{ROW}', "No CSV", 2),
        (f"{HEADER},ClientID\r\n", "Columns 1, 9 aren't of different names", 1),
        (
            HEADER.replace("EventDate", "When"),
            "missing: eventdate; of its 8 columns are known: C",
            1,
        ),
        (f"{ROW}\r\n", "bouncecategory; of its 8 columns are known: none", 1),
        (f"{ROW.replace('7', 'k1')}\r\n", "Columns 2, 8 aren't", 1),
        (f"{HEADER}\r\n{ROW}\r\n{ROW.replace('6/15', '6/31')}", "no possible date", 3),
        (f"{HEADER}\r\n{ROW.replace('6/15/2026 3:04:05 PM', '15.6.2026')}", "EventDate isn't", 2),
        (f"{HEADER}\r\n{ROW.replace('6/15/2026 3:04:05 PM', '')}", "EventDate is empty", 2),
        (f"{HEADER}\r\n{ROW.replace('6/15', '6/16')}", "outside of the window", 2),
        (f"{HEADER}\r\n{ROW.replace('k1', '')}", "SubscriberKey is empty", 2),
        (f"{HEADER}\r\n{ROW.replace('Hard bounce', 'Fart bounce')}", "BounceCategory", 2),
        (f"{HEADER}\r\n{ROW}x", "SendID is no whole number", 2),
    ],
)
def test_a_file_that_cant_be_right_is_named_with_its_line(
    tmp_path: Path, content: str, complaint: str, line: int
) -> None:
    (tmp_path / "Bounces-2026-06-15.csv").write_bytes(content.encode())
    with pytest.raises(UnreadableFile, match=complaint) as caught:
        bounces(tmp_path)
    said = str(caught.value)
    assert f"file Bounces-2026-06-15.csv, line {line}:" in said
    assert "SFMC_FILES_FORMAT" in said
    assert "ann@" not in said
    assert "gone" not in said
    assert "k1" not in said


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (f"{HEADER}\r\n{ROW}\r\n{ROW}é".encode("latin-1"), "line 3: The text isn't utf-8"),
        (f"{HEADER}\r\n{ROW}".encode("utf-16-le"), "looks like UTF-16"),
    ],
)
def test_a_wrong_encoding_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "bounces.csv").write_bytes(content)
    with pytest.raises(UnreadableFile, match=complaint):
        bounces(tmp_path)


@pytest.mark.parametrize(
    ("encoding", "configured"),
    [("utf-16-le", "utf-16-le"), ("utf-16-le", "UTF-16"), ("utf-16-be", "utf16")],
)
def test_utf_16_without_its_mark_can_be_configured(
    tmp_path: Path, encoding: str, configured: str
) -> None:
    (tmp_path / "bounces.csv").write_bytes(f"{HEADER}\r\n{ROW}\r\n".encode(encoding))
    assert len(bounces(tmp_path, format={"encoding": configured})) == 1


def test_a_nul_in_a_reason_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "bounces.csv", HEADER, ROW.replace("gone", "go\0ne"))
    assert bounces(tmp_path)["smtp_reason"].tolist() == ['no, "gone"']


@pytest.mark.parametrize("name", ["bounces.csv.gz", "bounces.zip"])
@pytest.mark.parametrize("length", [0, 20])
def test_a_damaged_archive_is_named(tmp_path: Path, name: str, length: int) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"x" * 1000)[:length])
    with pytest.raises(UnreadableFile, match=f"{name}: The archive isn't whole"):
        bounces(tmp_path)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("k1,,asleep,", "Status isn't one"),
        ("k1,,,", "Status is empty"),
        ("k1,,held,13/1/2026 1:00:00 AM", "DateHeld"),
    ],
)
def test_a_subscriber_that_cant_be_right_is_named(tmp_path: Path, row: str, complaint: str) -> None:
    put(tmp_path, "subscribers.csv", SUBSCRIBERS, "k0,,held,", row)
    with pytest.raises(UnreadableFile, match=complaint) as caught:
        source(tmp_path).held()
    assert "line 3" in str(caught.value)


def test_a_subscriber_that_comes_twice_is_named_with_its_line(tmp_path: Path) -> None:
    twice = ["k1,ann@a.example,held,", "k1,ann@b.example,held,", "k2,,active,", "k2,,held,"]
    put(tmp_path, "subscribers.csv", SUBSCRIBERS, "k0,,held,", "k0,,held,", *twice)
    with pytest.raises(UnreadableFile, match="line 5: One subscriber came twice"):
        source(tmp_path).held()
    with pytest.raises(UnreadableFile, match="line 7: One subscriber came with two statuses"):
        source(tmp_path).statuses(["k0", "k2"])


def test_a_format_that_isnt_one_is_refused_whole(tmp_path: Path) -> None:
    wrong = {"delimitor": ",", "delimiter": "", "encoding": "utf-9", "dated": "never", "columns": 1}
    with pytest.raises(ValueError, match="'delimitor' isn't known") as caught:
        source(tmp_path, format=wrong)
    typed = {"header": "false", "settle_seconds": "5", "wait_seconds": -1, "marker": None}
    with pytest.raises(ValueError, match="header is true or false") as mistyped:
        source(tmp_path, format=typed | {"columns": {"bounces": "a,b"}, "delimiter": '"'})
    for name in ("settle_", "wait_", "marker is a text", "columns", "no q"):
        assert name in str(mistyped.value)
    for part in ("'delimitor' isn't known", "delimiter is", "'utf-9'", "dated is", "columns holds"):
        assert part in str(caught.value)
