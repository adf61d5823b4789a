"""The pages that are written from the code: tables, checks, reasons and the CRM's refusals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import dagster as dg

from bounce_sync.assets.catalogue import column_schema
from bounce_sync.assets.lineage import LINEAGE
from bounce_sync.assets.rule import Rule
from bounce_sync.assets.rule_book import RULES
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.salesforce.errors import REMEDIES, Action
from bounce_sync.tables import FINDINGS, REASONS, TABLES

FOLDER = Path(__file__).parent

_NOTICE = "<!-- Written by `python -m bounce_sync.guide`. -->"


def data_dictionary() -> str:
    """Every table of the lake: its columns, their types, where they come from, who they name."""
    parts = [
        "# The tables",
        _NOTICE,
        "Parquet, one file for each asset and partition: `lake/<asset>/<partition>.parquet`. Times "
        "are UTC. A missing value is empty, never an empty text. Columns marked *person* name or "
        "describe somebody: they stay in the lake and are shown nowhere else.",
    ]
    for asset, model in TABLES.items():
        shown = column_schema(model)
        sources = LINEAGE.get(asset, {})
        parts += [
            f"## {asset}",
            (model.__doc__ or "").strip(),
            _table(
                ["column", "type", "", "meaning", "from"],
                (
                    [
                        f"`{column.name}`",
                        column.type,
                        _marks(column),
                        column.description,
                        ", ".join(f"`{key}`.{name}" for key, name in sources.get(column.name, ())),
                    ]
                    for column in shown.columns
                ),
            ),
            *(f"{each[0].upper()}{each[1:]}." for each in shown.constraints.other),
        ]
    return _page(parts)


def _marks(column: dg.TableColumn) -> str:
    marks = []
    if column.constraints.nullable:
        marks.append("may be empty")
    if column.constraints.unique:
        marks.append("unique")
    if "pii" in column.tags:
        marks.append("person")
    return ", ".join(marks)


def checks() -> str:
    """Every check, reason, finding and refusal, with what to do about it."""
    return _page(
        [
            "# Checks, reasons and refusals",
            _NOTICE,
            "What a run can tell, and what to do about it.",
            "## Checks",
            "A check that *stops* keeps everything below it from running, in that run and in every "
            "later one that would read the table.",
            _table(["check", "on", "", "says", "when it fails"], _rules()),
            "## Limits",
            "The policy, in the Launchpad under `resources: policy: config`.",
            _table(
                ["setting", "default", "meaning"],
                (
                    [f"`{each.name}`", _default(each.default), each.metadata["description"]]
                    for each in dataclasses.fields(SyncPolicy)
                ),
            ),
            "## Reasons",
            "Column `reason` of `crm_flag_changes` and `crm_flag_updates`: every staged key and "
            "every flagged record has one.",
            _table(["reason", "says"], ([f"`{name}`", text] for name, text in REASONS.items())),
            "## What the drift report finds",
            _table(
                ["finding", "says", "what to do"],
                ([f"`{name}`", says, todo] for name, (says, todo) in FINDINGS.items()),
            ),
            "## What the CRM refuses",
            "Column `error_code` of `crm_flag_updates`. *Somebody must act* where the third column "
            "says so; everything else heals by itself.",
            _table(
                ["code", "what is done", "", "what it means"],
                (
                    [
                        f"`{code}`",
                        _DONE[remedy.action],
                        "act" if remedy.alert else "",
                        remedy.advice,
                    ]
                    for code, remedy in REMEDIES.items()
                ),
            ),
        ]
    )


_DONE = {
    Action.RETRY: "tried again",
    Action.REFRESH: "tried again with a new token",
    Action.SPLIT: "sent in smaller requests",
    Action.SAVE_DUPLICATE: "sent again, past rules that only warn",
    Action.REROUTE: "rejected; the next run follows the record",
    Action.DEFER: "rejected; the next run tries again",
    Action.SKIP: "rejected; the others go on",
    Action.STOP: "the run stops",
}


def _rules() -> list[list[str]]:
    """A row for each rule; tables share it where it says the same of them, and the same to do."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for rule in RULES:
        row = [f"`{rule.name}`", "", _force(rule), rule.description, rule.recovery]
        shared = rows.setdefault((rule.name, rule.description, rule.recovery), row)
        shared[1] += f"{', ' if shared[1] else ''}`{rule.asset}`"
    return list(rows.values())


def _default(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _force(rule: Rule) -> str:
    if rule.blocking:
        return "stops"
    return "warns" if rule.severity is dg.AssetCheckSeverity.WARN else "fails"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell or "" for cell in line) + " |" for line in lines)


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "data_dictionary.md": data_dictionary,
    "checks.md": checks,
}
"""File name → what writes it."""
