"""SOAP Retrieve as a whole: a question's pages, or all windows of a span of time at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa

from bounce_sync.marketing_cloud import soap
from bounce_sync.marketing_cloud.connection import Connection, Say
from bounce_sync.marketing_cloud.errors import Place, UnreadableAnswer
from bounce_sync.marketing_cloud.gathering import Stopped, Task, TooLong, gather, parts
from bounce_sync.rules.server_time import Window

WINDOWS_IN_FLIGHT = 8

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Series:
    """Rows of one object along time.

    `ask` makes the question for a window; `read` gives a page's rows, cut to the task's window, and
    the times (UTC) of all rows of the page.
    """

    name: str
    ask: Callable[[Window], soap.Retrieve]
    read: Callable[[soap.Page, Task, Place], tuple[pa.Table, pa.Array]]


class Retriever:
    """Reads by Retrieve, `workers` windows at once; `now` is the clock (UTC)."""

    def __init__(
        self,
        connection: Connection,
        say: Say,
        workers: int = WINDOWS_IN_FLIGHT,
        now: Clock = utc_now,
    ) -> None:
        self.connection = connection
        self.workers = workers
        self.now = now
        self._say = say

    def everything(self, series: Series, tasks: Iterable[Task]) -> list[pa.Table]:
        """All rows of the series in the tasks' windows, each once, in no particular order."""
        return gather(tasks, partial(self._one_window, series), self.workers)

    def _one_window(self, series: Series, task: Task, stop: threading.Event) -> pa.Table:
        place = Place(series.name, task.unit, task.window)
        tables: list[pa.Table] = []
        for page, here in self.pages(series.ask(task.window), place, stop, in_window=True):
            table, times = series.read(page, task, here)
            if here.page == 1 and page.more:
                self._split_if_long(task, times)
            tables.append(table)
        return pa.concat_tables(tables)

    def _split_if_long(self, task: Task, times: pa.Array) -> None:
        if windows := parts(task.window, times, task.splits, self.workers, self.now()):
            self._say(f"{task.window} holds many rows; reading it in {len(windows)} windows.")
            raise TooLong(windows)

    def pages(
        self,
        question: soap.Retrieve,
        place: Place,
        stop: threading.Event | None = None,
        in_window: bool = False,
    ) -> Iterator[tuple[soap.Page, Place]]:
        """The question's pages, one after the other, each with its place.

        `in_window` leaves a time-out to the caller, who can ask for less. Raises `UnreadableAnswer`
        for a page that came before (it would go on for ever), `Stopped` once `stop` is set.
        """
        seen: set[int] = set()
        continue_from: str | None = None
        number = 0
        while True:
            if stop is not None and stop.is_set():
                raise Stopped
            number += 1
            here = place.on(number)
            page = self.connection.soap(
                "Retrieve",
                question.body(continue_from),
                partial(soap.read_page, question=question, place=here),
                here,
                wait_out_timeouts=not in_window,
            )
            fingerprint = page.fingerprint()
            if page.rows and fingerprint in seen:
                raise UnreadableAnswer(here, "The page repeats an earlier one")
            seen.add(fingerprint)
            yield page, here
            if not page.more:
                return
            continue_from = page.request_id
