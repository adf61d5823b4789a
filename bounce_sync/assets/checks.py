"""The rules of `rule_book` as asset checks: one named check per rule, grouped by table.

Checks read the stored table unvalidated, because what failed is what they are for. Their metadata
carries counts and masked samples, never an address or a reason text.
"""

from collections.abc import Iterator

import dagster as dg

from bounce_sync.assets import preview
from bounce_sync.assets.partitions import DAILY
from bounce_sync.assets.resources import Installation
from bounce_sync.assets.rule import Rule, View
from bounce_sync.assets.rule_book import rules_of
from bounce_sync.rules.guards import Verdict
from bounce_sync.storage import LATEST
from bounce_sync.tables import DAILY_TABLES, TABLES

WHAT_TO_DO = "what to do"
"""Metadata of a failed check."""

_NOT_JUDGED = Verdict(False, "Not judged: columns are missing, see the check `schema`.")


def _result(rule: Rule, verdict: Verdict) -> dg.AssetCheckResult:
    metadata: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.float(value)
        if isinstance(value, float)
        else dg.MetadataValue.int(value)
        if isinstance(value, int)
        else dg.MetadataValue.text(str(value))
        for name, value in verdict.numbers.items()
    }
    if not verdict.passed:
        # Text stands on the check's page; markdown would be behind a click there.
        metadata[WHAT_TO_DO] = dg.MetadataValue.text(rule.recovery)
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(rule.asset),
        check_name=rule.name,
        passed=verdict.passed,
        severity=rule.severity,
        description=verdict.message,
        metadata=metadata,
    )


def _checks_of(asset: str) -> dg.AssetChecksDefinition:
    rules = rules_of(asset)
    partitions = DAILY if asset in DAILY_TABLES else None
    with preview.chosen("partitioned asset checks"):
        specs = [
            dg.AssetCheckSpec(
                rule.name,
                asset=asset,
                description=rule.description,
                blocking=rule.blocking,
                partitions_def=partitions,
            )
            for rule in rules
        ]

    @dg.multi_asset_check(
        name=f"{asset}_checks",
        specs=specs,
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext, installation: Installation
    ) -> Iterator[dg.AssetCheckResult]:
        view = View(
            installation.lake(),
            asset,
            context.partition_key if partitions else LATEST,
            tags=context.run.tags,
            run_id=context.run.run_id,
        )
        selected = {key.name for key in context.selected_asset_check_keys}
        readable = set(TABLES[asset].to_schema().columns) <= set(view.frame.columns)
        for rule in rules:
            if rule.name in selected:
                judged = readable or rule.name == "schema"
                yield _result(rule, rule.verdict(view) if judged else _NOT_JUDGED)

    return checks


CHECKS = [_checks_of(asset) for asset in TABLES]
