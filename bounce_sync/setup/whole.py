"""Both systems' set-up as one: what is looked at is told all at once, what fails too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bounce_sync.marketing_cloud.errors import MarketingCloudError
from bounce_sync.salesforce.errors import SalesforceError
from bounce_sync.setup.steps import Step


class Part(Protocol):
    """One system: `crm.CrmSetup`, `sfmc.SfmcSetup`."""

    system: str

    def where(self) -> str:
        """Which org or account it is, for the person who is asked."""

    def look(self) -> list[Step]:
        """What there is and what isn't."""

    def make(self, steps: Sequence[Step]) -> list[str]:
        """Makes the steps of its own system; gives what went wrong."""


class SetupFailed(RuntimeError):
    """The message lists what went wrong in either system."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


def look(parts: Sequence[Part]) -> list[Step]:
    """Every step of every part. Raises `SetupFailed` where a system couldn't be read."""
    steps, problems = [], []
    for part in parts:
        try:
            steps += part.look()
        except (SalesforceError, MarketingCloudError) as error:
            problems.append(str(error))
    if problems:
        raise SetupFailed(problems)
    return steps


def make(parts: Sequence[Part], missing: Sequence[Step]) -> list[str]:
    """Makes what is missing, and gives what went wrong in either system."""
    problems = []
    for part in parts:
        steps = [step for step in missing if step.system == part.system]
        try:
            problems += part.make(steps) if steps else []
        except (SalesforceError, MarketingCloudError) as error:
            problems.append(str(error))
    return problems
