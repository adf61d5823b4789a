"""aiosalesforce: client credentials and SOAP login, paging, Composite, Batch, Bulk 2.0."""

import asyncio
import os
import ssl

import httpx
from aiosalesforce import ClientCredentialsFlow, Salesforce, SoapLogin
from aiosalesforce.exceptions import SalesforceError
from reading import give, given, sandbox_of, shown


class ToTheSandbox(httpx.AsyncHTTPTransport):
    """The client takes My Domain addresses alone."""

    async def handle_async_request(self, request):
        request.url = httpx.URL(sandbox_of(request.url))
        return await super().handle_async_request(request)


def client(auth):
    trusted = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    return Salesforce(
        httpx.AsyncClient(transport=ToTheSandbox(verify=trusted)),
        base_url="https://acme.my.salesforce.com",
        auth=auth,
        version="60.0",
    )


async def refusal(asked):
    try:
        await asked
    except SalesforceError as error:
        return shown(error)
    raise AssertionError("nothing was refused")


async def main():
    credentials = ClientCredentialsFlow(given["client_id"], given["client_secret"])
    sf = client(credentials)
    by_soap = client(SoapLogin(given["username"], given["password"], "token"))
    one, two, three = given["contacts"]
    flagged = {"Hard_Bounce__c": True, "Hard_Bounce_Date__c": "2026-05-04T18:00:00.000Z"}

    statement = "SELECT Id, LastName FROM Contact ORDER BY LastName"
    names = [record["LastName"] async for record in sf.query(statement)]
    everything = [record["Id"] async for record in sf.query(statement, include_all_records=True)]
    await sf.sobject.update("Contact", one, flagged)
    after = await sf.sobject.get("Contact", one, fields=["Id", "Hard_Bounce__c"])

    async with sf.composite(all_or_none=False) as composite:
        found = composite.query(f"SELECT Id FROM Contact WHERE Id = '{two}'")
        update = composite.sobject.update("Contact", found.reference.records[0].Id, flagged)
        missing = composite.sobject.get("Contact", given["unknown"])
    async with sf.composite.batch(halt_on_error=False) as batch:
        read = batch.sobject.get("Contact", two)
        bad = batch.query("SELECT Nothing__c FROM Contact")

    bulk = await sf.bulk_v2.update(
        "Contact",
        [
            {"Id": record, "Hard_Bounce__c": True, "Hard_Bounce_Date__c": None}
            for record in (three, given["unknown"])
        ],
    )
    give(
        {
            "names": names,
            "everything": len(everything),
            "by_soap": [
                record async for record in by_soap.query("SELECT COUNT(Id) n FROM Contact")
            ],
            "after": after,
            "limits": (await sf.get_limits())["DailyApiRequests"],
            "composite": [found.records[0]["Id"], update.status_code, missing.status_code],
            "batch": [read.record["Hard_Bounce__c"], bad.status_code],
            "jobs": [job.state for job in bulk.jobs],
            "successful": [row["sf__Id"] for row in bulk.successful_results],
            "failed": [row["sf__Error"] for row in bulk.failed_results],
            "unprocessed": bulk.unprocessed_records,
            "wrong": await refusal(client(SoapLogin(given["username"], "not it", "")).get_limits()),
            "refused": await refusal(sf.sobject.get("Contact", given["unknown"])),
        }
    )


asyncio.run(main())
