"""Loading what keeps its contract, and refusing the rest by name.

A blocking asset check guards one run, not one asset (facts/dagster.md §0.1): a table that failed
stays in the lake, and a later or lone run would read it. So the same rules that the checks report
are asked again whenever a table is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bounce_sync.assets.rule import View
from bounce_sync.assets.rule_book import rules_of
from bounce_sync.rules.guards import Verdict
from bounce_sync.storage import Lake


class BadTable(Exception):
    """A stored table that breaks its contract; nothing may be built on it."""

    def __init__(self, asset: str, partition: str, broken: Mapping[str, Verdict]) -> None:
        self.broken = dict(broken)
        super().__init__(
            f"{asset} of {partition} breaks its contract and is refused: "
            + "; ".join(f"{name}: {verdict.message}" for name, verdict in broken.items())
            + f". Look at the check's page, mend the cause, and materialise {asset} of {partition} "
            "again."
        )


def load(lake: Lake, asset: str, partition: str) -> pd.DataFrame:
    """A stored table that keeps its contract.

    Raises:
        MissingTable: the partition was never stored.
        BadTable: a blocking rule about the table doesn't hold.
    """
    view = View(lake, asset, partition)
    broken: dict[str, Verdict] = {}
    for rule in rules_of(asset):
        if rule.blocking and rule.release is None:
            verdict = rule.verdict(view)
            if not verdict.passed:
                broken[rule.name] = verdict
                break  # the other rules may lean on what this one found broken
    if broken:
        raise BadTable(asset, partition, broken) from None
    return view.frame


def demand_guards(view: View) -> dict[str, Any]:
    """The guards about a run, asked again by the writer. Returns what was released.

    Raises:
        BadTable: a guard stops the run.
    """
    verdicts = {
        rule: rule.verdict(view) for rule in rules_of(view.asset) if rule.release is not None
    }
    broken = {r.name: v for r, v in verdicts.items() if r.blocking and not v.passed}
    if broken:
        raise BadTable(view.asset, view.partition, broken) from None
    return {rule.name: v.message for rule, v in verdicts.items() if v.numbers.get("released")}
