"""The policy: every choice that the rules leave to the people who run the sync.

One frozen object, made of plain values, so that it can be stored with a plan and shown in the
Launchpad. Its fields' metadata is their only documentation; the UI and the README take it from
here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from typing import Any, Literal

from bounce_sync.tables import HELD, REASON_LENGTH, STATUSES

CONFIRM = ("held", "held_with_hard_bounce")
FOREIGN_FLAGS = ("adopt", "leave")

CARRY_DAYS = 60
"""A quarantined or rejected key is staged again for at most this many days."""


MIN_DOMAIN_SPIKE = 50
"""A mail domain with at most this many sets a day is never quarantined."""

MIN_ADDRESSES_COMPARED = 100
"""Fewer compared addresses than this say nothing about the org."""


class PolicyError(ValueError):
    """A policy that can't be followed; the message lists everything that is wrong with it."""


def _setting(default: Any, description: str) -> Any:
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True)
class SyncPolicy:
    """What confirms a bounce, what clears a flag, and how much may change in one run."""

    confirm: Literal["held", "held_with_hard_bounce"] = _setting(
        "held",
        "held: Held plus any bounce confirms. held_with_hard_bounce: the evidence must include a "
        "Hard bounce, as the classic Automation Studio query does.",
    )
    evidence_days: int = _setting(
        15,
        "A bounce on the partition's day or the evidence_days - 1 days before it confirms (1-31).",
    )
    evidence_from: str = _setting(
        "", "First day of evidence (YYYY-MM-DD) for a catch-up run; empty: evidence_days back."
    )
    reason_length: int = _setting(
        REASON_LENGTH, f"BounceReason is cut to this many characters (1-{REASON_LENGTH})."
    )
    clear_statuses: tuple[str, ...] = _setting(
        ("Active", "Bounced"), "SFMC statuses that clear a flag."
    )
    match_field: str = _setting(
        "Id",
        "What SubscriberKey is matched on: Id, Email, or the API name of a field on both objects.",
    )
    require_same_email: bool = _setting(
        True, "Flag only where the CRM still has the address that bounced."
    )
    foreign_flags: Literal["adopt", "leave"] = _setting(
        "adopt",
        "Flags that the ledger doesn't know: adopt judges them like our own, leave never clears or "
        "refreshes them.",
    )
    max_changes: int = _setting(
        5_000, "More sets than this, or more clears, stop the run before any write."
    )
    max_domain_spike: float = _setting(
        10.0,
        "A mail domain with more sets than this many times its median day is quarantined "
        f"(below {MIN_DOMAIN_SPIKE} sets never).",
    )
    max_address_mismatch: float = _setting(
        0.5,
        "A greater share of differing addresses stops the run: wrong org or masked sandbox "
        f"(judged from {MIN_ADDRESSES_COMPARED} compared addresses on).",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "clear_statuses", tuple(self.clear_statuses))
        # API names have no case, and these two have rules of their own.
        own_rules = {"id": "Id", "email": "Email"}
        match_field = own_rules.get(self.match_field.lower(), self.match_field)
        object.__setattr__(self, "match_field", match_field)
        wrong = [message for holds, message in self._demands() if not holds]
        if wrong:
            raise PolicyError("The policy can't be followed: " + "; ".join(wrong) + ".")

    def _demands(self) -> list[tuple[bool, str]]:
        clearable = [status for status in STATUSES if status != HELD]
        return [
            (self.confirm in CONFIRM, f"confirm is one of {', '.join(CONFIRM)}"),
            (1 <= self.evidence_days <= 31, "evidence_days is 1 to 31"),
            (_is_day(self.evidence_from), "evidence_from is empty or a day like 2026-01-31"),
            (1 <= self.reason_length <= REASON_LENGTH, f"reason_length is 1 to {REASON_LENGTH}"),
            (
                set(self.clear_statuses) <= set(clearable),
                f"clear_statuses are of {', '.join(clearable)}",
            ),
            (bool(self.match_field), "match_field names a field"),
            (
                self.foreign_flags in FOREIGN_FLAGS,
                f"foreign_flags is one of {', '.join(FOREIGN_FLAGS)}",
            ),
            (self.max_changes >= 0, "max_changes isn't negative"),
            (self.max_domain_spike > 0, "max_domain_spike is above 0"),
            (0 <= self.max_address_mismatch <= 1, "max_address_mismatch is a share, 0 to 1"),
        ]

    def stored(self) -> dict[str, Any]:
        """Plain values, as they are kept with a plan."""
        return {**asdict(self), "clear_statuses": list(self.clear_statuses)}

    @classmethod
    def restore(cls, stored: dict[str, Any]) -> SyncPolicy:
        """The policy that `stored` came from. Raises `PolicyError` for an unknown setting."""
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(stored) - known):
            raise PolicyError(f"The stored policy has unknown settings: {', '.join(unknown)}.")
        return cls(**stored)

    def tightened_by(self, other: SyncPolicy) -> SyncPolicy:
        """These rules with the stricter of both policies' limits: a writer may only be stricter."""
        return replace(
            self,
            max_changes=min(self.max_changes, other.max_changes),
            max_domain_spike=min(self.max_domain_spike, other.max_domain_spike),
            max_address_mismatch=min(self.max_address_mismatch, other.max_address_mismatch),
        )


def _is_day(text: str) -> bool:
    try:
        return text == "" or bool(date.fromisoformat(text))
    except ValueError:
        return False
