"""Who was asked for: every subscriber key and CRM record that belong to one question."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from bounce_sync.explain.lake_rows import LakeRows
from bounce_sync.ledger import Ledger
from bounce_sync.rules.addresses import spellings
from bounce_sync.rules.identity import object_of, record_id

_MOST_HOPS = 4
"""Key → record → the keys of Leads converted into it → their records."""


@dataclass
class Person:
    """Keys and records that lead to each other."""

    keys: set[str] = field(default_factory=set)
    records: set[str] = field(default_factory=set)

    def add(self, rows: pd.DataFrame) -> None:
        """Takes over the keys and records of `rows`."""
        self.keys |= set(rows["subscriber_key"].dropna())
        self.records |= set(rows["record_id"].dropna()) if "record_id" in rows else set()

    def spread(self) -> None:
        """Keys that are ids name records; records are known by their ids."""
        named = {record_id(key) for key in self.keys}
        self.records |= {each for each in named if each and object_of(each)}

    def spellings(self) -> set[str]:
        """Every key that may stand for this person in SFMC."""
        return self.keys | self.records | {each[:15] for each in self.records}

    def is_theirs(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`rows` without those of 15-character ids that differ in case: other people's."""
        exact, folded = self.spellings(), {each.lower() for each in self.spellings()}
        keys = rows["subscriber_key"]
        theirs = keys.isin(exact) | (keys.str.lower().isin(folded) & (keys.str.len() != 15))
        if "record_id" in rows:
            theirs |= rows["record_id"].isin(self.records)
        return rows[theirs.astype(bool)].reset_index(drop=True)


def identify(asked: str, lake: LakeRows, ledger: Ledger) -> Person:
    """The person whom a subscriber key, a record id in any form, or an address means."""
    person = Person(keys={asked})
    spelled = record_id(asked)
    if spelled and object_of(spelled):
        person.records.add(spelled)
    else:
        addresses = spellings(asked)
        for asset in ("held_subscribers", "confirmed_bounce_staging", "raw_bounces"):
            person.add(lake.having(asset, email_address=addresses))
        person.add(lake.having("crm_flag_state", email=addresses))
    person.spread()
    for _ in range(_MOST_HOPS):
        known = len(person.keys), len(person.records)
        state = lake.having(
            "crm_flag_state", subscriber_key=person.spellings(), record_id=person.records
        )
        person.add(person.is_theirs(state))
        person.add(ledger.history(list(person.records), list(person.keys)))
        person.spread()
        if known == (len(person.keys), len(person.records)):
            break
    return person
