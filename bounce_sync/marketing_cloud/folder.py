"""A folder of exports, on any file system that fsspec knows."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath

import fsspec

from bounce_sync.marketing_cloud import delimited
from bounce_sync.marketing_cloud.errors import FileMissing, Place
from bounce_sync.marketing_cloud.files_format import KINDS, FilesFormat, Kind
from bounce_sync.marketing_cloud.retrieving import Clock

_DATE = re.compile(r"(?<!\d)(20\d\d)-?([01]\d)-?([0-3]\d)(?:[0-2]\d[0-5]\d(?:[0-5]\d)?)?(?!\d)")
"""A day, with the clock right behind it or not."""


@dataclass(frozen=True)
class ExportFile:
    """A file of the folder; `day` is the date in its name, `modified` is UTC."""

    path: str
    name: str
    day: date | None
    size: int
    modified: datetime | None

    @property
    def place(self) -> Place:
        """Where it stands in messages."""
        return Place(f"file {self.name}")

    @property
    def age(self) -> tuple[date, datetime]:
        """What the newest file has most of."""
        return self.day or date.min, self.modified or datetime.min.replace(tzinfo=UTC)


class Folder:
    """The folder at `url`; `now` is the clock (UTC)."""

    def __init__(
        self,
        url: str,
        files_format: FilesFormat,
        now: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._format = url, files_format
        self._now, self._sleep = now, sleep
        self.place = Place(f"folder {re.sub('//[^/]*@', '//', url)}")

    def files(self) -> dict[Kind, list[ExportFile]]:
        """The folder's whole files by kind, in order of name. Others are left alone.

        Raises `FileMissing` if the folder can't be listed.
        """
        try:
            self._system, root = fsspec.core.url_to_fs(self._url)
            self._system.invalidate_cache()
            listed = self._system.ls(root, detail=True)
        except Exception as error:  # every file system has errors of its own
            raise FileMissing(
                self.place,
                f"The folder can't be listed ({type(error).__name__})",
                "Check SFMC_FILES, its user and password or key, and that what its protocol needs "
                "is installed (bounce-sync[sftp] for SFTP).",
            ) from None
        names = {PurePosixPath(each["name"]).name for each in listed}
        found: dict[Kind, list[ExportFile]] = {kind: [] for kind in KINDS}
        for each in sorted(listed, key=lambda each: each["name"]):
            name = PurePosixPath(each["name"]).name
            kind = self._format.kind(name)
            whole = not self._format.marker or name + self._format.marker in names
            if each["type"] == "file" and kind is not None and whole:
                modified = self._modified(each["name"])
                size = int(each["size"] or 0)
                found[kind].append(ExportFile(each["name"], name, _day(name), size, modified))
        return found

    def _modified(self, path: str) -> datetime | None:
        try:
            at = self._system.modified(path)
        except (NotImplementedError, OSError):
            return None
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

    def content(self, file: ExportFile) -> bytes:
        """The whole file, unpacked, once it has stopped growing."""
        try:
            self._wait_until_whole(file)
            content = self._system.cat_file(file.path)
        except FileMissing:
            raise
        except Exception as error:  # as above
            raise FileMissing(file.place, f"It can't be read ({type(error).__name__})") from None
        return delimited.unpacked(file.name, content, file.place)

    def _wait_until_whole(self, file: ExportFile) -> None:
        """A marker says that a file is whole; without one, its size has to stand still."""
        settle, waited = self._format.settle_seconds, 0.0
        still = timedelta(seconds=10 * settle)
        if self._format.marker or (file.modified and self._now() - file.modified > still):
            return
        size = file.size
        while waited < self._format.wait_seconds:
            self._sleep(settle)
            waited += settle
            self._system.invalidate_cache()
            before, size = size, int(self._system.size(file.path) or 0)
            if before == size:
                return
        raise FileMissing(file.place, f"It still grows after {waited:g} seconds")


def _day(name: str) -> date | None:
    found = _DATE.search(name)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None
