"""What the CRM holds, what should change, and the asset that changes it."""

import dataclasses

import dagster as dg
import pandas as pd

from bounce_sync import trends
from bounce_sync.assets import catalogue, contracts, descriptions, spot_check
from bounce_sync.assets.carrying_out import carry_out
from bounce_sync.assets.history import domain_history
from bounce_sync.assets.org import opened
from bounce_sync.assets.partitions import DAILY, WRITTEN_DAILY
from bounce_sync.assets.resources import Crm, Installation, Journeys, PolicyResource
from bounce_sync.assets.rule import View, allowed_domains
from bounce_sync.ledger import Ledger
from bounce_sync.marketing_cloud.journey import RELEASES, STAGING
from bounce_sync.rules import changes
from bounce_sync.rules.changes import CrmFacts
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.tables import ACTIONS, PENDING, UNKNOWN, CrmFlagUpdates, empty

CONTACTS = dg.AssetKey(["salesforce", "Contact"])
LEADS = dg.AssetKey(["salesforce", "Lead"])

JOURNEY_EXTENSIONS = [
    dg.AssetSpec(
        ["sfmc", extension.key],
        deps=["crm_flag_changes"],
        group_name="crm",
        kinds={"salesforce"},
        owners=catalogue.SALES,
        description=f"{extension.description} Filled with the plan; a Journey takes it to the CRM.",
    )
    for extension in (STAGING, RELEASES)
]
"""In the graph where SFMC's Journeys write."""

EXTERNAL = [
    dg.AssetSpec(
        CONTACTS,
        group_name="crm",
        kinds={"salesforce"},
        owners=catalogue.SALES,
        description="The CRM's Contacts: `Hard_Bounce__c` and `Hard_Bounce_Date__c` say who can "
        "still be reached by e-mail.",
    ),
    dg.AssetSpec(
        LEADS,
        group_name="crm",
        kinds={"salesforce"},
        owners=catalogue.SALES,
        description="The CRM's Leads, with the same two fields. A converted Lead is never written; "
        "its Contact is.",
    ),
]


@dg.asset(
    partitions_def=DAILY,
    deps=[CONTACTS, LEADS],
    group_name="crm",
    kinds={"salesforce", "pandas", "parquet"},
    owners=catalogue.SALES,
    tags=catalogue.tags("crm_flag_state"),
    metadata=catalogue.definition_metadata("crm_flag_state"),
)
def crm_flag_state(
    context: dg.AssetExecutionContext,
    confirmed_bounce_staging: pd.DataFrame,
    installation: Installation,
    policy: PolicyResource,
    crm: Crm,
) -> dg.Output[pd.DataFrame]:
    """What the CRM holds now: every record that a staged key leads to and every flagged one.

    Each record comes with every key that may speak for it: its own in both forms, those of Leads
    converted into it and of records merged into it. Needs no write permission.
    """
    org, match_field = opened(context, installation, crm), policy.policy().match_field
    state, read_at = org.flag_state(confirmed_bounce_staging["subscriber_key"], match_field)
    state.attrs = {
        "facts": dataclasses.asdict(org.facts),
        "read_at": read_at.isoformat(),
        "instance_url": org.instance_url,
        "match_field": match_field,
    }
    return dg.Output(
        state, metadata={**descriptions.crm_flag_state(state), "salesforce calls": crm.calls}
    )


