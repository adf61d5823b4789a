"""What the writer sends, and what it makes of the answers."""

from __future__ import annotations

import threading
from collections import Counter

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.salesforce.describe import OrgFacts
from bounce_sync.salesforce.errors import (
    BudgetSpent,
    RequestRejected,
    RunStopped,
    ServiceUnavailable,
    UnreadableAnswer,
)
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync_tests.salesforce.changes import (
    BOUNCED,
    FACTS,
    MemoryJournal,
    account,
    changes,
    collections,
    contact,
    refused,
    sent,
    sets,
    taken,
)
from bounce_sync_tests.salesforce.scripted_org import EXPIRED, Reply, refusal

LATER = BOUNCED + pd.Timedelta(days=1)
LEAD = "00Q000000000001AAA"


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def writer(connection, journal) -> FlagWriter:
    return FlagWriter(connection, journal)


def outcomes(updates: pd.DataFrame) -> dict[str, tuple[str, object]]:
    codes = updates["error_code"].astype(object).where(updates["error_code"].notna(), None)
    return dict(zip(updates["record_id"], zip(updates["outcome"], codes, strict=True), strict=True))


def test_each_action_writes_what_changes_and_nothing_else(org, writer, journal):
    org.handler = collections(taken)
    flagged = {"flag_before": True, "flag_after": True, "date_before": BOUNCED}
    plan = changes(
        {"record_id": contact(1)},
        {"record_id": contact(2), "action": "refresh", **flagged, "date_after": LATER},
        {"record_id": contact(3), "action": "clear", **flagged, "flag_after": False},
        {"record_id": contact(4), "date_before": LATER, "date_after": LATER},
        {"record_id": LEAD, "object": "Lead"},
    )
    updates = writer.write(plan, FACTS)
    tables.CrmFlagUpdates.validate(updates.assign(run_id=pd.Series("r", updates.index, "str")))
    (records,) = sent(org.requests)
    at, kind = "2026-05-04T09:00:00.000Z", {"type": "Contact"}
    assert records == [
        {"attributes": kind, "id": contact(1), "Hard_Bounce__c": True, "Hard_Bounce_Date__c": at},
        {
            "attributes": kind,
            "id": contact(2),
            "Hard_Bounce_Date__c": "2026-05-05T09:00:00.000Z",
        },
        {"attributes": kind, "id": contact(3), "Hard_Bounce__c": False},
        {"attributes": kind, "id": contact(4), "Hard_Bounce__c": True},
        {
            "attributes": {"type": "Lead"},
            "id": LEAD,
            "Hard_Bounce__c": True,
            "Hard_Bounce_Date__c": at,
        },
    ]
    assert set(updates["outcome"]) == {"written"}
    assert journal.open == set()
    assert org.requests[0].json["allOrNone"] is False


def test_a_day_is_written_to_a_date_field_and_an_undo_can_empty_it(org, connect, journal):
    org.handler = collections(taken)
    connection = connect(flag_field="acme__HB__c", date_field="acme__HB_On__c")
    undone = {"flag_before": True, "flag_after": False, "action": "clear", "date_before": BOUNCED}
    plan = changes(
        {"record_id": contact(1)},
        {"record_id": contact(2), **undone, "date_after": pd.NaT},
    )
    FlagWriter(connection, journal).write(plan, OrgFacts(True, "UTC", False))
    (records,) = sent(org.requests)
    assert [{k: v for k, v in record.items() if k.startswith("acme")} for record in records] == [
        {"acme__HB__c": True, "acme__HB_On__c": "2026-05-04"},
        {"acme__HB__c": False, "acme__HB_On__c": None},
    ]


def test_a_person_account_is_written_through_its_account(org, connect, journal):
    org.handler = collections(taken)
    plan = changes({"record_id": contact(1), "person_account_id": account(9)})
    updates = FlagWriter(connect(person_accounts=True), journal).write(plan, FACTS)
    ((record,),) = sent(org.requests)
    assert record["attributes"] == {"type": "Account"}
    assert record["id"] == account(9)
    assert record["Hard_Bounce__pc"] is True
    assert "Hard_Bounce_Date__pc" in record
    assert outcomes(updates) == {contact(1): ("written", None)}


def test_many_rows_ride_in_few_calls(org, writer, connection):
    org.handler = collections(taken)
    updates = writer.write(sets(2000), FACTS)
    assert connection.calls == 2
    assert [len(chunk) for chunk in sent(org.requests)] == [200] * 10
    assert len(updates) == 2000


def test_nothing_to_write_is_no_call(org, writer):
    updates = writer.write(tables.empty(tables.CrmFlagChanges), FACTS)
    assert len(updates) == 0
    assert "outcome" in updates
    assert org.requests == org.logins == []


