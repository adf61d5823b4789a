"""What lies behind an address, hidden from SFMC: whether a mailbox lives, and how it refuses.

A mailbox is in one condition at a time and changes it at daily rates. Condition and receiver
decide how often a mail bounces and as what; the rates are set so that a tenant of 200,000 sees
about 2,000 bounces a day, half of them from mailboxes that are fine.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache

import numpy as np
import numpy.typing as npt

from bounce_sync.sandbox.simulation.addresses import Receiver, domains
from bounce_sync.sandbox.simulation.bounce_kinds import KINDS, POSITION

Codes = npt.NDArray[np.int8]


class Condition(IntEnum):
    """What a mailbox is like today."""

    FINE = 0
    DEAD = 1
    FULL = 2
    BLOCKING = 3
    FLAKY = 4


_ARRIVALS = {
    # Share of fine mailboxes that fall into each condition on a day, by receiver.
    Receiver.TRUSTED: (0.0010, 0.0002, 0.0001, 0.0002),
    Receiver.CONSUMER: (0.0008, 0.0007, 0.0003, 0.0004),
    Receiver.OFFICE: (0.0009, 0.0003, 0.0005, 0.0004),
    Receiver.GATEWAY: (0.0006, 0.0002, 0.0013, 0.0003),
    Receiver.LEGACY: (0.0006, 0.0008, 0.0003, 0.0013),
}
_RECOVERIES = np.array([0.0, 0.001, 0.04, 0.05, 0.05])
"""Share of each condition that is fine again on a day."""
_STANDING_DAYS = {
    # For how many days' arrivals are there on the first day: as long as SFMC mails them on.
    Receiver.TRUSTED: (6, 12, 12, 12),
    Receiver.CONSUMER: (24, 16, 14, 14),
    Receiver.OFFICE: (24, 16, 14, 14),
    Receiver.GATEWAY: (24, 16, 14, 14),
    Receiver.LEGACY: (24, 16, 14, 14),
}
_REFUSAL = {
    # Share of mails refused, by condition.
    Receiver.TRUSTED: (0.024, 0.98, 0.85, 0.90, 0.40),
    Receiver.CONSUMER: (0.037, 0.97, 0.90, 0.90, 0.45),
    Receiver.OFFICE: (0.035, 0.96, 0.90, 0.90, 0.45),
    Receiver.GATEWAY: (0.060, 0.96, 0.90, 0.95, 0.45),
    Receiver.LEGACY: (0.065, 0.92, 0.90, 0.90, 0.55),
}
_PASSING: dict[str, float] = {
    "soft_other": 14, "domain_failure": 10, "mailbox_full": 8, "inactive_soft": 4, "busy": 16,
    "network": 10, "technical_other": 8, "format": 1, "spam": 10, "content": 4, "url": 2,
    "authentication": 3, "complaint": 1, "block_other": 5, "unclear": 10, "unreadable": 2,
}  # fmt: skip
_SAYS_IT_IS_DEAD: dict[str, float] = {
    "user_unknown": 74, "mailbox_disabled": 10, "inactive_hard": 7, "domain_unknown": 2,
    "bad_syntax": 1, "block_other": 3, "unclear": 3,
}  # fmt: skip
_MIX: dict[tuple[Receiver | None, Condition], dict[str, float]] = {
    # A receiver's own mix; None for every receiver without one.
    (None, Condition.FINE): _PASSING | {"user_unknown": 7, "mailbox_disabled": 2},
    (Receiver.TRUSTED, Condition.FINE): _PASSING | {"user_unknown": 0.5},
    (Receiver.GATEWAY, Condition.FINE): _PASSING
    | {"spam": 50, "content": 20, "block_other": 30, "url": 10, "user_unknown": 6},
    (Receiver.LEGACY, Condition.FINE): _PASSING
    | {"busy": 40, "technical_other": 30, "unclear": 30, "user_unknown": 12},
    (None, Condition.DEAD): _SAYS_IT_IS_DEAD,
    (Receiver.OFFICE, Condition.DEAD): _SAYS_IT_IS_DEAD | {"domain_unknown": 20},
    (Receiver.GATEWAY, Condition.DEAD): _SAYS_IT_IS_DEAD | {"block_other": 30, "spam": 8},
    (Receiver.LEGACY, Condition.DEAD): _SAYS_IT_IS_DEAD | {"unclear": 35, "unreadable": 6},
    (None, Condition.FULL): {"mailbox_full": 90, "inactive_soft": 8, "unclear": 2},
    (None, Condition.BLOCKING): {"spam": 45, "block_other": 25, "content": 12, "complaint": 5,
                                 "authentication": 8, "url": 5},
    (None, Condition.FLAKY): {"network": 35, "busy": 25, "technical_other": 20,
                              "domain_failure": 15, "unclear": 5},
}  # fmt: skip


@cache
def receivers() -> Codes:
    """The receiver behind each domain, by the domain's number."""
    return np.array([domain.receiver for domain in domains()], dtype=np.int8)


@cache
def _arrival_bounds() -> npt.NDArray[np.float64]:
    return np.cumsum([_ARRIVALS[receiver] for receiver in Receiver], axis=1)


@cache
def _refusals() -> npt.NDArray[np.float64]:
    return np.array([_REFUSAL[receiver] for receiver in Receiver])


@cache
def _mix_bounds() -> npt.NDArray[np.float64]:
    weights = np.zeros((len(Receiver), len(Condition), len(KINDS)))
    for receiver in Receiver:
        for condition in Condition:
            mix = _MIX.get((receiver, condition)) or _MIX[None, condition]
            for name, weight in mix.items():
                weights[receiver, condition, POSITION[name]] = weight
    bounds: npt.NDArray[np.float64] = np.cumsum(weights, axis=2)
    return bounds / bounds[:, :, -1:]


def first_conditions(receiver: Codes, rng: np.random.Generator) -> Codes:
    """The conditions that mailboxes are in when the simulation begins."""
    shares = [np.multiply(_ARRIVALS[kind], _STANDING_DAYS[kind]) for kind in Receiver]
    return _fallen_into(np.cumsum(shares, axis=1)[receiver], rng.random(len(receiver)))


def pass_a_day(condition: Codes, receiver: Codes, rng: np.random.Generator) -> Codes:
    """The conditions a day later."""
    draws = rng.random(len(condition))
    fine = condition == Condition.FINE
    recovers = ~fine & (draws < _RECOVERIES[condition])
    later = np.where(recovers, np.int8(Condition.FINE), condition)
    later[fine] = _fallen_into(_arrival_bounds()[receiver[fine]], draws[fine])
    return later


def _fallen_into(bounds: npt.NDArray[np.float64], draws: npt.NDArray[np.float64]) -> Codes:
    fallen: Codes = (draws[:, None] < bounds).argmax(axis=1).astype(np.int8) + np.int8(1)
    return np.where(draws < bounds[:, -1], fallen, np.int8(Condition.FINE))


def refuses(condition: Codes, receiver: Codes, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which mails come back."""
    return rng.random(len(condition)) < _refusals()[receiver, condition]


def bounce_kinds(
    condition: Codes, receiver: Codes, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """As what each refused mail comes back: positions in ``KINDS``."""
    draws = rng.random(len(condition))
    return (draws[:, None] < _mix_bounds()[receiver, condition]).argmax(axis=1)
