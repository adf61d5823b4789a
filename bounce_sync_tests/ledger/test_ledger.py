"""What the ledger remembers."""

from __future__ import annotations

import pandas as pd
import pytest

from bounce_sync.ledger import Ledger, NotTheWriter, UnknownRun, WrongOrg
from bounce_sync.tables import CrmFlagUpdates, LedgerKnowledge
from bounce_sync_tests.ledger.frames import (
    MONDAY,
    TUESDAY,
    Facts,
    Said,
    change,
    changes,
    record_id,
    records,
)

DAY = "2026-02-03"


def write(ledger: Ledger, run_id: str, *rows: dict, said: Said | None = None) -> list[int]:
    """A run that writes `rows`; without `said` it dies before any answer."""
    with ledger.writer(0):
        journal = ledger.run_journal(run_id, DAY)
        ids = journal.intend(changes(*rows))
        if said:
            journal.settle(ids, [said] * len(ids))
    return ids


WRITTEN = Said("written")


def test_a_run_s_updates_are_its_attempts_with_their_answers(ledger: Ledger) -> None:
    with ledger.writer(0):
        journal = ledger.run_journal("r1", DAY)
        ids = journal.intend(changes(change(1), change(2), change(3)))
        journal.settle(
            ids[:2], [WRITTEN, Said("rejected", "ENTITY_IS_LOCKED", "The record is locked.")]
        )
    updates = ledger.updates("r1")
    CrmFlagUpdates.validate(updates)
    assert updates["outcome"].tolist() == ["written", "rejected", "unknown"]
    assert updates.loc[1, "error_code"] == "ENTITY_IS_LOCKED"
    assert updates["date_after"].tolist() == [MONDAY] * 3
    assert updates["date_before"].isna().all()
    assert (updates["run_id"] == "r1").all()
    assert ledger.updates("r2").empty


def test_a_retried_run_shows_the_last_attempt_on_a_record(ledger: Ledger) -> None:
    write(ledger, "r1", change(1), said=Said("rejected", "UNABLE_TO_LOCK_ROW"))
    write(ledger, "r1", change(1), said=WRITTEN)
    assert ledger.updates("r1")["outcome"].tolist() == ["written"]


def test_knowledge_is_the_last_confirmed_write(ledger: Ledger) -> None:
    write(ledger, "r1", change(1), change(2), said=WRITTEN)
    write(ledger, "r2", change(1, action="refresh", date_after=TUESDAY), said=WRITTEN)
    write(ledger, "r3", change(1, action="clear", flag_after=False), said=Said("rejected", "X"))
    write(ledger, "r4", change(2, action="clear", flag_after=False))
    knowledge = ledger.knowledge().set_index("record_id")
    LedgerKnowledge.validate(knowledge.reset_index()[list(ledger.knowledge().columns)])
    assert knowledge.loc[record_id(1), ["action", "date_written"]].tolist() == ["refresh", TUESDAY]
    assert knowledge.loc[record_id(2), ["action", "flag_written"]].tolist() == ["set", True]
    assert not knowledge["is_undo"].any()
    assert knowledge["undone_action"].isna().all()


def test_an_empty_ledger_answers_with_empty_tables(ledger: Ledger) -> None:
    LedgerKnowledge.validate(ledger.knowledge())
    CrmFlagUpdates.validate(ledger.updates("r1"))
    assert list(ledger.carried(DAY).columns) == ["subscriber_key", "since", "last_partition"]
    assert ledger.open_intents().empty


@pytest.mark.parametrize(
    ("record", "outcome", "code"),
    [
        ({"flag": True, "flag_date": MONDAY}, "written", None),
        ({"flag": False}, "rejected", "NOT_SENT"),
        ({"flag": True, "flag_date": TUESDAY}, "unknown", None),
        ({"flag": False, "is_deleted": True}, "unknown", None),
    ],
    ids=["after-image", "before-image", "neither", "gone"],
)
def test_an_open_intent_is_settled_by_the_record(
    ledger: Ledger, record: dict, outcome: str, code: str | None
) -> None:
    write(ledger, "r1", change(1))
    with ledger.writer(0):
        settled = ledger.settle_open(records({"record_id": record_id(1), **record}), Facts())
    assert settled["outcome"].tolist() == [outcome]
    assert settled["error_code"].tolist() == [code] or settled["error_code"].isna().all()
    assert ledger.updates("r1")["outcome"].tolist() == [outcome]
    assert ledger.open_intents().empty


