"""The delivery by Journey: a plan into two data extensions, and the automations that take it from
there to the CRM.

What goes in is the plan after all guards. The set Journey finds the Contact by ContactId and the
Lead by LeadId, ticks the checkbox and writes FlagDate; the release Journey unticks it. Neither
says what became of a record: whoever calls this reads the CRM afterwards
(facts/marketing-cloud.md §5.5, §5.6, §9).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bounce_sync.marketing_cloud.connection import Connection, Say
from bounce_sync.marketing_cloud.data_extensions import DataExtension, DataExtensions, Field
from bounce_sync.marketing_cloud.errors import (
    AutomationFailed,
    Place,
    TimedOut,
    Unavailable,
    UnreadableAnswer,
    WriteFailed,
)
from bounce_sync.tables import CLEAR, CONTACT, KEY_LENGTH, LEAD, REASON_LENGTH, REFRESH, SET

SET_AUTOMATION, RELEASE_AUTOMATION = "bounce_sync_set", "bounce_sync_release"

_FIELDS = (
    Field("SubscriberKey", length=KEY_LENGTH, is_key=True),
    Field("EmailAddress", length=254),
    Field("BounceCategory", length=50),
    Field("SMTPCode", length=50),
    Field("BounceReason", length=REASON_LENGTH),
    Field("BounceDate", length=50),
    Field("ContactId", length=18),
    Field("LeadId", length=18),
    Field("FlagDate", length=50),
    Field("RunId", length=100),
)
_LENGTHS = {each.name: each.length or 0 for each in _FIELDS}
STAGING = DataExtension(
    "Hard_Bounce_Staging_DE", _FIELDS, "Flags that bounce_sync sets.", sendable_by="SubscriberKey"
)
RELEASES = DataExtension(
    "Hard_Bounce_Release_DE", _FIELDS, "Flags that bounce_sync clears.", sendable_by="SubscriberKey"
)

_ID_FIELDS = {CONTACT: "ContactId", LEAD: "LeadId"}
_DETAILS = {
    "EmailAddress": "email_address",
    "BounceCategory": "bounce_category",
    "SMTPCode": "smtp_code",
    "BounceReason": "bounce_reason",
}
_RUNNING, _ERROR = 3, -1
_NEVER_ENDED_WELL = {_ERROR: "Error", 0: "BuildingError", 4: "PausedSchedule", 5: "Stopped"}
_LAST_RUN = "lastRunInstanceId"
_STARTS = 3
"""How often an automation is asked to start at most, while it doesn't."""

Row = dict[str, str]


@dataclass
class Round:
    """Rows of both data extensions that can go at once: one row a key in each.

    They are found by the key without case, as SFMC compares primary keys. `changes` are the indexes
    of the plan's rows that they carry.
    """

    sets: dict[str, Row] = field(default_factory=dict)
    releases: dict[str, Row] = field(default_factory=dict)
    changes: list[Any] = field(default_factory=list)


def rounds(
    changes: pd.DataFrame, staging: pd.DataFrame, run_id: str, *, date_is_day: bool = False
) -> list[Round]:
    """The plan's changes (action set, refresh or clear) as rows, in as few rounds as can be.

    A data extension has one row a key, with one ContactId, one LeadId and one FlagDate: a key whose
    records need different dates, or that leads to two records of one object, takes several rounds;
    so do keys that differ only in case, as ids of 15 characters can.
    Of `staging` (`tables.ConfirmedBounceStaging`) come the details of the bounce. Times are UTC in
    ISO form; with `date_is_day` FlagDate is the day alone. Raises `ValueError` for a record that
    isn't a Contact or a Lead.
    """
    bounces = staging.set_index("subscriber_key")
    made: list[Round] = []
    for change in changes[changes["action"].isin([SET, REFRESH, CLEAR])].itertuples():
        if change.object not in _ID_FIELDS:
            raise ValueError(f"A Journey doesn't write records of {change.object}.")
        row = _row(change, bounces, run_id, date_is_day)
        if not any(_joins(each, change, row) for each in made):
            made.append(Round())
            _joins(made[-1], change, row)
    return made


def _row(change: Any, bounces: pd.DataFrame, run_id: str, date_is_day: bool) -> Row:
    key = change.subscriber_key
    row = {"SubscriberKey": key, _ID_FIELDS[change.object]: change.record_id, "RunId": run_id}
    if change.action == CLEAR:
        return row
    if pd.notna(change.date_after):
        row["FlagDate"] = _iso(change.date_after, date_is_day)
    if key in bounces.index:
        bounce = bounces.loc[key]
        if pd.notna(bounce["bounced_at"]):
            row["BounceDate"] = _iso(bounce["bounced_at"], date_is_day=False)
        told = {name: bounce[column] for name, column in _DETAILS.items()}
        row |= {name: _cut(str(value), name) for name, value in told.items() if pd.notna(value)}
    return row


