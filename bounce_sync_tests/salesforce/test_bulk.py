"""Writing by Bulk jobs, against the sandbox over TLS."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bounce_sync import tables
from bounce_sync.salesforce import bulk_writing
from bounce_sync.salesforce.bulk import BulkApi
from bounce_sync.salesforce.bulk_writing import finish_job, read_outcomes
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.describe import OrgFacts
from bounce_sync.salesforce.errors import RequestRejected, RunStopped, UnreadableAnswer
from bounce_sync.salesforce.payload import payload
from bounce_sync.salesforce.writing import FlagWriter, rows_for_bulk
from bounce_sync.sandbox.faults import Fault
from bounce_sync_tests.salesforce import sandbox_org
from bounce_sync_tests.salesforce.changes import FACTS, MemoryJournal, changes, sets
from bounce_sync_tests.salesforce.sandbox_org import SandboxOrg, account, contact, lead
from bounce_sync_tests.salesforce.scripted_org import Reply

JOBS = "/services/data/*/jobs/ingest"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxOrg]:
    with sandbox_org.served(tmp_path / "org") as served:
        yield served


def flag_contacts(sandbox: SandboxOrg, count: int) -> pd.DataFrame:
    sandbox.contacts(*({"Id": contact(n), "AccountId": account(n // 3)} for n in range(count)))
    return changes(
        *({"record_id": contact(n), "account_id": account(n // 3)} for n in range(count))
    )


def write(
    sandbox: SandboxOrg, plan: pd.DataFrame, journal: MemoryJournal | None = None, **settings: Any
) -> pd.DataFrame:
    journal = journal or MemoryJournal()
    with Connection(sandbox.org(bulk_from=1, **settings)) as connection:
        try:
            return FlagWriter(connection, journal).write(plan, FACTS)
        finally:
            assert journal.open == set()


def jobs(sandbox: SandboxOrg) -> list[str]:
    """State of each job."""
    return sorted(row["state"] for row in sandbox.store.execute("SELECT state FROM bulk_job"))


def flagged(sandbox: SandboxOrg, name: str = "Contact") -> list[str]:
    return sorted(key for key, row in sandbox.rows(name).items() if row["Hard_Bounce__c"])


def test_each_action_writes_what_collections_would(sandbox):
    on = {"Hard_Bounce__c": 1, "Hard_Bounce_Date__c": "2026-05-01T00:00:00.000Z"}
    before = pd.Timestamp("2026-05-01T00:00:00Z")
    was_on = {"flag_before": True, "flag_after": True, "date_before": before}
    sandbox.contacts(
        {"Id": contact(1), "FirstName": "Å"},
        *({"Id": contact(n), **on} for n in (2, 3, 4)),
    )
    sandbox.leads({"Id": lead(1)})
    plan = changes(
        {"record_id": contact(1)},
        {"record_id": contact(2), "action": "refresh", **was_on},
        {"record_id": contact(3), "action": "clear", **was_on}
        | {"flag_after": False, "date_after": before},
        {"record_id": contact(4), "action": "clear", **was_on}
        | {"flag_after": False, "date_after": pd.NaT},
        {"record_id": lead(1), "object": "Lead"},
    )
    updates = write(sandbox, plan)
    assert set(updates["outcome"]) == {"written"}
    tables.CrmFlagUpdates.validate(updates.assign(run_id=pd.Series("r", updates.index, "str")))
    now = {
        key: (row["Hard_Bounce__c"], row["Hard_Bounce_Date__c"])
        for key, row in {**sandbox.rows("Contact"), **sandbox.rows("Lead")}.items()
    }
    assert now == {
        contact(1): (1, "2026-05-04T09:00:00.000Z"),
        contact(2): (1, "2026-05-04T09:00:00.000Z"),
        contact(3): (0, "2026-05-01T00:00:00.000Z"),
        contact(4): (0, None),
        lead(1): (1, "2026-05-04T09:00:00.000Z"),
    }
    written = Counter((row["record_id"], row["field"]) for row in sandbox.audit())
    assert set(written.values()) == {1}
    assert (contact(2), "Hard_Bounce__c") not in written
    assert (contact(3), "Hard_Bounce_Date__c") not in written
    assert sandbox.rows("Contact")[contact(1)]["FirstName"] == "Å"
    assert jobs(sandbox) == ["JobComplete"] * 2


def test_a_day_for_a_date_field(sandbox):
    sandbox.store.add_field("Contact", "On__c", "date")
    sandbox.contacts({"Id": contact(1)})
    with Connection(sandbox.org(bulk_from=1, date_field="On__c")) as connection:
        writer = FlagWriter(connection, MemoryJournal())
        writer.write(changes({"record_id": contact(1)}), OrgFacts(True, "UTC", False))
    assert sandbox.rows("Contact")[contact(1)]["On__c"] == "2026-05-04"
    assert jobs(sandbox) == ["JobComplete"]


def test_refused_rows_come_back_with_code_and_message(sandbox):
    plan = flag_contacts(sandbox, 4)
    sandbox.store.execute('UPDATE "Contact" SET "IsDeleted" = 1 WHERE "Id" = ?', (contact(2),))
    updates = write(sandbox, plan).set_index("record_id")
    assert updates["outcome"].value_counts().to_dict() == {"written": 3, "rejected": 1}
    assert updates.loc[contact(2), "error_code"] == "ENTITY_IS_DELETED"
    assert updates.loc[contact(2), "message"]


def test_files_are_split_by_size(sandbox, monkeypatch):
    monkeypatch.setattr(bulk_writing, "LARGEST_UPLOAD", 64 * 100)
    plan = flag_contacts(sandbox, 250)
    assert len(write(sandbox, plan)) == 250
    assert jobs(sandbox) == ["JobComplete"] * 3


class Watching(MemoryJournal):
    """Looks at a job at the moment when its id is noted."""

    connection: Connection
    states: list[str]

    def job_sent(self, intent_ids, job_id) -> None:
        super().job_sent(intent_ids, job_id)
        self.states.append(BulkApi(self.connection).get(job_id).state)


def test_a_jobs_id_is_noted_before_it_can_run(sandbox):
    journal = Watching()
    journal.states = []
    plan = flag_contacts(sandbox, 5)
    with Connection(sandbox.org(bulk_from=1)) as connection:
        journal.connection = connection
        FlagWriter(connection, journal).write(plan, FACTS)
    assert journal.states == ["Open"]
    assert [sorted(ids) for ids in journal.jobs.values()] == [sorted(plan["record_id"])]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("unprocessed", times=1), ["JobComplete"] * 2),
        (Fault("job_failed", times=1), ["Failed", "JobComplete"]),
        (Fault("drop_after", path=JOBS, times=1), ["Aborted", "JobComplete"]),
        (Fault("drop_before", path=JOBS, times=1), ["JobComplete"]),
        (Fault("drop_after", path=JOBS + "/*/batches", times=1), ["Aborted", "JobComplete"]),
        (Fault("truncate", path=JOBS + "/7*", times=1), ["JobComplete"]),
        (Fault("expire_token", path=JOBS + "/*/batches", times=1), ["JobComplete"]),
        (Fault("status", path=JOBS + "*", times=4, status=503), ["JobComplete"]),
    ],
    ids=lambda case: f"{case.kind}-{case.path[-8:]}" if isinstance(case, Fault) else "",
)
def test_under_faults_each_row_is_written_once_and_no_job_stays_open(tmp_path, fault, expected):
    with sandbox_org.served(tmp_path / "org", [fault]) as sandbox:
        plan = flag_contacts(sandbox, 600)
        updates = write(sandbox, plan)
        assert set(updates["outcome"]) == {"written"}
        assert len(updates) == 600
        assert len(flagged(sandbox)) == 600
        assert jobs(sandbox) == expected
        writes = Counter((row["record_id"], row["field"]) for row in sandbox.audit())
        assert set(writes.values()) == {1}
        assert fault.spent


def test_locked_rows_are_sent_again_without_a_job(tmp_path):
    with sandbox_org.served(tmp_path / "org", [Fault("lock_rows", times=1)]) as sandbox:
        updates = write(sandbox, flag_contacts(sandbox, 30))
        assert set(updates["outcome"]) == {"written"}
        assert len(updates) == len(flagged(sandbox)) == 30


def test_a_field_that_bulk_doesnt_know_stops_the_run(sandbox):
    sandbox.store.execute("UPDATE field SET visible = 0 WHERE name = 'Hard_Bounce__c'")
    journal = MemoryJournal()
    with pytest.raises(RequestRejected, match=r"InvalidBatch.*permission set"):
        write(sandbox, flag_contacts(sandbox, 5), journal)
    assert {each.outcome for each in journal.outcomes.values()} == {"rejected"}
    assert flagged(sandbox) == []


def test_asked_to_stop_it_leaves_the_job_to_the_next_run(sandbox):
    sandbox.store.set_setting("bulk_batch_ms", "300")
    stop = threading.Event()
    journal = MemoryJournal()
    plan = flag_contacts(sandbox, 400)
    with Connection(sandbox.org(bulk_from=1), sleep=lambda _: stop.set()) as connection:
        with pytest.raises(RunStopped):
            FlagWriter(connection, journal, stop=stop).write(plan, FACTS)
        assert {each.outcome for each in journal.outcomes.values()} == {"pending"}
        (job_id,) = journal.jobs
    with Connection(sandbox.org()) as later:
        job = finish_job(later, job_id)
        assert job is not None
        outcomes = read_outcomes(BulkApi(later), job, plan["record_id"].tolist())
    assert {each.outcome for each in outcomes} == {"written"}
    assert jobs(sandbox) == ["JobComplete"]


def test_a_job_that_a_crash_left_open_is_aborted_and_one_that_is_gone_is_none(sandbox):
    sandbox.contacts({"Id": contact(1)})
    with Connection(sandbox.org()) as connection:
        api = BulkApi(connection)
        job_id = api.create("Contact").id
        api.upload(job_id, f"Id,Hard_Bounce__c\n{contact(1)},true\n".encode())
        job = finish_job(connection, job_id)
        assert job is not None
        assert job.state == "Aborted"
        assert finish_job(connection, "750000000000999AAA") is None
    assert flagged(sandbox) == []


def job(state: str, processed: int = 0, failed: int = 0, message: str = "") -> Reply:
    return Reply(
        {
            "id": "750000000000001AAA",
            "state": state,
            "numberRecordsProcessed": processed,
            "numberRecordsFailed": failed,
            "errorMessage": message,
        }
    )


def csv(*lines: str) -> Reply:
    return Reply("\n".join((*lines, "")).encode(), headers={"Content-Type": "text/csv"})


def test_a_row_that_no_file_names_is_unknown_never_written(org, connect):
    taken = Reply({"id": "750000000000001AAA", "state": "Open"})
    org.script = [
        taken,
        Reply(None, 201),
        job("UploadComplete"),
        job("JobComplete", processed=3, failed=1),
        csv('"sf__Id","sf__Error","Id"', f'"","SOME_CODE:why: not:f --","{contact(1)}"'),
        csv('"sf__Id","sf__Created","Id"', f'"{contact(0)}","false","{contact(0)}"'),
    ]
    journal = MemoryJournal()
    updates = FlagWriter(connect(bulk_from=1), journal).write(sets(3), FACTS)
    assert dict(zip(updates["record_id"], updates["outcome"], strict=True)) == {
        contact(0): "written",
        contact(1): "rejected",
        contact(2): "unknown",
    }
    assert (journal.outcomes[contact(1)].error_code, journal.outcomes[contact(1)].message) == (
        "SOME_CODE",
        "why: not",
    )


@pytest.mark.parametrize("answer", [Reply({"id": "7", "state": "Odd"}), Reply([1]), Reply({})])
def test_a_job_that_cant_be_read_is_an_error_that_names_it(org, connection, answer):
    org.script = [answer] * 3
    with pytest.raises(UnreadableAnswer, match="state of Bulk job 750"):
        BulkApi(connection).get("750")


def test_results_without_their_columns_are_refused(org, connection):
    org.script = [csv('"What"', '"x"')] * 3
    with pytest.raises(UnreadableAnswer, match=r"failedResults of Bulk job 750.*Id, sf__Error"):
        BulkApi(connection).rows("750", "failedResults")


@pytest.mark.parametrize(
    ("contacts", "leads", "bulk_from", "expected"),
    [
        (1000, 1000, 2000, set()),  # two Composites
        (14_000, 0, 2000, set()),  # as dear as a job
        (14_001, 10, 2000, {"Contact"}),
        (50_000, 50_000, 2000, {"Contact", "Lead"}),
        (50_000, 50_000, 200_000, set()),
        (3, 2, 1, {"Contact", "Lead"}),  # asked for, whatever it costs
    ],
)
def test_the_way_is_chosen_by_cost(contacts, leads, bulk_from, expected):
    rows = pd.concat(
        [
            pd.DataFrame({"object": "Contact", "n": range(contacts)}),
            pd.DataFrame({"object": "Lead", "n": range(leads)}),
        ],
        ignore_index=True,
    ).astype({"object": "str"})
    rows["record_id"] = rows["object"] + rows["n"].astype("str")
    rows["person_account_id"] = pd.Series(None, index=rows.index, dtype="str")
    chosen = rows_for_bulk(rows, Org("https://x.example", "app", bulk_from=bulk_from))
    assert set(rows.loc[chosen, "object"]) == expected


def test_a_refused_review_leaves_nothing_to_upload(sandbox):
    plan = flag_contacts(sandbox, 3)
    with Connection(sandbox.org(bulk_from=1)) as connection:
        writer = FlagWriter(connection, MemoryJournal())
        updates = writer.write(plan, FACTS, review=lambda rows: rows.iloc[:0])
    assert updates.empty
    assert jobs(sandbox) == []


def test_a_file_is_right_whatever_pieces_its_rows_came_in(connect):
    """pyarrow's own CSV writer garbles a column whose first chunk is empty."""
    rows = sets(3)
    pieces = pd.concat([rows.iloc[:0], rows.iloc[:1], rows.iloc[1:]], ignore_index=True)
    load = payload(pieces, connect().org, date_is_day=False)
    assert load.csv("Contact", True).decode().splitlines() == [
        "Id,Hard_Bounce__c,Hard_Bounce_Date__c",
        *(f"{contact(number)},true,2026-05-04T09:00:00.000Z" for number in range(3)),
    ]
