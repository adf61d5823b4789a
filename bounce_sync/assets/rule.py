"""What a rule about a stored table is, and what it sees of the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import dagster as dg
import pandas as pd

from bounce_sync.rules.guards import Verdict
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.storage import Lake

ALLOW_CHANGES = "bounce_sync/allow_changes"
ALLOW_DOMAINS = "bounce_sync/allow_domains"
ALLOW_MISMATCH = "bounce_sync/allow_mismatch"

_NO = ("", "false", "no", "off", "0")
"""What people write into a tag to say no; anything else, a reason say, is a yes."""


def allowed_domains(tags: Mapping[str, str]) -> frozenset[str]:
    """The mail domains that a run's tags release from quarantine."""
    return frozenset(tags.get(ALLOW_DOMAINS, "").replace(",", " ").split())


@dataclass(frozen=True)
class View:
    """One partition of one table, as a rule sees it, with what lies beside it in the lake."""

    lake: Lake
    asset: str
    partition: str
    tags: Mapping[str, str] = field(default_factory=dict)
    stricter: SyncPolicy | None = None
    """A policy given to the reader's own run: its limits hold where they are stricter."""
    run_id: str = ""

    @cached_property
    def frame(self) -> pd.DataFrame:
        return self.lake.read(self.asset, self.partition)

    def beside(self, asset: str) -> pd.DataFrame:
        """Another table of the same partition, unvalidated."""
        return self.lake.read(asset, self.partition)

    @property
    def policy(self) -> SyncPolicy:
        """The policy that the table was made under, tightened by the reader's."""
        policy = SyncPolicy.restore(self.frame.attrs["policy"])
        return policy.tightened_by(self.stricter) if self.stricter else policy


@dataclass(frozen=True)
class Rule:
    """Something that must hold, in words for the person who reads that it doesn't."""

    asset: str
    name: str
    judge: Callable[[View], Verdict]
    description: str
    recovery: str
    blocking: bool = True
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    release: str | None = None
    """The run tag that releases it: such a rule is about a run, not about the table."""
    released_in_table: bool = False
    """The tag was heeded when the table was made; its rows say what was released."""

    def verdict(self, view: View) -> Verdict:
        """Passed, or failed with numbers; a released failure passes and says so."""
        verdict = self.judge(view)
        if not verdict.passed and not self.released_in_table and self._is_released(view.tags):
            return Verdict(
                True,
                f"Released by the run tag {self.release}. {verdict.message}",
                {**verdict.numbers, "released": 1},
            )
        return verdict

    def _is_released(self, tags: Mapping[str, str]) -> bool:
        """Whether the tag says yes: a guard that somebody wrote `false` for still holds."""
        return self.release is not None and tags.get(self.release, "").strip().lower() not in _NO
