"""What can be wrong here: the ledger, the folders."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import text

from bounce_sync.commands.doctor import doctor
from bounce_sync.ledger import Ledger
from bounce_sync.ledger.database import open_database
from bounce_sync_tests.doctor.patient import Patient, report
from bounce_sync_tests.installation import environ


def test_a_ledger_of_another_org(patient: Patient) -> None:
    patient.home.mkdir()
    Ledger(f"sqlite:///{patient.home}/ledger.db").bind_org("00Dzz0000000009EAA")
    report = patient.look("--json")
    assert report.unwell == {"crm_ledger": "fail", "first_run": "warn"}
    assert "00Dzz0000000009EAA" in report.said("crm_ledger")


def test_a_ledger_of_this_org(patient: Patient) -> None:
    patient.home.mkdir()
    (org_id,) = patient.store.execute("SELECT Id FROM Organization").fetchone()
    Ledger(f"sqlite:///{patient.home}/ledger.db").bind_org(org_id)
    report = patient.look("--json")
    assert report.unwell == {}
    assert f"belongs to this org, {org_id}" in report.said("crm_ledger")


def test_a_ledger_that_isnt_there(patient: Patient) -> None:
    report = patient.look("--json", BOUNCE_SYNC_LEDGER="postgresql://u:hunter2@127.0.0.1:1/x")
    assert report.unwell == {"ledger": "fail", "crm_ledger": "warn", "first_run": "warn"}
    assert "hunter2" not in report.printed


def test_a_ledger_of_another_release(patient: Patient) -> None:
    patient.home.mkdir()
    engine = open_database(f"sqlite:///{patient.home}/ledger.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    report = patient.look()
    assert report.level("ledger") == "fail"
    assert "revision 9999" in report.said("ledger")


def test_folders_that_cant_be_written(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    report = patient.look(BOUNCE_SYNC_HOME=str(tmp_path / "a file" / "home"))
    assert report.unwell == {"home": "fail", "lake": "fail"}
    elsewhere = patient.look(BOUNCE_SYNC_LAKE="memory://lake")
    assert "lake on memory answers" in elsewhere.said("lake")
    nowhere = patient.look(BOUNCE_SYNC_LAKE="ftp://127.0.0.1:1/lake")
    assert nowhere.level("lake") == "fail"


def test_a_home_that_cant_hold_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    home = str(tmp_path / "a file" / "home")
    with environ({"BOUNCE_SYNC_TARGET": "sandbox", "BOUNCE_SYNC_HOME": home}):
        found = report(CliRunner().invoke(doctor, ["--json"]))
    assert found.exit_code == 1
    assert {found.level(name) for name in ("home", "sfmc_login", "crm_login")} == {"fail"}
    assert home in found.said("sfmc_login")
