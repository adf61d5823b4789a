"""What the doctor says of one line: how it stands, what was found, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Number = int | float | str


class Level(StrEnum):
    """How a line stands."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    """The daily run works, but somebody should know; also what couldn't be looked at."""
    FAIL = "fail"
    """The daily run won't work, or will do wrong."""


@dataclass(frozen=True)
class Judgement:
    """What was found. Holds no address, no key, no secret: counts and names of settings."""

    level: Level
    said: str
    to_do: str = ""
    numbers: Mapping[str, Number] = field(default_factory=dict)
    """The counts behind it, for programs."""


@dataclass(frozen=True)
class Finding:
    """A judgement under the name of its line."""

    group: str
    name: str
    title: str
    judgement: Judgement

    @property
    def level(self) -> Level:
        return self.judgement.level

    def plain(self) -> dict[str, object]:
        """As `doctor --json` lists it."""
        return {
            "group": self.group,
            "name": self.name,
            "level": str(self.level),
            "said": self.judgement.said,
            "to_do": self.judgement.to_do,
            "numbers": dict(self.judgement.numbers),
        }


def passed(said: str, **numbers: Number) -> Judgement:
    return Judgement(Level.PASS, said, numbers=numbers)


def warned(said: str, to_do: str, **numbers: Number) -> Judgement:
    return Judgement(Level.WARN, said, to_do, numbers)


def failed(said: str, to_do: str, **numbers: Number) -> Judgement:
    return Judgement(Level.FAIL, said, to_do, numbers)


def counted(findings: list[Finding]) -> dict[str, int]:
    """How many findings stand at each level."""
    return {str(level): sum(each.level is level for each in findings) for level in Level}
