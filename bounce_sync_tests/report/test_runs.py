"""How the pages come about: with each written day, and by `bounce-sync report`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bounce_sync.assets.report import CHECK
from bounce_sync.cli import cli
from bounce_sync.report import making
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, last_day

DAY = last_day()
ADDRESS = "penelope@people.example"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Installation]:
    """One person to flag, evidence days fetched."""
    tenant = Tenant()
    tenant.bounce(tenant.subscriber(tenant.contact(ADDRESS), "Held"), DAY)
    with installed(tenant, tmp_path) as installation:
        installation.has_fetched_nothing_before(DAY)
        yield installation


def report(*options: str) -> Result:
    return CliRunner().invoke(cli, ["report", *options])


def pages(installation: Installation) -> list[str]:
    return sorted(page.name for page in (installation.runner.lake.root / "reports").glob("*"))


def test_a_page_that_cannot_be_made_is_a_failed_check_of_a_run_that_succeeds(
    held: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise KeyError(ADDRESS)

    monkeypatch.setattr(making, "make", fail)
    outcome = held.run(DAY)
    assert outcome.success
    assert outcome.report is not None
    assert outcome.report.failed_checks == (CHECK,)
    assert outcome.line()["written"] == 1
    assert outcome.page is None
    assert pages(held) == []


def test_days_that_are_only_planned_leave_no_page_and_written_ones_do(
    held: Installation, tmp_path: Path
) -> None:
    assert held.run(DAY, dry_run=True).page is None
    assert pages(held) == []
    nothing = report()
    assert (nothing.exit_code, "No day was written yet" in nothing.output) == (1, True)

    outcome = held.run(DAY)
    assert outcome.page is not None
    assert outcome.page.endswith(f"reports/{DAY}.html")
    assert pages(held) == [f"{DAY}.html"]

    again = report()
    assert (again.exit_code, again.output.strip()) == (0, outcome.page)
    file = tmp_path / "page.html"
    asked = report("--to", str(file), "--with-addresses", "--run", outcome.line()["run_id"])
    assert asked.exit_code == 0, asked.output
    assert ADDRESS in file.read_text(encoding="utf-8")
    assert pages(held) == [f"{DAY}.html"]
    assert ADDRESS not in Path(outcome.page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--with-addresses"], 2, "--with-addresses needs --to"),
        (["--run", "r", "--partition", DAY], 2, "Either --partition or --run"),
        (["--run", "r"], 1, "The ledger knows no run r"),
        (["--partition", DAY], 1, f"crm_flag_changes of {DAY} was never stored"),
    ],
)
def test_what_cannot_be_told_is_said(
    options: list[str], status: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOUNCE_SYNC_HOME", str(tmp_path / "home"))
    result = report(*options)
    assert result.exit_code == status
    assert said in result.output