def _joins(into: Round, change: Any, row: Row) -> bool:
    """Put the row into the round, if its key has no other row there or one that it completes."""
    rows = into.releases if change.action == CLEAR else into.sets
    there = rows.setdefault(row["SubscriberKey"].casefold(), {})
    if any(there.get(name, value) != value for name, value in row.items()):
        return False
    if there and there.get("FlagDate") != row.get("FlagDate"):
        return False
    there |= row
    into.changes.append(change.Index)
    return True


def _cut(value: str, name: str) -> str:
    """What its field holds: a Text counts UTF-16 units, and a character may be two."""
    return value.encode("utf-16-le")[: 2 * _LENGTHS[name]].decode("utf-16-le", "ignore")


def _iso(utc: pd.Timestamp, date_is_day: bool) -> str:
    return utc.strftime("%Y-%m-%d" if date_is_day else "%Y-%m-%dT%H:%M:%SZ")


class JourneyDelivery:
    """Fills the data extensions of the parent's account and runs the automations.

    An automation is looked at in growing intervals for up to `longest_run` seconds. `stop`, once
    set, ends that (for SIGTERM): what runs goes on without us, nothing more is started.
    """

    def __init__(
        self,
        connection: Connection,
        say: Say | None = None,
        *,
        longest_run: float = 900.0,
        first_pause: float = 0.5,
        stop: threading.Event | None = None,
    ) -> None:
        self._connection = connection
        self._unit = connection.account.account_id
        self._extensions = DataExtensions(connection, self._unit)
        self._say = say or (lambda line: None)
        self._longest_run, self._first_pause = longest_run, first_pause
        self._stop = stop or threading.Event()

    def check(self) -> None:
        """Raise `DataExtensionDiffers` unless both data extensions are as they have to be."""
        for extension in (STAGING, RELEASES):
            self._extensions.require(extension)

    def send(self, this: Round) -> None:
        """Fill both data extensions, count them back, then run set and, after it, release.

        A data extension without rows is emptied and its automation left alone; nothing is touched
        while an automation that an earlier run started goes on. When this returns, SFMC has taken
        the rows into the Journeys, which go on by themselves, unless `stop` was set. Raises
        `WriteFailed` before anything is started if a data extension doesn't hold exactly the rows,
        `AutomationFailed` if an automation ends badly or doesn't end.
        """
        self.check()
        for key in (SET_AUTOMATION, RELEASE_AUTOMATION):
            self._end_of(key)
        if self._stop.is_set():
            return
        self._fill(STAGING.key, this.sets.values())
        self._fill(RELEASES.key, this.releases.values())
        for key, rows in ((SET_AUTOMATION, this.sets), (RELEASE_AUTOMATION, this.releases)):
            if rows and not self._stop.is_set():
                self._run(key)

    def _fill(self, key: str, rows: Iterable[Row]) -> None:
        wanted: Sequence[Row] = list(rows)
        self._extensions.clear(key)
        if wanted:
            self._extensions.upsert(key, wanted)
        there = self._extensions.count(key)
        if there != len(wanted):
            raise WriteFailed(
                Place(f"data extension {key}", self._unit),
                f"{len(wanted)} rows were written and {there} are there; nothing was started",
            )
        self._say(f"{key} holds {there} row(s).")

    def _run(self, key: str) -> None:
        self._start(key)
        status = self._end_of(key)
        if status in _NEVER_ENDED_WELL:
            raise AutomationFailed(self._place(key), f"It ended as {_NEVER_ENDED_WELL[status]}")

    def _start(self, key: str) -> None:
        """Start one run: whether a call that failed did so is told by the automation's last run."""
        before, path = self._told(key).get(_LAST_RUN), f"{_path(key)}/actions/runallonce"
        for left in reversed(range(_STARTS)):
            try:
                self._connection.rest("POST", path, self._place(key), payload={}, repeatable=False)
                return
            except (TimedOut, Unavailable, UnreadableAnswer):
                told = self._told(key)
                if told.get(_LAST_RUN) != before or told.get("statusId") == _RUNNING:
                    return
                if not left:
                    raise

    def _end_of(self, key: str) -> int | None:
        """The automation's status once it doesn't run, or once we are asked to stop."""
        until, pause = time.monotonic() + self._longest_run, self._first_pause
        while (status := self._told(key).get("statusId")) == _RUNNING and not self._stop.is_set():
            if time.monotonic() >= until:
                raise AutomationFailed(
                    self._place(key), f"Still running after {self._longest_run:g} seconds"
                )
            self._stop.wait(pause)
            pause = min(pause * 1.5, 15.0)
        return status

    def _told(self, key: str) -> dict[str, Any]:
        """What SFMC says of the automation."""
        told = self._connection.rest("GET", _path(key), self._place(key), absent=True)
        if told is None:
            raise AutomationFailed(
                self._place(key),
                "There is no such automation",
                "Make it with `bounce-sync setup`, which tells the clicks for its Journey, too.",
            )
        return told if isinstance(told, dict) else {}

    def _place(self, key: str) -> Place:
        return Place(f"automation {key}", self._unit)


def _path(key: str) -> str:
    return f"automation/v1/automations/key:{key}"
