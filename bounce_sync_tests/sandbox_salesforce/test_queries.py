"""SOQL over HTTP: what statements find, how pages follow, what is refused and how."""

from __future__ import annotations

import pytest

from bounce_sync_tests.sandbox_salesforce.org import (
    Org,
    account_id,
    contact_id,
    lead_id,
)

MAY = "2026-05-{:02d}T03:00:00.000Z"


def test_values_come_in_the_services_spelling(org: Org) -> None:
    org.contacts(1, Email="ann@b.example", Hard_Bounce_Date__c=MAY.format(4), Hard_Bounce__c=1)
    said = org.ask(
        "GET", "query/", params={"q": "select ID, hard_bounce__C, Hard_Bounce_Date__c FROM contact"}
    )
    assert said.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert said.json() == {
        "totalSize": 1,
        "done": True,
        "records": [
            {
                "attributes": {
                    "type": "Contact",
                    "url": f"/services/data/v62.0/sobjects/Contact/{contact_id(1)}",
                },
                "Id": contact_id(1),
                "Hard_Bounce__c": True,
                "Hard_Bounce_Date__c": "2026-05-04T03:00:00.000+0000",
            }
        ],
    }


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Email = 'A1@B.example'", [1]),
        ("Email LIKE 'a_@b%'", [1, 2]),
        ("Email LIKE '%\\_%'", [3]),
        ("Email IN ('a1@b.example', 'A2@b.example')", [1, 2]),
        ("Email NOT IN ('a1@b.example')", [2, 3, 4]),
        ("Email != 'a1@b.example'", [2, 3, 4]),
        ("Email = null", [4]),
        ("Email = ''", [4]),
        ("Email != null", [1, 2, 3]),
        ("NOT Email = 'a1@b.example'", [2, 3, 4]),
        ("NOT (Email = 'a1@b.example' OR Email = null)", [2, 3]),
        ("Hard_Bounce__c = true", [1]),
        ("Hard_Bounce__c != true", [2, 3, 4]),
        ("Hard_Bounce_Date__c > 2026-05-02T03:00:00Z", [3]),
        ("Hard_Bounce_Date__c >= 2026-05-02T05:00:00+02:00", [2, 3]),
        ("Hard_Bounce_Date__c < 2026-05-02T03:00:00.000Z", [1]),
        ("Hard_Bounce_Date__c = null", [4]),
        ("(Email LIKE 'a1%' OR Email LIKE 'a2%') AND Hard_Bounce__c = false", [2]),
        ("Email LIKE 'a1%' AND Email LIKE '%b.example' AND Hard_Bounce__c = true", [1]),
    ],
)
def test_where(org: Org, where: str, found: list[int]) -> None:
    emails = ["a1@b.example", "a2@b.example", "under_score@b.example", None]
    dates = [MAY.format(1), MAY.format(2), MAY.format(3), None]
    org.contacts(
        4,
        Email=lambda n: emails[n - 1],
        Hard_Bounce_Date__c=lambda n: dates[n - 1],
        Hard_Bounce__c=lambda n: int(n == 1),
    )
    statement = f"SELECT Id FROM Contact WHERE {where} ORDER BY Id"
    assert org.column(statement) == [contact_id(n) for n in found]


def test_ids_match_in_both_forms_and_with_their_case_lost(org: Org) -> None:
    key = org.contacts(2)[0]
    for given in (key, key[:15], key.upper(), key.lower()):
        assert org.column(f"SELECT Id FROM Contact WHERE Id = '{given}'") == [key]
    assert org.column(f"SELECT Id FROM Contact WHERE Id = '{key[:15].upper()}'") == []
    assert org.column(f"SELECT Id FROM Contact WHERE Id IN ('{key[:15]}')") == [key]


@pytest.mark.parametrize("where", ["= 'ÜBER'", "IN ('x', 'üBER')", "LIKE 'ÜB%'", "!= 'Ö'"])
def test_letters_beyond_ascii_match_without_case(org: Org, where: str) -> None:
    org.contacts(1, Title="Über")
    assert len(org.query(f"SELECT Id FROM Contact WHERE Title {where}")) == 1
    assert org.query("SELECT Id FROM Contact WHERE Title = 'Ö'") == []


def test_a_select_inside_a_select(org: Org) -> None:
    org.accounts(2)
    org.contacts(2, AccountId=lambda n: account_id(n), Hard_Bounce__c=lambda n: n - 1)
    statement = (
        "SELECT Id FROM Account WHERE Id {} (SELECT AccountId FROM Contact"
        " WHERE Hard_Bounce__c = true)"
    )
    assert org.column(statement.format("IN")) == [account_id(2)]
    assert org.column(statement.format("NOT IN")) == [account_id(1)]


