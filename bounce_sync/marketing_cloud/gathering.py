"""Reading many windows at once, in windows that find their size.

SFMC gives a Retrieve's pages one after the other, so the only way to read faster is to read several
windows side by side. How many rows a window holds is told by nobody: the first page shows it. A
window that turns out long is split, one that times out is halved; either starts over, and since a
window is cut exactly (`rows.bounces`), its rows arrive once whatever is read again.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from bounce_sync.marketing_cloud.errors import (
    ContinuationLost,
    TimedOut,
    WindowTimedOut,
)
from bounce_sync.rules.server_time import Window

T = TypeVar("T")

MOST_HALVINGS = 8
"""A day that times out is halved down to some six minutes; after that the service is just slow."""

PAGES_A_WINDOW = 8
"""Splitting aims at windows of so many pages: each split and each last page costs a part of one."""

MOST_PARTS = 16
_RESTARTS = 2
_SHORTEST = timedelta(seconds=2)


@dataclass(frozen=True)
class Task(Generic[T]):
    """One window of one business unit, and how it came to be."""

    unit: str
    window: Window
    splits: int = 0
    halvings: int = 0
    restarts: int = 0


class TooLong(Exception):
    """A window that would take many pages: read these instead."""

    def __init__(self, windows: Sequence[Window]) -> None:
        super().__init__(f"{len(windows)} windows instead")
        self.windows = tuple(windows)


class Stopped(Exception):
    """Another window failed; this one needn't go on."""


def gather(
    tasks: Iterable[Task[T]],
    read: Callable[[Task[T], threading.Event], T],
    workers: int,
    most_halvings: int = MOST_HALVINGS,
) -> list[T]:
    """What `read` gives for each window, `workers` of them at once, in no particular order.

    `read` gets the task and an event that is set when it needn't go on. It may raise `TooLong`, to
    have other windows read instead, and `TimedOut`, to have both halves read instead; these are
    read next, so that a service which is slow for every window is found out soon. Any other error
    stops everything and is raised. Raises `WindowTimedOut` for a window of `most_halvings`.
    """
    stop = threading.Event()
    results: list[T] = []
    waiting = deque(tasks)
    running: dict[Future[T], Task[T]] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="marketing-cloud") as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    task = waiting.popleft()
                    running[pool.submit(read, task, stop)] = task
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    task = running.pop(future)
                    try:
                        results.append(future.result())
                    except (TooLong, TimedOut, ContinuationLost) as reason:
                        waiting.extendleft(reversed(_instead(task, reason, most_halvings)))
        except BaseException:
            stop.set()
            raise
    return results


def _instead(task: Task[T], reason: Exception, most_halvings: int) -> list[Task[T]]:
    if isinstance(reason, TooLong):
        return [replace(task, window=each, splits=task.splits + 1) for each in reason.windows]
    if isinstance(reason, ContinuationLost):
        if task.restarts >= _RESTARTS:
            raise reason
        return [replace(task, restarts=task.restarts + 1)]
    if isinstance(reason, TimedOut) and (
        task.halvings >= most_halvings or task.window.length < _SHORTEST
    ):
        raise WindowTimedOut(reason.place, reason.answer) from reason
    return [replace(task, window=half, halvings=task.halvings + 1) for half in task.window.halves()]


def parts(
    window: Window, times: pa.Array, splits: int, workers: int, now: datetime
) -> list[Window]:
    """How to split a window whose first page (with rows of these times) announces more.

    Where the page comes in order of time, it shows the density, and with it how many windows of
    `PAGES_A_WINDOW` there should be. Where it doesn't, it is a sample of the whole window: its
    quantiles make even windows, once. `now` is where rows end that are spread over years: a later
    end of the window is only there to lose none. Empty: the window is best read on.
    """
    first, last = pc.min(times).as_py(), pc.max(times).as_py()
    if first == last:
        return []
    if _in_order(times):
        ascending = times[0].as_py() == first
        end = min(window.end, max(now, last))
        rest = end - last if ascending else first - window.start
        pages = 1 + rest / (last - first)
        if pages <= (2 * PAGES_A_WINDOW if splits else workers):
            return []
        wanted = max(2 if splits else workers, math.ceil(pages / PAGES_A_WINDOW))
        count = min(MOST_PARTS, wanted)
        start, end = (first, end) if ascending else (window.start, last)
        return _cut(window, [start + (end - start) / count * n for n in range(1, count)])
    if splits:
        return []
    share = [n / (2 * workers) for n in range(1, 2 * workers)]
    instants = pc.quantile(times.cast(pa.int64()), share, interpolation="nearest")
    return _cut(window, instants.cast(pa.timestamp("us", "UTC")).to_pylist())


def _in_order(times: pa.Array) -> bool:
    steps = pc.pairwise_diff(times.cast(pa.int64()))
    return bool(
        pc.all(pc.greater_equal(steps, 0)).as_py() or pc.all(pc.less_equal(steps, 0)).as_py()
    )


def _cut(window: Window, instants: Iterable[datetime]) -> list[Window]:
    """The window cut at these instants, to whole seconds; fewer than two parts are none."""
    whole = {each.replace(microsecond=0) for each in instants}
    edges = [window.start, *sorted(t for t in whole if window.start < t < window.end), window.end]
    if len(edges) < 3:
        return []
    return [Window(start, end) for start, end in pairwise(edges)]
