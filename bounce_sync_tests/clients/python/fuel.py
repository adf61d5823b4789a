"""Salesforce-FuelSDK over suds: the service's own WSDL, Retrieve in pages, rows, Create, Describe.

Asked the way tap-exacttarget asks: a window of DateValues with a zone, and more results by an id
alone.
"""

import FuelSDK
from reading import give, given
from suds.sudsobject import asdict

client = FuelSDK.ET_Client(
    params={
        "clientid": given["client_id"],
        "clientsecret": given["client_secret"],
        "authenticationurl": given["auth_url"].rstrip("/"),
        "defaultwsdl": given["soap_url"] + "etframework.wsdl",
        "wsdl_file_local_loc": given["wsdl"],
        "useOAuth2Authentication": "True",
        "accountId": given["account_id"],
    }
)


def cursor(kind, props=None, search_filter=None, **more):
    made = kind()
    made.auth_stub = client
    made.props = props
    made.search_filter = search_filter
    for name, value in more.items():
        setattr(made, name, value)
    return made


def everything(asked):
    """All pages: how many of each, and their rows."""
    response = asked.get()
    pages = [response.results]
    while response.more_results:
        response = asked.getMoreResults()
        pages.append(response.results)
    return [len(page) for page in pages], [row for page in pages for row in page], response


def plain(row, *names):
    known = asdict(row)
    return [None if known.get(name) is None else str(known[name]) for name in names]


def row_values(row):
    return {str(each.Name): str(each.Value) for each in row.Properties.Property}


window = {
    "LogicalOperator": "AND",
    "LeftOperand": {
        "Property": "EventDate",
        "SimpleOperator": "greaterThanOrEqual",
        "DateValue": given["from"],
    },
    "RightOperand": {
        "Property": "EventDate",
        "SimpleOperator": "lessThan",
        "DateValue": given["until"],
    },
}
columns = ["SendID", "SubscriberKey", "EventDate", "EventType", "BounceCategory", "SMTPReason"]
pages, bounces, last = everything(cursor(FuelSDK.ET_BounceEvent, columns, window))
by_key = {"Property": "SubscriberKey", "SimpleOperator": "IN", "Value": given["keys"]}
_, subscribers, _ = everything(
    cursor(FuelSDK.ET_Subscriber, ["SubscriberKey", "EmailAddress", "Status"], by_key)
)
row_pages, rows, _ = everything(
    cursor(
        FuelSDK.ET_DataExtension_Row,
        ["SubscriberKey", "Note"],
        CustomerKey=given["extension"],
        Name=given["extension"],
    )
)
extension = {"Property": "CustomerKey", "SimpleOperator": "equals", "Value": given["extension"]}
_, extensions, _ = everything(
    cursor(FuelSDK.ET_DataExtension, ["CustomerKey", "Name", "CategoryID"], extension)
)
_, fields, _ = everything(
    cursor(
        FuelSDK.ET_DataExtension_Column,
        ["Name", "FieldType", "IsPrimaryKey", "MaxLength"],
        {**extension, "Property": "DataExtension.CustomerKey"},
    )
)
made = FuelSDK.ET_DataExtension()
made.auth_stub = client
made.props = {"CustomerKey": "fuel", "Name": "Fuel"}
made.columns = [
    {
        "Name": "SubscriberKey",
        "FieldType": "Text",
        "IsPrimaryKey": "true",
        "MaxLength": "254",
        "IsRequired": "true",
    },
    {"Name": "Note", "FieldType": "Text", "MaxLength": "50"},
]
created = made.post()
again = made.post()


def row(**props):
    return cursor(FuelSDK.ET_DataExtension_Row, props, CustomerKey="fuel", Name="Fuel")


written = [
    row(SubscriberKey="0010", Note="by fuel").post(),
    row(SubscriberKey="0010", Note="once more").post(),
    row(SubscriberKey="0010", Note="changed").patch(),
    row(SubscriberKey="0020", Note="not there").patch(),
    row(SubscriberKey="0030", Note="to go").post(),
    row(SubscriberKey="0030").delete(),
    row(SubscriberKey="0030").delete(),
]
left = row()
left.props = ["SubscriberKey", "Note"]
wrong = cursor(FuelSDK.ET_BounceEvent, ["BounceReason"]).get()
described = cursor(FuelSDK.ET_BounceEvent).info()

give(
    {
        "pages": pages,
        "status": [last.status, str(last.message)],
        "bounces": [plain(row, *columns) for row in bounces],
        "subscribers": [
            plain(row, "SubscriberKey", "EmailAddress", "Status") for row in subscribers
        ],
        "row_pages": row_pages,
        "rows": [row_values(row) for row in rows],
        "extensions": [plain(row, "CustomerKey", "Name") for row in extensions],
        "fields": [plain(row, "Name", "FieldType", "IsPrimaryKey", "MaxLength") for row in fields],
        "created": [created.status, str(created.results[0].StatusMessage)],
        "again": [again.status, str(again.results[0].StatusMessage)],
        "written": [each.status for each in written],
        "left": [row_values(each) for each in left.get().results],
        "wrong": [wrong.status, str(wrong.message)],
        "described": [
            str(each.Name) for each in described.results[0].Properties if each.IsRetrievable
        ],
    }
)
