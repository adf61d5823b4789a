"""The whole of Held against the whole of flagged: the report, and the asset that mends."""

import dataclasses
from datetime import UTC, datetime
from typing import Literal

import dagster as dg
import pandas as pd
from pydantic import Field

from bounce_sync.assets import catalogue, contracts, descriptions, drift_page
from bounce_sync.assets.carrying_out import carry_out
from bounce_sync.assets.crm import CONTACTS, LEADS
from bounce_sync.assets.history import domain_history
from bounce_sync.assets.marketing_cloud import (
    BOUNCE_VIEW,
    SUBSCRIBERS_VIEW,
    bounced_keys,
    flagged_keys,
)
from bounce_sync.assets.org import opened
from bounce_sync.assets.partitions import OFFSET
from bounce_sync.assets.resources import (
    Crm,
    Installation,
    Journeys,
    MarketingCloud,
    PolicyResource,
)
from bounce_sync.assets.rule import View, allowed_domains
from bounce_sync.environment import HELD_BY_KEY, SOAP
from bounce_sync.marketing_cloud.errors import NotByKey
from bounce_sync.rules import drift, server_time, speakers
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.texts import is_in
from bounce_sync.storage import LATEST, Lake
from bounce_sync.tables import (
    DRIFT,
    NONE,
    ConfirmedBounceStaging,
    CrmFlagChanges,
    CrmFlagUpdates,
    RawBounces,
    empty,
    shape,
)


class DriftConfig(dg.Config):
    """What the policy doesn't say, since the daily sync never asks."""

    held_without_bounce: Literal["report", "flag"] = Field(
        default="report",
        description="Held subscribers of whom no bounce is left, in the lake or in SFMC. report: "
        "they are listed, not flagged. flag: they are flagged, with the time at which SFMC set "
        "Held for a date, or without a date where SFMC doesn't tell it. For the first day of a "
        "tenant that has held addresses for years.",
    )


class MendConfig(dg.Config):
    """Whether to write."""

    dry_run: bool = Field(default=True, description="Only count what would be written.")


_ONLY_BY_KEY = (
    "With SFMC_HELD=by_key only subscribers that bounced on a day of the lake, or yesterday, and "
    "those of flagged records were asked for: others may be Held, too. A longer lake tells more "
    "(`bounce-sync run --from FIRST --to DAY`)."
)


def _lists_held(installation: Installation) -> bool:
    settings = installation.settings
    return settings.source != SOAP or settings.held != HELD_BY_KEY


def _held(
    lake: Lake,
    installation: Installation,
    marketing_cloud: MarketingCloud,
    crm: Crm,
    policy: SyncPolicy,
) -> pd.DataFrame:
    """`HeldSubscribers`, as far as the tenant can list them.

    Raises `HeldFilterSilent` where a tenant lists nobody, and yet one of those who bounced lately,
    or who are flagged, is Held.
    """
    source = marketing_cloud.source
    last = server_time.last_finished_day(datetime.now(UTC), OFFSET).isoformat()
    if _lists_held(installation):
        if len(held := source.held()) or installation.settings.source != SOAP:
            return held
        days = server_time.evidence_days(last, policy)
    else:
        days = [*(day for day in lake.partitions("raw_bounces") if day < last), last]
    bounced = bounced_keys(installation, marketing_cloud, days)
    return source.held([*bounced, *flagged_keys(crm, policy)])


def _lake_bounces(lake: Lake, keys: pd.Series) -> pd.DataFrame:
    """`RawBounces` of the keys, of every day that the lake has.

    Raises `contracts.BadTable` for a stored day that breaks its contract.
    """
    found = [empty(RawBounces)]
    for day in lake.partitions("raw_bounces"):
        bounces = contracts.load(lake, "raw_bounces", day)
        found.append(bounces[is_in(bounces["subscriber_key"], keys)])
    return pd.concat(found, ignore_index=True)


