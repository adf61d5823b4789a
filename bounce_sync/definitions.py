"""Everything assembled, nothing decided: the code location that Dagster loads."""

import dagster as dg

from bounce_sync import automation
from bounce_sync.assets import checks, contracts, crm, drift, marketing_cloud, report, staging
from bounce_sync.assets.partitions import IMPORTED
from bounce_sync.assets.resources import (
    Crm,
    Installation,
    Journeys,
    MarketingCloud,
    editable_policy,
)
from bounce_sync.environment import JOURNEY
from bounce_sync.storage import LakeIOManager


@dg.io_manager(required_resource_keys={"installation"})
def lake_io_manager(context: dg.InitResourceContext) -> LakeIOManager:
    """Parquet in the lake; a table that breaks its contract is refused when it is loaded."""
    return LakeIOManager(context.resources.installation.lake(), contracts.load)


installation = Installation()
marketing_cloud_api = MarketingCloud(installation=installation)

defs = dg.Definitions(
    assets=[
        *marketing_cloud.EXTERNAL,
        *marketing_cloud.ASSETS,
        *staging.ASSETS,
        *crm.EXTERNAL,
        *crm.ASSETS,
        *drift.ASSETS,
        *report.ASSETS,
        *(crm.JOURNEY_EXTENSIONS if IMPORTED.delivery == JOURNEY else ()),
    ],
    asset_checks=checks.CHECKS,
    jobs=automation.JOBS,
    schedules=automation.SCHEDULES,
    sensors=automation.SENSORS,
    resources={
        "installation": installation,
        "marketing_cloud": marketing_cloud_api,
        "journeys": Journeys(installation=installation, marketing_cloud=marketing_cloud_api),
        "crm": Crm(installation=installation),
        "policy": editable_policy(),
        "io_manager": lake_io_manager,
    },
    executor=dg.in_process_executor,
)
