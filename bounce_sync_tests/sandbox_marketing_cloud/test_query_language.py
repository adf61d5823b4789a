"""T-SQL as query activities run it: names, types and functions as SQL Server has them."""

import sqlite3
from typing import Any

import pytest

from bounce_sync.sandbox.marketing_cloud.queries.activity import compiled
from bounce_sync.sandbox.marketing_cloud.queries.functions import Functions
from bounce_sync.sandbox.marketing_cloud.queries.values import QueryError
from bounce_sync.sandbox.store import DataExtensionField, Store
from bounce_sync_tests.sandbox_marketing_cloud.tenant import CHILD, PARENT, bounce, subscriber

NOW = "2026-03-10 09:30:15.250"


@pytest.fixture(autouse=True)
def tenant(store: Store) -> None:
    store.set_setting("today", NOW)
    subscriber(store, 1, "0035g00000AbCdEAAV", "Held", date_undeliverable="2026-03-09 08:00:30.000")
    subscriber(store, 2, "second", "Active")
    subscriber(store, 3, "gone", "Deleted")
    bounce(store, "0035G00000ABCDEAAV", "2026-03-09 10:00:00.000", subscriber_id=1, is_unique=1)
    bounce(store, "second", "2026-03-08 10:00:00.500", subscriber_id=2, smtp_bounce_reason=None)
    bounce(store, "child", "2026-03-09 10:00:00.000", account_id=CHILD)


def rows(store: Store, text: str, mid: int = PARENT) -> list[tuple[Any, ...]]:
    Functions(store.connection, store.utc_offset)
    return [tuple(row) for row in store.execute(compiled(store, mid, text).sql)]


def value(store: Store, expression: str) -> Any:
    return rows(store, f"SELECT {expression} AS found")[0][0]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("GETDATE()", NOW),
        ("GETUTCDATE()", "2026-03-10 15:30:15.250"),
        ("DATEADD(day, -1, GETDATE())", "2026-03-09 09:30:15.250"),
        ("DATEADD(hour, 30, '2026-01-01')", "2026-01-02 06:00:00.000"),
        ("DATEADD(mm, 1, '2026-01-31')", "2026-02-28 00:00:00.000"),
        ("DATEDIFF(day, '2026-01-01 23:59', '2026-01-02 00:01')", 1),
        ("DATEDIFF(hour, '2026-01-01 22:59', '2026-01-02 00:01')", 2),
        ("DATEDIFF(month, '2026-01-31', '2026-03-01')", 2),
        ("DATEDIFF(second, '2026-01-01', '2026-01-01T00:01')", 60),
        ("DATEPART(hour, GETDATE())", 9),
        ("YEAR(GETDATE()) * 100 + MONTH(GETDATE())", 202603),
        ("DAY('2026-03-05')", 5),
        ("CAST(GETDATE() AS date)", "2026-03-10 00:00:00.000"),
        ("CONVERT(varchar(10), GETDATE(), 121)", "2026-03-10"),
        ("CONVERT(char(23), GETDATE(), 121)", NOW),
        ("CONVERT(nvarchar(30), GETDATE(), 126)", "2026-03-10T09:30:15.250"),
        ("CONVERT(varchar, GETDATE())", "Mar 10 2026  9:30AM"),
        ("CONVERT(varchar, CAST(GETDATE() AS date))", "2026-03-10"),
        ("FORMAT(GETDATE(), 'yyyy-MM-dd')", "2026-03-10"),
        ("EOMONTH('2026-02-03')", "2026-02-28 00:00:00.000"),
        (
            "GETDATE() AT TIME ZONE 'Central America Standard Time' AT TIME ZONE 'UTC'",
            "2026-03-10 15:30:15.250",
        ),
        ("CAST('12' AS int) + 1", 13),
        ("TRY_CONVERT(int, 'x')", None),
        ("7 / 2", 3),
        ("7 % 2", 1),
        ("'a' + 'b'", "ab"),
        ("'a' + NULL", None),
        ("CONCAT('a', NULL, 1)", "a1"),
        ("LEFT('потребитель', 3)", "пот"),
        ("RIGHT('abc', 2)", "bc"),
        ("LEN('abc  ')", 3),
        ("REPLACE('aXbx', 'x', '-')", "a-b-"),
        ("SUBSTRING('abcdef', 2, 3)", "bcd"),
        ("CHARINDEX('B', 'abc')", 2),
        ("PATINDEX('%[0-9]%', 'ab3')", 3),
        ("STUFF('abc', 2, 1, 'x')", "axc"),
        ("LTRIM(RTRIM(' a '))", "a"),
        ("UPPER('a')", "A"),
        ("ISNULL(NULL, 'x')", "x"),
        ("COALESCE(NULL, 1)", 1),
        ("NULLIF('a', 'A')", None),
        ("IIF('held' = 'HELD', 1, 0)", 1),
        ("CASE WHEN 'a' LIKE 'A%' THEN 1 ELSE 0 END", 1),
        ("CASE WHEN 'b1' LIKE '[a-c][^2]' THEN 1 ELSE 0 END", 1),
        ("CASE 'X' WHEN 'x' THEN 1 END", 1),
        ("CASE WHEN 'a' COLLATE Latin1_General_CS_AS = 'A' THEN 1 ELSE 0 END", 0),
        ("CASE WHEN '10' = 10 THEN 1 ELSE 0 END", 1),
        ("ROUND(2.567, 1)", 2.6),
        ("N'ü'", "ü"),
        ("CHAR(65)", "A"),
        ("ISNUMERIC('12.5')", 1),
    ],
)
def test_expression(store: Store, expression: str, found: Any) -> None:
    assert value(store, expression) == found


