"""The story of one person, out of lake and ledger."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from bounce_sync.explain import Story, explain
from bounce_sync.explain.rendering import render
from bounce_sync.ledger import Ledger
from bounce_sync.rules.identity import to_18
from bounce_sync.tables import CrmRecords, shape
from bounce_sync_tests.explain.lake import bounce, decision, held, released, state, store
from bounce_sync_tests.ledger.frames import Said, change, changes

ANN = to_18("003Dn00000AnnAb")
LEAD = to_18("00QDn00000LeadB")
ANNA = to_18("003DN00000AnnAb")
"""Another record than Ann's, whose id differs in one letter's case."""
ADDRESS = "Ann@Example.com"
MONDAY, TUESDAY, WEDNESDAY = "2026-02-02", "2026-02-03", "2026-02-04"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Ann bounces on Monday and is Held; on Tuesday her flag is set; on Wednesday she is mailed
    again. Bob bounces and is still mailed."""
    root = tmp_path / "lake"
    store(
        root,
        "raw_bounces",
        MONDAY,
        bounce(ANN, "2026-02-02T15:00:00"),
        bounce("bob", "2026-02-02T16:00:00"),
        bounce(ANNA[:15], "2026-02-02T17:00:00"),
    )
    store(root, "raw_bounces", TUESDAY)
    store(
        root, "held_subscribers", MONDAY, held(ANN.lower(), "ann@old.example", "2026-02-03T09:00")
    )
    store(root, "held_subscribers", TUESDAY, held(ANN.lower(), ADDRESS, "2026-02-04T09:00:00"))
    store(root, "held_subscribers", WEDNESDAY)
    store(
        root,
        "confirmed_bounce_staging",
        MONDAY,
        {
            "subscriber_key": ANN.lower(),
            "bounce_category": "Hard bounce",
            "bounced_at": pd.Timestamp("2026-02-02T15:00:00Z"),
            "evidence_count": 1,
            "business_unit": "7281698",
        },
    )
    for day, flag in ((MONDAY, False), (TUESDAY, True), (WEDNESDAY, True)):
        store(
            root,
            "crm_flag_state",
            day,
            state(ANN.lower(), ANN, flag=flag, email=ADDRESS),
            state(LEAD, ANN, flag=flag, email=ADDRESS, resolution="converted"),
        )
    store(root, "released_subscribers", WEDNESDAY, released(ANN, "Active", "2026-02-05T09:00:00"))
    store(root, "crm_flag_changes", MONDAY, decision(ANN.lower(), ANN, "set", "held"))
    store(root, "crm_flag_changes", TUESDAY, decision(ANN.lower(), ANN, "none", "still_held"))
    store(root, "crm_flag_changes", WEDNESDAY, decision(ANN, ANN, "clear", "released"))
    return root


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    opened = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    with opened.writer(0):
        journal = opened.run_journal("r1", MONDAY)
        ids = journal.intend(changes(change(1, subscriber_key=ANN.lower(), record_id=ANN)))
        journal.settle(ids, [Said("written")])
        journal = opened.run_journal("r2", WEDNESDAY)
        cleared = change(
            1,
            subscriber_key=ANN,
            record_id=ANN,
            action="clear",
            reason="released",
            flag_before=True,
            flag_after=False,
        )
        ids = journal.intend(changes({**cleared, "date_after": None}))
        journal.settle(ids, [Said("rejected", "ENTITY_IS_LOCKED", "The record is locked.")])
    return opened


def kinds(story: Story) -> list[str]:
    return [event.kind for event in story.timeline]


@pytest.mark.parametrize("asked", [ANN, ANN[:15], ANN.lower(), ADDRESS, " ann@old.example ", LEAD])
def test_everybody_s_story_is_found_by_key_record_and_address(
    lake: Path, ledger: Ledger, asked: str
) -> None:
    story = explain(asked, str(lake), ledger)
    assert {ANN, ANN.lower()} <= set(story.keys)
    assert [record.record_id for record in story.records] == [ANN]
    assert sorted(set(kinds(story))) == [
        "address",
        "bounce",
        "decision",
        "held",
        "record",
        "staged",
        "status",
        "write",
    ]
    assert story.addresses[0] == "ann@old.example"
    assert story.addresses[-1] == ADDRESS
    assert story.statuses[ANN] == "Active"
    assert ANNA[:15] not in story.keys, "an id of 15 characters has a case"


