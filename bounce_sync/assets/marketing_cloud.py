"""What is read from SFMC: bounce events of a day, Held subscribers, and who was released."""

from datetime import UTC, datetime

import dagster as dg
import pandas as pd

from bounce_sync import trends
from bounce_sync.assets import catalogue, contracts, descriptions
from bounce_sync.assets.partitions import DAILY, OFFSET
from bounce_sync.assets.resources import Crm, Installation, MarketingCloud, PolicyResource
from bounce_sync.environment import HELD_BY_KEY
from bounce_sync.marketing_cloud.rows import REPEATED
from bounce_sync.rules import identity, server_time, speakers
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.tables import BOUNCE_CATEGORIES

BOUNCE_VIEW = dg.AssetKey(["sfmc", "_Bounce"])
SUBSCRIBERS_VIEW = dg.AssetKey(["sfmc", "_Subscribers"])

EXTERNAL = [
    dg.AssetSpec(
        BOUNCE_VIEW,
        group_name="marketing_cloud",
        kinds={"salesforce"},
        owners=catalogue.MARKETING,
        description="SFMC's bounce events: six months of every bounce, hard or soft, of trusted "
        "domains or not.",
    ),
    dg.AssetSpec(
        SUBSCRIBERS_VIEW,
        group_name="marketing_cloud",
        kinds={"salesforce"},
        owners=catalogue.MARKETING,
        description="SFMC's subscribers with today's status. Held means: SFMC has given up on the "
        "address.",
    ),
]


@dg.asset(
    partitions_def=DAILY,
    deps=[BOUNCE_VIEW],
    group_name="marketing_cloud",
    kinds={"salesforce", "pandas", "parquet"},
    owners=catalogue.MARKETING,
    tags=catalogue.tags("raw_bounces"),
    metadata=catalogue.definition_metadata("raw_bounces"),
)
def raw_bounces(
    context: dg.AssetExecutionContext, installation: Installation, marketing_cloud: MarketingCloud
) -> dg.Output[pd.DataFrame]:
    """Every bounce event of one SFMC server day, of every category and business unit.

    A bounce flags nobody: it is the evidence that goes with Held. A day without bounces is an empty
    table; a day that was never fetched is no table at all. Days older than 180 days can't be
    fetched, because SFMC has forgotten them, and a fetch with fewer events than the stored day has
    is refused.
    """
    day = context.partition_key
    window = server_time.day_window(day, OFFSET)
    if server_time.is_forgotten(day, datetime.now(UTC), OFFSET):
        raise dg.Failure(
            f"{day} is more than {server_time.RETENTION.days} days ago: SFMC has forgotten its "
            "bounces and would answer with nothing. Choose a later first day (evidence_from or "
            "--from).",
            allow_retries=False,
        )
    bounces = marketing_cloud.source.bounces(window)
    lake = installation.lake()
    if lake.has("raw_bounces", day) and (stored := lake.count("raw_bounces", day)) > len(bounces):
        raise dg.Failure(
            f"SFMC now has {len(bounces)} bounces of {day}, the lake has {stored}: a day isn't "
            "replaced by one with fewer events. If SFMC is right, move the day's file out of the "
            f"lake ({lake.path('raw_bounces', day)}) and materialise again.",
            allow_retries=False,
        )
    bounces.attrs |= {
        trends.BY_CATEGORY: catalogue.by(bounces, "bounce_category", BOUNCE_CATEGORIES)
    }
    return dg.Output(
        bounces,
        metadata={
            **descriptions.raw_bounces(bounces, lake, day, str(window)),
            "equal rows dropped": bounces.attrs[REPEATED],
            "sfmc calls": marketing_cloud.calls,
        },
    )


def bounced_keys(
    installation: Installation, marketing_cloud: MarketingCloud, days: list[str]
) -> list[str]:
    """Keys that bounced on these days; the last one is asked of SFMC, the lake may not have it."""
    lake = installation.lake()
    keys = [
        contracts.load(lake, "raw_bounces", day)["subscriber_key"]
        for day in days[:-1]
        if lake.has("raw_bounces", day)
    ]
    last = marketing_cloud.source.bounces(server_time.day_window(days[-1], OFFSET))
    return pd.concat([*keys, last["subscriber_key"]]).drop_duplicates().tolist()


def flagged_keys(crm: Crm, policy: SyncPolicy) -> list[str]:
    """Every key that may speak for a record that is flagged now."""
    records = RecordReader(crm.connection).read([], policy.match_field)
    nobody = pd.Series(dtype="str")
    state = identity.flag_state(records, nobody, policy.match_field)
    return state["subscriber_key"].drop_duplicates().tolist()


@dg.asset(
    partitions_def=DAILY,
    deps=[SUBSCRIBERS_VIEW],
    group_name="marketing_cloud",
    kinds={"salesforce", "pandas", "parquet"},
    owners=catalogue.MARKETING,
    tags=catalogue.tags("held_subscribers"),
    metadata=catalogue.definition_metadata("held_subscribers"),
)
def held_subscribers(
    context: dg.AssetExecutionContext,
    installation: Installation,
    marketing_cloud: MarketingCloud,
    crm: Crm,
    policy: PolicyResource,
) -> dg.Output[pd.DataFrame]:
    """Every subscriber that SFMC holds *now*: it has given up on the address.

    SFMC keeps no history of statuses, so a partition holds what was true when it was read, also for
    a day long past. With SFMC_HELD=by_key, for tenants that can't filter subscribers by status,
    only the keys of the evidence window, those carried over and those of flagged records are asked
    for.
    """
    rules, day = policy.policy(), context.partition_key
    installation.demand_possible(rules)
    source = marketing_cloud.source
    if installation.settings.held == HELD_BY_KEY:
        keys = bounced_keys(installation, marketing_cloud, server_time.evidence_days(day, rules))
        carried = installation.ledger().carried(day)["subscriber_key"]
        held = source.held([*keys, *carried, *flagged_keys(crm, rules)])
    else:
        held = source.held()
        if held.empty:  # can that be? SFMC is asked for today's bounced keys one by one
            held = source.held(bounced_keys(installation, marketing_cloud, [day]))
    return dg.Output(
        held,
        metadata={
            **descriptions.held_subscribers(held),
            "sfmc calls": marketing_cloud.calls,
        },
    )


@dg.asset(
    partitions_def=DAILY,
    deps=[SUBSCRIBERS_VIEW],
    group_name="crm",
    kinds={"salesforce", "pandas", "parquet"},
    owners=catalogue.MARKETING,
    tags=catalogue.tags("released_subscribers"),
    metadata=catalogue.definition_metadata("released_subscribers"),
)
def released_subscribers(
    crm_flag_state: pd.DataFrame,
    held_subscribers: pd.DataFrame,
    marketing_cloud: MarketingCloud,
) -> dg.Output[pd.DataFrame]:
    """What SFMC says of every key that may speak for a CRM record and isn't Held.

    `Active` and `Bounced` mean that SFMC mails the address again: the flag is cleared.
    `Unsubscribed`, `Deleted` and `Unknown` are no statement about the address: a flag stays.
    """
    match_field = crm_flag_state.attrs["match_field"]
    keys = speakers.not_held(crm_flag_state, held_subscribers, match_field)
    released = marketing_cloud.source.statuses(keys.tolist())
    return dg.Output(
        released,
        metadata={
            **descriptions.released_subscribers(released),
            "sfmc calls": marketing_cloud.calls,
        },
    )


ASSETS = [raw_bounces, held_subscribers, released_subscribers]
