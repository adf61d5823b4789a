"""What the CRM holds, what should change, and the asset that changes it."""

import contextlib
import dataclasses
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd

from bounce_sync import delivery, stopping
from bounce_sync.assets import catalogue, contracts, descriptions, spot_check
from bounce_sync.assets.partitions import DAILY, WRITTEN_DAILY
from bounce_sync.assets.resources import Crm, Installation, Journeys, PolicyResource
from bounce_sync.environment import JOURNEY, LIVE
from bounce_sync.journey_writing import JourneyWriter
from bounce_sync.marketing_cloud.journey import RELEASES, STAGING
from bounce_sync.rules import changes, identity
from bounce_sync.rules.changes import CrmFacts
from bounce_sync.salesforce.journal import Journal
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.storage import Lake
from bounce_sync.tables import ACTIONS, SET, CrmFlagUpdates, DomainHistory, empty, shape

CONTACTS = dg.AssetKey(["salesforce", "Contact"])
LEADS = dg.AssetKey(["salesforce", "Lead"])

HISTORY_DAYS = 30

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
    connection, match_field = crm.connection, policy.policy().match_field
    org = connection.identity()
    ledger = installation.ledger()
    if installation.settings.target == LIVE:
        ledger.bind_org(org.org_id)
    reader = RecordReader(connection)
    found = reader.facts()
    facts = CrmFacts(
        date_is_day=found.date_is_day,
        time_zone=found.time_zone,
        is_sandbox=found.is_sandbox,
        person_accounts=installation.settings.person_accounts,
    )
    delivery.settle(ledger, connection, facts, context.run.run_id, context.log.info)

    keys = confirmed_bounce_staging["subscriber_key"]
    read_at = datetime.now(UTC)
    if match_field == "Id":
        ids = identity.record_ids(keys)["record_id"].dropna().unique().tolist()
        records = reader.read(ids)
    else:
        records = reader.read([], match_field, keys.tolist())
    state = identity.flag_state(records, keys, match_field)
    state.attrs = {
        "facts": dataclasses.asdict(facts),
        "read_at": read_at.isoformat(),
        "instance_url": org.instance_url,
        "match_field": match_field,
    }
    return dg.Output(
        state, metadata={**descriptions.crm_flag_state(state), "salesforce calls": crm.calls}
    )


def _domain_history(lake: Lake, partition: str) -> pd.DataFrame:
    """Sets per mail domain of the last decided days before this one (DomainHistory)."""
    decided = [day for day in lake.partitions("crm_flag_changes") if day < partition]
    frames = [empty(DomainHistory)]
    for day in decided[-HISTORY_DAYS:]:
        plan = lake.read("crm_flag_changes", day, ["action", "reason", "domain"])
        sets = plan[(plan["action"] == SET) | (plan["reason"] == "domain_spike")]
        counts = sets.groupby("domain").size().rename("sets").reset_index()
        frames.append(
            shape(DomainHistory, counts.assign(day=day))
            if len(counts)
            else shape(DomainHistory, {"day": [day], "sets": [0]})
        )
    return pd.concat(frames, ignore_index=True)


def _allowed_domains(tags: Any) -> frozenset[str]:
    return frozenset(tags.get(contracts.ALLOW_DOMAINS, "").replace(",", " ").split())


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
    history = _domain_history(lake, context.partition_key)
    plan = changes.plan(
        confirmed_bounce_staging,
        crm_flag_state,
        held_subscribers,
        released_subscribers,
        installation.ledger().knowledge(),
        history,
        rules,
        facts,
        _allowed_domains(context.run.tags),
    )
    plan.attrs = {
        "policy": rules.stored(),
        "facts": crm_flag_state.attrs["facts"],
        "planned_at": crm_flag_state.attrs["read_at"],
        "funnel": confirmed_bounce_staging.attrs["funnel"],
        "decided_days": int(history["day"].nunique()),
        "no_longer_held": confirmed_bounce_staging.attrs["no_longer_held"],
        "run_id": context.run.run_id,
        descriptions.BY_ACTION: catalogue.by(plan, "action", ACTIONS),
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

    The only asset that changes the CRM. It validates the plan again, asks the guards again (under
    the plan's policy; a stricter one given to this run holds too), refuses a plan older than a day,
    and records every write in the ledger before it is sent. The rows of earlier runs of the day
    stay.
    """
    lake, day = installation.lake(), context.partition_key
    run_id, tags = context.run.run_id, context.run.tags
    guarded = contracts.View(lake, "crm_flag_changes", day, tags, policy.policy())
    released = contracts.demand_guards(guarded)
    ledger, settings = installation.ledger(), installation.settings
    installation.demand_possible(guarded.policy)

    def by_journey(journal: Journal) -> JourneyWriter:
        return JourneyWriter(
            stack.enter_context(journeys.delivery(context.log.info)),
            RecordReader(crm.connection),
            journal,
            contracts.load(lake, "confirmed_bounce_staging", day),
            run_id,
            settings.journey_wait,
            context.log.info,
        )

    with (
        contextlib.ExitStack() as stack,
        stopping.on_sigterm(),
    ):  # Dagster would leave the batch in flight unsettled
        delivered = delivery.deliver(
            crm_flag_changes,
            planned_at=datetime.fromisoformat(crm_flag_changes.attrs["planned_at"]),
            run_id=run_id,
            partition=day,
            context={
                "target": settings.target,
                "policy": guarded.policy.stored(),
                "released": sorted(released),
            },
            ledger=ledger,
            connection=crm.connection,
            facts=CrmFacts(**crm_flag_changes.attrs["facts"]),
            say=context.log.info,
            make_writer=by_journey if settings.delivery == JOURNEY else None,
            no_longer_held=crm_flag_changes.attrs["no_longer_held"],
        )
    earlier = empty(CrmFlagUpdates)
    if lake.has("crm_flag_updates", day):
        stored = contracts.load(lake, "crm_flag_updates", day)
        earlier = stored[stored["run_id"] != run_id]
    updates = pd.concat([earlier, delivered.updates], ignore_index=True)
    updates.attrs = {"read_back": delivered.read_back}
    org = crm.connection.identity()
    return dg.Output(
        updates,
        metadata={
            **descriptions.crm_flag_updates(
                delivered.updates, crm_flag_changes, org.instance_url, day
            ),
            "already as planned": delivered.already,
            "read back": delivered.read_back["compared"],
            "spot check": catalogue.page(
                spot_check.page(
                    delivered.updates,
                    crm_flag_changes,
                    lake,
                    day,
                    RecordReader(crm.connection),
                    org.instance_url,
                )
            ),
            "released guards": dg.MetadataValue.json(released),
            "salesforce calls": crm.calls,
        },
    )


ASSETS = [crm_flag_state, crm_flag_changes, crm_flag_updates]
