"""The source ``files``: what SFMC's extract activities put on an SFTP server, or anywhere else.

Reads any fsspec folder. Two sets of files work: the tracking extract of bounces with an export of
the subscribers, or an export of the staging data extension, joined in SFMC already. The first set
carries the address that bounced; neither carries the subcategory, and extracts print times to the
second. Files are told apart by their names and chosen by the date in them.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bounce_sync.marketing_cloud import delimited, rows
from bounce_sync.marketing_cloud.connection import ALL_UNITS, Account, Say
from bounce_sync.marketing_cloud.errors import (
    FileMissing,
    NotByKey,
    Place,
    UnreadableAnswer,
    UnreadableFile,
)
from bounce_sync.marketing_cloud.files_format import FilesFormat, Kind
from bounce_sync.marketing_cloud.folder import ExportFile, Folder
from bounce_sync.marketing_cloud.retrieving import Clock, utc_now
from bounce_sync.marketing_cloud.statuses import Answers
from bounce_sync.rules.server_time import Window, day_window, to_server
from bounce_sync.tables import HELD

_SPELLINGS: dict[str, tuple[str, ...]] = {
    "subscriber_key": ("subscriberkey",),
    "event_at": ("eventdate", "bouncedate"),
    "bounce_category": ("bouncecategory",),
    "bounce_subcategory": ("bouncesubcategory",),
    "smtp_code": ("smtpcode",),
    "smtp_reason": ("bouncereason", "smtpbouncereason", "smtpreason"),
    "domain": ("domain",),
    "email_address": ("emailaddress",),
    "job_id": ("sendid", "jobid"),
    "business_unit": ("clientid", "accountid", "businessunit"),
    "status": ("status",),
    "held_at": ("dateheld", "dateundeliverable"),
}
"""Our names of columns, and what SFMC's exports call them, in lower case."""
_KNOWN = frozenset(each for spellings in _SPELLINGS.values() for each in spellings)

_REQUIRED: dict[Kind, tuple[str, ...]] = {
    "bounces": ("subscriber_key", "event_at", "bounce_category"),
    "subscribers": ("subscriber_key", "email_address", "status"),
    "staging": ("subscriber_key", "event_at", "bounce_category"),
}
_SUBSCRIBERS = pa.schema(
    [
        ("subscriber_key", pa.string()),
        ("email_address", pa.string()),
        ("status", pa.string()),
        ("held_at", rows.UTC_TIME),
        ("line", pa.int64()),
    ]
)


