"""The source ``data_views``: query activities fill data extensions, which are read by REST.

For teams that may not use the tracking API, or want the subcategory and the domain. It works with
objects of its own, whose keys start with ``bounce_sync_``: it makes them where they are missing,
sets their queries' texts for each run, and touches nothing else. The queries ship with the package
(``sql/``). Deleted subscribers aren't in ``_Subscribers``: their status is ``Unknown`` here.
``held_at`` is ``DateUndeliverable``, to the minute.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bounce_sync.marketing_cloud import rows, soap
from bounce_sync.marketing_cloud.connection import ALL_UNITS, Account, Connection, Say
from bounce_sync.marketing_cloud.data_extensions import (
    DataExtension,
    DataExtensions,
    Field,
    RowsetPage,
)
from bounce_sync.marketing_cloud.enterprise import account_and_enterprise
from bounce_sync.marketing_cloud.errors import NotTheParent, Place, UnreadableAnswer
from bounce_sync.marketing_cloud.gathering import Task, gather
from bounce_sync.marketing_cloud.queries import NUMBER, RUN, TOTAL, QueryActivities, Watch
from bounce_sync.marketing_cloud.retrieving import Clock, utc_now
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.marketing_cloud.statuses import Answers
from bounce_sync.rules.server_time import Window, to_server
from bounce_sync.tables import KEY_LENGTH

_MADE = "A working object of bounce_sync: its rows are replaced at every run."
_MARKERS = (Field("RunId", length=36), Field("RowNumber", "Number"), Field("RowTotal", "Number"))
_KEY = Field("SubscriberKey", length=KEY_LENGTH)

BOUNCES = DataExtension(
    "bounce_sync_bounces",
    (
        *_MARKERS,
        Field("BusinessUnit", length=20),
        _KEY,
        Field("EventDate", length=23),
        Field("BounceCategory", length=50),
        Field("BounceSubcategory", length=50),
        Field("SMTPCode", length=20),
        Field("SMTPReason", length=4000),
        Field("Domain", length=254),
        Field("JobID", length=20),
    ),
    _MADE,
)
HELD = DataExtension(
    "bounce_sync_held",
    (
        *_MARKERS,
        _KEY,
        Field("EmailAddress", length=254),
        Field("Status", length=20),
        Field("DateUndeliverable", length=23),
    ),
    _MADE,
)
STATUSES = DataExtension(
    "bounce_sync_statuses", (*_MARKERS, _KEY, Field("Status", length=20)), _MADE
)
KEYS = DataExtension(
    "bounce_sync_keys", (Field("SubscriberKey", length=KEY_LENGTH, is_key=True),), _MADE
)
QUERY_SUFFIX = "_query"
MOST_HALVINGS = 4
"""Each costs the half hour after which SFMC ends a query."""


@dataclass
class _Unit:
    """What one business unit works with; its queries run one at a time."""

    mid: str
    extensions: DataExtensions
    queries: QueryActivities
    subscribers: str
    busy: threading.Lock


class DataViewsSource:
    """Reads a tenant through query activities, one at a time in each business unit.

    `say` gets a line of progress, `now` is the clock (UTC), `watch` says how runs are watched.
    Raises `ValueError` where the account's units aren't listed: data views show one unit each.
    """

    def __init__(
        self,
        account: Account,
        *,
        say: Say | None = None,
        patience: Patience | None = None,
        watch: Watch | None = None,
        now: Clock = utc_now,
    ) -> None:
        if account.business_units == ALL_UNITS:
            raise ValueError("The source data_views needs the business units by their MIDs.")
        self._account = account
        self._connection = Connection(account, patience)
        self._say = say or (lambda line: None)
        self._watch = watch
        self._now = now
        self._units = {mid: self._unit(mid) for mid in {*account.units, account.account_id}}

    def _unit(self, mid: str) -> _Unit:
        extensions = DataExtensions(self._connection, mid)
        return _Unit(
            mid,
            extensions,
            QueryActivities(self._connection, mid, extensions, watch=self._watch),
            "_Subscribers" if mid == self._account.account_id else "Ent._Subscribers",
            threading.Lock(),
        )

    @property
    def calls(self) -> int:
        """HTTP requests made so far."""
        return self._connection.calls

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()

    # --- bounces -------------------------------------------------------------------------------

    def bounces(self, window: Window) -> pd.DataFrame:
        """Every bounce event of the window, of every business unit; see `Source.bounces`."""
        tasks = [Task[pa.Table](unit, window) for unit in self._account.units]
        return rows.finish_bounces(
            gather(tasks, self._window_of_bounces, len(tasks), MOST_HALVINGS)
        )

    def _window_of_bounces(self, task: Task[pa.Table], stop: threading.Event) -> pa.Table:
        unit = self._units[task.unit]
        start, end = task.window.start - soap.EDGE, task.window.end + soap.EDGE
        tables = [
            self._bounces(page, task, place)
            for page, place in self._run(
                unit, BOUNCES, "bounces", start=self._literal(start), end=self._literal(end)
            )
        ]
        return pa.concat_tables([rows.BOUNCES.empty_table(), *tables])

    def _literal(self, utc: datetime) -> str:
        return to_server(utc, self._account.utc_offset).isoformat(timespec="milliseconds")

    def bounces_of(self, keys: Sequence[str]) -> pd.DataFrame:
        """Every bounce of these subscribers; see `Source.bounces_of`."""
        asked = _distinct(keys)
        tables = []
        for mid in self._account.units if asked else ():
            unit = self._units[mid]
            self._ask_for(unit, asked)
            tables += [
                self._table(page, place)[0]
                for page, place in self._run(unit, BOUNCES, "bounces_of")
            ]
        return rows.finish_bounces(tables)

    def _bounces(self, page: RowsetPage, task: Task[pa.Table], place: Place) -> pa.Table:
        table, times = self._table(page, place)
        return rows.cut("EventDate", table, times, task.window, place)

    def _table(self, page: RowsetPage, place: Place) -> tuple[pa.Table, pa.Array]:
        got = page.columns
        times = rows.server_times("EventDate", got["eventdate"], self._account.utc_offset, place)
        rows.demand(pc.is_valid(times), place, "EventDate is empty")
        columns = {
            "business_unit": rows.required("BusinessUnit", got["businessunit"], place),
            "subscriber_key": rows.keys("SubscriberKey", got["subscriberkey"], place),
            "event_at": times,
            "bounce_category": rows.categories(got["bouncecategory"], place),
            "bounce_subcategory": rows.text(got["bouncesubcategory"]),
            "smtp_code": rows.text(got["smtpcode"]),
            "smtp_reason": rows.prose(got["smtpreason"]),
            "domain": rows.text(got["domain"]),
            "job_id": rows.whole_numbers("JobID", got["jobid"], place),
        }
        return rows.bounces(columns), times

    # --- subscribers ---------------------------------------------------------------------------

    def held(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """Every subscriber that is Held now; see `Source.held`. `keys` aren't needed here.

        Raises `NotTheParent` where nobody is Held because the account is a business unit.
        """
        read_at = self._now()
        unit = self._units[self._account.account_id]
        subscribers, since = [], []
        place = Place(f"query activity {HELD.key}{QUERY_SUFFIX}", unit.mid)
        for page, here in self._run(unit, HELD, "held", subscribers=unit.subscribers):
            got = page.columns
            status = rows.statuses(got["status"], here)
            held = pc.equal(status, "Held")
            rows.demand(held, here, "The subscriber isn't Held, as was asked for")
            key = rows.keys("SubscriberKey", got["subscriberkey"], here)
            address = rows.text(got["emailaddress"])
            table = {"subscriber_key": key, "email_address": address, "status": status}
            subscribers.append(pa.table(table))
            held_at = rows.server_times(
                "DateUndeliverable", got["dateundeliverable"], self._account.utc_offset, here
            )
            since.append(pa.table([key, held_at], schema=rows.HELD_SINCE))
        if not subscribers:
            self._require_parent(place)
        known = pa.concat_tables([rows.HELD_SINCE.empty_table(), *since])
        return rows.finish_held(subscribers, known, read_at, place)

    def _require_parent(self, place: Place) -> None:
        account, enterprise = account_and_enterprise(self._connection, self._account.account_id)
        if account and enterprise and account != enterprise:
            said = f"Nobody is Held: {account} is a business unit of the enterprise {enterprise}"
            raise NotTheParent(place, said)

    def statuses(self, keys: Sequence[str]) -> pd.DataFrame:
        """Today's status of each key; see `Source.statuses`."""
        read_at = self._now()
        unit = self._units[self._account.account_id]
        found = Answers()
        if asked := _distinct(keys):
            self._ask_for(unit, asked)
            for page, place in self._run(unit, STATUSES, "statuses", subscribers=unit.subscribers):
                got = page.columns
                key = rows.keys("SubscriberKey", got["subscriberkey"], place)
                status = rows.statuses(got["status"], place)
                found.add(key.to_pylist(), status.to_pylist(), place)
        return found.frame(keys, read_at)

    def _ask_for(self, unit: _Unit, keys: Sequence[str]) -> None:
        unit.extensions.ensure(KEYS)
        unit.extensions.clear(KEYS.key)
        unit.extensions.upsert(KEYS.key, [{"SubscriberKey": key} for key in keys])
        there = unit.extensions.count(KEYS.key)
        if there != len(keys):
            place = Place(f"data extension {KEYS.key}", unit.mid)
            raise UnreadableAnswer(place, f"{len(keys)} rows were written and {there} are there")

    # --- runs ----------------------------------------------------------------------------------

    def _run(
        self, unit: _Unit, target: DataExtension, name: str, **values: str
    ) -> Iterator[tuple[RowsetPage, Place]]:
        """The pages of what the query gives, without the marker row of an empty result.

        Raises `UnreadableAnswer` unless the rows are numbered from 1 to their total, each once.
        """
        with unit.busy:
            if unit.extensions.ensure(target):
                self._say(f"Made the data extension {target.key} in business unit {unit.mid}.")
            first = unit.queries.run(target.key + QUERY_SUFFIX, target.key, name, **values)
            pages = list(unit.extensions.pages(target.key, first))
        numbers = []
        for page, place in pages:
            if set(page.columns[RUN]) != set(first.columns[RUN]):
                raise UnreadableAnswer(place, "Another run wrote to the target meanwhile")
            numbers += page.columns[NUMBER]
        total = first.count if first.columns[TOTAL] != ["0"] else 0
        expected = {str(number) for number in range(1, total + 1)} or {"0"}
        if len(numbers) != len(expected) or set(numbers) != expected:
            place = Place(f"GET rowset of data extension {target.key}", unit.mid)
            raise UnreadableAnswer(place, f"The rows aren't numbered from 1 to {total}")
        return iter(pages) if total else iter(())


def _distinct(keys: Sequence[str]) -> list[str]:
    """SFMC compares keys without case: two that differ in nothing else are one to it."""
    return list({key.casefold().rstrip(): key for key in keys if len(key) <= KEY_LENGTH}.values())
