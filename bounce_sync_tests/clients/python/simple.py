"""simple-salesforce: SOAP and OAuth logins, paging, updates, Collections, Bulk 2.0."""

import requests
from reading import give, given, refusal, sandbox_of
from simple_salesforce import Salesforce, SalesforceLogin


class ToTheSandbox(requests.adapters.HTTPAdapter):
    """The client knows https and the services' own hosts alone."""

    def send(self, request, **options):
        request.url = sandbox_of(request.url)
        return super().send(request, **options)


def session():
    made = requests.Session()
    made.mount("https://", ToTheSandbox())
    return made


client = {"consumer_key": given["client_id"], "consumer_secret": given["client_secret"]}
user = {"username": given["username"], "password": given["password"]}

sf = Salesforce(**client, domain="acme.my", session=session(), version="62.0")
by_password = Salesforce(**user, **client, domain="acme.my", session=session())
by_soap = Salesforce(**user, security_token="", session=session())
wrong = {"username": given["username"], "password": "not it", "security_token": ""}

columns = "Id, LastName, Hard_Bounce__c, Hard_Bounce_Date__c"
records = sf.query_all(f"SELECT {columns} FROM Contact ORDER BY LastName")
first = sf.query("SELECT Id FROM Contact")
rest = sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
rest_by_id = sf.query_more(first["nextRecordsUrl"].rsplit("/", 1)[-1])

flagged = {"Hard_Bounce__c": True, "Hard_Bounce_Date__c": "2026-05-04T18:00:00.000Z"}
one, two, three = given["contacts"]
updated = sf.Contact.update(one, flagged)
collection = [
    {"attributes": {"type": "Contact"}, "id": record, **flagged}
    for record in (two, given["unknown"])
]
collected = sf.restful(
    "composite/sobjects",
    method="PATCH",
    json={"allOrNone": False, "records": collection},
    headers={"Sforce-Auto-Assign": "FALSE"},
)
retrieved = sf.restful(
    "composite/sobjects/Contact",
    method="POST",
    json={"ids": [one, given["unknown"], two], "fields": ["Id", "Hard_Bounce__c"]},
)

# Null is an empty cell here, which changes nothing; only `#N/A` empties a field.
jobs = sf.bulk2.Contact.update(
    records=[
        {"Id": one, "Hard_Bounce__c": "false", "Hard_Bounce_Date__c": ""},
        {"Id": two, "Hard_Bounce__c": "false", "Hard_Bounce_Date__c": "#N/A"},
        {"Id": three, "Hard_Bounce__c": "true", "Hard_Bounce_Date__c": "2026-05-04T18:00:00Z"},
        {"Id": given["unknown"], "Hard_Bounce__c": "true", "Hard_Bounce_Date__c": ""},
    ],
    wait=0.1,
)
job = jobs[0]["job_id"]
pages = list(
    sf.bulk2.Contact.query(
        "SELECT Id, FirstName, LastName FROM Contact ORDER BY LastName", max_records=1000, wait=0.1
    )
)

give(
    {
        "sessions": [len(each.session_id) > 20 for each in (sf, by_password, by_soap)],
        "wrong": refusal(SalesforceLogin, **wrong, session=session()),
        "total": records["totalSize"],
        "names": [record["LastName"] for record in records["records"]],
        "pages": [len(first["records"]), len(rest["records"]), len(rest_by_id["records"])],
        "deleted_too": sf.query_all("SELECT Id FROM Contact LIMIT 3", include_deleted=True),
        "updated": updated,
        "after": sf.Contact.get(one),
        "collected": collected,
        "retrieved": retrieved,
        "usage": sf.api_usage["api-usage"].used,
        "limits": sf.limits()["DailyApiRequests"],
        "describe": [field["name"] for field in sf.Contact.describe()["fields"]],
        "objects": [each["name"] for each in sf.describe()["sobjects"]],
        "userinfo": sf.oauth2("userinfo"),
        "jobs": jobs,
        "successful": sf.bulk2.Contact.get_successful_records(job),
        "failed": sf.bulk2.Contact.get_failed_records(job),
        "unprocessed": sf.bulk2.Contact.get_unprocessed_records(job),
        "bulk_pages": [page.count("\n") - 1 for page in pages],
        "bulk_first": pages[0].splitlines()[1],
        "refused": {
            "field": refusal(sf.query, "SELECT Nothing__c FROM Contact"),
            "record": refusal(sf.Contact.get, given["unknown"]),
            "value": refusal(sf.Contact.update, three, {"Hard_Bounce__c": "perhaps"}),
            "session": refusal(
                Salesforce(
                    session_id="ended", instance_url=given["salesforce_url"], session=session()
                ).query,
                "SELECT Id FROM Contact",
            ),
        },
    }
)
