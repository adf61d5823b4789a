"""`bounce-sync drift`: shows, asks, mends; a guard stops it like a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bounce_sync.cli import cli
from bounce_sync.storage import LATEST
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

LONG_AGO = day_before(last_day(), 90)
YEARS_AGO = day_before(last_day(), 900)


def drift(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["drift", *arguments])


def line(*arguments: str) -> dict[str, Any]:
    return json.loads(drift("--json", *arguments).stdout.splitlines()[-1])


@pytest.fixture
def tenant() -> Tenant:
    """Two who drifted apart: one with a bounce of months ago, one of whom none is left."""
    tenant = Tenant()
    tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), LONG_AGO)
    tenant.subscriber(tenant.lead(), "Held", DateUndeliverable=f"{YEARS_AGO} 10:00:00")
    return tenant


@pytest.fixture
def here(tenant: Tenant, tmp_path: Path) -> Iterator[Installation]:
    with installed(tenant, tmp_path) as installation:
        yield installation


def test_it_tells_what_drifted_and_writes_nothing(here: Installation) -> None:
    told = drift()
    assert told.exit_code == 0, told.output
    assert "not_flagged" in told.stdout
    assert "To mend: 1 to set, 0 to refresh, 0 to clear" in told.stdout
    assert str(here.runner.lake.path("crm_drift", LATEST)) in told.stdout, "where the rows are"
    assert here.writes() == 0
    (run,) = here.runner.instance.get_runs()
    assert run.job_name == "check_crm_drift", "nobody is told of a mend"


def test_a_tenant_that_lists_nobody_and_holds_somebody_is_refused(tmp_path: Path) -> None:
    tenant = Tenant()
    tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), last_day())
    with installed(tenant, tmp_path) as here:
        with here.store() as store:
            store.set_setting("subscriber_status_filter", "silent")
        told = drift()
    assert told.exit_code == 1
    assert "SFMC_HELD=by_key" in told.stderr


def test_it_says_whom_it_could_not_ask_for(tmp_path: Path) -> None:
    tenant = Tenant()
    tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), last_day())
    tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), LONG_AGO)
    with installed(tenant, tmp_path, SFMC_HELD="by_key"):
        told, said = drift(), line()
    assert "others may be Held, too" in told.stdout
    assert said["not_asked"] in told.stdout
    assert said["findings"]["not_flagged"] == 1, "who bounced yesterday is asked for"


def test_without_a_terminal_it_mends_only_after_a_yes(here: Installation) -> None:
    assert drift("--mend").exit_code == 2
    assert here.writes() == 0
    contact, lead = here.flags()
    mended = drift("--mend", "--yes").stdout
    assert "1 written" in mended
    assert here.flags() == {contact: (True, crm_time(LONG_AGO, "12:00:00")), lead: (False, None)}
    (take_back,) = re.findall(r"bounce-sync (undo \S+)$", mended, re.MULTILINE)
    undone = CliRunner().invoke(cli, [*take_back.split(), "--yes"])
    assert undone.exit_code == 0, undone.output
    assert re.search(r"bounce-sync undo \S+$", undone.stdout, re.MULTILINE)
    assert here.flags() == {contact: (False, None), lead: (False, None)}


def test_the_first_day_of_a_tenant_with_years_of_history(here: Installation) -> None:
    contact, lead = here.flags()
    assert line("--mend", "--yes", "--held-without-bounce")["written"] == 2
    assert here.flags() == {
        contact: (True, crm_time(LONG_AGO, "12:00:00")),
        lead: (True, crm_time(YEARS_AGO, "10:00:00")),
    }
    assert line("--mend", "--yes", "--held-without-bounce")["set"] == 0


def test_a_guard_stops_a_mend_and_not_the_report(tmp_path: Path) -> None:
    tenant = Tenant()
    for number in range(120):
        record = tenant.contact(f"masked{number}@other.example")
        tenant.subscriber(record, "Held", f"real{number}@ok.example")
        tenant.bounce(record, LONG_AGO)
    with installed(tenant, tmp_path) as here:
        assert drift().exit_code == 0
        stopped = drift("--mend", "--yes")
        assert stopped.exit_code == 1
        assert "The check addresses_agree stops a mend" in stopped.stderr
        assert "120 of 120 compared addresses differ" in stopped.stderr
        assert "`bounce-sync drift --mend --allow-mismatch`" in stopped.stderr
        assert line("--mend", "--yes")["stopped"] == "addresses_agree"
        assert line("--mend", "--yes", "--allow-mismatch")["stopped"] is None
        assert here.writes() == 0


def test_a_mend_that_failed_half_way_counts_what_it_wrote(tmp_path: Path) -> None:
    """One record is locked; when it is tried again, the day's calls are used up."""
    tenant = Tenant()
    for _ in range(3):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), LONG_AGO)
    to_records = {"service": "salesforce", "path": "*/composite/sobjects*"}
    entries = [
        {**to_records, "kind": "lock_rows", "times": 1},
        {**to_records, "kind": "daily_limit"},
    ]
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"faults": entries}))
    with installed(tenant, tmp_path, faults=faults) as here:
        ended = drift("--json", "--mend", "--yes")
        assert ended.exit_code == 1
        assert "REQUEST_LIMIT_EXCEEDED" in ended.stderr
        told = json.loads(ended.stdout.splitlines()[-1])
        flagged = sum(flag for flag, _ in here.flags().values())
        assert flagged == told["written"] == 2
        assert told["written"] + told["rejected"] + told["unknown"] + told["pending"] == 3
