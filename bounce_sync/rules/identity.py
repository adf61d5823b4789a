"""Which CRM record a subscriber key leads to, and which keys may speak for a record.

Record ids come in a case-sensitive form of 15 characters and a case-safe one of 18, whose last
three say which of the others are capitals (facts/salesforce.md §6). A key whose 18 characters lost
their case is repaired from them; 15 characters are taken as they are. Anything else is no id.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bounce_sync.tables import ACCOUNT, CONTACT, KEY_LENGTH, LEAD, CrmFlagState, shape

MAX_HOPS = 10
"""Chains of conversions and merges are followed this far; longer ones and circles lead nowhere."""

_ID_18 = "[0-9A-Za-z]{15}[A-Za-z0-5]{3}"
_PREFIXES = {"003": CONTACT, "00Q": LEAD, "001": ACCOUNT}
_SUFFIXES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_CAPITALS = {code: "1" if chr(code).isupper() else "0" for code in range(128)}
# Five characters' capitals, as "1" and "0" in reading order, make one character of the suffix; the
# first of the five is the lowest bit.
_SUFFIX_OF = {f"{n:05b}"[::-1]: letter for n, letter in enumerate(_SUFFIXES)}
_CAPITALS_OF = {letter: capitals for capitals, letter in _SUFFIX_OF.items()}


def to_18(id15: str) -> str:
    """The 18-character form of a 15-character id, whose case must be right."""
    capitals = id15.translate(_CAPITALS)
    return id15 + "".join(_SUFFIX_OF[capitals[at : at + 5]] for at in (0, 5, 10))


def record_id(key: str) -> str | None:
    """The 18-character id that a key spells, of whatever object; None where it spells none."""
    if len(key) not in (15, 18) or not (key.isascii() and key.isalnum()):
        return None
    if len(key) == 15:
        return to_18(key)
    return key if to_18(key[:15]) == key else _restored(key)


def _restored(key: str) -> str | None:
    """An 18-character id with the case that its suffix tells; None if the suffix can't be right."""
    suffix = key[15:].upper()
    if not _CAPITALS_OF.keys() >= set(suffix):
        return None
    capitals = "".join(_CAPITALS_OF[letter] for letter in suffix)
    restored = to_18(
        "".join(
            letter.upper() if capital == "1" else letter.lower()
            for letter, capital in zip(key[:15], capitals, strict=True)
        )
    )
    # A digit has no case: a suffix that calls one a capital belongs to no id.
    return restored if restored[15:] == suffix else None


def object_of(record_id: str) -> str | None:
    """Contact, Lead or Account, by the id's prefix; None for any other object."""
    return _PREFIXES.get(record_id[:3])


def same_subscriber(key: str) -> str:
    """The form under which keys are compared: two spellings of one 18-character id are one key."""
    return (record_id(key) or key) if len(key) == 18 else key


def compared_form(keys: pd.Series, match_field: str) -> pd.Series:
    """A form that two keys share exactly where they are one subscriber's (`same_subscriber`).

    The suffix decides the case of an 18-character id, so that its lower case will do. Values of
    another `match_field` are compared without regard to case, as SOQL does.
    """
    folded = keys.str.lower()
    return folded if match_field != "Id" else keys.mask(keys.str.fullmatch(_ID_18), folded)


def record_ids(keys: pd.Series) -> pd.DataFrame:
    """One row per key: subscriber_key, object, record_id; both empty if it is no id of ours."""
    ids = [record_id(key) for key in keys]
    objects = [object_of(each) if each else None for each in ids]
    spelled = pd.DataFrame(
        {
            "subscriber_key": keys.reset_index(drop=True),
            "object": pd.Series(objects, dtype="str"),
            "record_id": pd.Series(ids, dtype="str"),
        }
    )
    spelled["record_id"] = spelled["record_id"].where(spelled["object"].notna())
    return spelled


