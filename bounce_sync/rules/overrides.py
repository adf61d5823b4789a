"""Where a person, or `undo`, has overridden what we wrote: the sync doesn't argue.

Judged by the last confirmed write on the record (`LedgerKnowledge`), and lifted by news: a newer
bounce, another status, another address.
"""

from __future__ import annotations

import pandas as pd

from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.tables import CLEAR, HELD


def with_last_write(rows: pd.DataFrame, knowledge: pd.DataFrame) -> pd.DataFrame:
    """Each record's row with what the ledger knows of it, in columns that begin with ``last_``."""
    keys = ["object", "record_id"]
    last = knowledge.rename(columns={c: f"last_{c}" for c in knowledge if c not in keys})
    rows = rows.merge(last, on=keys, how="left")
    flags = ["last_is_undo", "last_flag_written"]
    return rows.assign(**{flag: rows[flag].astype("boolean") for flag in flags})


def is_undone(rows: pd.DataFrame) -> pd.Series:
    """The last write was an `undo`, and nothing happened since that the undone write didn't know.

    News for an undone set or refresh is a newer bounce; for an undone clear another SFMC status, or
    another address in the CRM. (An undo of an undo is an ordinary write again.)
    """
    undid_clear = rows["last_undone_action"] == CLEAR
    undid_other = rows["last_undone_action"].notna() & ~undid_clear
    newer = _later(rows["bounced_at"], rows["last_undone_bounced_at"])
    status, address = rows["last_undone_status"], rows["last_undone_email_hash"]
    same = (status.isna() | (status == rows["status"])) & (
        address.fillna("") == rows["email_hash"].fillna("")
    )
    return (undid_other & ~newer) | (undid_clear & same)


def is_conflict(rows: pd.DataFrame, facts: CrmFacts) -> pd.Series:
    """A person changed what we wrote, or unticked what we would tick; no newer bounce came.

    Unticked after we flagged; ticked after we cleared; where the ledger knows nothing, unticked
    with a date at or after the bounce. Of a hold without a bounce nobody knows whether it is news:
    it overrules nobody, and goes by `held_at` only where the ledger knows nothing.
    """
    ordinary = rows["last_action"].notna() & rows["last_undone_action"].isna()
    wrote_flag = ordinary & rows["last_flag_written"].fillna(value=False)
    wrote_clear = ordinary & ~rows["last_flag_written"].fillna(value=True)
    bounced = facts.as_stored(rows["bounced_at"])
    is_held = rows["status"] == HELD

    newer = is_held & _later(bounced, facts.comparable(rows["last_date_written"]))
    unticked = is_held & wrote_flag & ~rows["flag"] & ~newer
    # A newer bounce outdates a person's tick only where it makes the flag right again: any other
    # judgement would clear it against the person once more.
    right_again = newer & rows["address_agrees"].fillna(rows["email_hash"].notna())
    ticked = wrote_clear & rows["flag"] & ~right_again
    since = facts.as_stored(rows["bounced_at"].fillna(rows["held_at"]))
    outdated = since > facts.comparable(rows["flag_date"])
    decided = is_held & rows["staged"] & ~rows["flag"] & rows["flag_date"].notna() & ~outdated
    return unticked | ticked | (decided & rows["last_action"].isna())


def _later(bounced: pd.Series, known: pd.Series) -> pd.Series:
    """Whether there is a bounce that is later than the known time, or no known time."""
    return bounced.notna() & (known.isna() | (bounced > known))
