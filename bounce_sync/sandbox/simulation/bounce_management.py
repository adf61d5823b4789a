"""SFMC's own bounce management: what an event does to a subscriber's status.

The rules are those of facts/marketing-cloud.md §2: a hard bounce at a trusted domain holds at
once; three bounces of any category with at least fifteen days from the first to the last hold
too; everything else that bounces is Bounced and is mailed on. An open or click makes Bounced and
Held Active again and restarts the count. Whether a delivery does isn't documented: two settings
say so. Held is never assigned, it follows from these events alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from bounce_sync.sandbox.simulation.clock import DAY, NEVER, Millis

Who = npt.NDArray[np.int64]
"""Positions of subscribers, each at most once."""

STATUSES = ("Active", "Bounced", "Held", "Unsubscribed", "Deleted")
ACTIVE, BOUNCED, HELD, UNSUBSCRIBED, DELETED = range(5)


class Happening(IntEnum):
    """What can happen to a subscriber; of two at one moment the smaller number comes first."""

    DELIVERED = 0
    BOUNCE = 1
    OPEN = 2
    CLICK = 3
    RELEASE = 4
    UNSUBSCRIBE = 5
    DELETE = 6


@dataclass(frozen=True)
class HoldRules:
    """When bounces hold an address, and what lets it go."""

    bounces: int = 3
    days: float = 15.0
    reset_on_delivery: bool = False
    reset_on_engagement: bool = True


@dataclass
class Standing:
    """What SFMC keeps of every subscriber, one array position each."""

    status: npt.NDArray[np.int8]
    streak: npt.NDArray[np.int64]
    """Bounces since the last reset."""
    streak_began: Millis
    bounce_count: npt.NDArray[np.int64]
    """All bounces ever: SFMC's running total, which nothing resets."""
    undeliverable_at: Millis
    unsubscribed_at: Millis

    def mailable(self) -> npt.NDArray[np.bool_]:
        """Whom a send reaches: Bounced still, Held no more."""
        return self.status <= BOUNCED

    def apply(
        self,
        rules: HoldRules,
        happening: Happening,
        who: Who,
        at: Millis,
        holds_at_once: npt.NDArray[np.bool_],
    ) -> None:
        """Lets one thing happen to each of ``who``.

        ``holds_at_once`` says of each bounce whether it is a hard one at a trusted domain.
        """
        match happening:
            case Happening.BOUNCE:
                self._bounce(rules, who, at, holds_at_once)
            case Happening.OPEN | Happening.CLICK:
                if rules.reset_on_engagement:
                    self._reset(who[self.status[who] <= HELD])
            case Happening.DELIVERED:
                if rules.reset_on_delivery:
                    self._reset(who[self.status[who] <= BOUNCED])
            case Happening.RELEASE:
                self._reset(who[self.status[who] <= HELD])
            case Happening.UNSUBSCRIBE:
                willing = self.status[who] != DELETED
                self.status[who[willing]] = UNSUBSCRIBED
                self.unsubscribed_at[who[willing]] = at[willing]
            case Happening.DELETE:
                self.status[who] = DELETED

    def _bounce(
        self, rules: HoldRules, who: Who, at: Millis, holds_at_once: npt.NDArray[np.bool_]
    ) -> None:
        self.bounce_count[who] += 1
        counted = self.status[who] <= HELD
        who, at, holds_at_once = who[counted], at[counted], holds_at_once[counted]
        first = self.streak[who] == 0
        self.streak_began[who[first]] = at[first]
        self.streak[who] += 1
        long_enough = at - self.streak_began[who] >= rules.days * DAY
        enough = (self.streak[who] >= rules.bounces) & long_enough
        mailed = self.status[who] != HELD
        holds = mailed & (enough | holds_at_once)
        self.status[who[mailed & ~holds]] = BOUNCED
        self.status[who[holds]] = HELD
        self.undeliverable_at[who[holds]] = at[holds]

    def _reset(self, who: Who) -> None:
        self.status[who] = ACTIVE
        self.streak[who] = 0
        self.streak_began[who] = NEVER
        self.undeliverable_at[who] = NEVER
