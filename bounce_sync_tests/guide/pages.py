"""The pages that people read, and the commands in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import bounce_sync
from bounce_sync.guide.written import FOLDER

ROOT = Path(bounce_sync.__file__).parents[1]
PAGES = {"README.md": ROOT / "README.md"} | {
    path.name: path for path in sorted(FOLDER.glob("*.md"))
}

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One thing to run: `language` is sh or sql."""

    page: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"

    @property
    def program(self) -> str:
        """What the line calls first."""
        words = (word for word in self.text.split() if not re.match(r"\w+=", word))
        return "duckdb" if self.language == "sql" else Path(next(words)).name


def programs(page: str) -> list[str]:
    """The Python that a page tells its reader to write."""
    text = PAGES[page].read_text(encoding="utf-8")
    return [program for language, program in _BLOCK.findall(text) if language == "python"]


def lines(page: str) -> list[Line]:
    """What a page tells its reader to run, in order."""
    found = []
    for language, text in _BLOCK.findall(PAGES[page].read_text(encoding="utf-8")):
        if language == "sql":
            found.append(Line(page, language, text.strip()))
        if language == "sh":
            whole = text.replace("\\\n", " ")
            commands = (each.partition(" #")[0].strip() for each in whole.splitlines())
            found += [Line(page, language, each) for each in commands if each and each[0] != "#"]
    return found
