"""The source ``soap``: Retrieve of BounceEvent, Subscriber and SubscriberStatusEvent.

Needs no object in SFMC and no time of Automation Studio. It carries neither the address that
bounced nor its domain nor the subcategory: the API has none of them
(facts/marketing-cloud.md §4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bounce_sync.marketing_cloud import rows, soap
from bounce_sync.marketing_cloud.connection import ALL_UNITS, Account, Connection, Say
from bounce_sync.marketing_cloud.errors import Place
from bounce_sync.marketing_cloud.gathering import Task
from bounce_sync.marketing_cloud.retrieving import (
    WINDOWS_IN_FLIGHT,
    Clock,
    Retriever,
    Series,
    utc_now,
)
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.marketing_cloud.subscribers import SubscriberReader, key_chunks
from bounce_sync.rules.server_time import Window

HeldMode = Literal["all", "by_key"]

BOUNCE_PROPERTIES = (
    "Client.ID",
    "SendID",
    "SubscriberKey",
    "EventDate",
    "BounceCategory",
    "SMTPCode",
    "SMTPReason",
)


class SoapSource:
    """Reads a tenant by SOAP; `workers` windows are in flight at once.

    Bounces are asked for per business unit, each with its own token; with `ALL_UNITS` for business
    units the parent's token asks for all of them (``QueryAllAccounts``). `held_mode` ``by_key`` is
    for tenants that can't filter subscribers by status. `say` gets a line of progress where reading
    takes long; `now` is the clock (UTC).
    """

    def __init__(
        self,
        account: Account,
        *,
        say: Say | None = None,
        held_mode: HeldMode = "all",
        workers: int = WINDOWS_IN_FLIGHT,
        patience: Patience | None = None,
        now: Clock = utc_now,
    ) -> None:
        self._account = account
        self._connection = Connection(account, patience)
        self._say = say or (lambda line: None)
        self._held_mode = held_mode
        self._retriever = Retriever(self._connection, self._say, workers, now)
        self._subscribers = SubscriberReader(account, self._retriever, self._say)

    @property
    def calls(self) -> int:
        """HTTP requests made so far."""
        return self._connection.calls

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()

    def held(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """Every subscriber that is Held now; see `Source.held`."""
        if self._held_mode == "by_key":
            if keys is None:
                raise ValueError("With SFMC_HELD=by_key, Held is asked for given keys alone.")
            return self._subscribers.held_among(keys)
        return self._subscribers.held(probe=keys or ())

    def statuses(self, keys: Sequence[str]) -> pd.DataFrame:
        """Today's status of each key; see `Source.statuses`."""
        return self._subscribers.statuses(keys)

    def bounces(self, window: Window) -> pd.DataFrame:
        """Every bounce event of the window, of every business unit; see `Source.bounces`."""
        series = Series("Retrieve BounceEvent", self._ask, self._read)
        tasks = [Task[pa.Table](unit, window) for unit in self._units]
        return rows.finish_bounces(self._retriever.everything(series, tasks))

    def bounces_of(self, keys: Sequence[str]) -> pd.DataFrame:
        """Every bounce of these subscribers; see `Source.bounces_of`."""

        def read(asked: tuple[str, tuple[int, list[str]]]) -> list[pa.Table]:
            unit, (number, chunk) = asked
            place = Place(f"Retrieve BounceEvent (chunk {number} of keys)", unit)
            question = self._question(soap.any_of("SubscriberKey", chunk))
            return [
                self._table(page, unit, here)[0]
                for page, here in self._retriever.pages(question, place)
            ]

        asked = [(unit, chunk) for unit in self._units for chunk in key_chunks(keys)]
        with ThreadPoolExecutor(self._retriever.workers) as pool:
            tables = [table for found in pool.map(read, asked) for table in found]
        return rows.finish_bounces(tables)

    @property
    def _all_units(self) -> bool:
        return self._account.business_units == ALL_UNITS

    @property
    def _units(self) -> tuple[str, ...]:
        return (self._account.account_id,) if self._all_units else self._account.units

    def _ask(self, window: Window) -> soap.Retrieve:
        return self._question(soap.within("EventDate", window))

    def _question(self, where: soap.Filter) -> soap.Retrieve:
        return soap.Retrieve("BounceEvent", BOUNCE_PROPERTIES, where, all_accounts=self._all_units)

    def _read(self, page: soap.Page, task: Task, place: Place) -> tuple[pa.Table, pa.Array]:
        table, times = self._table(page, task.unit, place)
        return rows.cut("EventDate", table, times, task.window, place), times

    def _table(self, page: soap.Page, unit: str, place: Place) -> tuple[pa.Table, pa.Array]:
        got = page.columns
        times = rows.server_times("EventDate", got["EventDate"], self._account.utc_offset, place)
        rows.demand(pc.is_valid(times), place, "EventDate is empty")
        columns = {
            # Where the row names its own unit, that stands: an event that two tokens see is one.
            "business_unit": pc.fill_null(rows.text(got["Client.ID"]), unit),
            "subscriber_key": rows.keys("SubscriberKey", got["SubscriberKey"], place),
            "event_at": times,
            "bounce_category": rows.categories(got["BounceCategory"], place),
            "smtp_code": rows.text(got["SMTPCode"]),
            "smtp_reason": rows.prose(got["SMTPReason"]),
            "job_id": rows.whole_numbers("SendID", got["SendID"], place),
        }
        return rows.bounces(columns), times
