"""Which of the keys that lead to a record speaks for it, and what SFMC says of that key.

Its own key comes first. Keys of Leads converted into it and of records merged into it count only
where SFMC doesn't know its own. Within one of the two groups a status that clears beats Held, Held
beats the rest, and of several Held ones that with the newest bounce speaks.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bounce_sync.rules.identity import compared_form
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.texts import is_in, look_up
from bounce_sync.tables import HELD, NOT_JUDGED, STATUSES, UNKNOWN_STATUS


def heard(
    state: pd.DataFrame,
    staging: pd.DataFrame,
    held: pd.DataFrame,
    released: pd.DataFrame,
    policy: SyncPolicy,
) -> pd.DataFrame:
    """`CrmFlagState` with what SFMC says of each key, in the same order.

    Added: status; held_address and held_at (of SFMC, where Held); staged; staged_address,
    bounced_at and domain of the staged bounce, which may be missing; ambiguous (the key matches
    several live records of one object); and speaks, which is true of one row of each record.
    """
    rows = state.reset_index(drop=True)
    rows = rows.join(said_of(rows["subscriber_key"], held, released, policy))
    bounces = staging[["subscriber_key", "email_address", "bounced_at", "domain"]]
    bounces = bounces.rename(columns={"email_address": "staged_address"})
    rows = rows.merge(bounces.assign(staged=True), on="subscriber_key", how="left")
    rows["staged"] = rows["staged"].notna()
    record = rows.groupby(["object", "record_id"], sort=False).ngroup().to_numpy()
    rows["ambiguous"] = _ambiguous(rows, record, policy.match_field)
    rows["speaks"] = _speaks(rows, record, policy)
    return rows


def said_of(
    keys: pd.Series, held: pd.DataFrame, released: pd.DataFrame, policy: SyncPolicy
) -> pd.DataFrame:
    """SFMC's word on each key: status and, where Held, held_address and held_at; index of `keys`.

    A key that neither frame has is not judged: nothing is done on a guess.
    """
    form = compared_form(keys, policy.match_field)
    holds = _about(keys, held, policy)
    others = _about(keys, released, policy)
    others = others.assign(rank=others["status"].map(_ranks(policy))).sort_values("rank")
    status = look_up(form, others.drop_duplicates("form").set_index("form")["status"])
    said = holds.drop_duplicates("form").set_index("form")
    is_held = is_in(form, holds["form"])
    return pd.DataFrame(
        {
            "status": status.fillna(NOT_JUDGED).mask(is_held, HELD),
            "held_address": look_up(form, said["email_address"]),
            "held_at": look_up(form, said["held_at"]),
        }
    )


def not_held(state: pd.DataFrame, held: pd.DataFrame, match_field: str) -> pd.Series:
    """The keys of `CrmFlagState` that `HeldSubscribers` hasn't: those to ask SFMC about."""
    keys = state["subscriber_key"].drop_duplicates()
    is_held = is_in(
        compared_form(keys, match_field), compared_form(held["subscriber_key"], match_field)
    )
    return keys[~is_held]


def _about(keys: pd.Series, answers: pd.DataFrame, policy: SyncPolicy) -> pd.DataFrame:
    """SFMC's answers about the keys, in whatever spelling, with the compared form of theirs."""
    # Spellings of one key are equal but for case, which leaves few rows of a large table.
    nearly = answers[is_in(answers["subscriber_key"].str.lower(), keys.str.lower())]
    form = compared_form(nearly["subscriber_key"], policy.match_field)
    return nearly.assign(form=form).sort_values("subscriber_key")


def _ranks(policy: SyncPolicy) -> dict[str, int]:
    """Statuses in the order in which they speak."""
    mailed_or_held = [*policy.clear_statuses, HELD]
    rest = [status for status in (*STATUSES, NOT_JUDGED) if status not in mailed_or_held]
    clearing = dict.fromkeys(policy.clear_statuses, 0)
    return clearing | {status: n for n, status in enumerate([HELD, *rest, UNKNOWN_STATUS], start=1)}


def _ambiguous(rows: pd.DataFrame, record: np.ndarray, match_field: str) -> pd.Series:
    if match_field in ("Id", "Email"):  # one record has an id; of an e-mail all are meant
        return pd.Series(data=False, index=rows.index)
    form = compared_form(rows["subscriber_key"], match_field)
    led_to = pd.DataFrame({"form": form, "object": rows["object"], "record": record})
    live = led_to.mask(rows["is_converted"])
    return live.groupby(["form", "object"])["record"].transform("nunique") > 1


def _speaks(rows: pd.DataFrame, record: np.ndarray, policy: SyncPolicy) -> np.ndarray:
    own = (rows["resolution"] == "own").to_numpy()
    own_known = own & (rows["status"] != UNKNOWN_STATUS).to_numpy()
    has_own = np.zeros(record.max(initial=-1) + 1, dtype=bool)
    has_own[record[own_known]] = True

    spelling, _ = pd.factorize(rows["subscriber_key"], sort=True)
    order = np.lexsort(
        [  # the last decides first
            spelling,
            rows["subscriber_key"] != rows["record_id"],  # the id itself before its other forms
            ~own,
            ~rows["staged"],
            -rows["bounced_at"].fillna(pd.Timestamp(0, tz="UTC")).astype("int64"),
            rows["status"].map(_ranks(policy)).to_numpy(dtype=int),
            has_own[record] & ~own,
            record,
        ]
    )
    first = np.ones(len(rows), dtype=bool)
    first[1:] = record[order[1:]] != record[order[:-1]]
    speaks = np.zeros(len(rows), dtype=bool)
    speaks[order[first]] = True
    return speaks
