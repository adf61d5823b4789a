"""How the tables show themselves in the UI: column schemas and lineage, from the table models."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from bounce_sync.assets.lineage import LINEAGE
from bounce_sync.tables import ACTIONS, BOUNCE_CATEGORIES, REASONS, TABLES, Table

MARKETING = ["team:marketing-operations"]
SALES = ["team:sales-operations"]
"""Whom to ask about an asset: those who administer SFMC, and those who administer the CRM."""

WRITERS = ("crm_flag_updates", "crm_drift_updates")

DOMAIN = r"[^\s@|]+\.[^\s@|]+"
SMTP_CODE = r"\d{3}|\d\.\d{1,3}\.\d{1,3}"
"""What may be shown of columns that a server filled."""

NOT_ALLOWED, EMPTY = "(not allowed)", "(empty)"


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
        "where columns come from": page(
            table(
                ["column", "from"],
                (
                    [column, ", ".join(f"`{key}`.{name}" for key, name in sources)]
                    for column, sources in columns.items()
                ),
            )
        ),
    }


def reasons() -> dict[str, Any]:
    """Metadata of an asset whose rows carry a reason."""
    return {"what the reasons mean": page(table(["reason", "meaning"], REASONS.items()))}


def tags(asset: str) -> dict[str, str]:
    """What people search assets by: whether a table names persons, and whether the CRM changes."""
    columns = TABLES[asset].to_schema().columns.values()
    personal = any((column.metadata or {}).get("pii") for column in columns)
    return {
        **({"personal_data": "yes"} if personal else {}),
        **({"writes_to": "salesforce"} if asset in WRITERS else {}),
    }


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in markdown. Numbers go first: a narrow page cuts what stands last."""
    values = [list(row) for row in rows] or [["none", *("" for _ in columns[1:])]]
    aligned = ["--:" if isinstance(value, int) else "---" for value in values[0]]
    lines = [list(columns), aligned, *([_cell(value) for value in row] for row in values)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def picture(png: bytes, what: str) -> str:
    """An image in markdown, inside the text: Dagster's UI loads none from elsewhere."""
    return f"![{what}](data:image/png;base64,{base64.b64encode(png).decode()})"


def page(*parts: str) -> dg.MarkdownMetadataValue:
    """Markdown of several paragraphs."""
    return dg.MetadataValue.md("\n\n".join(parts))


def counts_table(title: str, counts: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Counts with their names, as a table."""
    return page(table(["count", title], ((count, name) for name, count in counts.items())))


def by(
    frame: pd.DataFrame, column: str, allowed: Sequence[str] = (), most: int = 10
) -> dict[str, int]:
    """The commonest values of a column with their counts.

    Where the table's model lists the `allowed` values, any other is counted without being shown:
    a broken column could hold anything, an address too.
    """
    values = frame[column]
    if allowed:
        values = values.where(values.isin(allowed), NOT_ALLOWED)
    counts = values.value_counts().head(most)
    return {str(value): int(count) for value, count in counts.items()}


def by_category(frame: pd.DataFrame, column: str, looks: str, most: int = 10) -> str:
    """The commonest values of a column, counted by bounce category, as a table.

    Only values that look like the pattern `looks` are shown: see `by`.
    """
    counted = frame.groupby([column, "bounce_category"], dropna=False).size().reset_index(name="n")
    values, categories = counted[column].fillna(EMPTY), counted["bounce_category"]
    shown = values.str.fullmatch(looks) | (values == EMPTY)
    counts = pd.crosstab(
        values.where(shown, NOT_ALLOWED),
        categories.where(categories.isin(BOUNCE_CATEGORIES), NOT_ALLOWED),
        counted["n"],
        aggfunc="sum",
    ).fillna(0)
    counts = counts[[name for name in (*BOUNCE_CATEGORIES, NOT_ALLOWED) if name in counts]]
    commonest = counts.sum(axis="columns").sort_values(ascending=False).index[:most]
    return table(
        ["count", column.replace("_", " "), *map(str, counts.columns)],
        (
            [int(row.sum()), str(value), *(int(count) for count in row)]
            for value, row in counts.loc[commonest].iterrows()
        ),
    )


def decisions_table(changes: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Actions and reasons of a plan with their counts: what is done, then what is left."""
    counted = changes.groupby(["action", "reason"], as_index=False).agg(records=("reason", "size"))
    counted["turn"] = counted["action"].map({name: turn for turn, name in enumerate(ACTIONS)})
    rows = counted.sort_values(["turn", "records"], ascending=[True, False]).itertuples()
    return page(
        table(
            ["count", "action", "reason"],
            ([int(str(row.records)), row.action, row.reason] for row in rows),
        )
    )