@pytest.mark.parametrize("stored", ["Jörg@exämple.de", "jörg@xn--exmple-cua.de"])
@pytest.mark.parametrize("asked", ["JÖRG@EXÄMPLE.DE", "jörg@xn--exmple-cua.de"])
def test_an_address_is_found_however_its_domain_is_written(
    tmp_path: Path, ledger: Ledger, stored: str, asked: str
) -> None:
    store(tmp_path, "held_subscribers", MONDAY, held("joerg", stored, "2026-02-03T09:00"))
    assert explain(asked, str(tmp_path), ledger).keys == ("joerg",)


def test_the_timeline_is_in_order_and_says_what_happened(lake: Path, ledger: Ledger) -> None:
    story = explain(ANN, str(lake), ledger)
    assert [event.at for event in story.timeline] == sorted(event.at for event in story.timeline)
    told = "\n".join(event.text for event in story.timeline)
    assert "Hard bounce (550) at old.example, mail of unit 7281698: 5.1.1 [user] unknown" in told
    assert f"Confirmed on {MONDAY} by the bounce of 2026-02-02 15:00:00 (1 bounce in" in told
    assert "through a Lead that was converted into it" in told
    assert f"Decided for {TUESDAY}: nothing to do, still_held" in told
    assert f"SFMC's status of {ANN}: Active" in told
    assert (
        "Wrote flag off to on and date empty to 2026-02-02 10:00:00 (set, held) by run r1" in told
    )
    assert "rejected, ENTITY_IS_LOCKED: The record is locked" in told


def test_the_answer_says_why(lake: Path, ledger: Ledger) -> None:
    answer = explain(ANN, str(lake), ledger).answer
    assert answer.startswith(
        f"Contact {ANN} is flagged. Decided for {WEDNESDAY}: clear, released. SFMC mails the "
        "address again. Last write: Sent flag on to off"
    )
    assert "rejected, ENTITY_IS_LOCKED" in answer
    assert explain("bob", str(lake), ledger).answer == (
        "It bounced once, and SFMC hasn't given the address up: no flag for a bounce alone."
    )
    nobody = explain("nobody", str(lake), ledger)
    assert not nobody.known
    assert nobody.answer.startswith("Nothing is known")


def test_a_plan_that_was_replaced_is_told_too(lake: Path, ledger: Ledger) -> None:
    before = decision(ANN.lower(), ANN, "none", "domain_spike")
    store(lake / "_replaced", "crm_flag_changes", f"{MONDAY}.20260203T090000000000", before)
    story = explain(ANN, str(lake), ledger)
    reasons = [each.details["reason"] for each in story.timeline if each.kind == "decision"]
    assert reasons == ["domain_spike", "held", "still_held", "released"]


class CrmOfToday:
    """A CRM in which Ann was cleared by hand."""

    def reread(self, records: pd.DataFrame) -> pd.DataFrame:
        assert records["object"].tolist() == ["Contact", "Lead"]
        row = {"object": "Contact", "record_id": ANN, "flag": False, "email": "ann@new.example"}
        return shape(
            CrmRecords, pd.DataFrame([{**row, "is_deleted": False, "is_converted": False}])
        )


class MarketingCloudOfToday:
    def statuses(self, keys: list[str]) -> pd.DataFrame:
        return pd.DataFrame({"subscriber_key": keys, "status": "Unsubscribed"})


def test_today_s_values_are_asked_where_they_can_be(lake: Path, ledger: Ledger) -> None:
    story = explain(
        ANN, str(lake), ledger, crm=CrmOfToday(), marketing_cloud=MarketingCloudOfToday()
    )
    (record,) = story.records
    assert record.today
    assert not record.flag
    assert story.addresses[-1] == "ann@new.example"
    assert set(story.statuses.values()) == {"Unsubscribed"}
    assert "isn't flagged" in story.answer


def test_it_is_told_as_json_and_on_a_terminal(lake: Path, ledger: Ledger) -> None:
    story = explain(ANN, str(lake), ledger)
    plain = json.loads(json.dumps(story.plain()))
    assert plain["timeline"][0]["at"] == "2026-02-02T15:00:00+00:00"
    assert plain["records"][0]["record_id"] == ANN
    printed = io.StringIO()
    render(story, Console(file=printed, width=200, highlight=False))
    assert "5.1.1 [user] unknown" in printed.getvalue()
    assert "2026-02-02 15:00" in printed.getvalue()


def test_a_lake_without_tables_has_no_stories(tmp_path: Path, ledger: Ledger) -> None:
    assert kinds(explain(ANN, str(tmp_path / "empty"), ledger)) == ["write", "write"]


def test_it_needs_no_dagster() -> None:
    listed = "import sys, bounce_sync.explain; print('dagster' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
