"""What a simulated tenant was made with: kept by the tenant, so that it can be advanced."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from bounce_sync.sandbox.simulation.addresses import Receiver, domain_names, domains
from bounce_sync.sandbox.simulation.bounce_management import HoldRules
from bounce_sync.sandbox.store import SandboxError, Store

_SETTING = "simulation"


@dataclass(frozen=True)
class Outage:
    """Hours in which a provider refuses living mailboxes with hard bounces.

    ``day`` and the hours are server time, ``until_hour`` exclusive; ``share`` of the mails are
    refused. ``released_after`` days later support makes those who were held for it Active again.
    """

    domain: str
    day: date
    from_hour: int = 7
    until_hour: int = 13
    share: float = 0.9
    released_after: int = 3


@dataclass
class Settings:
    """What a tenant was made with, and how far it has come; kept as a tenant setting."""

    seed: int
    first_day: date
    next_day: date
    rules: HoldRules = field(default_factory=HoldRules)
    trusted_domains: tuple[str, ...] = ()
    outages: tuple[Outage, ...] = ()
    serials: dict[str, int] = field(default_factory=dict)
    """How many records of each key prefix there ever were."""

    def save(self, store: Store) -> None:
        """Writes the settings to the tenant."""
        store.set_setting(_SETTING, json.dumps(asdict(self), default=date.isoformat))

    @classmethod
    def load(cls, store: Store) -> Settings:
        """Reads them; raises SandboxError where the tenant wasn't simulated."""
        text = store.setting(_SETTING, "")
        if not text:
            raise SandboxError(
                f"{store.path} holds data that was loaded, not simulated: it can't be advanced"
            )
        raw: dict[str, Any] = json.loads(text)
        return cls(
            seed=raw["seed"],
            first_day=date.fromisoformat(raw["first_day"]),
            next_day=date.fromisoformat(raw["next_day"]),
            rules=HoldRules(**raw["rules"]),
            trusted_domains=tuple(raw["trusted_domains"]),
            outages=tuple(
                Outage(**outage | {"day": date.fromisoformat(outage["day"])})
                for outage in raw["outages"]
            ),
            serials=raw["serials"],
        )


def trusted_by_default() -> tuple[str, ...]:
    """The domains at which one hard bounce holds, unless a tenant says otherwise."""
    return tuple(
        name
        for name, domain in zip(domain_names(), domains(), strict=True)
        if domain.receiver == Receiver.TRUSTED
    )
