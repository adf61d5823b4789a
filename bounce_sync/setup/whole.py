"""Both systems' set-up as one: what is looked at is told all at once, and so is what fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bounce_sync.marketing_cloud.errors import MarketingCloudError
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.setup.steps import State, Step, in_state


class Part(Protocol):
    """One system: `crm.CrmSetup`, `sfmc.SfmcSetup`."""

    system: str

    def where(self) -> str:
        """Which org or account it is, for the person who is asked."""

    def look(self) -> list[Step]:
        """What there is and what isn't."""

    def make(self, steps: Sequence[Step]) -> list[str]:
        """Makes steps of its own system; gives what went wrong."""


class SetupFailed(RuntimeError):
    """A system couldn't be read; the message says why, for each of them."""


@dataclass(frozen=True)
class Outcome:
    """Every step as it was found last, those that were made, and what went wrong meanwhile."""

    steps: list[Step]
    made: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def of(self, state: State) -> list[Step]:
        return in_state(self.steps, state)


def set_up(
    parts: Sequence[Part],
    show: Callable[[list[Step]], None],
    agree: Callable[[list[Step]], bool],
    *,
    dry_run: bool,
) -> Outcome:
    """Looks, shows, and makes what is missing if `agree` says so; then looks again.

    Nothing is made where anything differs. Raises `SetupFailed`.
    """
    steps = _look(parts)
    show(steps)
    missing = in_state(steps, State.MISSING)
    if dry_run or not missing or in_state(steps, State.DIFFERS) or not agree(missing):
        return Outcome(steps)
    problems = _make(parts, missing)
    after = _look(parts)
    left = in_state(after, State.MISSING)
    return Outcome(after, [step for step in missing if step not in left], problems)


def _look(parts: Sequence[Part]) -> list[Step]:
    steps, problems = [], []
    for part in parts:
        try:
            steps += part.look()
        except (SalesforceError, MarketingCloudError) as error:
            problems.append(str(error))
    if problems:
        raise SetupFailed("\n".join(problems))
    return steps


def _make(parts: Sequence[Part], missing: Sequence[Step]) -> list[str]:
    problems = []
    for part in parts:
        steps = [step for step in missing if step.system == part.system]
        try:
            problems += part.make(steps) if steps else []
        except (SalesforceError, MarketingCloudError) as error:
            problems.append(str(error))
    return problems
