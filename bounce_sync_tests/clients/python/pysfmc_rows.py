"""pysfmc: token, rows of a data extension page by page, and a query definition's start."""

import os
import ssl

import httpx
from pysfmc import SFMCClient, SFMCSettings
from reading import give, given, refusal, sandbox_of


class ToTheSandbox(httpx.HTTPTransport):
    """The client makes its address from a subdomain."""

    def handle_request(self, request):
        request.url = httpx.URL(sandbox_of(request.url))
        return super().handle_request(request)


def client(secret):
    trusted = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    settings = SFMCSettings(
        client_id=given["client_id"],
        client_secret=secret,
        account_id=given["account_id"],
        subdomain="mct0l7nxfq2r988t1kxfy8sc47ma",
    )
    return SFMCClient(settings, httpx.Client(transport=ToTheSandbox(verify=trusted)))


sfmc = client(given["client_secret"])
rowset = f"/data/v1/customobjectdata/key/{given['extension']}/rowset"
pages = []
while not pages or len(pages[-1]["items"]) == 50:
    pages.append(sfmc.get(rowset, params={"$page": len(pages) + 1, "$pageSize": 50}))

query = sfmc.post(
    "/automation/v1/queries",
    json={
        "name": "Held subscribers",
        "key": "held",
        "description": "",
        "queryText": "SELECT SubscriberKey, Status AS Note FROM _Subscribers WHERE Status = 'held'",
        "targetName": given["extension"],
        "targetKey": given["extension"],
        "targetUpdateTypeId": 0,
        "categoryId": 0,
    },
)
# Without a body: the service takes one that isn't empty, and then runs nothing.
started = sfmc.post(f"/automation/v1/queries/{query['queryDefinitionId']}/actions/start/")

give(
    {
        "pages": [len(page["items"]) for page in pages],
        "keys": [item["keys"]["subscriberkey"] for page in pages for item in page["items"]],
        "count": pages[0]["count"],
        "found": sfmc.get("/automation/v1/queries", params={"$page": 1, "$pageSize": 25})["count"],
        "started": started,
        "missing": refusal(sfmc.get, "/data/v1/customobjectdata/key/nothing/rowset"),
        "wrong": refusal(client("not it").get, rowset),
    }
)
