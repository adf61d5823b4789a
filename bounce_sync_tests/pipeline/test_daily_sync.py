"""The daily job, end to end: real Dagster on disk, real clients, the sandbox over TLS.

One tenant holds a person for every row of the rules' table; what the CRM holds afterwards is
written beside each.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bounce_sync_tests.installation import Installation, installed
from bounce_sync_tests.tenant import Tenant, crm_time, day_before, last_day

DAY = last_day()
OLD = "2026-01-02T03:04:05.000Z"


class People:
    """Who is in the tenant, and what the CRM must hold of each after the run."""

    def __init__(self) -> None:
        self.tenant = Tenant()
        self.expected: dict[str, tuple[bool, str | None]] = {}
        self.names: dict[str, str] = {}
        self._held()
        self._not_held()
        self._addresses()
        self._other_records()
        self._keys()

    def expect(self, name: str, record: str, flag: bool, date: str | None = None) -> str:
        self.names[record] = name
        self.expected[record] = (flag, date)
        return record

    def _person(self, name: str, status: str, flag: bool, date: str | None, **fields: str) -> str:
        record = self.tenant.contact(**fields)
        self.tenant.subscriber(record, status)
        return self.expect(name, record, flag, date)

    def _held(self) -> None:
        tenant, noon = self.tenant, crm_time(DAY, "12:00:00")
        tenant.bounce(self._person("hard bounce, Held", "Held", True, noon), DAY)
        three = self._person("three soft bounces, Held", "HELD", True, crm_time(DAY, "23:59:59"))
        for days, clock in ((14, "00:00:00"), (7, "12:00:00"), (0, "23:59:59.997")):
            tenant.bounce(three, day_before(DAY, days), clock, BounceCategory="Soft bounce")
        edge = self._person("bounce in the first second of the window", "held", True, None)
        first = day_before(DAY, 14)
        self.expected[edge] = (True, crm_time(first, "00:00:00"))
        tenant.bounce(edge, first, "00:00:00")
        late = self._person("bounce in the last millisecond before the window", "held", False, None)
        tenant.bounce(late, day_before(DAY, 15), "23:59:59.997")
        newer = self._person(
            "flagged, newer bounce", "Held", True, noon, Hard_Bounce__c="true",
            Hard_Bounce_Date__c=OLD,
        )  # fmt: skip
        tenant.bounce(newer, DAY)
        newest = crm_time(DAY, "18:00:00")
        older = self._person(
            "flagged, older bounce", "Held", True, newest, Hard_Bounce__c="true",
            Hard_Bounce_Date__c=newest,
        )  # fmt: skip
        tenant.bounce(older, DAY)
        self._person(
            "flagged and Held, no bounce", "Held", True, OLD, Hard_Bounce__c="true",
            Hard_Bounce_Date__c=OLD,
        )  # fmt: skip
        self._person("Held by hand", "Held", False, None)
        lead = self.tenant.lead()
        tenant.subscriber(lead, "Held")
        tenant.bounce(lead, DAY, SMTPBounceReason="почтовый ящик\r\nпереполнен 📪 " * 90)
        self.expect("Lead, long reason", lead, True, noon)

    def _not_held(self) -> None:
        for status in ("Active", "Bounced"):
            tenant_person = self._person(f"hard bounce, {status}", status, False, None)
            self.tenant.bounce(tenant_person, DAY)
            self._person(
                f"flagged, {status}", status, False, OLD, Hard_Bounce__c="true",
                Hard_Bounce_Date__c=OLD,
            )  # fmt: skip
        for status in ("Unsubscribed", "Deleted"):
            self._person(
                f"flagged, {status}", status, True, OLD, Hard_Bounce__c="1",
                Hard_Bounce_Date__c=OLD,
            )  # fmt: skip
        stranger = self.tenant.contact(Hard_Bounce__c="true", Hard_Bounce_Date__c=OLD)
        self.expect("flagged, not in SFMC", stranger, True, OLD)

    def _addresses(self) -> None:
        tenant = self.tenant
        for name, flagged in (("", "false"), ("flagged, ", "true")):
            date = OLD if flagged == "true" else None
            changed = tenant.contact("new@ok.example", Hard_Bounce__c=flagged,
                                     Hard_Bounce_Date__c=date or "")  # fmt: skip
            tenant.subscriber(changed, "Held", "old@ok.example")
            tenant.bounce(changed, DAY)
            self.expect(f"{name}address changed in the CRM", changed, False, date)
            removed = tenant.contact("x", Hard_Bounce__c=flagged, Hard_Bounce_Date__c=date or "")
            tenant.contacts[-1]["Email"] = ""
            tenant.subscriber(removed, "Held", "old@ok.example")
            tenant.bounce(removed, DAY)
            self.expect(f"{name}address removed in the CRM", removed, False, date)
        same = tenant.contact("  Jörg+news@BÜCHER.example ")
        tenant.subscriber(same, "Held", "jörg+news@xn--bcher-kva.example")
        tenant.bounce(same, DAY)
        self.expect("the same address in another spelling", same, True, crm_time(DAY, "12:00:00"))

    def _other_records(self) -> None:
        tenant, noon = self.tenant, crm_time(DAY, "12:00:00")
        contact = tenant.contact("became@ok.example")
        lead = tenant.lead("became@ok.example", IsConverted="true", ConvertedContactId=contact)
        tenant.subscriber(lead, "Held")
        tenant.bounce(lead, DAY)
        self.expect("Contact that a Held Lead became", contact, True, noon)
        self.expect("the converted Lead itself", lead, False, None)

        left = tenant.contact("left@ok.example")
        flagged = tenant.lead("left@ok.example", IsConverted="true", ConvertedContactId=left,
                              Hard_Bounce__c="true", Hard_Bounce_Date__c=OLD)  # fmt: skip
        tenant.subscriber(flagged, "Active")
        self.expect("flagged converted Lead", flagged, True, OLD)
        self.expect("its Contact", left, False, None)

        survivor = tenant.contact("merged@ok.example")
        middle = tenant.contact("m2@ok.example", IsDeleted="true", MasterRecordId=survivor)
        loser = tenant.contact("merged@ok.example", IsDeleted="true", MasterRecordId=middle)
        tenant.subscriber(loser, "Held")
        tenant.bounce(loser, DAY)
        self.expect("survivor of two merges", survivor, True, noon)
        self.expect("merged away", loser, False, None)

        gone = tenant.contact("gone@ok.example", IsDeleted="true")
        tenant.subscriber(gone, "Held")
        tenant.bounce(gone, DAY)
        self.expect("deleted", gone, False, None)

    def _keys(self) -> None:
        tenant, noon = self.tenant, crm_time(DAY, "12:00:00")
        damages = {
            "upper case": str.upper,
            "lower case": str.lower,
            "swapped case": str.swapcase,
            "15 characters": lambda key: key[:15],
        }
        for name, damage in damages.items():
            record = tenant.lead() if name == "lower case" else tenant.contact()
            key = damage(record)
            tenant.subscriber(key, "Held", tenant.email_of(record))
            tenant.bounce(key, DAY)
            self.expect(f"key in {name}", record, True, noon)
        wrong = tenant.contact()
        tenant.subscriber(wrong[:15].upper(), "Held", tenant.email_of(wrong))
        tenant.bounce(wrong[:15].upper(), DAY)
        self.expect("15 characters in upper case are another id", wrong, False, None)
        for key in ("someone@ok.example", "000123", "003000000000000AAA", "ключ-1"):
            tenant.subscriber(key, "Held", "someone@ok.example")
            tenant.bounce(key, DAY)
        both = tenant.contact()
        tenant.subscriber(both, "Active")
        tenant.subscriber(both[:15], "Held", tenant.email_of(both))
        tenant.bounce(both[:15], DAY)
        self.expect("mailed under its 18-character key", both, False, None)


@pytest.fixture(scope="module")
def people() -> People:
    return People()


@pytest.fixture(scope="module")
def after_one_run(
    people: People, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with installed(people.tenant, tmp_path_factory.mktemp("daily")) as installation:
        with installation.store() as store:
            store.set_setting("owners", str(_owners(store)))
        outcome = installation.run(DAY)
        assert outcome.success, outcome.error
        yield installation


def _owners(store) -> list[tuple[str, str]]:
    return [
        tuple(row)
        for name in ("Contact", "Lead")
        for row in store.execute(f'SELECT Id, OwnerId FROM "{name}" ORDER BY Id')
    ]


def test_the_crm_holds_what_the_table_says(after_one_run: Installation, people: People) -> None:
    flags = after_one_run.flags()
    found = {people.names[record]: flags[record] for record in people.expected}
    expected = {people.names[record]: value for record, value in people.expected.items()}
    assert found == expected


def test_no_other_field_changes(after_one_run: Installation) -> None:
    with after_one_run.store() as store:
        assert str(_owners(store)) == store.setting("owners")
        fields = {name for (name,) in store.execute("SELECT DISTINCT field FROM crm_write")}
    assert fields == {"Hard_Bounce__c", "Hard_Bounce_Date__c"}


def test_a_second_run_writes_nothing(after_one_run: Installation) -> None:
    before = after_one_run.writes()
    outcome = after_one_run.run(DAY)
    line = outcome.line()
    assert (line["set"], line["refresh"], line["clear"]) == (0, 0, 0)
    assert after_one_run.writes() == before > 0


def test_the_line_of_json_adds_up(after_one_run: Installation) -> None:
    line = after_one_run.run(DAY, dry_run=True).line()
    plan = after_one_run.runner.lake.read("crm_flag_changes", DAY)
    assert line["set"] + line["refresh"] + line["clear"] + line["none"] == len(plan)
    assert line["unmatched"] == int((plan["reason"] == "unmatched").sum()) == 6
    assert line["dry_run"]
    assert line["missing_days"] == []
