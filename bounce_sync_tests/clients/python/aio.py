"""aio-sf: client credentials and introspection, paging, Collections, bulk queries."""

import asyncio

from aio_sf import ClientCredentialsAuth, SalesforceAuthError, SalesforceClient, bulk_query
from reading import give, given, shown


def client(secret):
    auth = ClientCredentialsAuth(given["salesforce_url"], given["client_id"], secret)
    return SalesforceClient(auth)


async def main():
    flagged = {"Hard_Bounce__c": True, "Hard_Bounce_Date__c": "2026-05-04T18:00:00.000Z"}
    async with client(given["client_secret"]) as sf:
        found = await sf.query.soql("SELECT Id, LastName FROM Contact ORDER BY LastName")
        names = [record["LastName"] async for record in found]
        updated = await sf.collections.update(
            [{"Id": record, **flagged} for record in given["contacts"]],
            "Contact",
            all_or_none=False,
        )
        bad = [
            {"Id": record, "Hard_Bounce__c": False}
            for record in (given["contacts"][0], given["unknown"])
        ]
        mixed = await sf.collections.update(bad, "Contact", all_or_none=False)
        together = await sf.collections.update(bad, "Contact", all_or_none=True)
        bulk = await bulk_query(
            sf,
            "SELECT Id, LastName, Hard_Bounce__c FROM Contact ORDER BY LastName",
            batch_size=1000,
            poll_interval=0.1,
        )
        records = [record async for record in bulk]
        described = await sf.describe.sobject("Contact")
        give(
            {
                "expires": sf.auth_strategy.expires_at,
                "total": len(found),
                "names": names,
                "updated": [[row["id"], row["success"]] for row in updated],
                "mixed": mixed,
                "together": together,
                "count": len(bulk),
                "bulk": [list(record.values()) for record in records],
                "fields": [field["name"] for field in described["fields"]],
                "objects": len(await sf.describe.list_sobjects()),
                "limits": (await sf.describe.get_limits())["DailyApiRequests"],
                "organization": await sf.describe.get_organization_info(),
                "wrong": await wrong(),
            }
        )


async def wrong():
    try:
        async with client("not it"):
            return None
    except SalesforceAuthError as error:
        return shown(error)


asyncio.run(main())
