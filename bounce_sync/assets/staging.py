"""Which bounces SFMC has confirmed by giving up on the address."""

import dagster as dg
import pandas as pd

from bounce_sync.assets import catalogue, contracts
from bounce_sync.assets.partitions import DAILY
from bounce_sync.assets.resources import Installation, PolicyResource
from bounce_sync.ledger import Ledger
from bounce_sync.rules import confirmation, server_time
from bounce_sync.storage import Lake
from bounce_sync.tables import BOUNCE_CATEGORIES, ConfirmedBounceStaging, RawBounces, empty


def _evidence(lake: Lake, days: list[str], own: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Bounces of the window's days, the partition's own last, and the days that the lake lacks.

    Raises `contracts.BadTable` for a stored day that breaks its contract.
    """
    present = [day for day in days[:-1] if lake.has("raw_bounces", day)]
    frames = [contracts.load(lake, "raw_bounces", day) for day in present]
    bounces = pd.concat([empty(RawBounces), *frames, own], ignore_index=True)
    return bounces, [day for day in days[:-1] if day not in present]


def _carried(lake: Lake, ledger: Ledger, partition: str) -> pd.DataFrame:
    """Staged rows of earlier days that were quarantined, or rejected by the CRM."""
    remembered = ledger.carried(partition)
    rows = [empty(ConfirmedBounceStaging)]
    for day, keys in remembered.groupby("last_partition"):
        if not lake.has("confirmed_bounce_staging", str(day)):
            continue
        staged = contracts.load(lake, "confirmed_bounce_staging", str(day))
        since = keys.set_index("subscriber_key")["since"]
        staged = staged[staged["subscriber_key"].isin(since.index)]
        rows.append(staged.assign(carried_since=staged["subscriber_key"].map(since).astype("str")))
    return pd.concat(rows, ignore_index=True)


@dg.asset(
    partitions_def=DAILY,
    group_name="staging",
    kinds={"pandas", "parquet"},
    metadata=catalogue.definition_metadata("confirmed_bounce_staging"),
)
def confirmed_bounce_staging(
    context: dg.AssetExecutionContext,
    raw_bounces: pd.DataFrame,
    held_subscribers: pd.DataFrame,
    installation: Installation,
    policy: PolicyResource,
) -> dg.Output[pd.DataFrame]:
    """One row per subscriber that SFMC holds and that bounced within the evidence window.

    Held is the signal, the bounce is the evidence. The day's own bounces come through the graph,
    the earlier days of the window straight from the lake; a day that the lake lacks is named by the
    check `evidence_is_complete`. A key whose decision was quarantined, or whose write was rejected,
    is staged again while it is Held, for at most 60 days.
    """
    lake, day, rules = installation.lake(), context.partition_key, policy.policy()
    days = server_time.evidence_days(day, rules)
    bounces, missing = _evidence(lake, days, raw_bounces)
    carried = _carried(lake, installation.ledger(), day)
    staging = confirmation.confirm(bounces, held_subscribers, carried, rules)
    funnel = confirmation.funnel(bounces, held_subscribers, staging)
    staging.attrs = {
        "policy": rules.stored(),
        "days": days,
        "missing_days": missing,
        "funnel": funnel,
    }
    return dg.Output(
        staging,
        metadata={
            "staged": len(staging),
            "carried over": int(staging["carried_since"].notna().sum()),
            "missing days": len(missing),
            "funnel": catalogue.counts_table(f"{days[0]} to {day}", confirmation.in_words(funnel)),
            "by category": catalogue.counts_table(
                "category", catalogue.by(staging, "bounce_category", BOUNCE_CATEGORIES)
            ),
            "by mail domain": catalogue.counts_table("domain", catalogue.by(staging, "domain")),
        },
    )


ASSETS = [confirmed_bounce_staging]