@dg.asset(
    deps=[BOUNCE_VIEW, SUBSCRIBERS_VIEW, CONTACTS, LEADS, "raw_bounces"],
    group_name="crm",
    kinds={"salesforce", "pandas", "parquet"},
    owners=catalogue.SALES,
    tags=catalogue.tags("crm_drift"),
    metadata=catalogue.definition_metadata("crm_drift") | drift_page.what_findings_mean(),
)
def crm_drift(
    context: dg.AssetExecutionContext,
    config: DriftConfig,
    installation: Installation,
    marketing_cloud: MarketingCloud,
    crm: Crm,
    policy: PolicyResource,
) -> dg.Output[pd.DataFrame]:
    """Where SFMC and the CRM say different things: everything Held against everything flagged.

    The daily sync follows bounces; what it can't see is found here, every week: an address that was
    Held by hand, a bounce that SFMC recorded late, a flag that somebody ticked. Reads only. Each
    finding says what to do; what the policy allows is mended by `bounce-sync drift --mend`, or by
    the job `mend_crm_drift`, which makes this report anew and writes once its `dry_run` is false.

    The evidence is every bounce of the lake, and SFMC's own of those subscribers whose flag isn't
    as the lake says, or who bounced within the last 60 days: one that was recorded late is found
    so. Not partitioned: it tells of the moment it was made. With SFMC_HELD=by_key it can't know of
    all Held subscribers, only of those that bounced on a day of the lake, or yesterday, or are
    flagged; it says so.
    """
    rules, lake, ledger = policy.policy(), installation.lake(), installation.ledger()
    installation.demand_possible(rules)
    source = marketing_cloud.source
    held = _held(lake, installation, marketing_cloud, crm, rules)
    org = opened(context, installation, crm)
    state, read_at = org.flag_state(held["subscriber_key"], rules.match_field)
    asked = speakers.not_held(state, held, rules.match_field)
    history = domain_history(lake)
    sides = drift.Sides(
        held,
        state,
        source.statuses(asked.tolist()),
        ledger.knowledge(),
        history,
        org.facts,
        read_at,
    )

    def compared(bounces: pd.DataFrame) -> pd.DataFrame:
        allowed = allowed_domains(context.run.tags)
        return drift.compare(sides, bounces, rules, config.held_without_bounce, OFFSET, allowed)

    known = _lake_bounces(lake, held["subscriber_key"])
    context.log.info(f"{len(held):,} subscribers are Held; the lake has {len(known):,} bounces.")
    report = compared(known)
    keys = drift.to_ask(report)
    every, not_asked = known, [] if _lists_held(installation) else [_ONLY_BY_KEY]
    try:
        told = [known, *([source.bounces_of(keys)] if keys else ())]
        every = pd.concat(told, ignore_index=True).drop_duplicates()
    except NotByKey as error:
        keys = []
        not_asked.append(str(error))
    for each in not_asked:
        context.log.warning(each)
    if len(every) > len(known):
        report = compared(every)

    people = state.drop_duplicates(["object", "record_id"])
    report.attrs = {
        "policy": rules.stored(),
        "held_without_bounce": config.held_without_bounce,
        "facts": dataclasses.asdict(org.facts),
        "planned_at": read_at.isoformat(),
        "instance_url": org.instance_url,
        "held": len(held),
        "flagged": int(people["flag"].sum()),
        "decided_days": int(history["day"].nunique()),
        "run_id": context.run.run_id,
    }
    return dg.Output(
        report,
        metadata={
            **drift_page.report(report),
            "held subscribers": len(held),
            "flagged records": report.attrs["flagged"],
            "subscribers asked for bounces": len(keys),
            "bounces that the lake lacks": len(every) - len(known),
            **({"not asked": " ".join(not_asked)} if not_asked else {}),
            "held_without_bounce": config.held_without_bounce,
            "sfmc calls": marketing_cloud.calls,
            "salesforce calls": crm.calls,
        },
    )


@dg.asset(
    group_name="crm",
    kinds={"salesforce", "pandas", "parquet"},
    owners=catalogue.SALES,
    tags=catalogue.tags("crm_drift_updates"),
    metadata=catalogue.definition_metadata("crm_drift_updates"),
)
def crm_drift_updates(
    context: dg.AssetExecutionContext,
    config: MendConfig,
    crm_drift: pd.DataFrame,
    installation: Installation,
    policy: PolicyResource,
    crm: Crm,
    journeys: Journeys,
) -> dg.Output[pd.DataFrame]:
    """The mends: carries out what `crm_drift` planned, and says what became of each write.

    Starts as a dry run; set `dry_run` to false to write. The guards, the ledger, `explain` and
    `undo` are those of the daily sync: it validates the report again, asks the guards again, and
    refuses one older than a day. The rows are of the newest run that wrote.
    """
    lake = installation.lake()
    plan = crm_drift[list(CrmFlagChanges.to_schema().columns)]
    if config.dry_run:
        stored = lake.has("crm_drift_updates", LATEST)
        return dg.Output(
            contracts.load(lake, "crm_drift_updates", LATEST) if stored else empty(CrmFlagUpdates),
            metadata=drift_page.would_write(plan),
        )
    done = carry_out(
        context,
        plan,
        View(lake, "crm_drift", LATEST, context.run.tags, policy.policy()),
        ledger_partition=DRIFT,
        bounces=lambda: _without_details(plan),
        installation=installation,
        crm=crm,
        journeys=journeys,
    )
    updates = done.delivered.updates
    updates.attrs = {"read_back": done.delivered.read_back}
    return dg.Output(
        updates,
        metadata={
            **drift_page.written(updates, crm_drift),
            "already as planned": done.delivered.already,
            "read back": done.delivered.read_back["compared"],
            **descriptions.released_guards(done.released),
            "sfmc calls": journeys.calls,
            "salesforce calls": crm.calls,
        },
    )


def _without_details(plan: pd.DataFrame) -> pd.DataFrame:
    """`ConfirmedBounceStaging` as far as the report keeps it: a Journey needs no more."""
    bounces = plan.loc[plan["action"] != NONE, ["subscriber_key", "bounced_at"]]
    return shape(ConfirmedBounceStaging, bounces.drop_duplicates("subscriber_key"))


ASSETS = [crm_drift, crm_drift_updates]