def test_siblings_ride_together_and_never_in_two_requests_at_once(org, writer):
    """Accounts of many sizes, one larger than a call holds."""
    sizes = [2500, 1, 3, 700, 900, 2, 400]
    rows = [
        {"record_id": contact(10_000 * group + number), "account_id": account(group)}
        for group, size in enumerate(sizes)
        for number in range(size)
    ]
    plan = changes(*rows).sample(frac=1, random_state=7)
    of = dict(zip(plan["record_id"], plan["account_id"], strict=True))
    flying: Counter[str] = Counter()
    lock, overlaps = threading.Lock(), list[str]()
    answer = collections(taken)

    def handler(request):
        accounts = {of[each["id"]] for chunk in sent([request]) for each in chunk}
        with lock:
            overlaps.extend(each for each in accounts if flying[each])
            flying.update(accounts)
        reply = answer(request)
        with lock:
            flying.subtract(accounts)
        return reply

    org.handler = handler
    assert len(writer.write(plan, FACTS)) == sum(sizes)
    assert overlaps == []
    order = [of[each["id"]] for chunk in sent(org.requests[:1]) for each in chunk]
    assert order == sorted(order)


def test_one_bad_record_never_stops_the_others(org, writer, journal):
    bad = contact(7)
    org.handler = collections(
        lambda record: refused("MALFORMED_ID", "no") if record["id"] == bad else taken(record)
    )
    updates = writer.write(sets(300), FACTS)
    found = outcomes(updates)
    assert found.pop(bad) == ("rejected", "MALFORMED_ID")
    assert set(found.values()) == {("written", None)}
    assert journal.outcomes[bad].message == "no"


def test_a_request_refused_for_one_record_is_halved_down_to_it(org, writer):
    bad = contact(150)

    def whole(records):
        if any(record["id"] == bad for record in records):
            return refusal(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        return None

    org.handler = collections(taken, whole)
    found = outcomes(writer.write(sets(450), FACTS))
    assert found.pop(bad) == ("rejected", "CANNOT_UPDATE_CONVERTED_LEAD")
    assert set(found.values()) == {("written", None)}
    assert len(found) == 449


def test_a_request_that_is_too_large_for_the_org_is_halved(org, writer):
    org.handler = collections(
        taken,
        lambda records: (
            refusal(400, "EXCEEDED_ID_LIMIT", "too many") if len(records) > 60 else None
        ),
    )
    assert set(writer.write(sets(200), FACTS)["outcome"]) == {"written"}
    assert max(map(len, sent(org.requests)[1:])) <= 100


def test_locked_rows_alone_are_sent_again_in_smaller_requests(org, writer, pauses):
    locked = {contact(number): 3 for number in range(100)}

    def verdict(record):
        if locked.get(record["id"], 0):
            locked[record["id"]] -= 1
            return refused("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")
        return taken(record)

    org.handler = collections(verdict)
    assert set(writer.write(sets(200), FACTS)["outcome"]) == {"written"}
    by_attempt = [len(chunk) for chunk in sent(org.requests)]
    assert by_attempt == [200, 50, 50, *[10] * 10, *[1] * 100]
    assert len(pauses) == 3


def test_a_row_that_stays_locked_is_rejected_after_five_attempts(org, writer):
    org.handler = collections(lambda record: refused("UNABLE_TO_LOCK_ROW"))
    found = outcomes(writer.write(sets(1), FACTS))
    assert found == {contact(0): ("rejected", "UNABLE_TO_LOCK_ROW")}
    assert len(org.requests) == 5


def test_duplicate_rules_that_only_warn_are_passed_and_blocking_ones_reject(org, writer):
    blocked = contact(2)

    def handler(request):
        passed = request.headers.get("Sforce-Duplicate-Rule-Header") == "allowSave=true"
        return collections(
            lambda record: (
                taken(record)
                if record["id"] == contact(0) or (passed and record["id"] != blocked)
                else refused("DUPLICATES_DETECTED", "Use one of these records?")
            )
        )(request)

    org.handler = handler
    assert outcomes(writer.write(sets(3), FACTS)) == {
        contact(0): ("written", None),
        contact(1): ("written", None),
        blocked: ("rejected", "DUPLICATES_DETECTED"),
    }
    assert [len(chunk) for chunk in sent(org.requests)] == [3, 2]
    assert {request.headers["Sforce-Auto-Assign"] for request in org.requests} == {"FALSE"}


def test_headers_stay_on_the_replay_after_an_expired_session(org, writer):
    org.handler = collections(taken)
    org.script = [EXPIRED]
    writer.write(sets(1), FACTS)
    assert [request.headers["Sforce-Auto-Assign"] for request in org.requests] == ["FALSE"] * 2


def test_a_dropped_answer_is_replayed_as_setting_twice_is_setting(org, writer):
    org.handler = collections(taken)
    org.script = [Reply(drop=True), Reply(b"", 503), Reply([taken({"id": contact(0)})], cut=9)]
    assert outcomes(writer.write(sets(1), FACTS)) == {contact(0): ("written", None)}


def test_an_answer_that_never_comes_leaves_the_rows_unknown_and_stops(org, writer, journal):
    org.script = [Reply(drop=True)] * 5
    with pytest.raises(ServiceUnavailable):
        writer.write(sets(10), FACTS)
    assert {each.outcome for each in journal.outcomes.values()} == {"unknown"}
    assert journal.open == set()


def test_a_refusal_after_an_unheard_attempt_doesnt_claim_that_nothing_was_written(
    org, writer, journal
):
    org.script = [Reply(drop=True), refusal(403, "API_DISABLED_FOR_ORG")]
    with pytest.raises(RequestRejected):
        writer.write(sets(1), FACTS)
    assert journal.outcomes[contact(0)].outcome == "unknown"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (Reply([]), "not one entry for each record"),
        (Reply([{"id": contact(0)}]), "doesn't say whether"),
        (Reply([{"id": contact(1), "success": True}]), "another record"),
        (Reply([{"success": True}]), "another record"),
        (Reply([{"success": False, "errors": []}]), "without a statusCode"),
    ],
)
def test_an_answer_that_cant_be_read_is_never_taken_for_success(
    org, writer, journal, answer, complaint
):
    org.script = [answer] * 3
    with pytest.raises(UnreadableAnswer, match=complaint):
        writer.write(sets(1), FACTS)
    assert journal.outcomes[contact(0)].outcome == "unknown"


