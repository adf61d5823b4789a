"""Searching one object for records by a column's values, in as few calls as it takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd

from bounce_sync.salesforce import soql
from bounce_sync.salesforce.composite import MOST_COLLECTIONS
from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.describe import IDS, NUMBERS, Layout
from bounce_sync.salesforce.records import to_frame
from bounce_sync.tables import CrmRecords, empty, shape

Search = tuple[str, str]
"""An object and the column of `CrmRecords` that is searched in it."""


class RecordSearch:
    """Searches of one reading. A set that was read whole is kept for the searches to come."""

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self._connection, self._layout = connection, layout
        self._whole: dict[Search, pd.DataFrame] = {}

    def by_values(self, searches: Mapping[Search, Sequence[str]]) -> pd.DataFrame:
        """Records, deleted ones too, whose column has one of the values, as `CrmRecords`.

        Either the values go into statements of 95,000 characters, five of them a call, or all
        records that have any value there are read, where that costs fewer calls.
        """
        asked = {search: self._literals(search, values) for search, values in searches.items()}
        asked = {search: values for search, values in asked.items() if values}
        statements = {
            search: self._in_lists(search, values)
            for search, values in asked.items()
            if search not in self._whole
        }
        for search in self._cheaper_whole(statements):
            name = search[0]
            condition = f"{self._field(search)} != null"
            statement = self.select(name, condition)
            self._whole[search] = self.query({statement: _named(search)}, deleted_too=True)
            del statements[search]
        kept = []
        for search in asked.keys() & self._whole.keys():
            values = self._whole[search][search[1]].str.lower()
            wanted = {str(value).lower() for value in asked[search]}
            kept.append(self._whole[search][values.isin(wanted)])
        named = {each: _named(search) for search, group in statements.items() for each in group}
        return concat([*kept, self.query(named, deleted_too=True)])

    def query(
        self, statements: Mapping[str, tuple[str, str]], *, deleted_too: bool = False
    ) -> pd.DataFrame:
        """The records of all statements; each has its object and its name in errors."""
        named = list(statements.values())

        def take(number: int, records: list[dict[str, Any]]) -> pd.DataFrame:
            return self.frame(*named[number], records)

        results = soql.run(self._connection, list(statements), deleted_too=deleted_too, take=take)
        return concat(chain.from_iterable(results))

    def select(self, name: str, condition: str) -> str:
        """The statement that reads an object's records with all columns of `CrmRecords`."""
        fields = ", ".join(self._layout.objects[name].selected)
        return " ".join(("SELECT", fields, "FROM", name, "WHERE", condition))

    def frame(self, name: str, what: str, records: list[dict[str, Any]]) -> pd.DataFrame:
        """Records of an object as `CrmRecords`; `what` names their request in errors."""
        layout = self._layout
        return to_frame(records, layout.objects[name], date_is_day=layout.date_is_day, what=what)

    def _field(self, search: Search) -> str:
        name, column = search
        return self._layout.objects[name].names[column]

    def _in_lists(self, search: Search, values: Sequence[Any]) -> list[str]:
        head = self.select(search[0], f"{self._field(search)} IN ")
        return list(soql.in_lists(head, values))

    def _cheaper_whole(self, statements: Mapping[Search, list[str]]) -> list[Search]:
        """The searches for which reading every record with a value takes fewer calls."""
        if sum(map(len, statements.values())) <= MOST_COLLECTIONS:
            return []
        searches = [search for search in statements if search[1] != "record_id"]
        conditions = [
            f"FROM {search[0]} WHERE {self._field(search)} != null" for search in searches
        ]
        counts = soql.count_many(self._connection, conditions, deleted_too=True)
        return [
            search
            for search, count in zip(searches, counts, strict=True)
            if soql.calls_for(count) < math.ceil(len(statements[search]) / MOST_COLLECTIONS)
        ]

    def _literals(self, search: Search, values: Iterable[str]) -> list[Any]:
        """The values that a field of this type can hold at all, to be quoted for it."""
        name, column = search
        kind = self._layout.objects[name].match_type if column == "match_value" else "string"
        if kind in NUMBERS:
            return [float(each) if "." in each else int(each) for each in values if _number(each)]
        if kind in IDS:
            return [
                each for each in values if len(each) == 18 and each.isascii() and each.isalnum()
            ]
        return list(values)


def _named(search: Search) -> tuple[str, str]:
    name, column = search
    return name, f"query of {name} by {column}"


def _number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal() and text.isascii()


def concat(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All records of these frames, each once."""
    full = [frame for frame in frames if not frame.empty]
    if not full:
        return empty(CrmRecords)
    together = pd.concat(full, ignore_index=True)
    return shape(CrmRecords, together.drop_duplicates("record_id").reset_index(drop=True))