def test_relative_dates_begin_at_midnight_of_the_users_zone(org: Org) -> None:
    org.store.execute(
        'UPDATE "User" SET "TimeZoneSidKey" = \'Pacific/Kiritimati\' WHERE "Id" = ?', (org.user_id,)
    )
    org.contacts(1, Hard_Bounce_Date__c="2020-01-01T00:00:00.000Z")
    assert len(org.query("SELECT Id FROM Contact WHERE Hard_Bounce_Date__c < LAST_N_DAYS:30")) == 1
    assert org.query("SELECT Id FROM Contact WHERE Hard_Bounce_Date__c >= LAST_N_DAYS:30") == []
    assert org.query("SELECT Id FROM Contact WHERE Hard_Bounce_Date__c = TODAY") == []
    assert len(org.query("SELECT Id FROM Contact WHERE Hard_Bounce_Date__c != TODAY")) == 1


def test_order_puts_empty_values_first_unless_told(org: Org) -> None:
    emails = ["b@x.example", None, "A@x.example"]
    org.contacts(3, Email=lambda n: emails[n - 1])
    assert org.column("SELECT Email FROM Contact ORDER BY Email") == [
        None,
        "A@x.example",
        "b@x.example",
    ]
    assert org.column("SELECT Email FROM Contact ORDER BY Email DESC NULLS LAST") == [
        "b@x.example",
        "A@x.example",
        None,
    ]


def test_limit_and_offset(org: Org) -> None:
    ids = org.contacts(5)
    assert org.column("SELECT Id FROM Contact ORDER BY Id LIMIT 2 OFFSET 3") == ids[3:]
    said = org.ask("GET", "query", params={"q": "SELECT Id FROM Contact LIMIT 2"}).json()
    assert said["totalSize"] == 2
    assert org.refused("SELECT Id FROM Contact OFFSET 2001") == {
        "errorCode": "NUMBER_OUTSIDE_VALID_RANGE",
        "message": "Maximum SOQL offset allowed is 2000",
    }


def test_counts(org: Org) -> None:
    org.contacts(7, Hard_Bounce__c=lambda n: int(n < 4))
    said = org.ask(
        "GET", "query", params={"q": "SELECT COUNT() FROM Contact WHERE Hard_Bounce__c = true"}
    )
    assert said.json() == {"totalSize": 3, "done": True, "records": []}
    assert org.query("SELECT COUNT(Id) FROM Contact") == [{"expr0": 7}]
    assert org.query(
        "SELECT Hard_Bounce__c flag, COUNT(Id) n FROM Contact GROUP BY Hard_Bounce__c"
        " HAVING COUNT(Id) > 3 ORDER BY COUNT(Id)"
    ) == [{"flag": False, "n": 4}]


def test_deleted_records_show_in_query_all_only(org: Org) -> None:
    ids = org.contacts(2, IsDeleted=lambda n: n - 1, MasterRecordId=contact_id(1))
    assert org.column("SELECT Id FROM Contact") == ids[:1]
    statement = "SELECT Id, IsDeleted, MasterRecordId FROM Contact ORDER BY Id"
    assert org.query(statement, resource="queryAll")[1] == {
        "Id": ids[1],
        "IsDeleted": True,
        "MasterRecordId": contact_id(1),
    }


def test_converted_leads_stay_queryable(org: Org) -> None:
    org.leads(1, IsConverted=1, ConvertedContactId=contact_id(1))
    assert org.query("SELECT Id, ConvertedContactId FROM Lead WHERE IsConverted = true") == [
        {"Id": lead_id(1), "ConvertedContactId": contact_id(1)}
    ]


def test_organization_and_user(org: Org) -> None:
    assert org.query("SELECT IsSandbox FROM Organization") == [{"IsSandbox": False}]
    where = f"WHERE Id = '{org.user_id}'"
    assert org.query(f"SELECT TimeZoneSidKey FROM User {where}") == [{"TimeZoneSidKey": "UTC"}]


# Pages


def pages(org: Org, statement: str, batch: int) -> list[list[str]]:
    headers = {"Sforce-Query-Options": f"batchSize={batch}"}
    said = org.ask("GET", "query", params={"q": statement}, headers=headers).json()
    found = [[record["Id"] for record in said["records"]]]
    while not said["done"]:
        assert said["nextRecordsUrl"].startswith("/services/data/v62.0/query/0r8")
        said = org.ask("GET", said["nextRecordsUrl"], headers=headers).json()
        found.append([record["Id"] for record in said["records"]])
    return found