@pytest.mark.parametrize(
    "code", ["INVALID_FIELD", "API_DISABLED_FOR_ORG", "JSON_PARSER_ERROR", "WHO_KNOWS"]
)
def test_a_refusal_that_holds_for_all_stops_and_settles_what_was_in_flight(
    org, writer, journal, code
):
    org.handler = collections(taken, lambda records: refusal(400, code, "no"))
    with pytest.raises(RequestRejected, match=code):
        writer.write(sets(9000), FACTS)
    assert 0 < len(journal.intended) < 9000
    assert journal.open == set()
    assert {each.error_code for each in journal.outcomes.values()} == {code}


def test_a_row_whose_code_holds_for_all_stops_too(org, writer, journal):
    org.handler = collections(lambda record: refused("INVALID_FIELD_FOR_INSERT_UPDATE", "no"))
    with pytest.raises(RequestRejected, match="not editable"):
        writer.write(sets(9000), FACTS)
    assert len(journal.intended) < 9000
    assert journal.open == set()


def test_the_budget_stops_before_the_next_batch_is_announced(org, connect, journal):
    answer = collections(taken)

    def handler(request):
        reply = answer(request)
        reply.headers = {"Sforce-Limit-Info": f"api-usage={90 + len(org.requests)}/100"}
        return reply

    org.handler = handler
    connection = connect()
    FlagWriter(connection, journal).write(sets(1), FACTS)
    with pytest.raises(BudgetSpent, match="later run goes on"):
        FlagWriter(connection, journal).write(sets(9000), FACTS)
    assert 1 < connection.calls == len(org.requests) <= 4
    assert journal.open == set()
    assert {each.outcome for each in journal.outcomes.values()} == {"written"}


def test_asked_to_stop_it_finishes_what_is_in_flight(org, connection, journal):
    stop = threading.Event()
    answer = collections(taken)

    def handler(request):
        stop.set()
        return answer(request)

    org.handler = handler
    with pytest.raises(RunStopped, match=r"after [\d,]+ of 9,000 changes") as stopped:
        FlagWriter(connection, journal, stop=stop).write(sets(9000), FACTS)
    assert 0 < len(journal.outcomes) == stopped.value.settled < 9000
    assert journal.open == set()


def test_a_review_decides_what_of_a_batch_is_still_sent(org, writer, journal):
    org.handler = collections(taken)
    changed = contact(1)
    updates = writer.write(sets(3), FACTS, review=lambda rows: rows[rows["record_id"] != changed])
    assert changed not in set(updates["record_id"]) | set(journal.intended)
    assert len(updates) == 2


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"action": "none"}, "no action that writes"),
        ({"flag_after": False, "date_after": pd.NaT}, "nothing to write"),
    ],
)
def test_a_plan_that_cant_be_written_is_refused_before_anything_is_sent(
    org, writer, row, complaint
):
    with pytest.raises(ValueError, match=complaint):
        writer.write(changes({"record_id": contact(1), **row}), FACTS)
    assert org.requests == []


def test_two_changes_of_one_record_are_refused(org, writer):
    twice = changes(
        {"record_id": contact(1), "subscriber_key": "a"},
        {"record_id": contact(1), "subscriber_key": "b"},
    )
    with pytest.raises(ValueError, match="several changes"):
        writer.write(twice, FACTS)
