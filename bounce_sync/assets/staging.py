"""Which bounces SFMC has confirmed by giving up on the address."""

import dagster as dg
import pandas as pd

from bounce_sync import trends
from bounce_sync.assets import catalogue, contracts, descriptions
from bounce_sync.assets.partitions import DAILY
from bounce_sync.assets.resources import Installation, PolicyResource
from bounce_sync.rules import confirmation, precision, server_time
from bounce_sync.rules.texts import is_in
from bounce_sync.storage import Lake
from bounce_sync.tables import ConfirmedBounceStaging, RawBounces, empty


def _evidence(lake: Lake, days: list[str], own: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Bounces of the window's days, the partition's own last, and the days that the lake lacks.

    Raises `contracts.BadTable` for a stored day that breaks its contract.
    """
    present = [day for day in days[:-1] if lake.has("raw_bounces", day)]
    frames = [contracts.load(lake, "raw_bounces", day) for day in present]
    bounces = pd.concat([empty(RawBounces), *frames, own], ignore_index=True)
    return bounces, [day for day in days[:-1] if day not in present]


def _carried(lake: Lake, remembered: pd.DataFrame) -> pd.DataFrame:
    """Staged rows of earlier days whose keys the ledger carries over (`Ledger.carried`)."""
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
    owners=catalogue.MARKETING,
    tags=catalogue.tags("confirmed_bounce_staging"),
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
    remembered = installation.ledger().carried(day)
    staging = confirmation.confirm(bounces, held_subscribers, _carried(lake, remembered), rules)
    is_held = is_in(remembered["subscriber_key"], held_subscribers["subscriber_key"])
    staging.attrs = {
        "policy": rules.stored(),
        "days": days,
        "missing_days": missing,
        trends.FUNNEL: confirmation.funnel(bounces, held_subscribers, staging),
        "naive": precision.of_every_hard_bounce(bounces, held_subscribers),
        "no_longer_held": remembered.loc[~is_held, "subscriber_key"].tolist(),
    }
    return dg.Output(staging, metadata=descriptions.confirmed_bounce_staging(staging, lake, day))


ASSETS = [confirmed_bounce_staging]
