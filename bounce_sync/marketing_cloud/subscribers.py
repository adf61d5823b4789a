"""Subscribers by SOAP: who is Held, since when, and the status of given keys.

Subscribers live at the parent (the enterprise), so the parent's token asks. There is no filter by
the time at which Held was set and no count (facts/marketing-cloud.md §4.3); what can be filtered by
is the status, the key and the date the subscriber was created.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bounce_sync.marketing_cloud import rows, soap
from bounce_sync.marketing_cloud.connection import Account, Say
from bounce_sync.marketing_cloud.errors import (
    HeldFilterSilent,
    PermissionMissing,
    Place,
    RequestRefused,
)
from bounce_sync.marketing_cloud.gathering import Task, parts
from bounce_sync.marketing_cloud.retrieving import Retriever, Series
from bounce_sync.marketing_cloud.statuses import Answers
from bounce_sync.rules.server_time import Window
from bounce_sync.tables import HELD

KEYS_A_CALL = 500
NOT_JUDGED = "NotJudged"

_ALL_TIME = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
"""Whatever a tenant holds lies in it."""

_GONE_MEANWHILE = 0.01
"""Share of a page's subscribers that may stop being Held while the rest is read."""

_HELD_PROPERTIES = ("SubscriberKey", "EmailAddress", "Status", "CreatedDate")
_EVENT_PROPERTIES = ("SubscriberKey", "CurrentStatus", "CreatedDate")
_ILLEGAL = re.compile(soap.ILLEGAL_IN_XML)