@dg.asset(
    partitions_def=DAILY,
    group_name="crm",
    kinds={"pandas", "parquet"},
    owners=catalogue.SALES,
    tags=catalogue.tags("crm_flag_changes"),
    metadata=catalogue.definition_metadata("crm_flag_changes") | catalogue.reasons(),
)
def crm_flag_changes(
    context: dg.AssetExecutionContext,
    confirmed_bounce_staging: pd.DataFrame,
    crm_flag_state: pd.DataFrame,
    held_subscribers: pd.DataFrame,
    released_subscribers: pd.DataFrame,
    installation: Installation,
    policy: PolicyResource,
) -> dg.Output[pd.DataFrame]:
    """The plan: what to do with every staged key and every flagged record, and why.

    Materialise up to here for a dry run: nothing is written to the CRM. The policy is stored with
    the plan; the checks and the writer use that one.
    """
    lake, rules = installation.lake(), policy.policy()
    facts = CrmFacts(**crm_flag_state.attrs["facts"])
    history = domain_history(lake, context.partition_key)
    plan = changes.plan(
        confirmed_bounce_staging,
        crm_flag_state,
        held_subscribers,
        released_subscribers,
        installation.ledger().knowledge(),
        history,
        rules,
        facts,
        allowed_domains(context.run.tags),
    )
    plan.attrs = {
        "policy": rules.stored(),
        "facts": crm_flag_state.attrs["facts"],
        "planned_at": crm_flag_state.attrs["read_at"],
        "funnel": confirmed_bounce_staging.attrs["funnel"],
        "decided_days": int(history["day"].nunique()),
        "no_longer_held": confirmed_bounce_staging.attrs["no_longer_held"],
        "evidence": [
            day
            for day in confirmed_bounce_staging.attrs["days"]
            if day not in confirmed_bounce_staging.attrs["missing_days"]
        ],
        "run_id": context.run.run_id,
        "instance_url": crm_flag_state.attrs["instance_url"],
        trends.BY_ACTION: catalogue.by(plan, "action", ACTIONS),
    }
    return dg.Output(
        plan, metadata=descriptions.crm_flag_changes(plan, lake, context.partition_key)
    )


@dg.asset(
    partitions_def=DAILY,
    group_name="crm",
    kinds={"salesforce", "pandas", "parquet"},
    owners=catalogue.SALES,
    tags=catalogue.tags("crm_flag_updates"),
    metadata=catalogue.definition_metadata("crm_flag_updates"),
    freshness_policy=WRITTEN_DAILY,
)
def crm_flag_updates(
    context: dg.AssetExecutionContext,
    crm_flag_changes: pd.DataFrame,
    installation: Installation,
    policy: PolicyResource,
    crm: Crm,
    journeys: Journeys,
) -> dg.Output[pd.DataFrame]:
    """The writes: sets and clears the two fields on Contact and Lead, and says what became of each.

    The one step of a day that changes the CRM. It validates the plan again, asks the guards again
    (under the plan's policy; a stricter one given to this run holds too), refuses a plan older than
    a day, and records every write in the ledger before it is sent. The rows of earlier runs of the
    day stay.
    """
    lake, day, run_id = installation.lake(), context.partition_key, context.run.run_id
    done = carry_out(
        context,
        crm_flag_changes,
        View(lake, "crm_flag_changes", day, context.run.tags, policy.policy()),
        ledger_partition=day,
        bounces=lambda: contracts.load(lake, "confirmed_bounce_staging", day),
        installation=installation,
        crm=crm,
        journeys=journeys,
        no_longer_held=crm_flag_changes.attrs["no_longer_held"],
    )
    delivered = done.delivered
    earlier = empty(CrmFlagUpdates)
    if lake.has("crm_flag_updates", day):
        stored = contracts.load(lake, "crm_flag_updates", day)
        earlier = _settled(stored[stored["run_id"] != run_id], installation.ledger(), day)
    updates = pd.concat([earlier, delivered.updates], ignore_index=True)
    updates.attrs = {"read_back": delivered.read_back}
    return dg.Output(
        updates,
        metadata={
            **descriptions.crm_flag_updates(delivered.updates, crm_flag_changes, day),
            "already as planned": delivered.already,
            "read back": delivered.read_back["compared"],
            "spot check": catalogue.page(
                spot_check.page(
                    delivered.updates, crm_flag_changes, lake, day, RecordReader(crm.connection)
                )
            ),
            **descriptions.released_guards(done.released),
            "sfmc calls": journeys.calls,
            "salesforce calls": crm.calls,
        },
    )


def _settled(updates: pd.DataFrame, ledger: Ledger, day: str) -> pd.DataFrame:
    """`CrmFlagUpdates` of earlier runs, with what became since of writes that were open then."""
    was_open = updates["outcome"].isin([PENDING, UNKNOWN])
    write = ["run_id", "subscriber_key", "object", "record_id"]
    told = [ledger.updates(run_id, day) for run_id in updates.loc[was_open, "run_id"].unique()]
    became = updates.loc[was_open, write].merge(pd.concat([empty(CrmFlagUpdates), *told]), on=write)
    return pd.concat([updates, became]).drop_duplicates(write, keep="last", ignore_index=True)


ASSETS = [crm_flag_state, crm_flag_changes, crm_flag_updates]
