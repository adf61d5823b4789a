"""How the tables show themselves in the UI: column schemas and lineage, from the table models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from bounce_sync.tables import REASONS, TABLES, Table

LINEAGE: dict[str, dict[str, Sequence[tuple[str, str]]]] = {
    "raw_bounces": {
        name: [("sfmc/_Bounce", source)]
        for name, source in {
            "business_unit": "AccountID",
            "subscriber_key": "SubscriberKey",
            "event_at": "EventDate",
            "bounce_category": "BounceCategory",
            "bounce_subcategory": "BounceSubcategory",
            "smtp_code": "SMTPCode",
            "smtp_reason": "SMTPBounceReason",
            "domain": "Domain",
            "job_id": "JobID",
        }.items()
    },
    "held_subscribers": {
        "subscriber_key": [("sfmc/_Subscribers", "SubscriberKey")],
        "email_address": [("sfmc/_Subscribers", "EmailAddress")],
    },
    "confirmed_bounce_staging": {
        "subscriber_key": [
            ("raw_bounces", "subscriber_key"),
            ("held_subscribers", "subscriber_key"),
        ],
        "email_address": [("raw_bounces", "email_address"), ("held_subscribers", "email_address")],
        "domain": [("raw_bounces", "domain"), ("held_subscribers", "email_address")],
        "bounce_category": [("raw_bounces", "bounce_category")],
        "smtp_code": [("raw_bounces", "smtp_code")],
        "bounce_reason": [("raw_bounces", "smtp_reason")],
        "bounced_at": [("raw_bounces", "event_at")],
        "evidence_count": [("raw_bounces", "event_at")],
        "business_unit": [("raw_bounces", "business_unit")],
    },
    "crm_flag_state": {
        name: [("salesforce/Contact", source), ("salesforce/Lead", source)]
        for name, source in {
            "record_id": "Id",
            "email": "Email",
            "flag": "Hard_Bounce__c",
            "flag_date": "Hard_Bounce_Date__c",
        }.items()
    },
    "released_subscribers": {
        "subscriber_key": [("crm_flag_state", "subscriber_key")],
        "status": [("sfmc/_Subscribers", "Status")],
    },
    "crm_flag_changes": {
        "flag_after": [
            ("held_subscribers", "subscriber_key"),
            ("released_subscribers", "status"),
            ("crm_flag_state", "flag"),
        ],
        "date_after": [
            ("confirmed_bounce_staging", "bounced_at"),
            ("crm_flag_state", "flag_date"),
        ],
        "address_agrees": [
            ("crm_flag_state", "email"),
            ("confirmed_bounce_staging", "email_address"),
        ],
    },
    "crm_flag_updates": {
        name: [("crm_flag_changes", name)]
        for name in ("subscriber_key", "object", "record_id", "flag_after", "date_after")
    },
}
"""Table → column → where its values come from."""


def _type_name(dtype: Any) -> str:
    return str(dtype).replace("string[pyarrow]", "text").replace("datetime64[us, UTC]", "UTC time")


def column_schema(model: type[Table]) -> dg.TableSchema:
    """The model as Dagster shows a table: types, constraints, descriptions, personal data."""
    schema = model.to_schema()
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=str(name),
                type=_type_name(column.dtype),
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=schema.unique == [name]
                ),
                tags={"pii": ""} if (column.metadata or {}).get("pii") else {},
            )
            for name, column in schema.columns.items()
        ],
        constraints=dg.TableConstraints(
            other=[f"unique: {', '.join(schema.unique)}"] if schema.unique else []
        ),
    )


def definition_metadata(asset: str) -> dict[str, Any]:
    """What an asset's page says before anything was materialised."""
    columns = LINEAGE[asset]
    return {
        "dagster/column_schema": column_schema(TABLES[asset]),
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(asset_key=dg.AssetKey(key.split("/")), column_name=name)
                    for key, name in sources
                ]
                for column, sources in columns.items()
            }
        ),
        "where columns come from": dg.MetadataValue.md(
            "| column | from |\n|---|---|\n"
            + "\n".join(
                f"| {column} | {', '.join(f'`{key}`.{name}' for key, name in sources)} |"
                for column, sources in columns.items()
            )
        ),
    }


def counts_table(title: str, counts: Mapping[str, int]) -> dg.MetadataValue:
    """Counts as a markdown table, the numbers first: a narrow page cuts what stands last."""
    rows = "\n".join(f"| {count:,} | {name} |" for name, count in counts.items())
    return dg.MetadataValue.md(f"| count | {title} |\n|--:|---|\n{rows or '| 0 | none |'}")


def by(
    frame: pd.DataFrame, column: str, allowed: Sequence[str] = (), most: int = 10
) -> dict[str, int]:
    """The commonest values of a column with their counts.

    Where the table's model lists the `allowed` values, any other is counted without being shown:
    a broken column could hold anything, an address too.
    """
    values = frame[column]
    if allowed:
        values = values.where(values.isin(allowed), "(not allowed)")
    counts = values.value_counts().head(most)
    return {str(value): int(count) for value, count in counts.items()}


def reasons_table(changes: pd.DataFrame) -> dg.MetadataValue:
    """Actions and reasons of a plan with their counts and what they mean."""
    counted = changes.groupby(["action", "reason"], as_index=False).agg(records=("reason", "size"))
    rows = "\n".join(
        f"| {row.records:,} | {row.action} | {row.reason} | {REASONS[str(row.reason)]} |"
        for row in counted.sort_values("records", ascending=False).itertuples()
    )
    return dg.MetadataValue.md(
        f"| count | action | reason | meaning |\n|--:|---|---|---|\n{rows or '| 0 | none | | |'}"
    )
