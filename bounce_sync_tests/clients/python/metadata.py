"""simple-salesforce's Metadata API, over the WSDL that it brings along: zeep asks and reads."""

import requests
from reading import give, given, refusal
from simple_salesforce import Salesforce

FIELD = "Contact.Bounce_Note__c"

token = requests.post(
    given["salesforce_url"] + "/services/oauth2/token",
    data={
        "grant_type": "client_credentials",
        "client_id": given["client_id"],
        "client_secret": given["client_secret"],
    },
    timeout=30,
).json()
sf = Salesforce(session_id=token["access_token"], instance_url=token["instance_url"])
md = sf.mdapi


def field():
    kind = md.FieldType("Text")
    return md.CustomField(fullName=FIELD, label="Bounce note", type=kind, length=80)


def columns():
    return [each["name"] for each in sf.Contact.describe()["fields"]]


md.CustomField.create([field()])
made = md.CustomField.read(FIELD)
seen = columns()
again = refusal(md.CustomField.create, [field()])
listed = md.list_metadata([md.ListMetadataQuery(type="CustomField")])
md.CustomField.delete([FIELD])

give(
    {
        "made": [made.fullName, made.type, made.length],
        "seen": seen,
        "again": again,
        "listed": [each.fullName for each in listed],
        "described": [each.xmlName for each in md.describe_metadata().metadataObjects],
        "deleted_twice": refusal(md.CustomField.delete, [FIELD]),
    }
)