def test_a_key_whose_write_got_lost_is_carried_over(ledger: Ledger) -> None:
    undone = change(2, reason="undone")
    write(ledger, "r1", change(1), undone, change(3, action="clear", flag_after=False))
    untouched = [{"record_id": record_id(number), "flag": False} for number in (1, 2)]
    with ledger.writer(0):
        ledger.settle_open(records(*untouched), Facts())
    assert ledger.carried("2026-02-04").to_dict("records") == [
        {"subscriber_key": record_id(1), "since": DAY, "last_partition": DAY}
    ]


def test_a_clear_is_settled_by_the_flag_alone(ledger: Ledger) -> None:
    cleared = change(1, action="clear", flag_before=True, flag_after=False, date_before=MONDAY)
    write(ledger, "r1", cleared)
    now = records({"record_id": record_id(1), "flag": False, "flag_date": TUESDAY})
    with ledger.writer(0):
        assert ledger.settle_open(now, Facts())["outcome"].tolist() == ["written"]


def test_a_date_field_keeps_the_day_only(ledger: Ledger) -> None:
    write(ledger, "r1", change(1))
    now = records({"record_id": record_id(1), "flag": True, "flag_date": MONDAY.floor("D")})
    with ledger.writer(0):
        settled = ledger.settle_open(now, Facts(date_is_day=True))
    assert settled["outcome"].tolist() == ["written"]


@pytest.mark.parametrize("outcome", ["pending", "unknown"])
def test_what_was_not_confirmed_is_looked_at_again(ledger: Ledger, outcome: str) -> None:
    write(ledger, "r1", change(1), said=Said(outcome))
    assert ledger.updates("r1")["outcome"].tolist() == [outcome]
    now = records({"record_id": record_id(1), "flag": True, "flag_date": MONDAY})
    with ledger.writer(0):
        ledger.settle_open(now, Facts())
    assert ledger.updates("r1")["outcome"].tolist() == ["written"]
    assert ledger.knowledge()["record_id"].tolist() == [record_id(1)]


def test_open_intents_name_their_bulk_job(ledger: Ledger) -> None:
    with ledger.writer(0):
        journal = ledger.run_journal("r1", DAY)
        ids = journal.intend(changes(change(1), change(2), change(3)))
        journal.job_sent(ids[:2], "750000000000001AAA")
        journal.settle(ids[:1], [WRITTEN])
    left = ledger.open_intents()
    assert left["id"].tolist() == ids[1:]
    assert left["job_id"].tolist()[0] == "750000000000001AAA"
    assert left["job_id"].isna().tolist() == [False, True]


def test_nothing_is_intended_without_the_writer_s_lock(ledger: Ledger) -> None:
    with ledger.writer(0):
        journal = ledger.run_journal("r1", DAY)
    with pytest.raises(NotTheWriter):
        journal.intend(changes(change(1)))
    assert ledger.open_intents().empty


def test_a_ledger_belongs_to_one_org(ledger: Ledger, url: str) -> None:
    ledger.bind_org("00D000000000001EAA")
    ledger.bind_org("00D000000000001")
    with pytest.raises(WrongOrg, match="00D000000000002EAA"):
        Ledger(url).bind_org("00D000000000002EAA")


def remember(ledger: Ledger, day: str, carried: dict[str, str], settled: tuple = ()) -> None:
    frame = pd.DataFrame({"subscriber_key": list(carried), "since": list(carried.values())})
    ledger.remember(f"run of {day}", day, frame.astype("str"), pd.Series(settled, dtype="str"))


def test_keys_are_carried_until_they_are_settled(ledger: Ledger) -> None:
    remember(ledger, "2026-02-01", {"a": "2026-02-01", "b": "2026-02-01"})
    remember(ledger, "2026-02-02", {"a": "2026-02-01"}, ("b",))
    carried = ledger.carried("2026-02-03")
    assert carried.to_dict("records") == [
        {"subscriber_key": "a", "since": "2026-02-01", "last_partition": "2026-02-02"}
    ]


