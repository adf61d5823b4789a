"""The files that SFMC's extract activities would leave on the SFTP server."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from bounce_sync.sandbox.export import export
from bounce_sync.sandbox.store import SandboxError, Store
from bounce_sync_tests.simulation.conftest import LAST_DAY

FIRST_DAY = LAST_DAY - timedelta(days=2)
PRINTED = "%m/%d/%Y %I:%M:%S %p"


@pytest.fixture(scope="module")
def folder(tenant: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sftp") / "Export"
    export(tenant, target, FIRST_DAY, LAST_DAY)
    return target


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _cut(stored: str) -> datetime:
    return datetime.fromisoformat(stored).replace(microsecond=0)


def test_there_is_one_bounce_file_a_day_and_one_of_each_state(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "Bounces-2026-11-19.csv",
        "Bounces-2026-11-20.csv",
        "Bounces-2026-11-21.csv",
        "Hard_Bounce_Staging-2026-11-21.csv",
        "Subscribers-2026-11-21.csv",
    ]


def test_every_field_is_text_qualified_and_lines_end_as_windows_ends_them(folder: Path) -> None:
    raw = (folder / "Bounces-2026-11-21.csv").read_bytes()
    header, rest = raw.split(b"\r\n", 1)
    assert header == (
        b'"ClientID","SendID","SubscriberKey","EmailAddress","SubscriberID","ListID","EventDate",'
        b'"EventType","BounceCategory","SMTPCode","BounceReason","BatchID",'
        b'"TriggeredSendExternalKey"'
    )
    assert rest.startswith(b'"')
    assert rest.endswith(b'"\r\n')


def test_the_bounce_files_hold_each_bounce_of_their_day_once(tenant: Store, folder: Path) -> None:
    for offset in range(3):
        day = FIRST_DAY + timedelta(days=offset)
        stored = tenant.execute(
            "SELECT * FROM bounce WHERE substr(event_date, 1, 10) = ? ORDER BY event_date, id",
            (day.isoformat(),),
        ).fetchall()
        rows = _rows(folder / f"Bounces-{day}.csv")
        assert len(rows) == len(stored) > 20
        for row, bounce in zip(rows, stored, strict=True):
            assert row["EventType"] == "Bounce"
            assert row["ClientID"] == str(bounce["account_id"])
            assert row["SendID"] == str(bounce["job_id"])
            assert row["SubscriberKey"] == bounce["subscriber_key"]
            assert row["EmailAddress"] == bounce["email_address"]
            assert row["BounceCategory"] == bounce["bounce_category"]
            assert row["BounceReason"] == (bounce["smtp_bounce_reason"] or "")
            assert row["SMTPCode"] == str(bounce["smtp_code"] or "")
            printed = datetime.strptime(row["EventDate"], PRINTED)  # noqa: DTZ007 - server time
            assert printed == _cut(bounce["event_date"])


def test_subscribers_are_all_there_with_the_date_of_their_hold(tenant: Store, folder: Path) -> None:
    rows = {row["SubscriberKey"]: row for row in _rows(folder / "Subscribers-2026-11-21.csv")}
    stored = tenant.execute(
        "SELECT subscriber_key, email_address, status, date_undeliverable FROM subscriber"
    ).fetchall()
    assert len(rows) == len(stored)
    for key, address, status, held in stored:
        assert rows[key]["EmailAddress"] == address
        assert rows[key]["Status"] == status.lower()
        printed = rows[key]["DateHeld"]
        assert bool(printed) == bool(held)
        if held:
            assert datetime.strptime(printed, PRINTED) == _cut(held)  # noqa: DTZ007 - server time


def test_staging_has_each_held_subscriber_once_with_its_newest_bounce(
    tenant: Store, folder: Path
) -> None:
    rows = {
        row["SubscriberKey"]: row for row in _rows(folder / "Hard_Bounce_Staging-2026-11-21.csv")
    }
    newest: dict[str, tuple[str, str | None, int]] = {}
    counts: Counter[str] = Counter()
    for key, at, reason, unit in tenant.execute(
        "SELECT b.subscriber_key, event_date, smtp_bounce_reason, account_id FROM bounce b"
        " JOIN subscriber s USING (subscriber_id)"
        " WHERE s.status = 'Held' AND event_date >= ? ORDER BY event_date",
        (FIRST_DAY.isoformat(),),
    ):
        newest[key] = (at, reason, unit)
        counts[key] += 1
    assert rows.keys() == newest.keys()
    assert len(rows) > 10
    for key, (at, reason, unit) in newest.items():
        assert rows[key]["BounceDate"] == at
        assert rows[key]["BounceReason"] == (reason or "")[:4_000]
        assert rows[key]["BusinessUnit"] == str(unit)
        assert rows[key]["EvidenceCount"] == str(counts[key])
    assert max(counts.values()) > 1


def test_a_day_without_bounces_has_a_file_with_a_header_alone(tmp_path: Path) -> None:
    with Store.create(tmp_path / "sandbox", today=datetime(2026, 11, 22)) as store:  # noqa: DTZ001
        (bounces, *_) = export(store, tmp_path / "out", LAST_DAY, LAST_DAY)
    assert bounces.read_bytes().count(b"\r\n") == 1


@pytest.mark.parametrize(
    ("first", "until", "complaint"),
    [
        (LAST_DAY, FIRST_DAY, "lies before the first"),
        (LAST_DAY, LAST_DAY + timedelta(days=2), "lies in the future"),
    ],
)
def test_impossible_days_are_refused(
    tenant: Store, tmp_path: Path, first: date, until: date, complaint: str
) -> None:
    with pytest.raises(SandboxError, match=complaint):
        export(tenant, tmp_path / "out", first, until)
    assert not (tmp_path / "out").exists()
