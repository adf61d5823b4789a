"""Nothing that names a person, and no secret, in anything that Dagster stores or prints."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.rules import confirmation
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, last_day

DAY = last_day()
ADDRESS = "penelope.featherstonehaugh"
REASON = "mailbox of the honourable recipient"


def _stored(installation: Installation) -> bytes:
    home = installation.runner.settings.dagster_home
    return b"\0".join(file.read_bytes() for file in sorted(home.rglob("*")) if file.is_file())


@pytest.fixture
def tenant() -> Tenant:
    tenant = Tenant()
    for number in range(3):
        contact = tenant.contact(f"{ADDRESS}+{number}@people.example")
        tenant.bounce(tenant.subscriber(contact, "Held"), DAY, SMTPBounceReason=f"550 {REASON}")
    key = f"{ADDRESS}@as-key.example"
    tenant.bounce(tenant.subscriber(key, "Held", key), DAY, SMTPBounceReason=f"550 {REASON}")
    return tenant


def _assert_private(installation: Installation, printed: str) -> None:
    stored = _stored(installation)
    assert b"confirmed_bounce_staging" in stored
    secret = installation.address.client_secret
    for word in (ADDRESS, REASON, secret):
        assert word.encode() not in stored
        assert word not in printed


def test_a_whole_run_leaves_no_trace_of_a_person(
    tenant: Tenant, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with installed(tenant, tmp_path) as installation:
        installation.has_fetched_nothing_before(DAY)
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        assert outcome.line()["written"] == 3
        _assert_private(installation, "".join(capfd.readouterr()))


def test_neither_does_a_run_that_fails_its_checks(
    tenant: Tenant,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    confirm = confirmation.confirm

    def spoilt(*tables: pd.DataFrame) -> pd.DataFrame:
        staging = confirm(*tables)
        return staging.assign(bounce_category=staging["email_address"], smtp_code=REASON)

    monkeypatch.setattr(confirmation, "confirm", spoilt)
    with installed(tenant, tmp_path) as installation:
        installation.has_fetched_nothing_before(DAY)
        outcome = installation.run(DAY)
        assert outcome.report is not None
        assert outcome.report.blocked_by == "schema"
        _assert_private(installation, "".join(capfd.readouterr()) + (outcome.error or ""))
