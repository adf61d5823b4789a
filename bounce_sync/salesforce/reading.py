"""Reading Contacts and Leads: those flagged, those asked for, and all that lead to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import pandas as pd

from bounce_sync.salesforce import soql
from bounce_sync.salesforce.composite import MOST_COLLECTIONS
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.describe import IDS, NUMBERS, Layout, OrgFacts, read_layout
from bounce_sync.salesforce.errors import UnreadableAnswer
from bounce_sync.salesforce.records import PREFIXES, to_frame
from bounce_sync.salesforce.transport import Answer
from bounce_sync.tables import CONTACT, LEAD, CrmRecords, empty, shape

RETRIEVE = 2000
"""Ids that one Collections retrieve takes (facts/salesforce.md §2.2)."""
IN_FLIGHT = 5
MAX_HOPS = 10
"""A chain of merges and conversions is followed this far."""

Search = tuple[str, str]
"""An object and the column of `CrmRecords` that is searched in it."""

SOURCES: tuple[tuple[Search, str], ...] = (
    ((LEAD, "converted_contact_id"), CONTACT),
    ((CONTACT, "master_record_id"), CONTACT),
    ((LEAD, "master_record_id"), LEAD),
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
        found = _Found()
        found.add(self._flagged(layout))
        if match_field != "Id":
            flagged_values = found.column("match_value")
            values = list(dict.fromkeys([*match_values, *flagged_values]))
            found.add(self._by_value(layout, values))
        self._follow(layout, found, ids)
        self._trace(layout, found)
        records = found.frame()
        self._say(f"Read {len(records):,} CRM records, {int(records['flag'].sum()):,} flagged.")
        return records

    def reread(self, records: pd.DataFrame) -> pd.DataFrame:
        """What the CRM says now of these records (object, record_id), as `CrmRecords`.

        A record that was deleted since is there with ``is_deleted``; one that is gone is not.
        """
        layout = self._layout("Id")
        found = _Found()
        self._fetch(layout, found, records["record_id"])
        return found.frame()

    def _layout(self, match_field: str) -> Layout:
        remembered = self._connection.remembered
        if (layout := remembered.get(match_field)) is None:
            layout = remembered[match_field] = read_layout(self._connection, match_field)
        return layout

    def _flagged(self, layout: Layout) -> pd.DataFrame:
        objects = [CONTACT, LEAD]
        statements = [
            _select(layout, each, f"{layout.objects[each].names['flag']} = true")
            for each in objects
        ]
        return self._query(
            layout, [(each, f"query of flagged {each} records") for each in objects], statements
        )

    def _follow(self, layout: Layout, found: _Found, ids: Iterable[str]) -> None:
        """Reads what was asked for and what deleted and converted records lead to."""
        wanted = set(ids) | found.targets()
        for _ in range(MAX_HOPS + 1):
            if not (wanted := wanted - found.asked):
                return
            self._fetch(layout, found, wanted)
            wanted = found.targets()

    def _fetch(self, layout: Layout, found: _Found, ids: Iterable[str]) -> None:
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
            for frame in pool.map(lambda chunk: self._retrieve(layout, *chunk), chunks):
                found.add(frame)
        for name in layout.objects:
            missing = sorted(each for each in wanted - found.ids if each.startswith(PREFIXES[name]))
            if missing:
                found.add(self._search(layout, {(name, "record_id"): missing}, {}))

    def _retrieve(self, layout: Layout, name: str, ids: list[str]) -> pd.DataFrame:
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
            return self._frame(layout, name, present, what)

        body = {"ids": ids, "fields": layout.objects[name].selected}
        return self._connection.request(
            "POST", f"composite/sobjects/{name}", what=what, json=body, read=read
        )

    def _by_value(self, layout: Layout, values: Sequence[str]) -> pd.DataFrame:
        """Records of every object whose match field has one of the values, deleted ones too."""
        searches = {
            (name, "match_value"): _as_literals(values, layout.objects[name].match_type)
            for name in (CONTACT, LEAD)
        }
        return self._search(layout, searches, {})

    def _trace(self, layout: Layout, found: _Found) -> None:
        """Reads, hop by hop, what was converted or merged into the records that were found."""
        whole: dict[Search, pd.DataFrame] = {}
        frontier = found.frame()[["object", "record_id"]]
        for _ in range(MAX_HOPS):
            searches = {
                search: frontier.loc[frontier["object"] == target, "record_id"].tolist()
                for search, target in SOURCES
            }
            sources = self._search(layout, searches, whole)
            new = sources[~sources["record_id"].isin(found.ids)]
            if new.empty:
                return
            found.add(new)
            frontier = new[["object", "record_id"]]

    def _search(
        self,
        layout: Layout,
        searches: dict[Search, list[Any]],
        whole: dict[Search, pd.DataFrame],
    ) -> pd.DataFrame:
        """Records, deleted ones too, whose column has one of the values: in as few calls as can be.

        Either the values go into statements of 95,000 characters, five of them a call, or all
        records that have any value there are read; these are kept in `whole` for the next hop.
        """
        searches = {search: values for search, values in searches.items() if values}
        kept = [
            whole[search][whole[search][search[1]].isin(values)]
            for search, values in searches.items()
            if search in whole
        ]
        asked = {search: values for search, values in searches.items() if search not in whole}
        statements = {
            (name, column): list(
                soql.in_lists(
                    _select(layout, name, f"{self._name(layout, name, column)} IN "), values
                )
            )
            for (name, column), values in asked.items()
        }
        for search in self._cheaper_whole(layout, statements):
            name, column = search
            condition = f"{self._name(layout, name, column)} != null"
            whole[search] = self._query(
                layout,
                [(name, f"query of {name} by {column}")],
                [_select(layout, name, condition)],
                deleted_too=True,
            )
            wanted = {str(value).lower() for value in asked[search]}
            kept.append(whole[search][whole[search][column].str.lower().isin(wanted)])
            del statements[search]
        flat = [(search, each) for search, group in statements.items() for each in group]
        named = [(name, f"query of {name} by {column}") for (name, column), _ in flat]
        kept.append(self._query(layout, named, [each for _, each in flat], deleted_too=True))
        return _concat(kept)

    def _cheaper_whole(self, layout: Layout, statements: dict[Search, list[str]]) -> list[Search]:
        """The searches for which reading every record with a value takes fewer calls."""
        if sum(map(len, statements.values())) <= MOST_COLLECTIONS:
            return []
        searches = [search for search in statements if search[1] != "record_id"]
        counts = soql.count_many(
            self._connection,
            [
                f"FROM {name} WHERE {self._name(layout, name, column)} != null"
                for name, column in searches
            ],
            deleted_too=True,
        )
        return [
            search
            for search, count in zip(searches, counts, strict=True)
            if soql.calls_for(count) < math.ceil(len(statements[search]) / MOST_COLLECTIONS)
        ]

    def _query(
        self,
        layout: Layout,
        named: Sequence[tuple[str, str]],
        statements: Sequence[str],
        *,
        deleted_too: bool = False,
    ) -> pd.DataFrame:
        """The records of all statements; of each, its object and its name in errors is given."""

        def take(number: int, records: list[dict[str, Any]]) -> pd.DataFrame:
            name, what = named[number]
            return self._frame(layout, name, records, what)

        results = soql.run(self._connection, statements, deleted_too=deleted_too, take=take)
        return _concat(chain.from_iterable(results))

    def _name(self, layout: Layout, name: str, column: str) -> str:
        return layout.objects[name].names[column]

    def _frame(
        self, layout: Layout, name: str, records: list[dict[str, Any]], what: str
    ) -> pd.DataFrame:
        return to_frame(records, layout.objects[name], date_is_day=layout.date_is_day, what=what)


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
        return _concat(self._frames)


def _select(layout: Layout, name: str, condition: str) -> str:
    fields = ", ".join(layout.objects[name].selected)
    return " ".join(("SELECT", fields, "FROM", name, "WHERE", condition))


def _as_literals(values: Iterable[str], kind: str) -> list[Any]:
    """The keys that a field of this type can hold at all, as values to be quoted for it."""
    if kind in NUMBERS:
        return [float(value) if "." in value else int(value) for value in values if _number(value)]
    if kind in IDS:
        return [
            each for each in values if len(each) in (15, 18) and each.isascii() and each.isalnum()
        ]
    return list(values)


def _number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal() and text.isascii()


def _concat(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    full = [frame for frame in frames if not frame.empty]
    if not full:
        return empty(CrmRecords)
    together = pd.concat(full, ignore_index=True)
    return shape(CrmRecords, together.drop_duplicates("record_id").reset_index(drop=True))