class TestDataViews:
    def test_text_compares_without_case(self, store: Store) -> None:
        found = rows(
            store,
            "SELECT b.SUBSCRIBERKEY FROM _BOUNCE b JOIN _Subscribers s"
            " ON s.SubscriberKey = b.SubscriberKey WHERE s.Status = 'HELD'"
            " AND b.BounceCategory IN ('HARD BOUNCE')",
        )
        assert found == [("0035G00000ABCDEAAV",)]

    def test_a_literal_beside_a_date_is_a_date(self, store: Store) -> None:
        where = "SELECT SubscriberKey FROM _Bounce WHERE EventDate"
        assert len(rows(store, f"{where} = '2026-03-09T10:00:00'")) == 1
        assert len(rows(store, f"{where} > '2026-03-09T09:59:59'")) == 1
        assert len(rows(store, f"{where} >= '03/09/2026'")) == 1
        assert len(rows(store, f"{where} BETWEEN '20260308' AND '20260309'")) == 1
        assert len(rows(store, f"{where} >= DATEADD(day, -1, GETDATE())")) == 1

    def test_subscribers_are_the_enterprise_s(self, store: Store) -> None:
        count = "SELECT COUNT(*) AS n FROM {}_Subscribers"
        assert rows(store, count.format("")) == [(2,)]
        assert rows(store, count.format(""), CHILD) == [(0,)]
        assert rows(store, count.format("ENT."), CHILD) == [(2,)]

    def test_status_is_lower_case_and_dates_lose_their_seconds(self, store: Store) -> None:
        assert rows(
            store, "SELECT Status, DateUndeliverable FROM _Subscribers WHERE SubscriberID = 1"
        ) == [("held", "2026-03-09 08:00:00.000")]

    def test_events_are_the_account_s_own(self, store: Store) -> None:
        assert rows(store, "SELECT SubscriberKey FROM _Bounce", CHILD) == [("child",)]

    @pytest.mark.parametrize("view", ["_Sent", "_Open", "_Click", "_Job"])
    def test_the_other_views(self, store: Store, view: str) -> None:
        assert rows(store, f"SELECT COUNT(*) AS n, MAX(JobID) AS j FROM {view}") == [(0, None)]

    def test_a_data_extension_is_named_not_keyed(self, store: Store) -> None:
        store.create_data_extension("the_key", [DataExtensionField("A")], name="My list")
        assert rows(store, "SELECT a FROM [My List]") == []
        with pytest.raises(QueryError, match="Invalid object name 'the_key'"):
            compiled(store, PARENT, "SELECT A FROM the_key")


