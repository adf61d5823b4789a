"""A stored plan, through its guards, to the CRM: what every writing asset does."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import pandas as pd

from bounce_sync import delivery, stopping
from bounce_sync.assets import contracts
from bounce_sync.assets.resources import Crm, Installation, Journeys
from bounce_sync.assets.rule import View
from bounce_sync.environment import JOURNEY
from bounce_sync.journey_writing import JourneyWriter
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce.journal import Journal
from bounce_sync.salesforce.reading import RecordReader


@dataclass(frozen=True)
class CarriedOut:
    """What became of a plan, and which guards were released for it."""

    delivered: delivery.Delivered
    released: dict[str, Any]


def carry_out(
    context: dg.AssetExecutionContext,
    plan: pd.DataFrame,
    view: View,
    *,
    ledger_partition: str,
    bounces: Callable[[], pd.DataFrame],
    installation: Installation,
    crm: Crm,
    journeys: Journeys,
    no_longer_held: Sequence[str] = (),
) -> CarriedOut:
    """Asks the guards of the plan in `view` again, and writes `plan` (`CrmFlagChanges`).

    Args:
        ledger_partition: what the ledger calls the run's partition.
        bounces: gives `ConfirmedBounceStaging`, for the data extensions of a delivery by Journey.
        no_longer_held: see `delivery.deliver`.

    Raises `contracts.BadTable` where a guard stops the run, `PolicyError` for a policy that the
    delivery can't follow, and the errors of `delivery.deliver`.
    """
    attrs, settings, run_id = view.frame.attrs, installation.settings, context.run.run_id
    released = contracts.demand_guards(view)
    installation.demand_possible(view.policy)

    def by_journey(journal: Journal) -> JourneyWriter:
        return JourneyWriter(
            stack.enter_context(journeys.delivery(context.log.info, stopping.requested)),
            RecordReader(crm.connection),
            journal,
            bounces(),
            run_id,
            settings.journey_wait,
            context.log.info,
            stopping.requested,
        )

    with (
        contextlib.ExitStack() as stack,
        stopping.on_sigterm(),
    ):  # Dagster would leave the batch in flight unsettled
        delivered = delivery.deliver(
            plan,
            planned_at=datetime.fromisoformat(attrs["planned_at"]),
            run_id=run_id,
            partition=ledger_partition,
            context={
                "target": settings.target,
                "policy": view.policy.stored(),
                "released": sorted(released),
            },
            ledger=installation.ledger(),
            connection=crm.connection,
            facts=CrmFacts(**attrs["facts"]),
            say=context.log.info,
            make_writer=by_journey if settings.delivery == JOURNEY else None,
            no_longer_held=no_longer_held,
        )
    return CarriedOut(delivered, released)
