"""One CSV file, read row by row, with everything wrong in it collected and not only the first.

UTF-8 with or without a byte order mark, comma-separated, quoted with ``"``; a quoted cell may hold
line breaks. Column names are found in any case. A cell that is empty has no value.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from bounce_sync.sandbox.csv_values import Reader
from bounce_sync.sandbox.store import SandboxError, Store

MOST = 50
"""Complaints that are listed; the rest are counted."""

Row: TypeAlias = dict[str, Any]


class Complaints:
    """What is wrong with a folder, as ``file:line: column: what`` each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: list[str] = []
        self._count = 0

    def add(self, path: Path, line: int, what: str, column: str = "") -> None:
        """Notes one; ``line`` is that on which the row ends."""
        self._count += 1
        if len(self._listed) < MOST:
            place = f"{path.relative_to(self.folder)}:{line}"
            self._listed.append(f"{place}: {column}: {what}" if column else f"{place}: {what}")

    def raise_any(self) -> None:
        """Raises SandboxError with all of them, if there are any."""
        if not self._count:
            return
        rest = self._count - len(self._listed)
        raise SandboxError(
            "\n".join(
                [f"{self.folder} can't be loaded:", *self._listed]
                + ([f"… and {rest:,} more"] if rest else [])
            )
        )


@dataclass(frozen=True)
class Column:
    """Where a cell goes: ``read`` makes its value (None: its text), ``empty`` stands for none."""

    target: str
    read: Reader | None = None
    empty: Any = None
    required: bool = False


def default(row: Row, name: str, value: Any) -> None:
    """Fills in a value that the file doesn't give, whether its column is there or not."""
    if row.get(name) is None:
        row[name] = value


class CsvFile:
    """A file with a header. ``column(name)`` says what a name in it means, None for an unknown one.

    What is wrong with the header is noted at once, and no row is read then.
    """

    def __init__(
        self,
        path: Path,
        column: Callable[[str], Column | None],
        complaints: Complaints,
        required: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.complaints = complaints
        self.header = self._names()
        self._columns: list[Column] = []
        seen = set()
        for name in self.header:
            found = column(name)
            if found is None:
                self._complain(1, f"the column {name!r} isn't known")
            elif found.target in seen:
                self._complain(1, f"the column {name!r} is there twice")
            else:
                seen.add(found.target)
                self._columns.append(found)
        given = {name.lower() for name in self.header}
        missing = [name for name in required if given and name.lower() not in given]
        for name in missing:
            self._complain(1, f"the column {name!r} is missing")
        self._readable = bool(given) and len(self._columns) == len(self.header) and not missing

    def cells(self) -> Iterator[tuple[int, list[str]]]:
        """The rows as they stand, each with the line on which it ends; blank lines are left out."""
        csv.field_size_limit(sys.maxsize)
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                next(reader, None)
                for row in reader:
                    if row:
                        yield reader.line_num, row
            except csv.Error as error:
                self._complain(reader.line_num, f"can't be read as CSV: {error}")
            except UnicodeDecodeError:
                self._complain(_undecodable_line(self.path), "isn't UTF-8")

    def rows(self) -> Iterator[tuple[int, Row]]:
        """The good rows as values by target, each with its line; what is wrong is noted."""
        if not self._readable:
            return
        plan = [
            (name, column.target, column.read, column.empty, column.required)
            for name, column in zip(self.header, self._columns, strict=True)
        ]
        for line, cells in self.cells():
            if len(cells) != len(plan):
                self._complain(line, f"{len(cells)} cells under {len(plan)} columns")
                continue
            row: Row = {}
            good = True
            for cell, (name, target, read, empty, required) in zip(cells, plan, strict=True):
                if cell == "":
                    row[target] = empty
                    if required:
                        good = self._complain(line, "is empty", name)
                elif read is None:
                    row[target] = cell
                else:
                    try:
                        row[target] = read(cell)
                    except ValueError as error:
                        good = self._complain(line, str(error), name)
            if good:
                yield line, row

    def fill(
        self, store: Store, table: str, rows: Iterable[tuple[int, Row]], unique: str = ""
    ) -> None:
        """Puts rows, all of the same columns, into a table; ``unique`` names what must differ."""
        source = iter(rows)
        first = next(source, None)
        if first is None:
            return
        line = 0

        def values() -> Iterator[tuple[Any, ...]]:
            nonlocal line
            for number, row in chain([first], source):
                line = number
                yield tuple(row.values())

        rest = values()
        while True:
            try:
                store.insert(table, list(first[1]), rest)
            except sqlite3.IntegrityError:
                self._complain(line, f"an earlier row has the same {unique}")
            else:
                return

    def _names(self) -> list[str]:
        """The header; empty, and noted, where there is none to be read."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                names = next(csv.reader(file, strict=True), None)
        except csv.Error as error:
            self._complain(1, f"can't be read as CSV: {error}")
        except UnicodeDecodeError:
            self._complain(_undecodable_line(self.path), "isn't UTF-8")
        else:
            if names:
                return [name.strip() for name in names]
            self._complain(1, "has no header")
        return []

    def _complain(self, line: int, what: str, column: str = "") -> bool:
        self.complaints.add(self.path, line, what, column)
        return False


def _undecodable_line(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
