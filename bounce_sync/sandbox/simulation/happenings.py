"""What has been set off but hasn't happened yet: bounces on their way, opens of tomorrow.

A soft bounce is recorded up to 72 hours after its send, an open days later; the agenda keeps such
events until their moment comes, over the end of a simulation too.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bounce_sync.sandbox.simulation.clock import Millis

Numbers = npt.NDArray[np.int64]


@dataclass
class Happenings:
    """Things that happen to subscribers, one array position each."""

    at: Millis
    what: Numbers
    """A ``Happening``."""
    who: Numbers
    """Position of the subscriber."""
    job: Numbers
    unit: Numbers
    """Position of the business unit that sent the mail."""
    batch: Numbers
    detail: Numbers
    """Of a bounce its kind's position, plus the number of kinds if it was delayed; of a release its
    cause; of a click its link."""
    salt: Numbers
    """Decides the wording of a bounce's reason."""
    unique: Numbers
    """1 for the first of its subscriber and job."""
    false: Numbers
    """1 for a bounce of a mail that arrived all the same."""
    domain: Numbers
    """Number of the domain that the mail went to."""
    address: npt.NDArray[np.object_]
    """The address that the mail went to; None where it doesn't matter."""

    @classmethod
    def of(cls, at: Millis, what: int, who: Numbers, **columns: Any) -> Self:
        """Happenings of one kind; what isn't given is 0, or None for the address."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name == "address":
                values["address"] = columns.get("address", np.full(len(at), None, dtype=object))
            else:
                given = columns.get(field.name, 0)
                values[field.name] = np.broadcast_to(given, len(at)).astype(np.int64)
        values |= {"at": at, "who": who, "what": np.full(len(at), what, dtype=np.int64)}
        return cls(**values)

    @classmethod
    def empty(cls) -> Self:
        """None at all."""
        nothing = np.empty(0, dtype=np.int64)
        return cls.of(nothing, 0, nothing)

    @classmethod
    def together(cls, parts: list[Self]) -> Self:
        """All of several."""
        if not parts:
            return cls.empty()
        return cls(
            **{
                field.name: np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            }
        )

    def __len__(self) -> int:
        return len(self.at)

    def where(self, chosen: npt.NDArray[Any]) -> Self:
        """Those at a mask or at positions."""
        return type(self)(
            **{field.name: getattr(self, field.name)[chosen] for field in fields(self)}
        )

    def in_order(self) -> Self:
        """By time; at one moment by subscriber and then as ``Happening`` counts."""
        return self.where(np.lexsort((self.what, self.who, self.at)))


class Agenda:
    """The happenings to come."""

    def __init__(self, pending: Happenings) -> None:
        self._parts = [pending]

    def add(self, happenings: Happenings) -> None:
        """Puts something on the agenda."""
        if len(happenings):
            self._parts.append(happenings)

    def due(self, before: int) -> Happenings:
        """Takes off the agenda what happens before a moment, in its order."""
        everything = Happenings.together(self._parts)
        is_due = everything.at < before
        self._parts = [everything.where(~is_due)]
        return everything.where(is_due).in_order()

    def pending(self) -> Happenings:
        """All that is still to come, in its order."""
        return Happenings.together(self._parts).in_order()
