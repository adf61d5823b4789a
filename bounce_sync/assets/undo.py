"""`undo` from the UI: the same call as the command's, with a dry run first."""

import dagster as dg
from pydantic import Field

from bounce_sync.assets import catalogue
from bounce_sync.assets.resources import Crm, Installation
from bounce_sync.environment import LIVE
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.tables import OUTCOMES, WRITTEN
from bounce_sync.undo import undo


class UndoConfig(dg.Config):
    """What to put back."""

    run_id: str = Field(description="The run to undo: its id on the Runs page, or another undo's.")
    domains: list[str] = Field(default=[], description="Only these mail domains; empty: all.")
    records: list[str] = Field(default=[], description="Only these CRM record ids; empty: all.")
    dry_run: bool = Field(default=True, description="Only count what would go back.")


@dg.op
def put_back(
    context: dg.OpExecutionContext, config: UndoConfig, installation: Installation, crm: Crm
) -> None:
    """Puts the before-images of a run back, where the records still hold what it wrote.

    Fails where a write was rejected. What it leaves, and why, is in the metadata; this run's own id
    undoes the undo.
    """
    ledger, connection = installation.ledger(), crm.connection
    if installation.settings.target == LIVE:
        ledger.bind_org(connection.identity().org_id)
    undone = undo(
        config.run_id,
        ledger=ledger,
        connection=connection,
        facts=installation.facts(RecordReader(connection)),
        target=installation.settings.target,
        domains=config.domains,
        records=config.records,
        dry_run=config.dry_run,
        undo_id=context.run_id,
        say=context.log.info,
    )
    outcomes = undone.updates["outcome"].value_counts()
    context.add_output_metadata(
        {
            "planned": len(undone.plan.changes),
            **{name: int(outcomes.get(name, 0)) for name in OUTCOMES},
            "left": catalogue.counts_table("why", catalogue.by(undone.plan.left, "why")),
            "dry run": config.dry_run,
        }
    )
    if set(outcomes.index) - {WRITTEN}:
        raise dg.Failure(
            "Not everything could be put back; the ledger has each record's answer "
            "(bounce-sync explain RECORD). Undo the same run again to try the rest."
        )


@dg.job(
    description="Puts back what a run wrote to the CRM, where the records still hold it. Starts as "
    "a dry run; set dry_run to false to write. Lists what it leaves and why."
)
def undo_run() -> None:
    """One op: the plan needs the whole run at once."""
    put_back()
