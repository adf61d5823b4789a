"""The drift report and its mends, end to end: real Dagster on disk, the sandbox over TLS.

One tenant holds a person for every finding; what the CRM holds after a mend is written beside each.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bounce_sync.tables import AGREES, FINDINGS
from bounce_sync_tests.drift import mending
from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

DAY = last_day()
LONG_AGO = day_before(DAY, 100)
OLD = "2026-01-02T03:04:05.000Z"
FLAGGED = {"Hard_Bounce__c": "true", "Hard_Bounce_Date__c": OLD}


class People:
    """Who is in the tenant, the finding about each, and what a mend makes of them."""

    def __init__(self) -> None:
        self.tenant = Tenant()
        self.finding: dict[str, str] = {}
        self.after: dict[str, tuple[bool, str | None]] = {}
        self._to_mend()
        self._to_leave()
        self._nowhere()

    def expect(self, record: str, finding: str, flag: bool, date: str | None) -> str:
        self.finding[record] = finding
        self.after[record] = (flag, date)
        return record

    def _to_mend(self) -> None:
        tenant, then = self.tenant, crm_time(LONG_AGO, "12:00:00")
        for record in (tenant.contact(), tenant.lead()):
            tenant.subscriber(self.expect(record, "not_flagged", True, then), "Held")
            tenant.bounce(record, LONG_AGO)
        for flagged in ({**FLAGGED}, {"Hard_Bounce__c": "true"}):
            behind = tenant.contact(**flagged)
            tenant.subscriber(self.expect(behind, "date_behind", True, then), "Held")
            tenant.bounce(behind, LONG_AGO)
        for status in ("Active", "Bounced"):
            released = tenant.contact(**FLAGGED)
            tenant.subscriber(self.expect(released, "still_flagged", False, OLD), status)
        other = tenant.contact("new@ok.example", **FLAGGED)
        self.expect(other, "other_address", False, OLD)
        tenant.subscriber(other, "Held", "old@ok.example")

    def _to_leave(self) -> None:
        tenant, then = self.tenant, crm_time(LONG_AGO, "12:00:00")
        by_hand = tenant.contact()
        tenant.subscriber(self.expect(by_hand, "held_without_bounce", False, None), "Held")
        replaced = tenant.lead("new@ok.example")
        self.expect(replaced, "other_address", False, None)
        tenant.subscriber(replaced, "Held", "old@ok.example")
        ahead = tenant.contact(Hard_Bounce__c="true", Hard_Bounce_Date__c=crm_time(DAY, "12:00:00"))
        tenant.subscriber(
            self.expect(ahead, "date_ahead", True, crm_time(DAY, "12:00:00")),
            "Held",
            DateUndeliverable=f"{LONG_AGO} 12:01:00",
        )
        tenant.bounce(ahead, LONG_AGO)
        unticked = tenant.contact(Hard_Bounce_Date__c=then)
        tenant.subscriber(self.expect(unticked, "conflict", False, then), "Held")
        tenant.bounce(unticked, LONG_AGO)
        for status in ("Unsubscribed", "Deleted"):
            silent = tenant.lead(**FLAGGED)
            tenant.subscriber(self.expect(silent, "no_statement", True, OLD), status)
        self.expect(tenant.contact(**FLAGGED), "no_statement", True, OLD)
        agrees = tenant.contact(Hard_Bounce__c="true", Hard_Bounce_Date__c=then)
        tenant.subscriber(self.expect(agrees, AGREES, True, then), "Held")
        tenant.bounce(agrees, LONG_AGO)
        mailed = tenant.contact()
        tenant.subscriber(mailed, "Active")
        tenant.bounce(mailed, LONG_AGO)
        self.after[mailed] = (False, None)

    def _nowhere(self) -> None:
        for key in ("somebody@ok.example", "000123"):
            self.tenant.subscriber(key, "Held", "somebody@ok.example")
            self.tenant.bounce(key, LONG_AGO)
            self.finding[key] = "unmatched"


@pytest.fixture(scope="module")
def people() -> People:
    return People()


@pytest.fixture(scope="module")
def drifted(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(people.tenant, tmp_path_factory.mktemp("drift")) as installation:
        yield installation


@pytest.fixture(scope="module")
def checked(drifted: Installation) -> mending.Run:
    return mending.check_drift(drifted)


@pytest.fixture(scope="module")
def mended(drifted: Installation, checked: mending.Run, people: People) -> mending.Run:
    untouched = drifted.flags()
    dry = mending.mend(drifted, dry_run=True)
    assert dry.success
    assert dry.number("crm_drift_updates", "planned") == 7
    assert drifted.flags() == untouched
    assert drifted.writes() == 0
    return mending.mend(drifted)


def test_each_finding_is_made(drifted: Installation, checked: mending.Run, people: People) -> None:
    assert checked.success
    assert mending.findings(drifted) == people.finding


def test_the_report_counts_what_it_found_and_warns(checked: mending.Run, people: People) -> None:
    for finding in FINDINGS:
        count = list(people.finding.values()).count(finding)
        assert checked.number("crm_drift", finding.replace("_", " ")) == count, finding
    assert not checked.checks["crm_agrees_with_marketing_cloud"]
    assert checked.checks["every_key_is_accounted_for"]
    shown = str(checked.metadata["crm_drift"])
    assert "/lightning/r/Contact/003" in shown
    assert "@" not in shown


def test_mending_writes_exactly_what_the_policy_allows(
    drifted: Installation, mended: mending.Run, people: People
) -> None:
    assert mended.success
    assert drifted.flags() == people.after
    assert mended.number("crm_drift_updates", "written") == 7
    assert mended.number("crm_drift_updates", "read back") == 7


def test_mending_twice_is_a_no_op(drifted: Installation, mended: mending.Run) -> None:
    before = drifted.writes()
    again = mending.mend(drifted)
    assert again.success
    assert again.number("crm_drift_updates", "planned") == 0
    assert drifted.writes() == before > 0
    assert again.checks["crm_agrees_with_marketing_cloud"]


def test_dagster_stores_no_address_and_no_bounce_text(
    drifted: Installation, mended: mending.Run
) -> None:
    home = drifted.runner.settings.dagster_home
    stored = b"\0".join(file.read_bytes() for file in home.rglob("*") if file.is_file())
    assert b"crm_drift_updates" in stored
    assert b"@ok.example" not in stored
    assert b"user unknown" not in stored
    assert drifted.address.client_secret.encode() not in stored
