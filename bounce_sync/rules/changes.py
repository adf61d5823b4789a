"""Staging × CRM state → decisions: what becomes of every staged key and every flagged record.

The order of the rules is the order in which they speak, in one table in `_decide`.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from bounce_sync.rules.addresses import (
    domains_of,
    fingerprint,
    normalised,
    normalised_domains,
    same_address,
)
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.rules.overrides import is_conflict, is_undone, with_last_write
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.speakers import heard, said_of
from bounce_sync.rules.spikes import exploding
from bounce_sync.rules.texts import is_in
from bounce_sync.tables import (
    CLEAR,
    HELD,
    NONE,
    NOT_JUDGED,
    REFRESH,
    SET,
    UNKNOWN_STATUS,
    CrmFlagChanges,
    shape,
)

GO, DONE, CHANGED = "go", "done", "changed"
"""Verdicts of `redecide`: write it; the record is so already; it was changed since the plan."""


def plan(
    staging: pd.DataFrame,
    state: pd.DataFrame,
    held: pd.DataFrame,
    released: pd.DataFrame,
    knowledge: pd.DataFrame,
    history: pd.DataFrame,
    policy: SyncPolicy,
    facts: CrmFacts,
    allowed_domains: Collection[str] = frozenset(),
) -> pd.DataFrame:
    """A decision for every record of `state`, and a row for every staged key (`CrmFlagChanges`).

    The frames are `ConfirmedBounceStaging`, `CrmFlagState`, `HeldSubscribers`,
    `ReleasedSubscribers`, `LedgerKnowledge` and `DomainHistory` (without today). One row per record
    carries the decision and the key that speaks; the record's other staged keys have rows with
    reason ``other_key``, and staged keys that lead nowhere rows without a record. Mail domains in
    `allowed_domains` aren't quarantined. In order of key, object and record.

    A staged key without bounced_at, of which the drift report knows, is dated by its `held_at`,
    which fills an empty date and never moves one.
    """
    rows = heard(state, staging, held, released, policy)
    speaking = with_last_write(rows[rows["speaks"]], knowledge)
    decided = _decide(_compared(speaking, facts), policy, facts)
    others = rows[rows["staged"] & ~rows["speaks"]].assign(action=NONE, reason="other_key")
    lost = staging[~is_in(staging["subscriber_key"], state["subscriber_key"])].reset_index(
        drop=True
    )
    lost = lost.join(said_of(lost["subscriber_key"], held, released, policy))
    unmatched = lost.assign(action=NONE, reason="unmatched", staged=True)

    changes = pd.concat(
        [_as_changes(part, facts) for part in (decided, others, unmatched)], ignore_index=True
    )
    changes = changes.sort_values(["subscriber_key", "object", "record_id"], ignore_index=True)
    carried = staging.loc[staging["carried_since"].notna(), "subscriber_key"]
    sets, came_up = changes["action"] == SET, ~is_in(changes["subscriber_key"], carried)
    waiting = exploding(changes.loc[sets, "domain"], came_up[sets], history, policy)
    return quarantined(changes, waiting.index[waiting], allowed_domains)


def quarantined(
    changes: pd.DataFrame, sets: pd.Index, allowed_domains: Collection[str]
) -> pd.DataFrame:
    """`CrmFlagChanges` whose `sets` (index) of exploding mail domains wait: they become none.

    Those of `allowed_domains` are carried out, and say so.
    """
    allowed = normalised_domains(pd.Series(list(allowed_domains), dtype="str"))
    exploded = pd.Series(changes.index.isin(sets), index=changes.index)
    released = exploded & changes["domain"].isin(allowed)
    return left(changes, exploded & ~released, "domain_spike").assign(
        reason=lambda rows: rows["reason"].mask(released, "domain_allowed")
    )


def left(changes: pd.DataFrame, which: pd.Series, reason: str) -> pd.DataFrame:
    """`CrmFlagChanges` of which these rows change nothing, for this reason."""
    return changes.assign(
        action=changes["action"].mask(which, NONE),
        reason=changes["reason"].mask(which, reason),
        flag_after=changes["flag_after"].mask(which, changes["flag_before"]),
        date_after=changes["date_after"].mask(which, changes["date_before"]),
    )


def _compared(rows: pd.DataFrame, facts: CrmFacts) -> pd.DataFrame:
    """Adds address_agrees, where SFMC holds the key and there is an address to compare with.

    That is the address that bounced; of a flag without a bounce in the window, SFMC's address of
    today. A bounce of another domain than SFMC's address was at an older one.
    """
    is_held = rows["status"] == HELD
    bounced = rows["staged_address"].where(rows["staged"], rows["held_address"])
    agrees = same_address(rows["email"], bounced, sandbox_org=facts.is_sandbox)
    elsewhere = rows["domain"].notna() & (rows["domain"] != domains_of(rows["held_address"]))
    older = rows["staged_address"].isna() & elsewhere & rows["held_address"].notna()
    agrees = agrees.mask(older & rows["email"].notna(), other=False)
    return rows.assign(
        address_agrees=agrees.where(is_held, pd.NA), email_hash=fingerprint(rows["email"])
    )


def _decide(rows: pd.DataFrame, policy: SyncPolicy, facts: CrmFacts) -> pd.DataFrame:
    """Adds action, reason and date_after to the rows that speak."""
    flag, status = rows["flag"], rows["status"]
    is_held = status == HELD
    staged = is_held & rows["staged"]
    mailed = status.isin(policy.clear_statuses)
    foreign = flag & rows["last_action"].isna() & (policy.foreign_flags == "leave")
    judged_by_address = is_held & policy.require_same_email
    removed = judged_by_address & normalised(rows["email"]).isna()
    changed = judged_by_address & ~rows["address_agrees"].fillna(value=True).astype(bool)
    bare = staged & rows["bounced_at"].isna()
    since = facts.as_stored(rows["bounced_at"].fillna(rows["held_at"]))
    date = facts.comparable(rows["flag_date"])
    newer = staged & since.notna() & (date.isna() | ((since > date) & ~(bare & flag)))

    rules = [  # the first that fits speaks
        (rows["is_converted"], NONE, "converted"),
        (rows["ambiguous"] & is_held, NONE, "ambiguous"),
        (is_undone(rows), NONE, "undone"),
        (is_conflict(rows, facts), NONE, "conflict"),
        (foreign, NONE, "foreign_flag"),
        (removed & flag, CLEAR, "email_removed"),
        (removed, NONE, "email_removed"),
        (changed & flag, CLEAR, "email_changed"),
        (changed, NONE, "email_changed"),
        (bare & ~flag, SET, "held_without_bounce"),
        (staged & ~flag, SET, "held"),
        (bare & newer, REFRESH, "held_without_bounce"),
        (newer & flag, REFRESH, "newer_bounce"),
        (is_held, NONE, "still_held"),
        (mailed & flag, CLEAR, "released"),
        (mailed, NONE, "released"),
        (status == "Unsubscribed", NONE, "unsubscribed"),
        (status == "Deleted", NONE, "deleted"),
        (status == UNKNOWN_STATUS, NONE, "unknown_subscriber"),
        (status == NOT_JUDGED, NONE, "not_judged"),
    ]
    fits = [rule.to_numpy(dtype=bool) for rule, _, _ in rules]
    action = np.select(fits, [action for _, action, _ in rules], NONE)
    reason = np.select(fits, [reason for _, _, reason in rules], "status_kept")

    shadow = (action != NONE) & rows["person_account_id"].notna() & (not facts.person_accounts)
    action = np.where(shadow, NONE, action)
    dated = newer & np.isin(action, (SET, REFRESH))
    return rows.assign(
        action=action,
        reason=np.where(shadow, "person_account", reason),
        date_after=since.where(dated, rows["flag_date"]),
    )


def _as_changes(rows: pd.DataFrame, facts: CrmFacts) -> pd.DataFrame:
    """Rows in the plan's columns; what isn't decided otherwise is after as it was before."""
    rows = rows.rename(columns={"flag": "flag_before", "flag_date": "date_before"})
    if "record_id" in rows:
        after = rows["action"].map({SET: True, CLEAR: False}).astype("boolean")
        rows = rows.assign(flag_after=after.fillna(rows["flag_before"]))
        if "date_after" not in rows:
            rows = rows.assign(
                date_after=rows["date_before"], email_hash=fingerprint(rows["email"])
            )
    columns = CrmFlagChanges.to_schema().columns
    return shape(CrmFlagChanges, rows[[name for name in columns if name in rows]])


def redecide(changes: pd.DataFrame, records: pd.DataFrame, facts: CrmFacts) -> pd.DataFrame:
    """The `changes` that write, each with a verdict by its record as it was read just now.

    ``go``: the record is as the plan found it. ``done``: it holds already what would be written.
    ``changed``: someone else changed flag, date or address since, or it was merged, converted or
    deleted; it isn't written, and the next run judges it anew.

    `records` is `CrmRecords`; returns `CrmFlagChanges` with the column verdict.
    """
    now = records[["object", "record_id", "email", "flag", "flag_date"]]
    now = now[~(records["is_deleted"] | records["is_converted"])]
    both = changes.merge(now, on=["object", "record_id"], how="left", indicator=True)
    there = both["_merge"] == "both"
    flag = both["flag"].astype("boolean")
    date = facts.comparable(both["flag_date"])

    same_hash = fingerprint(both["email"]).fillna("") == both["email_hash"].fillna("")
    same_date = _equal(date, facts.comparable(both["date_before"]))
    untouched = (flag == both["flag_before"]).fillna(value=False) & same_date & same_hash
    dated = _equal(date, facts.comparable(both["date_after"])) | (both["action"] == CLEAR)
    done = (flag == both["flag_after"]).fillna(value=False) & dated
    verdict = np.select([~there, done, untouched], [CHANGED, DONE, GO], CHANGED)
    return changes.reset_index(drop=True).assign(verdict=pd.Series(verdict, dtype="str"))


def _equal(left: pd.Series, right: pd.Series) -> pd.Series:
    return (left == right) | (left.isna() & right.isna())