def test_a_re_run_of_a_day_is_carried_to_from_the_days_before(ledger: Ledger) -> None:
    remember(ledger, "2026-02-01", {"a": "2026-02-01"})
    remember(ledger, "2026-02-02", {"a": "2026-02-01", "b": "2026-02-02"})
    last = ledger.carried("2026-02-02").set_index("subscriber_key")["last_partition"].dropna()
    assert last.to_dict() == {"a": "2026-02-01"}, "b's bounce is in the day's own window"


def test_a_key_whose_write_is_open_is_carried_too(ledger: Ledger) -> None:
    """Whoever stages before a crash is settled must not wait a run longer."""
    write(ledger, "r1", change(1), change(2, action="clear", flag_after=False), change(3))
    remember(ledger, "2026-02-01", {record_id(3): "2026-02-01"})
    carried = ledger.carried("2026-02-04").set_index("subscriber_key")
    assert carried["since"].to_dict() == {record_id(1): DAY, record_id(3): "2026-02-01"}
    assert carried["last_partition"].tolist() == [DAY, DAY]
    assert ledger.waiting("2026-02-04")["subscriber_key"].tolist() == [record_id(3)]
    assert ledger.carried("2026-02-01")["subscriber_key"].tolist() == [record_id(3)]


def test_a_late_answer_speaks_before_the_record(ledger: Ledger) -> None:
    write(ledger, "r1", change(1), change(2), change(3))
    ids = ledger.open_intents()["id"]
    answers = pd.DataFrame(
        {
            "id": ids.iloc[:2],
            "outcome": ["rejected", "written"],
            "error_code": ["UNABLE_TO_LOCK_ROW", None],
            "message": ["locked", None],
        }
    )
    untouched = [{"record_id": record_id(number), "flag": False} for number in (1, 2, 3)]
    with ledger.writer(0):
        settled = ledger.settle_open(records(*untouched), Facts(), answers)
    assert settled["outcome"].tolist() == ["rejected", "written", "rejected"]
    assert settled["error_code"].tolist()[::2] == ["UNABLE_TO_LOCK_ROW", "NOT_SENT"]
    assert set(ledger.carried("2026-02-04")["subscriber_key"]) == {record_id(1), record_id(3)}


def test_a_key_is_forgotten_after_sixty_days(ledger: Ledger) -> None:
    remember(ledger, "2026-01-01", {"a": "2026-01-01"})
    assert len(ledger.carried("2026-03-02")) == 1
    assert ledger.carried("2026-03-03").empty


def test_addresses_in_the_crm_s_messages_are_not_kept(ledger: Ledger) -> None:
    said = Said("rejected", "INVALID_EMAIL_ADDRESS", "Email: invalid address: ann.o@example.com")
    write(ledger, "r1", change(1), said=said)
    assert ledger.updates("r1").loc[0, "message"] == "Email: invalid address: (address)"


def test_it_tells_whether_anything_was_written_since(ledger: Ledger) -> None:
    before = pd.Timestamp.now("UTC").to_pydatetime()
    assert not ledger.writes_since(before)
    write(ledger, "r1", change(1))
    assert ledger.writes_since(before)
    assert not ledger.writes_since(pd.Timestamp.now("UTC").to_pydatetime())


def test_a_run_is_recorded_once_with_its_policy(ledger: Ledger, url: str) -> None:
    first = ledger.begin_run("r1", DAY, "sandbox", {"confirm": "held"}, ["allow_changes"])
    assert Ledger(url).begin_run("r1", DAY) == first
    runs = ledger.runs()
    assert runs[["run_id", "partition", "target"]].values.tolist() == [["r1", DAY, "sandbox"]]
    assert runs.loc[0, "policy"] == {"confirm": "held"}
    assert runs.loc[0, "released"] == ["allow_changes"]


def test_a_run_that_nobody_knows_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(UnknownRun, match="r9"):
        ledger.intents_of("r9")
    ledger.begin_run("r1", DAY)
    assert ledger.intents_of("r1").empty
