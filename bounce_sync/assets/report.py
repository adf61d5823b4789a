"""The page of each day, at the end of the graph."""

from collections.abc import Iterator

import dagster as dg

from bounce_sync.assets import catalogue, preview
from bounce_sync.assets.partitions import DAILY
from bounce_sync.assets.resources import Crm, Installation
from bounce_sync.environment import LIVE
from bounce_sync.report import making

CHECK = "report_is_written"

with preview.chosen("partitioned asset checks"):
    _SPEC = dg.AssetCheckSpec(
        CHECK,
        asset="sync_report",
        description="The day has its page. A page that couldn't be made never fails a run.",
        partitions_def=DAILY,
    )


@dg.asset(
    partitions_def=DAILY,
    deps=["crm_flag_updates"],
    group_name="report",
    kinds={"html"},
    owners=catalogue.SALES,
    tags={"personal_data": "yes"},
    check_specs=[_SPEC],
    output_required=False,
)
def sync_report(
    context: dg.AssetExecutionContext, installation: Installation, crm: Crm
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One HTML page about the day, for sales and deliverability people who never open Dagster.

    Who can be reached, by owner and Account; who was flagged, who was released, what was left and
    why; each with links to the records, none with an address. It is an asset so that every run has
    its page, whether the schedule, the UI or the command line started it. By then the writes are
    done, and a page that can't be made must not make them look failed: that is a failed check.
    `bounce-sync report` makes the page again.
    """
    lake, day = installation.lake(), context.partition_key
    where = making.path(lake, day)
    try:
        page = making.make(
            lake, crm.connection, day, is_rehearsal=installation.settings.target != LIVE
        )
        making.store(page, where)
    except Exception as error:
        yield _result(
            passed=False,
            message=f"{type(error).__name__}: the page couldn't be made.",
            metadata={"what to do": f"`bounce-sync report --partition {day}` says why."},
        )
        return
    yield dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.path(str(where)),
            "bytes": len(page),
            "salesforce calls": crm.calls,
        },
        check_results=[_result(passed=True, message="The day has its page.")],
    )


def _result(
    *, passed: bool, message: str, metadata: dict[str, str] | None = None
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=message,
        metadata=metadata,
    )


ASSETS = [sync_report]
"""Selected by the daily job beside the tables."""