class SubscriberReader:
    """Asks for subscribers over a `Retriever`, with its clock."""

    def __init__(self, account: Account, retriever: Retriever, say: Say) -> None:
        self._account = account
        self._unit = account.account_id
        self._retriever = retriever
        self._say = say

    # --- Held ----------------------------------------------------------------------------------

    def held(self, probe: Sequence[str] = ()) -> pd.DataFrame:
        """Every subscriber that is Held now, as `tables.HeldSubscribers`, in order of key.

        Some tenants answer a filter by status with nothing. If nobody is Held, the `probe` keys
        (those that bounced) are asked one by one: raises `HeldFilterSilent` if one of them is.
        """
        read_at = self._retriever.now()
        place = Place("Retrieve Subscriber (Held)", self._unit)
        question = soap.Retrieve("Subscriber", _HELD_PROPERTIES, self._is_held("Status"))
        tables: list[pa.Table] = []
        for page, here in self._retriever.pages(question, place):
            table, created = self._held_page(page, here)
            if (
                here.page == 1
                and page.more
                and (ranges := self._ranges(table, created)) is not None
            ):
                tables = ranges
                break
            tables.append(table)
        if not any(map(len, tables)) and probe:
            self._require_none_held(probe, place)
        return rows.finish_held(tables, self._held_since(), read_at, place)

    def held_among(self, keys: Sequence[str]) -> pd.DataFrame:
        """As `held`, of these keys only: for tenants that can't filter by status."""
        read_at = self._retriever.now()
        chunks = key_chunks(keys)
        place = Place("Retrieve Subscriber (Held, by key)", self._unit)

        def held(chunk: tuple[int, list[str]]) -> list[pa.Table]:
            return [
                rows.only_held(self._subscribers(page, here))
                for page, here in self._by_key(*chunk, _HELD_PROPERTIES[:3])
            ]

        tables = [table for found in self._concurrently(held, chunks) for table in found]
        return rows.finish_held(tables, self._held_since(chunks), read_at, place)

    def _is_held(self, prop: str) -> soap.Filter:
        return soap.condition(prop, "equals", HELD)

    def _subscribers(self, page: soap.Page, place: Place) -> pa.Table:
        got = page.columns
        return pa.table(
            {
                "subscriber_key": rows.keys("SubscriberKey", got["SubscriberKey"], place),
                "email_address": rows.text(got["EmailAddress"]),
                "status": rows.statuses(got["Status"], place),
            }
        )

    def _held_page(self, page: soap.Page, place: Place) -> tuple[pa.Table, pa.Array]:
        table = self._subscribers(page, place)
        holds = pc.equal(table["status"], HELD)
        rows.demand(holds, place, "The subscriber isn't Held, as was asked for")
        created = page.columns["CreatedDate"]
        return table, rows.server_times("CreatedDate", created, self._account.utc_offset, place)

    def _ranges(self, first: pa.Table, created: pa.Array) -> list[pa.Table] | None:
        """Held in ranges of the date they were created, several at once, as paging is serial.

        None where that doesn't pay or where the tenant can't: the ranges must hold the subscribers
        of the `first` page that was read without them.
        """
        known = created.drop_null()
        workers, now = self._retriever.workers, self._retriever.now()
        windows = parts(_ALL_TIME, known, 0, workers, now) if len(known) else []
        if not windows:
            return None
        self._say(f"Many subscribers are Held; reading them in {len(windows)} ranges.")

        def ask(window: Window) -> soap.Retrieve:
            created_then = soap.within("CreatedDate", window)
            both = soap.both(self._is_held("Status"), created_then)
            return soap.Retrieve("Subscriber", _HELD_PROPERTIES, both)

        def read(page: soap.Page, task: Task, here: Place) -> tuple[pa.Table, pa.Array]:
            table, times = self._held_page(page, here)
            return rows.cut("CreatedDate", table, times, task.window, here), times

        undated = soap.both(self._is_held("Status"), soap.condition("CreatedDate", "isNull"))
        place = Place("Retrieve Subscriber (Held, without CreatedDate)", self._unit)
        try:
            tables = self._retriever.everything(
                Series("Retrieve Subscriber (Held)", ask, read),
                [Task(self._unit, window, splits=1) for window in windows],
            )
            question = soap.Retrieve("Subscriber", _HELD_PROPERTIES, undated)
            for page, here in self._retriever.pages(question, place):
                tables.append(self._held_page(page, here)[0])
        except RequestRefused as error:
            self._say(f"This tenant can't filter by CreatedDate; reading on page by page. {error}")
            return None
        found = pa.concat_tables([table.select(["subscriber_key"]) for table in tables])
        missing = pc.invert(pc.is_in(first["subscriber_key"], found["subscriber_key"]))
        if pc.sum(missing).as_py() > _GONE_MEANWHILE * len(first):
            self._say("This tenant's filter by CreatedDate loses rows; reading on page by page.")
            return None
        return tables

    def _require_none_held(self, probe: Sequence[str], place: Place) -> None:
        held = self.statuses(probe)["status"].eq(HELD).sum()
        if held:
            raise HeldFilterSilent(
                place, f"Nobody came back, but of {len(probe)} bounced subscribers {held} are Held"
            )

    # --- since when ----------------------------------------------------------------------------

    def _held_since(self, chunks: Sequence[tuple[int, list[str]]] | None = None) -> pa.Table:
        """(subscriber_key, held_at), of these keys or of all; no rows where the tenant has none."""
        try:
            return pa.concat_tables(
                self._events_by_key(chunks) if chunks is not None else self._all_events()
            )
        except (RequestRefused, PermissionMissing) as error:
            self._say(f"This tenant doesn't tell since when subscribers are Held. {error}")
            return rows.HELD_SINCE.empty_table()

    def _all_events(self) -> list[pa.Table]:
        def ask(window: Window) -> soap.Retrieve:
            return self._events(soap.within("CreatedDate", window))

        def read(page: soap.Page, task: Task, here: Place) -> tuple[pa.Table, pa.Array]:
            table = self._event_page(page, here)
            times = table["held_at"].combine_chunks()
            return rows.cut("CreatedDate", table, times, task.window, here), times

        series = Series("Retrieve SubscriberStatusEvent (Held)", ask, read)
        return self._retriever.everything(series, [Task(self._unit, _ALL_TIME)])

    def _events_by_key(self, chunks: Sequence[tuple[int, list[str]]]) -> list[pa.Table]:
        def events(chunk: tuple[int, list[str]]) -> list[pa.Table]:
            number, keys = chunk
            place = Place(f"Retrieve SubscriberStatusEvent (chunk {number} of keys)", self._unit)
            question = self._events(soap.any_of("SubscriberKey", keys))
            pages = self._retriever.pages(question, place)
            return [self._event_page(page, here) for page, here in pages]

        found = [table for each in self._concurrently(events, chunks) for table in each]
        return [rows.HELD_SINCE.empty_table(), *found]

    def _events(self, narrowed: soap.Filter) -> soap.Retrieve:
        where = soap.both(self._is_held("CurrentStatus"), narrowed)
        return soap.Retrieve(
            "SubscriberStatusEvent", _EVENT_PROPERTIES, where, result_type="ObjectExtension"
        )

    def _event_page(self, page: soap.Page, place: Place) -> pa.Table:
        got = page.columns
        times = rows.server_times(
            "CreatedDate", got["CreatedDate"], self._account.utc_offset, place
        )
        rows.demand(pc.is_valid(times), place, "CreatedDate is empty")
        key = rows.keys("SubscriberKey", got["SubscriberKey"], place)
        return pa.table({"subscriber_key": key, "held_at": times}, schema=rows.HELD_SINCE)

    # --- statuses ------------------------------------------------------------------------------

    def statuses(self, keys: Sequence[str]) -> pd.DataFrame:
        """Today's status of each key; see `Source.statuses`.

        A key that no XML can carry can't be asked for: it is ``NotJudged``.
        """
        read_at = self._retriever.now()

        def answers(chunk: tuple[int, list[str]]) -> list[tuple[list[str], list[str], Place]]:
            return [
                (
                    rows.keys("SubscriberKey", page.columns["SubscriberKey"], here).to_pylist(),
                    rows.statuses(page.columns["Status"], here).to_pylist(),
                    here,
                )
                for page, here in self._by_key(*chunk, ("SubscriberKey", "Status"))
            ]

        found = Answers()
        for pages in self._concurrently(answers, key_chunks(keys)):
            for page in pages:
                found.add(*page)
        unasked = {key: NOT_JUDGED for key in keys if _ILLEGAL.search(key)}
        return found.frame(keys, read_at, unasked)

    def _by_key(
        self, number: int, keys: list[str], properties: Sequence[str]
    ) -> Iterator[tuple[soap.Page, Place]]:
        place = Place(f"Retrieve Subscriber (chunk {number} of keys)", self._unit)
        question = soap.Retrieve("Subscriber", properties, soap.any_of("SubscriberKey", keys))
        return self._retriever.pages(question, place)

    def _concurrently(self, work: Callable, chunks: Sequence[tuple[int, list[str]]]) -> list:
        with ThreadPoolExecutor(self._retriever.workers) as pool:
            return list(pool.map(work, chunks))


def key_chunks(keys: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Distinct keys that can be asked for, in numbered chunks; one that no XML can carry can't."""
    asked = [key for key in dict.fromkeys(keys) if not _ILLEGAL.search(key)]
    starts = range(0, len(asked), KEYS_A_CALL)
    return [(n, asked[at : at + KEYS_A_CALL]) for n, at in enumerate(starts, 1)]
