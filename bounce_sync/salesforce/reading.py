"""Reading Contacts and Leads: those flagged, those asked for, and all that lead to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.describe import Layout, OrgFacts, read_layout
from bounce_sync.salesforce.errors import UnreadableAnswer
from bounce_sync.salesforce.records import PREFIXES
from bounce_sync.salesforce.searching import RecordSearch, Search, concat
from bounce_sync.salesforce.transport import Answer
from bounce_sync.tables import ACCOUNT, CONTACT, LEAD

RETRIEVE = 2000
"""Ids that one Collections retrieve takes (facts/salesforce.md §2.2)."""
IN_FLIGHT = 5
MAX_HOPS = 10
"""A chain of merges and conversions is followed this far."""

KEYED = (CONTACT, LEAD)
"""Objects that carry a flag and a key of their own."""

SOURCES: tuple[tuple[Search, str], ...] = (
    ((LEAD, "converted_contact_id"), CONTACT),
    ((CONTACT, "master_record_id"), CONTACT),
    ((LEAD, "master_record_id"), LEAD),
    ((ACCOUNT, "master_record_id"), ACCOUNT),
)
"""Where records that lead to others are found, and the object of the others."""


class RecordReader:
    """Reads the CRM for one run. Needs no write permission."""

    def __init__(self, connection: Connection, say: Callable[[str], None] = lambda _: None) -> None:
        self._connection, self._say = connection, say

    def facts(self) -> OrgFacts:
        """Whether the date field is a Date, the user's time zone, and whether the org is a sandbox.

        Raises ``FieldsMissing``, which lists every field that is missing, hidden or of wrong type.
        """
        identity = self._connection.identity()
        layout = self._layout("Id")
        return OrgFacts(layout.date_is_day, identity.user_time_zone, identity.is_sandbox)

    def read(
        self, ids: Sequence[str], match_field: str = "Id", match_values: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Everything of the CRM that a run has to know, as `CrmRecords`.

        That is: every flagged Contact and Lead; every record asked for by `ids` (18 characters) or
        whose `match_field` is one of `match_values` or has the value of a flagged record; the
        records that deleted and converted ones lead to; and every Lead converted into, and record
        merged into, any of these. Raises ``FieldsMissing`` and the errors of `Connection.request`.
        """
        layout = self._layout(match_field)
        search, found = RecordSearch(self._connection, layout), _Found()
        found.add(self._flagged(layout, search))
        if match_field != "Id":
            values = list(dict.fromkeys([*match_values, *found.column("match_value")]))
            found.add(search.by_values({(each, "match_value"): values for each in KEYED}))
        self._follow(layout, search, found, ids)
        self._trace(layout, search, found)
        records = found.frame()
        self._say(f"Read {len(records):,} CRM records, {int(records['flag'].sum()):,} flagged.")
        return records

    def reread(self, records: pd.DataFrame) -> pd.DataFrame:
        """What the CRM says now of these records (object, record_id), as `CrmRecords`.

        A record that was deleted since is there with ``is_deleted``; one that is gone is not.
        """
        layout = self._layout("Id")
        search, found = RecordSearch(self._connection, layout), _Found()
        self._fetch(layout, search, found, records["record_id"])
        return found.frame()

    def _layout(self, match_field: str) -> Layout:
        remembered = self._connection.remembered
        if (layout := remembered.get(match_field)) is None:
            layout = remembered[match_field] = read_layout(self._connection, match_field)
        return layout

    def _flagged(self, layout: Layout, search: RecordSearch) -> pd.DataFrame:
        statements = {
            search.select(each, f"{layout.objects[each].names['flag']} = true"): (
                each,
                f"query of flagged {each} records",
            )
            for each in KEYED
        }
        return search.query(statements)

    def _follow(
        self, layout: Layout, search: RecordSearch, found: _Found, ids: Iterable[str]
    ) -> None:
        """Reads what was asked for and what deleted and converted records lead to."""
        wanted = set(ids) | found.targets()
        for _ in range(MAX_HOPS + 1):
            if not (wanted := wanted - found.asked):
                return
            self._fetch(layout, search, found, wanted)
            wanted = found.targets()

    def _fetch(
        self, layout: Layout, search: RecordSearch, found: _Found, ids: Iterable[str]
    ) -> None:
        """Records by id: the living by Collections, the rest among the deleted ones."""
        wanted = set(ids) - found.ids
        found.asked |= wanted
        chunks = []
        for name in layout.objects:
            own = sorted(each for each in wanted if each.startswith(PREFIXES[name]))
            chunks += [(name, own[at : at + RETRIEVE]) for at in range(0, len(own), RETRIEVE)]
        if not chunks:
            return
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            for frame in pool.map(lambda chunk: self._retrieve(layout, search, *chunk), chunks):
                found.add(frame)
        for name in layout.objects:
            missing = sorted(each for each in wanted - found.ids if each.startswith(PREFIXES[name]))
            if missing:
                found.add(search.by_values({(name, "record_id"): missing}))

    def _retrieve(
        self, layout: Layout, search: RecordSearch, name: str, ids: list[str]
    ) -> pd.DataFrame:
        """One Collections retrieve: as many entries as ids, in order, null for what isn't there."""
        what = f"Collections retrieve of {len(ids):,} {name} records from {ids[0]} on"

        def read(answer: Answer) -> pd.DataFrame:
            records = answer.json()
            if not isinstance(records, list) or len(records) != len(ids):
                raise UnreadableAnswer(what, "not one entry for each id.")
            present = []
            for asked, record in zip(ids, records, strict=True):
                if record is None:
                    continue
                if not isinstance(record, dict) or record.get("Id") != asked:
                    raise UnreadableAnswer(what, f"another record in the place of {asked}.")
                present.append(record)
            return search.frame(name, what, present)

        body = {"ids": ids, "fields": layout.objects[name].selected}
        return self._connection.request(
            "POST", f"composite/sobjects/{name}", what=what, json=body, read=read
        )

    def _trace(self, layout: Layout, search: RecordSearch, found: _Found) -> None:
        """Reads, hop by hop, what was converted or merged into the records that were found."""
        frontier = found.frame()[["object", "record_id"]]
        for _ in range(MAX_HOPS):
            searches = {
                where: frontier.loc[frontier["object"] == target, "record_id"].tolist()
                for where, target in SOURCES
                if where[0] in layout.objects
            }
            sources = search.by_values(searches)
            new = sources[~sources["record_id"].isin(found.ids)]
            if new.empty:
                return
            found.add(new)
            frontier = new[["object", "record_id"]]


class _Found:
    """What has been read so far, each record once."""

    def __init__(self) -> None:
        self._frames: list[pd.DataFrame] = []
        self.ids: set[str] = set()
        self.asked: set[str] = set()

    def add(self, frame: pd.DataFrame) -> None:
        new = frame[~frame["record_id"].isin(self.ids)]
        self.ids.update(new["record_id"])
        self._frames.append(new)

    def column(self, name: str) -> list[str]:
        return [value for frame in self._frames for value in frame[name].dropna()]

    def targets(self) -> set[str]:
        """Ids that weren't read yet: of what deleted and converted records lead to, and of the
        Accounts behind the Contacts of Person Accounts."""
        leading = ("master_record_id", "converted_contact_id", "person_account_id")
        return {each for name in leading for each in self.column(name)} - self.ids

    def frame(self) -> pd.DataFrame:
        return concat(self._frames)
