"""Taking back what a run wrote, where it still stands.

`plan_undo` is pure and says what goes back and what is left, with the reason; `undo` carries it out
through the same writer and the same ledger as any run, so that an undo can be explained and undone
like everything else. Only here is a date moved back or emptied.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

import pandas as pd

from bounce_sync import delivery
from bounce_sync.ledger import Ledger
from bounce_sync.ledger.settling import holds, same
from bounce_sync.rules.addresses import domains_of, fingerprint, normalised_domains
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.rules.identity import record_id
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.salesforce.writing import FlagWriter
from bounce_sync.tables import (
    CLEAR,
    REFRESH,
    SET,
    WRITTEN,
    CrmFlagChanges,
    CrmFlagUpdates,
    empty,
    shape,
)

LEFT = {
    "not_written": "The run's write never took effect: nothing to take back.",
    "undone_already": "It was undone already.",
    "written_again": "A later run wrote the record; undo that one first.",
    "gone": "The record was deleted, merged or converted since, or is hidden from us.",
    "changed": "The record no longer holds what the run wrote: someone changed it since.",
}
"""Why a write isn't taken back, with what it tells the person who reads it."""

_RECORD = ["object", "record_id"]


class UndoError(ValueError):
    """What was asked for can't be undone; the message says why."""


@dataclass(frozen=True)
class UndoPlan:
    """What an undo does and what it doesn't."""

    changes: pd.DataFrame
    """`CrmFlagChanges` to write: the before-images, reason `undone`."""
    undoes: pd.DataFrame
    """object, record_id, undo_of, undo_root, undo_depth: what each change takes back."""
    left: pd.DataFrame
    """subscriber_key, object, record_id, domain, why (a key of `LEFT`), by_run (who wrote last)."""


@dataclass(frozen=True)
class Undone:
    """What became of an undo."""

    run_id: str
    """The undo's own run, by which it can be undone; empty for a dry run."""
    plan: UndoPlan
    updates: pd.DataFrame
    """`CrmFlagUpdates` of the undo."""


def plan_undo(
    intents: pd.DataFrame,
    last_writes: pd.DataFrame,
    records: pd.DataFrame,
    facts: CrmFacts,
    *,
    domains: Collection[str] = (),
    record_ids: Collection[str] = (),
) -> UndoPlan:
    """Which before-images of a run go back, and which of its writes are left and why.

    Args:
        intents: the run's (`Ledger.intents_of`).
        last_writes: of their records, by whichever run (`Ledger.last_writes_of`).
        records: `CrmRecords` of today, of all records that the run touched.
        domains: only writes of these mail domains: the bounce's, else the CRM's address's.
        record_ids: only these records (18 characters).
    """
    rows = _last_attempts(intents).merge(
        last_writes.rename(columns={"id": "last_id", "run_id": "by_run"}).rename(
            columns={"undo_root": "last_root", "undo_depth": "last_depth"}
        ),
        on=_RECORD,
        how="left",
    )
    now = records.rename(
        columns={"account_id": "account_now", "person_account_id": "person_account_now"}
    )
    now = now[~(now["is_deleted"] | now["is_converted"])].drop(columns="match_value")
    rows = rows.merge(now, on=_RECORD, how="left")
    rows["domain"] = rows["domain"].fillna(domains_of(rows["email"]))
    rows = rows[_chosen(rows, domains, record_ids)].reset_index(drop=True)

    root = rows["undo_root"].fillna(rows["id"])
    undone = (rows["last_root"] == root) & (rows["last_depth"] % 2 != rows["undo_depth"] % 2)
    why = pd.Series(pd.NA, index=rows.index, dtype="str")
    reasons = {
        "not_written": rows["outcome"] != WRITTEN,
        "undone_already": undone,
        "written_again": rows["last_id"] != rows["id"],
        "gone": rows["flag"].isna(),
        "changed": ~holds(rows, rows, "after", facts),
    }
    for reason, applies in reasons.items():  # the first that applies speaks
        why = why.mask(why.isna() & applies.fillna(value=False).astype(bool), reason)
    back = rows[why.isna()].reset_index(drop=True)
    left = rows.assign(why=why)[why.notna()]
    return UndoPlan(
        _before_images(back, facts),
        _links(back),
        left[["subscriber_key", *_RECORD, "domain", "why", "by_run"]].reset_index(drop=True),
    )


