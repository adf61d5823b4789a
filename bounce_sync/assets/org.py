"""The CRM as a reading step needs it: its facts, its records, and no write of ours left open."""

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
import pandas as pd

from bounce_sync import delivery
from bounce_sync.assets.resources import Crm, Installation
from bounce_sync.environment import LIVE
from bounce_sync.rules import identity
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce.reading import RecordReader


@dataclass(frozen=True)
class OpenedOrg:
    """An org whose open writes were settled."""

    reader: RecordReader
    facts: CrmFacts
    instance_url: str

    def flag_state(self, keys: pd.Series, match_field: str) -> tuple[pd.DataFrame, datetime]:
        """`CrmFlagState` of the records that the keys lead to and of all flagged ones, and when it
        was read (UTC)."""
        read_at = datetime.now(UTC)
        if match_field == "Id":
            ids = identity.record_ids(keys)["record_id"].dropna().unique().tolist()
            records = self.reader.read(ids)
        else:
            records = self.reader.read([], match_field, keys.tolist())
        return identity.flag_state(records, keys, match_field), read_at


def opened(context: dg.AssetExecutionContext, installation: Installation, crm: Crm) -> OpenedOrg:
    """Raises `WrongOrg` where the ledger belongs to another org."""
    connection = crm.connection
    org = connection.identity()
    ledger = installation.ledger()
    if installation.settings.target == LIVE:
        ledger.bind_org(org.org_id)
    reader = RecordReader(connection)
    facts = installation.facts(reader)
    delivery.settle(ledger, connection, facts, context.run.run_id, context.log.info)
    return OpenedOrg(reader, facts, org.instance_url)