def test_pages_hold_every_record_once_while_others_write(org: Org) -> None:
    ids = org.contacts(500)
    statement = "SELECT Id FROM Contact WHERE Hard_Bounce__c = false ORDER BY Id"
    first = org.ask(
        "GET", "query", params={"q": statement}, headers={"Sforce-Query-Options": "batchSize=200"}
    ).json()
    assert (first["totalSize"], len(first["records"])) == (500, 200)
    org.store.execute('UPDATE "Contact" SET "Hard_Bounce__c" = 1')
    rest = org.ask("GET", first["nextRecordsUrl"]).json()
    found = [record["Id"] for record in first["records"] + rest["records"]]
    assert found == ids


@pytest.mark.parametrize(("asked", "given"), [(1, 200), (250, 250), (9999, 450)])
def test_batch_size_is_a_hint_between_200_and_2000(org: Org, asked: int, given: int) -> None:
    org.contacts(450)
    assert len(pages(org, "SELECT Id FROM Contact", asked)[0]) == given


def test_without_the_header_a_page_has_2000_records(org: Org) -> None:
    org.contacts(2001)
    said = org.ask("GET", "query", params={"q": "SELECT Id FROM Contact"}).json()
    assert len(said["records"]) == 2000
    locator = said["nextRecordsUrl"].rsplit("/", 1)[1]
    assert len(locator.split("-")[0]) == 18
    assert len(org.ask("GET", f"query/{locator}").json()["records"]) == 1


def test_an_unknown_locator_is_refused(org: Org) -> None:
    said = org.ask("GET", "query/0r8000000000000AAA-2000")
    assert (said.status_code, said.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


# Refusals


@pytest.mark.parametrize(
    ("statement", "code", "message"),
    [
        ("SELECT Idd FROM Contact", "INVALID_FIELD", "No such column 'Idd' on entity 'Contact'."),
        ("SELECT Id FROM Kontact", "INVALID_TYPE", "sObject type 'Kontact' is not supported."),
        ("SELECT Id FROM Contact WHERE X = 1", "INVALID_FIELD", "No such column 'X'"),
        ("SELECT Account.Name FROM Contact", "INVALID_FIELD", "Didn't understand relationship"),
        ("SELECT (SELECT Id FROM Contacts) FROM Account", "INVALID_TYPE", "'Contacts' in FROM"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        (
            "SELECT Id FROM Contact WHERE Email = 'a' AND Title = 'b' OR Title = 'c'",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        (
            "SELECT Id FROM Contact WHERE CreatedDate > 2026-05-04",
            "INVALID_FIELD",
            "must be of type dateTime and should not be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Contact WHERE Email = 5",
            "INVALID_FIELD",
            "must be of type string and should be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Contact WHERE Hard_Bounce__c = 'true'",
            "INVALID_FIELD",
            "must be of type boolean",
        ),
        (
            "SELECT Id FROM Contact WHERE Id = 'nope'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid ID field: nope",
        ),
        (
            "SELECT Id FROM Contact WHERE Id LIKE '003%'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid operator on id field",
        ),
        (
            "SELECT Id FROM Contact WHERE Description = 'x'",
            "INVALID_FIELD",
            "can not be filtered in a query call",
        ),
        ("SELECT Id, Id FROM Contact", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT Id Email FROM Contact", "MALFORMED_QUERY", "field aliasing"),
        ("SELECT Email, COUNT(Id) FROM Contact", "MALFORMED_QUERY", "must be grouped"),
        ("SELECT FIELDS(ALL) FROM Contact", "MALFORMED_QUERY", "LIMIT of at most 200"),
        ("SELECT IsPersonAccount FROM Contact", "INVALID_FIELD", "No such column"),
    ],
)
def test_refusals(org: Org, statement: str, code: str, message: str) -> None:
    error = org.refused(statement)
    assert error["errorCode"] == code
    assert message in error["message"]


def test_the_message_has_the_services_layout(org: Org) -> None:
    assert org.refused("SELECT Idd FROM Contact")["message"] == (
        "\nSELECT Idd FROM Contact\n       ^\nERROR at Row:1:Column:8\n"
        "No such column 'Idd' on entity 'Contact'. If you are attempting to use a custom field, "
        "be sure to append the '__c' after the custom field name. Please reference your WSDL or "
        "the describe call for the appropriate names."
    )


def test_an_address_of_more_than_16384_bytes_is_refused(org: Org) -> None:
    said = org.ask("GET", "query", params={"q": "SELECT Id FROM Contact" + " " * 16_384})
    assert said.status_code == 414


def test_address_and_headers_together_too(org: Org) -> None:
    said = org.ask("GET", "limits", headers={"X-Filler": "x" * 16_384})
    assert said.status_code == 431
