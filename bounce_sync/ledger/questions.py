"""The ledger's questions, as queries. Each returns a select; none of them writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from bounce_sync.ledger.schema import bulk_job_intent, carry_over, intent, outcome, run
from bounce_sync.rules.policy import CARRY_DAYS
from bounce_sync.tables import REFRESH, SET, WRITTEN

CARRIED, SETTLED = "carried", "settled"

_IMAGES = (
    intent.c.subscriber_key,
    intent.c.object,
    intent.c.record_id,
    intent.c.action,
    intent.c.reason,
    intent.c.flag_before,
    intent.c.flag_after,
    intent.c.date_before,
    intent.c.date_after,
)


def _last_outcomes(intents: CTE) -> CTE:
    """intent_id and id of the last outcome of each of `intents` (column id) that has one."""
    return (
        select(outcome.c.intent_id, func.max(outcome.c.id).label("id"))
        .join(intents, intents.c.id == outcome.c.intent_id)
        .group_by(outcome.c.intent_id)
        .cte("last_outcomes")
    )


def _confirmed() -> ColumnElement[bool]:
    answer = outcome.alias("answer")
    return exists().where(answer.c.intent_id == intent.c.id, answer.c.outcome == WRITTEN)


def _open() -> ColumnElement[bool]:
    answer = outcome.alias("answer")
    return ~exists().where(answer.c.intent_id == intent.c.id, answer.c.final)


def knowledge() -> Select:
    """The last confirmed write of each record, and what stands undone: `LedgerKnowledge`.

    An undone write rests on the newest bounce that any earlier write of the record rested on:
    whoever undid it knew of them all.
    """
    newest = (
        select(
            func.max(intent.c.id).label("id"),
            func.max(intent.c.bounced_at).label("bounced_at"),
        )
        .where(_confirmed())
        .group_by(intent.c.object, intent.c.record_id)
        .cte("newest")
    )
    root = intent.alias("root")
    undone = intent.c.undo_depth % 2 == 1

    def where_undone(column: ColumnElement, name: str) -> ColumnElement:
        return case((undone, column), else_=null()).label(name)

    return (
        select(
            intent.c.object,
            intent.c.record_id,
            intent.c.action,
            (intent.c.undo_depth > 0).label("is_undo"),
            intent.c.flag_after.label("flag_written"),
            intent.c.date_after.label("date_written"),
            where_undone(root.c.action, "undone_action"),
            where_undone(newest.c.bounced_at, "undone_bounced_at"),
            where_undone(root.c.status, "undone_status"),
            where_undone(root.c.email_hash, "undone_email_hash"),
        )
        .join(newest, newest.c.id == intent.c.id)
        .outerjoin(root, root.c.id == intent.c.undo_root)
    )


def open_intents() -> Select:
    """Intents without a final outcome, oldest first: id, job_id, and what was to be written."""
    return (
        select(
            intent.c.id,
            bulk_job_intent.c.job_id,
            run.c.run_id,
            run.c.partition,
            *_IMAGES,
            intent.c.account_id,
            intent.c.person_account_id,
            intent.c.created_at,
        )
        .join(run, run.c.number == intent.c.run_number)
        .outerjoin(bulk_job_intent, bulk_job_intent.c.intent_id == intent.c.id)
        .where(_open())
        .order_by(intent.c.id)
    )


def updates(run_id: str, partition: str | None) -> Select:
    """The last attempt on each record of a run with its last outcome."""
    last = (
        select(func.max(intent.c.id).label("id"))
        .join(run, run.c.number == intent.c.run_number)
        .where(run.c.run_id == run_id)
        .group_by(intent.c.subscriber_key, intent.c.object, intent.c.record_id)
    )
    if partition is not None:
        last = last.where(run.c.partition == partition)
    attempts = last.cte("attempts")
    answers = _last_outcomes(attempts)
    return (
        select(
            *_IMAGES,
            outcome.c.outcome,
            outcome.c.error_code,
            outcome.c.message,
            run.c.run_id,
            intent.c.created_at.label("attempted_at"),
        )
        .join(attempts, attempts.c.id == intent.c.id)
        .join(run, run.c.number == intent.c.run_number)
        .outerjoin(answers, answers.c.intent_id == intent.c.id)
        .outerjoin(outcome, outcome.c.id == answers.c.id)
        .order_by(intent.c.id)
    )


def history(condition: ColumnElement[bool]) -> Select:
    """Every intent that meets `condition` with its run and its last outcome, oldest first."""
    chosen = (
        select(intent.c.id)
        .join(run, run.c.number == intent.c.run_number)
        .where(condition)
        .cte("chosen")
    )
    answers = _last_outcomes(chosen)
    return (
        select(
            intent.c.id,
            run.c.run_id,
            run.c.partition,
            run.c.target,
            run.c.undoes,
            run.c.released,
            *_IMAGES,
            intent.c.bounced_at,
            intent.c.status,
            intent.c.domain,
            intent.c.email_hash,
            intent.c.account_id,
            intent.c.person_account_id,
            intent.c.undo_of,
            intent.c.undo_root,
            intent.c.undo_depth,
            intent.c.created_at,
            outcome.c.outcome,
            outcome.c.error_code,
            outcome.c.message,
            outcome.c.at.label("settled_at"),
        )
        .join(chosen, chosen.c.id == intent.c.id)
        .join(run, run.c.number == intent.c.run_number)
        .outerjoin(answers, answers.c.intent_id == intent.c.id)
        .outerjoin(outcome, outcome.c.id == answers.c.id)
        .order_by(intent.c.id)
    )


def of_records_or_keys(record_ids: Sequence[str], keys: Sequence[str]) -> ColumnElement[bool]:
    """Intents on one of these records, or decided by one of these keys."""
    return or_(intent.c.record_id.in_(record_ids), intent.c.subscriber_key.in_(keys))


def of_run(run_id: str) -> ColumnElement[bool]:
    """Intents of one run."""
    return run.c.run_id == run_id


def last_writes_of_run(run_id: str) -> Select:
    """For each record that the run touched: the last confirmed write of all, with its run."""
    its_run = run.alias("its_run")
    mine = intent.alias("mine")
    touched = (
        select(mine.c.object, mine.c.record_id)
        .join(its_run, its_run.c.number == mine.c.run_number)
        .where(its_run.c.run_id == run_id)
        .distinct()
        .cte("touched")
    )
    same_record = and_(
        touched.c.object == intent.c.object, touched.c.record_id == intent.c.record_id
    )
    last = (
        select(func.max(intent.c.id))
        .join(touched, same_record)
        .where(_confirmed())
        .group_by(intent.c.object, intent.c.record_id)
    )
    return (
        select(
            intent.c.id,
            intent.c.object,
            intent.c.record_id,
            run.c.run_id,
            intent.c.undo_root,
            intent.c.undo_depth,
        )
        .join(run, run.c.number == intent.c.run_number)
        .where(intent.c.id.in_(last))
    )


def waiting(partition: str) -> Select:
    """Keys that were carried over and are not done with, up to `partition`: since when, where last.

    The last row of a key counts. The partition that last carried it, before this one, has its
    staging row. After `CARRY_DAYS` a key is forgotten.
    """
    earlier = carry_over.alias("earlier")
    last = select(func.max(carry_over.c.id)).group_by(carry_over.c.subscriber_key)
    last_partition = (
        select(func.max(earlier.c.partition))
        .where(
            earlier.c.subscriber_key == carry_over.c.subscriber_key,
            earlier.c.state == CARRIED,
            earlier.c.partition < partition,
        )
        .scalar_subquery()
    )
    return select(
        carry_over.c.subscriber_key, carry_over.c.since, last_partition.label("last_partition")
    ).where(
        carry_over.c.id.in_(last),
        carry_over.c.state == CARRIED,
        carry_over.c.since.between(_horizon(partition), partition),
    )


def _unsettled(partition: str) -> Select:
    """Keys whose set or refresh is still open: whether it was written is not known yet."""
    earlier = case((run.c.partition < partition, run.c.partition), else_=null())
    return (
        select(
            intent.c.subscriber_key, run.c.partition.label("since"), earlier.label("last_partition")
        )
        .join(run, run.c.number == intent.c.run_number)
        .where(
            _open(),
            intent.c.action.in_([SET, REFRESH]),
            intent.c.undo_depth == 0,
            run.c.partition.between(_horizon(partition), partition),
        )
    )


def carried(partition: str) -> Select:
    """Keys to stage again in `partition`: those that wait, and those whose write is still open."""
    keys = union_all(waiting(partition), _unsettled(partition)).subquery()
    return select(
        keys.c.subscriber_key,
        func.min(keys.c.since).label("since"),
        func.max(keys.c.last_partition).label("last_partition"),
    ).group_by(keys.c.subscriber_key)


def _horizon(partition: str) -> str:
    """The first partition whose keys are still remembered in `partition`."""
    return (date.fromisoformat(partition) - timedelta(days=CARRY_DAYS)).isoformat()


def runs() -> Select:
    """Every run, oldest first."""
    return select(*(each for each in run.c if each is not run.c.number)).order_by(run.c.number)


def written_since(moment: datetime) -> Select:
    """One row where anything was sent at or after `moment`."""
    return select(literal(1)).where(intent.c.created_at >= moment).limit(1)