def flag_state(records: pd.DataFrame, keys: pd.Series, match_field: str) -> pd.DataFrame:
    """The CRM's side of the plan: records of interest, each with every key that may speak for it.

    `records` (`CrmRecords`) is what was read of the CRM, deleted and converted records included;
    `keys` are the staged ones. Of interest is a live record that one of them leads to or that is
    flagged now; a flagged Lead that was converted is there too, beside the Contact it became.
    Returns `CrmFlagState`, in an order of its own.
    """
    records = records.reset_index(drop=True)
    ends, converted = _ends(records)
    spelled = _spelled(records, keys, match_field)

    live = np.flatnonzero(records["flag"] & ~records["is_deleted"])
    reached = np.union1d(ends[spelled["position"]], ends[live])
    sources = np.flatnonzero(np.isin(ends, reached[reached >= 0]))
    own_only = live[ends[live] != live]  # flagged Leads that became a Contact

    every = pd.concat([_own_keys(records, match_field), spelled], ignore_index=True)
    leading = every[every["position"].isin(sources)]
    leading = leading.assign(record=ends[leading["position"]])
    left = every[every["position"].isin(own_only)]
    rows = pd.concat([leading, left.assign(record=left["position"])], ignore_index=True)

    own = rows["record"] == rows["position"]
    rows["rank"] = np.where(own, 0, np.where(converted[rows["position"]], 1, 2))
    rows = rows.sort_values(["rank", "record"], kind="stable")
    rows = rows.drop_duplicates(["record", "subscriber_key"])

    columns = ["object", "record_id", "email", "flag", "flag_date", "account_id"]
    columns += ["is_converted", "person_account_id"]
    state = records.loc[rows["record"], columns].reset_index(drop=True)
    state["subscriber_key"] = rows["subscriber_key"].array
    state["resolution"] = np.array(["own", "converted", "merged"])[rows["rank"]]
    return shape(CrmFlagState, state)


def _ends(records: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where each record leads: the live record's position (-1: nowhere), and whether by conversion.

    A record that is live and no converted Lead leads to itself.
    """
    index = pd.Index(records["record_id"])
    merged = index.get_indexer(records["master_record_id"].where(records["is_deleted"]))
    became = index.get_indexer(records["converted_contact_id"].where(records["is_converted"]))
    is_end = ~(records["is_deleted"] | records["is_converted"]).to_numpy()
    hop = np.where(merged >= 0, merged, became)
    by_conversion = (merged < 0) & (became >= 0)

    ends, converted = np.arange(len(records)), np.zeros(len(records), dtype=bool)
    for _ in range(MAX_HOPS):
        moving = (ends >= 0) & ~is_end[ends]
        converted |= moving & by_conversion[ends]
        ends = np.where(moving, hop[ends], ends)
    return np.where((ends >= 0) & is_end[ends], ends, -1), converted


def _own_keys(records: pd.DataFrame, match_field: str) -> pd.DataFrame:
    """Position of each record with each key that is its own, as the CRM would spell it."""
    if match_field == "Id":
        values = pd.concat([records["record_id"], records["record_id"].str.slice(0, 15)])
    else:
        values = records["match_value"]
        values = values.where(values.str.len().between(1, KEY_LENGTH))
        # A flag that nothing can speak for is in the plan too, under its record's id.
        nameless = values.isna() & records["flag"] & ~records["is_deleted"]
        values = values.mask(nameless, records["record_id"]).dropna()
    return pd.DataFrame({"position": values.index, "subscriber_key": values.array})


def _spelled(records: pd.DataFrame, keys: pd.Series, match_field: str) -> pd.DataFrame:
    """Position of each record with each staged key that spells it, as SFMC spells it."""
    if match_field == "Id":
        asked = record_ids(keys).dropna()[["subscriber_key", "record_id"]]
        known = records[["record_id"]].reset_index(names="position")
        found = asked.merge(known, on="record_id")
    else:
        asked = pd.DataFrame({"subscriber_key": keys.array, "value": keys.str.lower().array})
        known = pd.DataFrame({"value": records["match_value"].str.lower()}).dropna()
        found = asked.merge(known.reset_index(names="position"), on="value")
    return found[["position", "subscriber_key"]]
