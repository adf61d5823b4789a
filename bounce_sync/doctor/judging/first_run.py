"""Judging what the first run would change."""

from __future__ import annotations

from datetime import date

import pandas as pd

from bounce_sync.doctor.findings import Judgement, Number, failed, passed, warned
from bounce_sync.rules import guards
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.tables import ACTIONS, CLEAR, NONE, REFRESH, SET


def not_yet(day: date, start: date) -> Judgement:
    return warned(
        f"There is no day to run yet: the last finished one is {day}, the first is {start}.",
        "Set BOUNCE_SYNC_START_DATE to an earlier day, or wait.",
    )


def first_run(plan: pd.DataFrame, day: date, policy: SyncPolicy) -> Judgement:
    """`plan` is `CrmFlagChanges` of the day."""
    counts = {action: int((plan["action"] == action).sum()) for action in ACTIONS}
    numbers: dict[str, Number] = {"day": day.isoformat(), **counts}
    said = [
        f"A run of {day} would set {counts[SET]:,} flags, refresh {counts[REFRESH]:,}, clear "
        f"{counts[CLEAR]:,} and leave {counts[NONE]:,} as they are."
    ]
    for action in ACTIONS:
        reasons = plan.loc[plan["action"] == action, "reason"].value_counts()
        numbers |= {f"{action}_{reason}": int(count) for reason, count in reasons.items()}
        if len(reasons):
            told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
            said.append(f"{action}: {told}")
    addresses = guards.addresses_agree(plan, policy)
    if not addresses.passed:
        return failed(
            "\n".join([*said, addresses.message]),
            "This looks like the wrong org, or a masked copy; the run would stop before any write. "
            "If it is right: run --allow-mismatch.",
            **numbers,
        )
    volume = guards.change_volume(plan, policy)
    if not volume.passed:
        return warned(
            "\n".join([*said, volume.message]),
            "The run would stop before any write. Look at the plan (run --dry-run), then run "
            "--allow-changes.",
            **numbers,
        )
    if plan.empty:
        return warned(
            "\n".join([*said, "No Held subscriber bounced, and no record is flagged."]),
            "If SFMC shows Held subscribers who bounced lately, look at the lines above.",
            **numbers,
        )
    return passed("\n".join(said), **numbers)