class TestShapes:
    def test_the_newest_row_of_each_key(self, store: Store) -> None:
        bounce(store, "SECOND", "2026-03-08 11:00:00.000")
        found = rows(
            store,
            "SELECT x.SubscriberKey, x.EventDate FROM (SELECT b.*, ROW_NUMBER() OVER (PARTITION BY"
            " b.SubscriberKey ORDER BY b.EventDate DESC, b.JobID DESC) AS rn FROM _Bounce b) x"
            " WHERE x.rn = 1 AND x.SubscriberKey = 'second'",
        )
        assert found == [("SECOND", "2026-03-08 11:00:00.000")]

    def test_groups_have_no_case_either(self, store: Store) -> None:
        bounce(store, "SECOND", "2026-03-08 11:00:00.000")
        found = rows(
            store,
            "SELECT MAX(EventDate) AS last, COUNT(*) AS n FROM _Bounce GROUP BY SubscriberKey"
            " HAVING COUNT(*) > 1",
        )
        assert found == [("2026-03-08 11:00:00.000", 2)]

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("SELECT SubscriberKey FROM _Bounce UNION ALL SELECT SubscriberKey FROM _Bounce", 4),
            ("SELECT SubscriberKey FROM _Bounce UNION SELECT SubscriberKey FROM _Bounce", 2),
            (
                "SELECT SubscriberKey FROM _Subscribers s WHERE EXISTS (SELECT 1 FROM _Bounce b"
                " WHERE b.SubscriberKey = s.SubscriberKey)",
                2,
            ),
            (
                "SELECT SubscriberKey FROM _Subscribers WHERE SubscriberKey NOT IN"
                " (SELECT SubscriberKey FROM _Bounce)",
                0,
            ),
            ("SELECT TOP 1 SubscriberKey FROM _Bounce ORDER BY EventDate DESC", 1),
            (
                "SELECT s.SubscriberKey, b.EventDate FROM _Subscribers s LEFT JOIN _Bounce b"
                " ON b.SubscriberID = s.SubscriberID AND b.EventDate > '2026-03-09'",
                2,
            ),
            ("SELECT (SELECT COUNT(*) FROM _Bounce) AS n", 1),
            ("SELECT DISTINCT BounceCategory FROM _Bounce", 1),
            ("SELECT DISTINCT Domain FROM _Bounce ORDER BY Domain", 1),
            ("SELECT TOP 60 PERCENT JobID FROM _Bounce ORDER BY JobID", 2),
            ("SELECT TOP 50 PERCENT JobID FROM _Bounce ORDER BY JobID", 1),
            ("SELECT JobID FROM _Bounce ORDER BY 1 OFFSET 1 ROWS FETCH NEXT 5 ROWS ONLY", 1),
            ("SELECT SubscriberKey FROM _Bounce WHERE SubscriberKey NOT LIKE 's%'", 1),
            ("SELECT SubscriberKey FROM _Bounce WITH (NOLOCK) WHERE SubscriberKey LIKE 's%'", 1),
            ("SELECT JobID FROM _Bounce WHERE SMTPBounceReason NOT LIKE '%none%'", 1),
            ("SELECT JobID FROM _Bounce WHERE SubscriberKey NOT IN ('SECOND')", 1),
            ("SELECT JobID FROM _Bounce WHERE JobID NOT BETWEEN 1 AND 20", 0),
            (
                "SELECT SUM(JobID) OVER (ORDER BY EventDate ROWS BETWEEN UNBOUNDED PRECEDING AND"
                " CURRENT ROW) AS n FROM _Bounce",
                2,
            ),
            ("SELECT JobID AS j FROM _Bounce ORDER BY j DESC", 2),
            (
                "SELECT CASE WHEN SubscriberKey NOT LIKE '%@%.%' AND LEN(SubscriberKey) = 18"
                " AND LEFT(SubscriberKey, 3) = '003' THEN 'Contact' ELSE 'Other' END AS KeyType,"
                " COUNT(DISTINCT SubscriberKey) AS n FROM _Subscribers GROUP BY CASE WHEN"
                " SubscriberKey NOT LIKE '%@%.%' AND LEN(SubscriberKey) = 18 AND"
                " LEFT(SubscriberKey, 3) = '003' THEN 'Contact' ELSE 'Other' END",
                2,
            ),
            (
                "SELECT s.SubscriberKey FROM _Subscribers AS s FULL OUTER JOIN _Bounce b"
                " ON b.SubscriberID = s.SubscriberID WHERE b.EventDate IS NOT NULL",
                2,
            ),
            ("SELECT a.JobID FROM _Bounce a, _Bounce b WHERE a.JobID = b.JobID", 4),
            ("SELECT * FROM _Bounce WHERE NOT (BounceCategory = 'x') AND SMTPCode = '550'", 2),
        ],
    )
    def test_statement(self, store: Store, query: str, count: int) -> None:
        assert len(rows(store, query)) == count

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("SELECT b.EmailAddress FROM _Bounce b", "Invalid column name 'EmailAddress'."),
            ("SELECT Nope FROM _Bounce", "Invalid column name 'Nope'."),
            (
                "SELECT x.JobID FROM _Bounce b",
                'The multi-part identifier "x.JobID" could not be bound.',
            ),
            (
                "SELECT SubscriberKey FROM _Bounce b JOIN _Sent s ON s.JobID = b.JobID",
                "Ambiguous column name 'SubscriberKey'.",
            ),
            ("SELECT A FROM Nowhere", "Invalid object name 'Nowhere'."),
            ("SELECT FROM WHERE", "Incorrect syntax near"),
            ("DELETE FROM _Bounce", "Only SELECT statements"),
            ("SELECT JobID INTO x FROM _Bounce", "keyword 'INTO'"),
            ("SELECT JobID FROM _Bounce GROUP BY ROLLUP(JobID)", "'ROLLUP' is not"),
            ("SELECT b.JobID FROM _Bounce b CROSS APPLY _Sent", "Incorrect syntax"),
            ("SELECT TOP 1 WITH TIES JobID FROM _Bounce ORDER BY JobID", "WITH TIES"),
            ("SELECT 1 AS a; SELECT 2 AS b", "Only SELECT statements"),
            ("WITH x AS (SELECT 1 AS a) SELECT a FROM x", "keyword 'WITH'"),
            ("SELECT LEFT(SubscriberKey, 3) FROM _Bounce", "No column name was specified"),
            ("SELECT JobID, JobID FROM _Bounce", "specified multiple times"),
            ("SELECT MD5SUM(JobID) AS a FROM _Bounce", "not a recognized built-in function name"),
            ("SELECT JobID FROM _Bounce WHERE JobID", "expression of non-boolean type"),
        ],
    )
    def test_what_is_refused(self, store: Store, query: str, message: str) -> None:
        with pytest.raises(QueryError) as refusal:
            compiled(store, PARENT, query)
        assert message in str(refusal.value)

    def test_a_value_that_cannot_be_converted_ends_the_run(self, store: Store) -> None:
        with pytest.raises(sqlite3.OperationalError):
            rows(store, "SELECT CAST(SubscriberKey AS int) AS a FROM _Bounce")
