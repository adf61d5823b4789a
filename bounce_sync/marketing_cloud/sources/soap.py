"""The source ``soap``: Retrieve of BounceEvent, Subscriber and SubscriberStatusEvent.

Needs no object in SFMC and no time of Automation Studio. It carries neither the address that
bounced nor its domain nor the subcategory: the API has none of them
(facts/marketing-cloud.md §4.2).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bounce_sync.marketing_cloud import rows, soap
from bounce_sync.marketing_cloud.connection import Account, Connection, Say
from bounce_sync.marketing_cloud.errors import (
    PermissionMissing,
    Place,
    RequestRefused,
    UnreadableAnswer,
)
from bounce_sync.marketing_cloud.gathering import Stopped, Task, TooLong, gather, parts
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.marketing_cloud.statuses import Answers
from bounce_sync.rules.server_time import Window
from bounce_sync.tables import HELD

BOUNCE_PROPERTIES = (
    "Client.ID",
    "SendID",
    "SubscriberKey",
    "EventDate",
    "BounceCategory",
    "SMTPCode",
    "SMTPReason",
)
KEYS_A_CALL = 500
WINDOWS_IN_FLIGHT = 8

_NOT_JUDGED = "NotJudged"
_ILLEGAL = re.compile(soap.ILLEGAL_IN_XML)


def _now() -> datetime:
    return datetime.now(UTC)


class SoapSource:
    """Reads a tenant by SOAP; `workers` windows are in flight at once.

    `say` gets a line of progress where reading takes long; `now` is the clock (UTC).
    """

    def __init__(
        self,
        account: Account,
        *,
        say: Say | None = None,
        workers: int = WINDOWS_IN_FLIGHT,
        patience: Patience | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._account = account
        self._connection = Connection(account, patience)
        self._say = say or (lambda line: None)
        self._workers = workers
        self._now = now

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
        tables = gather(tasks, self._window_of_bounces, self._workers)
        found = rows.finish_bounces(tables)
        if found.repeated:
            self._say(f"{found.repeated} bounces equal to another in every column were dropped.")
        return found.frame

    def _window_of_bounces(self, task: Task[pa.Table], stop: threading.Event) -> pa.Table:
        place = Place("Retrieve BounceEvent", task.unit, task.window)
        question = soap.Retrieve(
            "BounceEvent", BOUNCE_PROPERTIES, self._between("EventDate", task.window)
        )
        tables: list[pa.Table] = []
        for page, here in self._pages(question, place, stop, in_window=True):
            columns = self._bounce_columns(page, task.unit, here)
            if here.page == 1 and page.more:
                self._consider_splitting(task, columns["event_at"])
            tables.append(rows.bounces(columns, task.window, here))
        return pa.concat_tables(tables)

    def _bounce_columns(self, page: soap.Page, unit: str, place: Place) -> dict[str, pa.Array]:
        got = page.columns
        return {
            # Where the row names its own unit, that stands: an event that two tokens see is one.
            "business_unit": pc.fill_null(rows.text(got["Client.ID"]), unit),
            "subscriber_key": rows.keys("SubscriberKey", got["SubscriberKey"], place),
            "event_at": rows.server_times(
                "EventDate", got["EventDate"], self._account.utc_offset, place
            ),
            "bounce_category": rows.categories(got["BounceCategory"], place),
            "smtp_code": rows.text(got["SMTPCode"]),
            "smtp_reason": rows.prose(got["SMTPReason"]),
            "job_id": rows.whole_numbers("SendID", got["SendID"], place),
        }

    def _between(self, prop: str, window: Window) -> soap.Filter:
        """The window and a second more on both sides; what is too much is cut off by us."""
        return soap.condition(prop, "between", window.start - rows.EDGE, window.end + rows.EDGE)

    def _consider_splitting(self, task: Task[pa.Table], times: pa.Array) -> None:
        if windows := parts(task.window, times, task.splits, self._workers):
            self._say(
                f"{task.unit}: {task.window} holds many rows, reading {len(windows)} windows of it."
            )
            raise TooLong(windows)

    # --- subscribers ---------------------------------------------------------------------------

    def held(self) -> pd.DataFrame:
        """Every subscriber that is Held now, asked at the parent; see `Source.held`."""
        read_at = self._now()
        place = Place("Retrieve Subscriber (Held)", self._account.account_id)
        question = soap.Retrieve(
            "Subscriber",
            ("SubscriberKey", "EmailAddress", "Status"),
            soap.condition("Status", "equals", HELD),
        )
        tables = [
            self._held_rows(page, read_at, here) for page, here in self._pages(question, place)
        ]
        return rows.finish_held(tables, self._held_since(), place)

    def _held_rows(self, page: soap.Page, read_at: datetime, place: Place) -> pa.Table:
        got = page.columns
        status = rows.statuses(got["Status"], place)
        rows.demand(pc.equal(status, HELD), place, "The subscriber isn't Held, as was asked for")
        return pa.table(
            {
                "subscriber_key": rows.keys("SubscriberKey", got["SubscriberKey"], place),
                "email_address": rows.text(got["EmailAddress"]),
                "read_at": pa.repeat(pa.scalar(read_at, rows.UTC_TIME), page.rows),
            }
        )

    def _held_since(self) -> pa.Table:
        """(subscriber_key, held_at) as far as the tenant tells; no rows where it doesn't."""
        place = Place("Retrieve SubscriberStatusEvent (Held)", self._account.account_id)
        question = soap.Retrieve(
            "SubscriberStatusEvent",
            ("SubscriberKey", "CurrentStatus", "CreatedDate"),
            soap.condition("CurrentStatus", "equals", HELD),
            result_type="ObjectExtension",
        )
        tables = []
        try:
            for page, here in self._pages(question, place):
                got = page.columns
                tables.append(
                    pa.table(
                        {
                            "subscriber_key": rows.keys(
                                "SubscriberKey", got["SubscriberKey"], here
                            ),
                            "held_at": rows.server_times(
                                "CreatedDate", got["CreatedDate"], self._account.utc_offset, here
                            ),
                        }
                    )
                )
        except (RequestRefused, PermissionMissing) as error:
            self._say(f"When subscribers became Held isn't told by this tenant ({error.answer}).")
            return rows.HELD_SINCE.empty_table()
        return pa.concat_tables(tables)

    def statuses(self, keys: Sequence[str]) -> pd.DataFrame:
        """Today's status of each key, asked at the parent; see `Source.statuses`."""
        read_at = self._now()
        distinct = list(dict.fromkeys(keys))
        unasked = {key: _NOT_JUDGED for key in distinct if _ILLEGAL.search(key)}
        asked = [key for key in distinct if key not in unasked]
        chunks = [asked[n : n + KEYS_A_CALL] for n in range(0, len(asked), KEYS_A_CALL)]
        answers = Answers()
        with ThreadPoolExecutor(self._workers) as pool:
            for pages in pool.map(self._chunk_of_statuses, range(1, len(chunks) + 1), chunks):
                for page_keys, page_statuses, place in pages:
                    answers.add(page_keys, page_statuses, place)
        return answers.frame(distinct, read_at, unasked)

    def _chunk_of_statuses(
        self, number: int, keys: list[str]
    ) -> list[tuple[list[str], list[str], Place]]:
        place = Place(f"Retrieve Subscriber (chunk {number} of keys)", self._account.account_id)
        operator = "equals" if len(keys) == 1 else "IN"
        question = soap.Retrieve(
            "Subscriber",
            ("SubscriberKey", "Status"),
            soap.condition("SubscriberKey", operator, *keys),
        )
        return [
            (
                rows.keys("SubscriberKey", page.columns["SubscriberKey"], here).to_pylist(),
                rows.statuses(page.columns["Status"], here).to_pylist(),
                here,
            )
            for page, here in self._pages(question, place)
        ]

    # --- pages ---------------------------------------------------------------------------------

    def _pages(
        self,
        question: soap.Retrieve,
        place: Place,
        stop: threading.Event | None = None,
        in_window: bool = False,
    ) -> Iterator[tuple[soap.Page, Place]]:
        """The question's pages, one after the other, each with its place.

        Raises `UnreadableAnswer` for a page that came before, which would go on for ever.
        """
        seen: set[int] = set()
        continue_from: str | None = None
        number = 0
        while True:
            if stop is not None and stop.is_set():
                raise Stopped
            number += 1
            here = place.on(number)
            page = self._connection.soap(
                "Retrieve",
                question.body(continue_from),
                partial(soap.read_page, question=question, place=here),
                here,
                wait_out_timeouts=not in_window,
            )
            content = hash(tuple(map(tuple, page.columns.values())))
            if page.rows and content in seen:
                raise UnreadableAnswer(here, "The page repeats an earlier one")
            seen.add(content)
            yield page, here
            if not page.more:
                return
            continue_from = page.request_id
