"""drt-core's destination "salesforce_bulk": OAuth by password, one Bulk 2.0 job."""

import os

from drt.config.models import SalesforceBulkDestinationConfig, SyncOptions
from drt.destinations.salesforce_bulk import SalesforceBulkDestination
from reading import give, given, refusal

for name in ("client_id", "client_secret", "username", "password"):
    os.environ[f"SF_{name.upper()}"] = given[name]
config = SalesforceBulkDestinationConfig(
    type="salesforce_bulk",
    instance_url=given["salesforce_url"],
    object_name="Contact",
    operation="update",
    external_id_field="Id",
    client_id_env="SF_CLIENT_ID",
    client_secret_env="SF_CLIENT_SECRET",
    username_env="SF_USERNAME",
    password_env="SF_PASSWORD",
    poll_interval_seconds=1,
)


def load(records):
    destination = SalesforceBulkDestination()
    destination.stage(records, config, SyncOptions())
    return destination.finalize(config, SyncOptions())


result = load(
    [
        {"Id": record, "Hard_Bounce__c": "true", "Hard_Bounce_Date__c": "2026-05-04T18:00:00Z"}
        for record in (*given["contacts"], given["unknown"])
    ]
)
os.environ["SF_PASSWORD"] = "not it"
give(
    {
        "success": result.success,
        "failed": result.failed,
        "errors": [[error.record_preview, error.error_message] for error in result.row_errors],
        "wrong": refusal(load, [{"Id": given["unknown"]}]),
    }
)