class FilesSource:
    """Reads SFMC's exports in the folder `files` (any fsspec URL).

    `soap` opens the source that tells statuses where the format says so. `say` gets a line of
    progress; `now` is the clock (UTC). Raises `ValueError` for a format that isn't one.
    """

    def __init__(
        self,
        account: Account,
        files: str,
        files_format: Mapping[str, Any] | None = None,
        *,
        say: Say | None = None,
        soap: Callable[[], Any] | None = None,
        now: Clock = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._format = FilesFormat.parse(files_format or {})
        self._say = say or (lambda line: None)
        self._open_soap = soap
        self._soap: Any = None
        self._folder = Folder(files, self._format, now, sleep)
        self._now = now
        self._cached: tuple[ExportFile, pa.Table] | None = None

    @property
    def calls(self) -> int:
        """API calls made so far: files cost none."""
        return self._soap.calls if self._soap is not None else 0

    def close(self) -> None:
        """Give the connections back."""
        if self._soap is not None:
            self._soap.close()

    # --- bounces -------------------------------------------------------------------------------

    def bounces(self, window: Window) -> pd.DataFrame:
        """Every bounce of the window that the files hold; see `Source.bounces`.

        Raises `FileMissing` where no file covers the window, which isn't an empty day.
        """
        kind, chosen, is_known_whole = self._covering(window)
        tables, seen, foreign = [], set(), 0
        for file in chosen:
            content = self._folder.content(file)
            digest = hashlib.sha256(content).digest()
            if digest in seen:
                self._say(f"{file.name} holds the same as another file; it is taken once.")
                continue
            seen.add(digest)
            first, last = window.end, window.start
            for table in self._bounces(kind, file, content):
                if len(table):
                    span = pc.min_max(table["event_at"]).as_py()
                    first, last = min(first, span["min"]), max(last, span["max"])
                found = _within(table, window)
                tables.append(self._ours(found))
                foreign += len(found) - len(tables[-1])
            is_known_whole |= first < window.start and window.end <= last
        if foreign:
            self._say(f"{foreign} row(s) left, of units that SFMC_BUSINESS_UNITS doesn't list.")
        frame = rows.finish_bounces(tables)
        if frame.empty and not is_known_whole:
            raise FileMissing(
                replace(self._folder.place, window=window),
                f"No file of {kind} has the day in its name, and those without a day hold no "
                "bounce of it and are too much younger to say that there was none",
            )
        return frame

    def bounces_of(self, keys: Sequence[str]) -> pd.DataFrame:
        """By SOAP, where the format has statuses asked there; see `Source.bounces_of`."""
        if (soap := self._by_soap()) is None:
            raise NotByKey(self._folder.place, "Files of bounces are of days, not of subscribers")
        return soap.bounces_of(keys)

    def _covering(self, window: Window) -> tuple[Kind, list[ExportFile], bool]:
        """The kind of files that hold bounces of the window, these files, and whether they speak
        for it even where they hold none.

        What was written before the window had ended can't hold all of it. A file of bounces without
        a day in its name speaks for a day that had just ended; for those between its first bounce
        and its last its rows speak.
        """
        files = self._folder.files()
        kind: Kind = "bounces" if files["bounces"] else "staging"
        whole = [each for each in files[kind] if not each.modified or each.modified >= window.end]
        day = to_server(window.start, self._account.utc_offset).date()
        last = to_server(window.end - timedelta(microseconds=1), self._account.utc_offset).date()
        if self._format.dated == "extraction":
            day, last = day + timedelta(days=1), last + timedelta(days=1)
        days = {day + timedelta(days=n) for n in range((last - day).days + 1)}
        undated = [file for file in whole if file.day is None]
        dated = [file for file in whole if file.day is not None]
        if kind == "staging":
            # Each export looks back over the whole evidence window.
            chosen = [file for file in dated if file.day and file.day >= last]
            missing = set() if chosen else {last}
        else:
            chosen = [file for file in dated if file.day in days]
            missing = days - {file.day for file in chosen}
        if missing and not undated:
            wanted = ", ".join(map(str, sorted(missing)))
            early = " that was written after the day" if len(whole) < len(files[kind]) else ""
            raise FileMissing(
                replace(self._folder.place, window=window),
                f"There is no file of {kind if files[kind] else 'bounces'} dated {wanted}{early}",
            )
        just_ended = window.end + timedelta(hours=self._format.max_age_hours)
        is_known_whole = (
            not missing
            or kind == "staging"
            or any(each.modified is None or each.modified <= just_ended for each in undated)
        )
        return kind, chosen + undated, is_known_whole

    def _bounces(self, kind: Kind, file: ExportFile, content: bytes) -> Iterator[pa.Table]:
        own = self._own_window(kind, file)
        for chunk in self._chunks(kind, file, content):
            got = self._columns(kind, chunk)
            place = chunk.place
            try:
                times = rows.printed_times(
                    "EventDate", got["event_at"], self._account.utc_offset, place
                )
                if kind == "staging":  # it has SFMC's address of today, not the one that bounced
                    got.pop("email_address", None)
                table = rows.bounces(self._typed(got, times, place))
                if own is not None:
                    table = rows.cut("EventDate", table, times, own, place)
                else:
                    rows.demand(pc.is_valid(times), place, "EventDate is empty")
            except UnreadableAnswer as error:
                raise chunk.located(error) from None
            yield table

    def _own_window(self, kind: Kind, file: ExportFile) -> Window | None:
        """The day that a file of bounces is for, where its name says so."""
        if kind != "bounces" or file.day is None or self._format.dated == "extraction":
            return None
        return day_window(file.day, self._account.utc_offset)

    def _typed(
        self, got: Mapping[str, list[str]], times: pa.Array, place: Place
    ) -> dict[str, pa.Array]:
        unit = rows.text(got["business_unit"]) if "business_unit" in got else None
        if unit is None:
            unit = pa.nulls(len(times), pa.string())
        columns = {
            "business_unit": pc.fill_null(unit, self._account.account_id),
            "subscriber_key": rows.keys("SubscriberKey", got["subscriber_key"], place),
            "event_at": times,
            "bounce_category": rows.categories(got["bounce_category"], place),
        }
        for name in ("bounce_subcategory", "smtp_code", "domain", "email_address"):
            if name in got:
                columns[name] = rows.text(got[name])
        if "smtp_reason" in got:
            columns["smtp_reason"] = rows.prose(got["smtp_reason"])
        if "job_id" in got:
            columns["job_id"] = rows.whole_numbers("SendID", got["job_id"], place)
        return columns

    def _ours(self, table: pa.Table) -> pa.Table:
        if self._account.business_units == ALL_UNITS:
            return table
        units = pa.array(self._account.units, pa.string())
        return table.filter(pc.is_in(table["business_unit"], units))

    # --- subscribers ---------------------------------------------------------------------------

    def held(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """Every subscriber that was Held when the newest file was written; see `Source.held`."""
        file, table = self._subscribers()
        held = rows.only_held(table)
        known = held.select(["subscriber_key", "held_at"]).filter(pc.is_valid(held["held_at"]))
        subscribers = held.select(["subscriber_key", "email_address", "status"])
        try:
            return rows.finish_held([subscribers], known, self._read_at(file), file.place)
        except UnreadableAnswer as error:
            raise _twice(file, held, "email_address", error.answer) from None

    def statuses(self, keys: Sequence[str]) -> pd.DataFrame:
        """Each key's status in the newest file; see `Source.statuses`.

        A file of Held subscribers alone says nothing of the others: they are ``NotJudged``, unless
        the format has them asked by SOAP.
        """
        file, table = self._subscribers()
        wanted = pc.utf8_lower(pa.array(dict.fromkeys(keys), pa.string()))
        found = table.filter(pc.is_in(pc.utf8_lower(table["subscriber_key"]), wanted))
        answers = Answers()
        try:
            told = found["status"].to_pylist()
            answers.add(found["subscriber_key"].to_pylist(), told, file.place)
        except UnreadableAnswer as error:
            raise _twice(file, found, "status", error.answer) from None
        tells_all = pc.any(pc.not_equal(table["status"], HELD)).as_py()
        if tells_all:
            return answers.frame(keys, self._read_at(file))
        if (soap := self._by_soap()) is not None:
            return soap.statuses(keys)
        unjudged = {key: "NotJudged" for key in keys if answers.status(key) != HELD}
        return answers.frame(keys, self._read_at(file), unjudged)

    def _by_soap(self) -> Any:
        """The source that is asked what files don't tell, where the format says so."""
        if self._format.releases == "soap" and self._open_soap is not None:
            self._soap = self._soap or self._open_soap()
        return self._soap

    def _subscribers(self) -> tuple[ExportFile, pa.Table]:
        """The newest file that tells of subscribers, and its rows."""
        files = self._folder.files()
        kind: Kind = "subscribers" if files["subscribers"] else "staging"
        if not files[kind]:
            raise FileMissing(
                self._folder.place,
                "There is neither a file of subscribers nor of the staging",
            )
        newest = max(files[kind], key=lambda each: each.age)
        self._require_fresh(newest)
        if self._cached is None or self._cached[0] != newest:
            content = self._folder.content(newest)
            read = [
                self._subscriber_rows(kind, chunk) for chunk in self._chunks(kind, newest, content)
            ]
            self._cached = newest, pa.concat_tables([_SUBSCRIBERS.empty_table(), *read])
        return self._cached

    def _subscriber_rows(self, kind: Kind, chunk: delimited.Chunk) -> pa.Table:
        got, place = self._columns(kind, chunk), chunk.place
        size = len(chunk.lines)
        nothing = pa.nulls(size, pa.string())
        try:
            columns = {
                "subscriber_key": rows.keys("SubscriberKey", got["subscriber_key"], place),
                "email_address": rows.text(got.get("email_address", nothing)),
                "status": pa.repeat(pa.scalar(HELD), size)
                if kind == "staging"
                else rows.statuses(got["status"], place),
                "held_at": rows.printed_times(
                    "DateHeld", got.get("held_at", nothing), self._account.utc_offset, place
                ),
                "line": pa.array(chunk.lines, pa.int64()),
            }
        except UnreadableAnswer as error:
            raise chunk.located(error) from None
        return pa.table(columns, schema=_SUBSCRIBERS)

    def _require_fresh(self, file: ExportFile) -> None:
        if file.modified is None:
            return
        age = (self._now() - file.modified) / timedelta(hours=1)
        if age > self._format.max_age_hours:
            raise FileMissing(
                file.place,
                f"The newest file of subscribers is {age:.0f} hours old, more than max_age_hours "
                f"({self._format.max_age_hours:g}) of SFMC_FILES_FORMAT",
            )

    def _read_at(self, file: ExportFile) -> datetime:
        return file.modified or self._now()

    def _chunks(self, kind: Kind, file: ExportFile, content: bytes) -> Iterator[delimited.Chunk]:
        shape = self._format.shape(kind)
        if not shape.header and not shape.columns:
            raise UnreadableFile(
                file.place, f"It has no header, and no columns are named for {kind}"
            )
        return delimited.chunks(content, shape, file.place)

    def _columns(self, kind: Kind, chunk: delimited.Chunk) -> dict[str, list[str]]:
        """The file's columns under our names. Raises `UnreadableFile` where one is missing."""
        plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in chunk.columns}
        found = {}
        for ours, spellings in _SPELLINGS.items():
            theirs = next((plain[each] for each in spellings if each in plain), None)
            if theirs is not None:
                found[ours] = chunk.columns[theirs]
        if missing := [_SPELLINGS[name][0] for name in _REQUIRED[kind] if name not in found]:
            # Only names that are known are told: without a header the first are somebody's.
            known = [name for each, name in plain.items() if each in _KNOWN]
            raise UnreadableFile(
                replace(chunk.place, line=1),
                f"Columns are missing: {', '.join(missing)}; of its {len(plain)} columns are "
                f"known: {', '.join(known) or 'none'}",
            )
        return found


def _twice(file: ExportFile, table: pa.Table, column: str, said: str) -> UnreadableFile:
    """An error about the first line whose `column` differs from an earlier one's of its key."""
    first = table.group_by(["subscriber_key", column]).aggregate([("line", "min")])
    again = first.group_by("subscriber_key").aggregate([("line_min", "max"), ("line_min", "count")])
    lines = again.filter(pc.greater(again["line_min_count"], 1))["line_min_max"]
    return UnreadableFile(replace(file.place, line=pc.min(lines).as_py()), said)


def _within(table: pa.Table, window: Window) -> pa.Table:
    start, end = (pa.scalar(each, rows.UTC_TIME) for each in (window.start, window.end))
    times = table["event_at"]
    return table.filter(pc.and_(pc.greater_equal(times, start), pc.less(times, end)))
