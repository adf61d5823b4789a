"""Query activities: their texts, run and watched.

SFMC doesn't tell how a run ended. Start says OK, isRunning goes false (early, too), a run that
failed looks like one that went well, and its target may hold anything
(facts/marketing-cloud.md §5.4, §7). So every text carries a run's own id and the total of its rows
into the target, and a run is over when the target holds exactly that.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Any

from bounce_sync.marketing_cloud import soap
from bounce_sync.marketing_cloud.connection import Connection
from bounce_sync.marketing_cloud.data_extensions import DataExtensions, RowsetPage
from bounce_sync.marketing_cloud.errors import (
    Place,
    QueryFailed,
    RequestRefused,
    TimedOut,
    UnreadableAnswer,
)
from bounce_sync.marketing_cloud.retrieving import Retriever

RUN, NUMBER, TOTAL = "runid", "rownumber", "rowtotal"
"""Columns of every target, as rowsets spell them."""


def query_text(name: str, **values: str) -> str:
    """The text of the query that ships as ``sql/<name>.sql``, with its values.

    Raises `ValueError` for a value with a quote, which would end the text it stands in.
    """
    if any("'" in value for value in values.values()):
        raise ValueError("A value of a query holds a quote.")
    template = resources.files("bounce_sync.marketing_cloud").joinpath("sql", f"{name}.sql")
    return Template(template.read_text(encoding="utf-8")).substitute(values)


@dataclass(frozen=True)
class Watch:
    """How a run is watched; all times in seconds.

    A run has failed when isRunning was false at two looks `settled` apart and the target still
    isn't its own; before it was ever seen running, not until `begun_within`. A run as long as
    `killed_after` was ended by SFMC, which ends any at 30 minutes.
    """

    first_pause: float = 0.25
    longest_pause: float = 10.0
    settled: float = 15.0
    begun_within: float = 120.0
    killed_after: float = 29 * 60.0
    given_up_after: float = 45 * 60.0


class QueryActivities:
    """The query activities of one business unit."""

    def __init__(
        self,
        connection: Connection,
        unit: str,
        extensions: DataExtensions,
        *,
        watch: Watch | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._retriever = Retriever(connection, lambda line: None)
        self._unit = unit
        self._extensions = extensions
        self._watch = watch or Watch()
        self._sleep, self._clock = sleep, clock
        self._ids: dict[str, str] = {}

    def run(self, key: str, target: str, name: str, **values: str) -> RowsetPage:
        """Run the query of this key into `target` (Overwrite) with the text ``sql/<name>.sql``.

        Makes the query if it's missing. Gives the first page of the target, which holds all rows of
        this run and none of another. Raises `TimedOut` if SFMC ended the run for its length,
        `QueryFailed` if it failed in another way.
        """
        run = uuid.uuid4().hex
        text = query_text(name, run=run, **values)
        query = self._prepare(key, target, text)
        place = Place(f"query activity {key}", self._unit)
        self._connection.rest("POST", f"automation/v1/queries/{query}/actions/start/", place)
        return self._watched(query, target, run, place)

    # --- definitions ---------------------------------------------------------------------------

    def _prepare(self, key: str, target: str, text: str) -> str:
        """The id of the query, which now has this text."""
        query = self._ids.get(key) or self.find(key)
        if query is None:
            self.create(key, target, text)
            query = self.find(key)
            if query is None:
                place = Place(f"query activity {key}", self._unit)
                raise UnreadableAnswer(place, "It was made, and isn't there")
        else:
            self._connection.rest(
                "PATCH",
                f"automation/v1/queries/{query}",
                Place(f"PATCH query activity {key}", self._unit),
                payload={"queryText": text, "targetKey": target, "targetUpdateTypeId": 0},
            )
        self._ids[key] = query
        return query

    def find(self, key: str) -> str | None:
        """The id of the query with this external key, None where there is none."""
        question = soap.Retrieve(
            "QueryDefinition", ("ObjectID",), soap.condition("CustomerKey", "equals", key)
        )
        place = Place(f"Retrieve QueryDefinition {key}", self._unit)
        for page, _ in self._retriever.pages(question, place):
            for (found,) in page.texts("ObjectID"):
                return found
        return None

    def create(self, key: str, target: str, text: str, update: str = "Overwrite") -> None:
        """Make a query that writes to `target`; `update` is Overwrite, Update or Append."""
        named = soap.named_text
        made = soap.typed(
            "Objects",
            "QueryDefinition",
            *named(CustomerKey=key, Name=key, Description="Made by bounce_sync.", QueryText=text),
            *named(TargetType="DE"),
            soap.element("DataExtensionTarget", *named(CustomerKey=target, Name=target)),
            *named(TargetUpdateType=update),
        )
        body = soap.element("CreateRequest", soap.element("Options"), made)
        place = Place(f"Create query activity {key}", self._unit)
        try:
            self._connection.act("Create", body, "CreateResponse", place)
        except RequestRefused:  # its name is taken where an answer was lost and it's made again
            if self.find(key) is None:
                raise

    # --- runs ----------------------------------------------------------------------------------

    def _watched(self, query: str, target: str, run: str, place: Place) -> RowsetPage:
        watch, started = self._watch, self._clock()
        pause = watch.first_pause
        last_running: float | None = None
        idle_since: float | None = None
        while True:
            running = self._is_running(query, place)
            now = self._clock() - started
            if running:
                last_running, idle_since = now, None
            elif (page := self._whole(target, run)) is not None:
                return page
            elif idle_since is None:
                idle_since = now
            elif now - idle_since >= watch.settled and (
                last_running is not None or now >= watch.begun_within
            ):
                raise self._failure(query, place, last_running or 0.0)
            if now >= watch.given_up_after:
                raise QueryFailed(place, f"Still running after {now / 60:.0f} minutes")
            self._sleep(pause)
            pause = min(pause * 1.5, watch.longest_pause)

    def _is_running(self, query: str, place: Place) -> bool:
        path = f"automation/v1/queries/{query}/actions/isrunning/"
        told = self._connection.rest("GET", path, place)
        if not isinstance(told, dict) or not isinstance(told.get("isRunning"), bool):
            raise UnreadableAnswer(place, "isrunning doesn't say whether it is")
        return told["isRunning"]

    def _whole(self, target: str, run: str) -> RowsetPage | None:
        """The target's first page, once it is this run's and complete."""
        try:
            page = self._extensions.page(target, 1)
        except RequestRefused:  # not readable yet, some seconds after a run
            return None
        if not page.rows or set(page.columns.get(RUN, [])) != {run}:
            return None
        totals = set(page.columns.get(TOTAL, []))
        return (
            page if totals == {str(page.count)} or (page.count == 1 and totals == {"0"}) else None
        )

    def _failure(self, query: str, place: Place, ran_for: float) -> Exception:
        if ran_for >= self._watch.killed_after:
            return TimedOut(place, f"SFMC ended the run after {ran_for / 60:.0f} minutes")
        log: Any = self._connection.rest(
            "GET", f"automation/v1/queries/{query}/log", place, absent=True
        )
        told = f"SFMC's log says: {log}" if log else "SFMC doesn't say why"
        said = f"The run ended, and its target doesn't hold its rows. {told}"
        return TimedOut(place, said) if soap.tells_of_timeout(told) else QueryFailed(place, said)