def undo(
    run_id: str,
    *,
    ledger: Ledger,
    connection: Connection,
    facts: CrmFacts,
    target: str | None = None,
    domains: Collection[str] = (),
    records: Collection[str] = (),
    dry_run: bool = False,
    undo_id: str | None = None,
    confirm: Callable[[UndoPlan], bool] = lambda _: True,
    say: Callable[[str], None] = lambda _: None,
) -> Undone:
    """Undoes the run `run_id`, or its part of some mail domains or records (ids in any form).

    The plan is made and carried out under the writer's lock; `confirm` may look at it and refuse.
    `undo_id` becomes the undo's own run id; a new one where it isn't given.
    Raises `UnknownRun`, `UndoError` for an id that is none and for a run that wrote to another
    `target` (where given), and the errors of the clients, after everything in flight was settled.
    """
    wanted = _record_ids(records)
    _refuse_other_target(ledger.intents_of(run_id), target)
    undo_id = undo_id or str(uuid.uuid4())
    delivery.settle(ledger, connection, facts, undo_id, say)
    with ledger.writer(delivery.WAIT_FOR_WRITER, say, undo_id):
        intents = ledger.intents_of(run_id)
        reader = RecordReader(connection)
        plan = plan_undo(
            intents,
            ledger.last_writes_of(run_id),
            reader.reread(intents[_RECORD].drop_duplicates()),
            facts,
            domains=domains,
            record_ids=wanted,
        )
        if dry_run or plan.changes.empty or not confirm(plan):
            return Undone("", plan, empty(CrmFlagUpdates))
        partition, wrote_to = (str(intents[name].iloc[0]) for name in ("partition", "target"))
        ledger.begin_run(undo_id, partition, wrote_to, undoes=run_id)
        say(f"Undoing {len(plan.changes):,} writes of run {run_id} as run {undo_id}.")
        journal = ledger.run_journal(undo_id, partition, plan.undoes)
        FlagWriter(connection, journal, say).write(plan.changes, facts)
    return Undone(undo_id, plan, ledger.updates(undo_id))


def _refuse_other_target(intents: pd.DataFrame, target: str | None) -> None:
    wrote_to = set(intents["target"])
    if target is not None and wrote_to - {target}:
        raise UndoError(
            f"That run wrote to the target {', '.join(sorted(wrote_to))}, and BOUNCE_SYNC_TARGET "
            f"is {target}. Nothing was written."
        )


def _last_attempts(intents: pd.DataFrame) -> pd.DataFrame:
    """One row per record of the run: its last confirmed write, else its last attempt."""
    ranked = intents.assign(confirmed=intents["outcome"] == WRITTEN)
    ranked = ranked.sort_values(["confirmed", "id"]).drop_duplicates(_RECORD, keep="last")
    return ranked.drop(columns="confirmed").sort_values("id", ignore_index=True)


def _chosen(rows: pd.DataFrame, domains: Collection[str], record_ids: Collection[str]) -> pd.Series:
    chosen = pd.Series(data=True, index=rows.index)
    if domains:
        wanted = normalised_domains(pd.Series(list(domains), dtype="str"))
        chosen &= normalised_domains(rows["domain"]).isin(wanted)
    if record_ids:
        chosen &= rows["record_id"].isin(list(record_ids))
    return chosen


def _before_images(rows: pd.DataFrame, facts: CrmFacts) -> pd.DataFrame:
    """The changes that put the before-images back; a field that the run didn't write stays."""
    flag_now = rows["flag"].astype("boolean")
    flag_moved = ~same(rows["flag_before"], rows["flag_after"])
    date_moved = ~same(facts.comparable(rows["date_before"]), facts.comparable(rows["date_after"]))
    flag_after = rows["flag_before"].where(flag_moved, flag_now)
    action = flag_after.map({True: SET, False: CLEAR}).where(flag_moved, REFRESH)
    return shape(
        CrmFlagChanges,
        pd.DataFrame(
            {
                **{
                    name: rows[name]
                    for name in ("subscriber_key", *_RECORD, "status", "bounced_at", "domain")
                },
                "action": action,
                "reason": "undone",
                "flag_before": flag_now,
                "flag_after": flag_after,
                "date_before": rows["flag_date"],
                "date_after": rows["date_before"].where(date_moved, rows["flag_date"]),
                "email_hash": fingerprint(rows["email"]),
                "account_id": rows["account_now"],
                "person_account_id": rows["person_account_now"],
                "staged": False,
            },
            index=rows.index,
        ),
    )


def _links(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[_RECORD].assign(
        undo_of=rows["id"],
        undo_root=rows["undo_root"].fillna(rows["id"]),
        undo_depth=rows["undo_depth"] + 1,
    )


def _record_ids(records: Collection[str]) -> list[str]:
    ids = {each: record_id(each) for each in records}
    if wrong := [each for each, found in ids.items() if found is None]:
        raise UndoError(f"No record id of Salesforce: {', '.join(wrong)}.")
    return [found for found in ids.values() if found]
