"""The ledger, as the rest of the product sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from sqlalchemy import func, select

from bounce_sync.ledger import database, questions, schema
from bounce_sync.ledger.errors import NotTheWriter, UnknownRun, WrongOrg
from bounce_sync.ledger.journal import RunJournal, next_ids
from bounce_sync.ledger.lock import Say, writer_lock
from bounce_sync.ledger.settling import DateFacts, judge
from bounce_sync.tables import (
    DRIFT,
    REFRESH,
    REJECTED,
    SET,
    UNKNOWN,
    CrmFlagUpdates,
    LedgerKnowledge,
    shape,
)

_NO_ANSWER = "No answer yet; the next run settles it."


class Ledger:
    """Everything that was ever meant to be written to the CRM, and what became of it.

    `url` is a SQLAlchemy URL of a SQLite file or a PostgreSQL database; opening migrates it. Raises
    `LedgerError` where it can't be opened. Reading is free to any number of processes; writing to
    the CRM is for the one inside `writer()`. Nothing has to be closed.
    """

    def __init__(self, url: str) -> None:
        self._engine = database.open_database(url)
        self._still_writer: Callable[[], None] | None = None

    # -- writing -------------------------------------------------------------------------------

    @contextmanager
    def writer(
        self, wait_seconds: float, say: Say = lambda _: None, run_id: str = ""
    ) -> Iterator[None]:
        """Makes this process the one writer for the block.

        `run_id` is what others are told while they wait. A live writer is waited for, and `say`
        is told who it is; a dead one has let go. Raises `LedgerBusy` after `wait_seconds`.
        """
        with writer_lock(self._engine, run_id or "without a name", wait_seconds, say) as held:
            self._still_writer = held
            try:
                yield
            finally:
                self._still_writer = None

    def bind_org(self, org_id: str) -> None:
        """Binds the ledger to the org of the first live run; raises `WrongOrg` for another one."""
        with database.writing(self._engine) as connection:
            bound = connection.execute(select(schema.org_binding.c.org_id)).scalar()
            if bound is None:
                connection.execute(
                    schema.org_binding.insert().values(id=1, org_id=org_id, at=datetime.now(UTC))
                )
            elif bound[:15] != org_id[:15]:
                raise WrongOrg(
                    f"This ledger belongs to the Salesforce org {bound}; these credentials lead to "
                    f"{org_id}. Nothing was written. Use the right credentials, or give the other "
                    "org a ledger of its own (BOUNCE_SYNC_LEDGER)."
                )

    def begin_run(
        self,
        run_id: str,
        partition: str,
        target: str = "",
        policy: Mapping[str, Any] | None = None,
        released: Sequence[str] = (),
        undoes: str | None = None,
    ) -> int:
        """Records a run with its stored policy and the guards it releases; once per partition.

        Returns the run's number.
        """
        known = select(schema.run.c.number).where(
            schema.run.c.run_id == run_id, schema.run.c.partition == partition
        )
        with database.writing(self._engine) as connection:
            number = connection.execute(known).scalar()
            if number is None:
                (number,) = next_ids(connection, schema.run.c.number, 1)
                connection.execute(
                    schema.run.insert().values(
                        number=number,
                        run_id=run_id,
                        partition=partition,
                        target=target,
                        policy=dict(policy or {}),
                        released=list(released),
                        undoes=undoes,
                        at=datetime.now(UTC),
                    )
                )
        return number

    def run_journal(
        self, run_id: str, partition: str, undoes: pd.DataFrame | None = None
    ) -> RunJournal:
        """The journal that this run's writer notes its writes in; see `RunJournal`."""
        return RunJournal(
            self._engine, self.begin_run(run_id, partition), self._assert_writer, undoes
        )

    def remember(
        self, run_id: str, partition: str, carried: pd.DataFrame, settled: pd.Series
    ) -> None:
        """Notes which keys wait to be staged again (`carried`: subscriber_key, since) and which
        (`settled`) don't any more."""
        number = self.begin_run(run_id, partition)
        rows = pd.concat(
            [
                carried[["subscriber_key", "since"]].assign(state=questions.CARRIED),
                pd.DataFrame(
                    {
                        "subscriber_key": settled.astype("str"),
                        "since": partition,
                        "state": questions.SETTLED,
                    }
                ),
            ],
            ignore_index=True,
        ).assign(run_number=number, partition=partition)
        with database.writing(self._engine) as connection:
            rows["id"] = next_ids(connection, schema.carry_over.c.id, len(rows))
            database.add(connection, schema.carry_over, rows)

    def settle_open(
        self, records: pd.DataFrame, facts: DateFacts, answers: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Settles every open intent, by what the CRM answered late or by what its record says now.

        `records` is a `CrmRecords` reading of all records of `open_intents()`. A record that shows
        the after-image was written; one that shows the before-image wasn't (`NOT_SENT`); any
        other is unknown. `answers` (id of the intent, outcome, error_code, message) are those of
        Bulk jobs that ended since; they speak first. The key of a set or refresh that wasn't
        written is carried over, so that it is planned again even if its evidence leaves the window
        meanwhile.
        Returns the intents with outcome, error_code and message.
        """
        self._assert_writer()
        intents = self.open_intents()
        verdict = judge(intents, records, facts)
        if answers is not None:
            answered = answers.set_index("id").reindex(intents["id"]).set_axis(intents.index)
            verdict = verdict.mask(answered["outcome"].notna(), answered[verdict.columns])
        settled = pd.concat([intents, verdict], axis=1)
        self._carry_over(settled)  # first: what a crash here leaves open is settled once more
        RunJournal(self._engine, 0, self._assert_writer).note(
            verdict.assign(intent_id=intents["id"], final=True)
        )
        return settled

    def _carry_over(self, settled: pd.DataFrame) -> None:
        lost = settled[
            (settled["outcome"] == REJECTED)
            & settled["action"].isin([SET, REFRESH])
            & (settled["reason"] != "undone")
            & (settled["partition"] != DRIFT)  # the next comparison finds it by itself
        ]
        for names, rows in lost.groupby(["run_id", "partition"]):
            run_id, partition = map(str, names)
            earlier = dict(self.waiting(partition)[["subscriber_key", "since"]].values)
            keys = rows["subscriber_key"].unique()
            since = [earlier.get(key, partition) for key in keys]
            carried = pd.DataFrame({"subscriber_key": keys, "since": since})
            self.remember(run_id, partition, carried, pd.Series(dtype="str"))

    def _assert_writer(self) -> None:
        if self._still_writer is None:
            raise NotTheWriter("Writes to the CRM are recorded inside Ledger.writer() only.")
        self._still_writer()

    # -- reading -------------------------------------------------------------------------------

    def _read(self, query: Any) -> pd.DataFrame:
        with self._engine.connect() as connection:
            return database.read(connection, query)

    def knowledge(self) -> pd.DataFrame:
        """The last confirmed write of every record that was ever written: `LedgerKnowledge`."""
        return shape(LedgerKnowledge, self._read(questions.knowledge()))

    def carried(self, partition: str) -> pd.DataFrame:
        """Keys to stage again in `partition`: subscriber_key, since, last_partition.

        Those that were quarantined or rejected, and those of sets and refreshes of which a crash
        left open whether they were written. `last_partition` is the newest partition before this
        one whose staging has the key's row; empty where only this one's can have it.
        """
        return self._read(questions.carried(partition))

    def waiting(self, partition: str) -> pd.DataFrame:
        """`carried`, without those whose write is still open."""
        return self._read(questions.waiting(partition))

    def open_intents(self) -> pd.DataFrame:
        """Intents without a final outcome, oldest first.

        Columns: id, job_id (of the Bulk job they travel in), run_id, partition, subscriber_key,
        object, record_id, action, reason, both images, account_id, person_account_id, created_at.
        """
        return self._read(questions.open_intents())

    def updates(self, run_id: str, partition: str | None = None) -> pd.DataFrame:
        """`CrmFlagUpdates` of a run: the last attempt on each record with its last outcome."""
        rows = self._read(questions.updates(run_id, partition))
        unanswered = rows["outcome"].isna()
        rows.loc[unanswered, "outcome"] = UNKNOWN
        rows.loc[unanswered, "message"] = _NO_ANSWER
        return shape(CrmFlagUpdates, rows)

    def writes_since(self, moment: datetime) -> bool:
        """Whether anything was sent at or after `moment` (UTC)."""
        with self._engine.connect() as connection:
            return connection.execute(questions.written_since(moment)).first() is not None

    def history(
        self, record_ids: Sequence[str] = (), subscriber_keys: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Every intent on these records or decided by these keys, oldest first.

        Columns: id, run_id, partition, target, undoes, released, subscriber_key, object,
        record_id, action, reason, both images, bounced_at, status, domain, email_hash, account_id,
        person_account_id, undo_of, undo_root, undo_depth, created_at, outcome (empty while open),
        error_code, message, settled_at.
        """
        condition = questions.of_records_or_keys(list(record_ids), list(subscriber_keys))
        return self._read(questions.history(condition))

    def runs(self) -> pd.DataFrame:
        """Every run, oldest first.

        Columns: run_id, partition, target, policy (plain values), released, undoes, at.
        """
        return self._read(questions.runs())

    def intents_of(self, run_id: str) -> pd.DataFrame:
        """Every intent of a run, columns as `history`. Raises `UnknownRun`."""
        rows = self._read(questions.history(questions.of_run(run_id)))
        if rows.empty and not self._has_run(run_id):
            raise UnknownRun(f"The ledger knows no run {run_id}.")
        return rows

    def last_writes_of(self, run_id: str) -> pd.DataFrame:
        """The last confirmed write of each record that the run touched, whichever run made it.

        Columns: id, object, record_id, run_id, undo_root, undo_depth.
        """
        return self._read(questions.last_writes_of_run(run_id))

    def _has_run(self, run_id: str) -> bool:
        count = select(func.count()).where(schema.run.c.run_id == run_id)
        with self._engine.connect() as connection:
            return connection.execute(count).scalar_one() > 0
