"""Steps of a set-up: what has to be there, whether it is, and what is to be done about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

CRM, SFMC = "CRM", "SFMC"


class State(StrEnum):
    """How a thing was found."""

    THERE = "there"
    MISSING = "missing"
    DIFFERS = "differs"
    """Something else bears its name, or it has another shape: a person decides."""
    BY_HAND = "by hand"
    """Can't be made, or not be seen, from here."""


@dataclass(frozen=True)
class Step:
    """One thing that has to be there. `note` says what to do about it, or what is lacking."""

    system: str
    kind: str
    name: str
    why: str
    state: State
    note: str = ""

    def __str__(self) -> str:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.kind).capitalize()
        return f"{kind} {self.name}"


def in_state(steps: Iterable[Step], state: State) -> list[Step]:
    """The steps of one state, in order."""
    return [step for step in steps if step.state is state]
