"""``UserRecordAccess``: what sharing lets a user do with a record.

Read-only, for at most 200 record ids a query (object reference, UserRecordAccess). Everything is
shared here, but for records that `crm_refusal` refuses for want of access.
"""

from __future__ import annotations

from bounce_sync.sandbox.salesforce.soql.tokens import SoqlError

NAME = "UserRecordAccess"
MOST_RECORDS = 200

FIELDS = {
    "UserId": "reference",
    "RecordId": "picklist",
    "HasReadAccess": "boolean",
    "HasEditAccess": "boolean",
}

_RECORDS = " UNION ALL ".join(
    f'SELECT "Id" FROM "{name}"' for name in ("Contact", "Lead", "Account")
)

VIEW = f"""
CREATE VIEW IF NOT EXISTS "{NAME}" AS
SELECT r."Id" AS "Id", u."Id" AS "UserId", r."Id" AS "RecordId", 1 AS "HasReadAccess",
    NOT EXISTS (
        SELECT 1 FROM crm_refusal c
        WHERE c.record_id = r."Id" AND c.code LIKE 'INSUFFICIENT_ACCESS%'
    ) AS "HasEditAccess"
FROM ({_RECORDS}) r CROSS JOIN "User" u
"""


def demand_few(entity_name: str, values: int) -> None:
    """Raises SoqlError where a statement names more records than the service takes."""
    if entity_name == NAME and values > MOST_RECORDS + 1:
        raise SoqlError("MALFORMED_QUERY", f"Can query up to {MOST_RECORDS} record ids")
