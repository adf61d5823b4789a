"""An advanced tenant goes on as if it had never paused, and reacts to what was done to it."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from bounce_sync.sandbox.simulation import Outage, advance, simulate
from bounce_sync.sandbox.store import SandboxError, Store
from bounce_sync_tests.simulation.conftest import LAST_DAY

OWN_TO_EACH_TENANT = {"client_id", "client_secret", "password"}


def _everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but data extensions', without what is drawn anew per tenant."""
    tables = [
        name
        for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not name.startswith(("data_extension", "rows_", "sqlite_"))
    ]
    found = {
        table: sorted((tuple(row) for row in store.execute(f'SELECT * FROM "{table}"')), key=repr)
        for table in tables
    }
    found["tenant"] = [row for row in found["tenant"] if row[0] not in OWN_TO_EACH_TENANT]
    # The store stamps its own first user and the organization with the clock.
    del found["Organization"]
    found["User"] = [row for row in found["User"] if row[0] != store.setting("user_id")]
    return found


@pytest.mark.parametrize("pause", [1, 9, 25])
def test_a_pause_changes_nothing(tmp_path: Path, pause: int) -> None:
    outages = [Outage("quickmail.example", LAST_DAY - timedelta(days=12))]
    with Store.create(tmp_path / "whole") as whole, Store.create(tmp_path / "paused") as paused:
        simulate(whole, subscribers=900, days=30, seed=5, until=LAST_DAY, outages=outages)
        simulate(
            paused,
            subscribers=900,
            days=30 - pause,
            seed=5,
            until=LAST_DAY - timedelta(days=pause),
            outages=outages,
        )
        half = pause // 2
        if half:
            advance(paused, half)
        advance(paused, pause - half)
        expected, found = _everything(whole), _everything(paused)
    assert found.keys() == expected.keys()
    for table, rows in expected.items():
        assert found[table] == rows, table
    assert len(expected["bounce"]) > 150
    assert expected["simulation_pending"]


def test_another_seed_is_another_tenant(tmp_path: Path) -> None:
    with Store.create(tmp_path / "one") as one, Store.create(tmp_path / "two") as two:
        simulate(one, subscribers=200, days=5, seed=1, until=LAST_DAY)
        simulate(two, subscribers=200, days=5, seed=2, until=LAST_DAY)
        assert _everything(one)["bounce"] != _everything(two)["bounce"]


def test_the_present_moves_with_the_days(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        simulate(store, subscribers=100, days=2, seed=1, until=LAST_DAY)
        assert store.setting("today") == "2026-11-22 00:00:00.000"
        advance(store, 3)
        assert store.setting("today") == "2026-11-25 00:00:00.000"
        (last,) = store.execute("SELECT max(event_date) FROM sent").fetchone()
    assert last.startswith("2026-11-24")


def test_nothing_has_happened_yet_that_lies_in_the_future(tenant: Store) -> None:
    today = tenant.setting("today")
    for table, column in {
        "sent": "event_date",
        "bounce": "event_date",
        "opened": "event_date",
        "clicked": "event_date",
        "status_event": "created_date",
        "simulation_log": "at",
        "subscriber": "date_undeliverable",
    }.items():
        (latest,) = tenant.execute(f"SELECT max({column}) FROM {table}").fetchone()
        assert latest < today, table
    (pending,) = tenant.execute("SELECT count(*) FROM simulation_pending").fetchone()
    assert pending > 0


def test_whom_somebody_releases_is_mailed_again(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        simulate(store, subscribers=1_500, days=25, seed=2, until=LAST_DAY)
        held = [
            row[0]
            for row in store.execute("SELECT subscriber_id FROM subscriber WHERE status = 'Held'")
        ]
        assert len(held) > 20
        store.execute("UPDATE subscriber SET status = 'Active' WHERE status = 'Held'")
        advance(store, 10)
        mailed = {
            subscriber
            for (subscriber,) in store.execute(
                "SELECT subscriber_id FROM sent WHERE event_date >= '2026-11-22'"
            )
        }
    assert len(mailed & set(held)) > len(held) / 2


def test_reps_untick_flags_that_a_sync_has_set(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        simulate(store, subscribers=1_000, days=3, seed=2, until=LAST_DAY)
        store.execute("UPDATE Contact SET Hard_Bounce__c = 1 WHERE NOT IsDeleted")
        (latest,) = store.execute("SELECT max(id) FROM crm_write").fetchone()
        advance(store, 10)
        unticked = store.execute(
            "SELECT w.record_id, w.at, c.LastModifiedDate FROM crm_write w"
            " JOIN Contact c ON c.Id = w.record_id WHERE w.id > ? AND w.field = 'Hard_Bounce__c'"
            " AND w.after = '0' AND w.api = 'rep' AND c.Hard_Bounce__c = 0",
            (latest,),
        ).fetchall()
        others = store.execute("SELECT count(*) FROM crm_write WHERE api <> 'rep'").fetchone()[0]
    assert len(unticked) > 10
    assert all(written <= modified for _, written, modified in unticked)
    assert others == 0


def test_an_outage_can_be_announced(tmp_path: Path) -> None:
    domain, day = "bluepost.example", LAST_DAY + timedelta(days=2)
    with Store.create(tmp_path) as store:
        simulate(store, subscribers=2_000, days=5, seed=8, until=LAST_DAY)
        advance(store, 3, outages=[Outage(domain, day)])
        bounces = dict(
            map(
                tuple,
                store.execute(
                    "SELECT substr(event_date, 1, 10), count(*) FROM bounce WHERE domain = ?"
                    " AND bounce_category = 'Hard bounce' GROUP BY 1",
                    (domain,),
                ),
            )
        )
        held = dict(
            map(
                tuple,
                store.execute(
                    "SELECT date_undeliverable >= ?, count(*) FROM subscriber"
                    " WHERE domain = ? AND status = 'Held' GROUP BY 1",
                    (day.isoformat(), domain),
                ),
            )
        )
    others = [count for on, count in bounces.items() if on != day.isoformat()]
    assert bounces[day.isoformat()] > 3 * max(others)
    assert held[1] > held.get(0, 0)


def test_only_a_simulated_tenant_can_be_advanced(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store, pytest.raises(SandboxError, match="not simulated"):
        advance(store, 1)


def test_what_makes_no_sense_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Store.create(tmp_path) as store:
        for subscribers, days in ((0, 5), (5, 0)):
            with pytest.raises(SandboxError, match="at least one"):
                simulate(store, subscribers=subscribers, days=days, seed=1)
        with pytest.raises(SandboxError, match=r"no mail domain.*nowhere\.example"):
            simulate(store, subscribers=5, days=1, seed=1, trusted_domains=["nowhere.example"])
        with pytest.raises(SandboxError, match="no mail domain"):
            simulate(store, subscribers=5, days=1, seed=1, outages=[Outage("no.example", LAST_DAY)])
        assert store.execute("SELECT count(*) FROM subscriber").fetchone()[0] == 0
        simulate(store, subscribers=5, days=1, seed=1, until=LAST_DAY)
        with pytest.raises(SandboxError, match="subscribers already"):
            simulate(store, subscribers=5, days=1, seed=1)
        with pytest.raises(SandboxError, match="at least one day"):
            advance(store, 0)


def test_a_tenant_that_fails_half_way_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.create(tmp_path) as store:
        simulate(store, subscribers=200, days=3, seed=1, until=LAST_DAY)
        before = _everything(store)

        def full_disk(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr("bounce_sync.sandbox.simulation.world.World.save", full_disk)
        with pytest.raises(sqlite3.OperationalError):
            advance(store, 2)
        assert _everything(store) == before
