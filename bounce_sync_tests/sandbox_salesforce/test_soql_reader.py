"""What can be read as SOQL, and what it means."""

from __future__ import annotations

from datetime import date

import pytest

from bounce_sync.sandbox.salesforce.soql.dates import days_of
from bounce_sync.sandbox.salesforce.soql.reader import read
from bounce_sync.sandbox.salesforce.soql.tokens import SoqlError, text_of
from bounce_sync.sandbox.salesforce.soql.tree import Chain, Comparison, Membership, Not
from bounce_sync_tests.sandbox_salesforce.soql_corpus import INVALID, VALID


@pytest.mark.parametrize("statement", VALID)
def test_reads(statement: str) -> None:
    assert read(statement).fields


@pytest.mark.parametrize("statement", INVALID)
def test_refuses(statement: str) -> None:
    with pytest.raises(SoqlError) as refused:
        read(statement)
    assert refused.value.code == "MALFORMED_QUERY"


def test_the_error_shows_the_place() -> None:
    with pytest.raises(SoqlError) as refused:
        read("SELECT Id\nFROM Contact\nWHERE Email LIKE")
    assert str(refused.value) == (
        "\nWHERE Email LIKE\n                ^\nERROR at Row:3:Column:17\nunexpected token: '<EOF>'"
    )


def test_a_statement_may_have_100_000_characters() -> None:
    statement = "SELECT Id FROM Contact WHERE Email = '{}'"
    fill = 100_000 - len(statement.format(""))
    assert read(statement.format("x" * fill)).where
    with pytest.raises(SoqlError) as refused:
        read(statement.format("x" * (fill + 1)))
    assert refused.value.code == "QUERY_TOO_COMPLICATED"


def test_and_binds_tighter_than_or_and_the_mixture_is_noted() -> None:
    where = read("SELECT Id FROM X WHERE A = 1 AND B = 2 OR C = 3").where
    assert isinstance(where, Chain)
    assert where.connective == "OR"
    first, second = where.conditions
    assert isinstance(first, Chain)
    assert first.connective == "AND"
    assert isinstance(second, Comparison)
    assert where.mixed_at == 39


def test_not_takes_the_next_term_only() -> None:
    where = read("SELECT Id FROM X WHERE NOT A = 1 AND B = 2").where
    assert isinstance(where, Chain)
    assert isinstance(where.conditions[0], Not)
    assert isinstance(where.conditions[1], Comparison)


def test_a_list_keeps_its_literals() -> None:
    where = read("SELECT Id FROM X WHERE A NOT IN ('a', 'b')").where
    assert isinstance(where, Membership)
    assert where.operator == "NOT IN"
    assert isinstance(where.within, tuple)
    assert [literal.text for literal in where.within] == ["'a'", "'b'"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"'it\'s'", "it's"),
        (r"'a\\b'", r"a\b"),
        (r"'\n\r\t\b\f\"'", '\n\r\t\b\f"'),
        (r"'\u00e9'", "é"),
        (r"'100\%'", "100%"),
    ],
)
def test_escapes(raw: str, text: str) -> None:
    assert text_of(raw) == text


def test_an_unknown_escape_is_refused() -> None:
    with pytest.raises(SoqlError, match="Illegal character sequence"):
        text_of(r"'\q'")


@pytest.mark.parametrize(
    ("literal", "first", "end"),
    [
        ("TODAY", "2026-05-06", "2026-05-07"),
        ("YESTERDAY", "2026-05-05", "2026-05-06"),
        ("TOMORROW", "2026-05-07", "2026-05-08"),
        ("THIS_WEEK", "2026-05-03", "2026-05-10"),  # Sunday to Saturday
        ("LAST_WEEK", "2026-04-26", "2026-05-03"),
        ("NEXT_MONTH", "2026-06-01", "2026-07-01"),
        ("LAST_MONTH", "2026-04-01", "2026-05-01"),
        ("THIS_QUARTER", "2026-04-01", "2026-07-01"),
        ("LAST_QUARTER", "2026-01-01", "2026-04-01"),
        ("LAST_YEAR", "2025-01-01", "2026-01-01"),
        ("THIS_FISCAL_YEAR", "2026-01-01", "2027-01-01"),
        ("LAST_N_DAYS:1", "2026-05-05", "2026-05-07"),
        ("LAST_90_DAYS", "2026-02-05", "2026-05-07"),
        ("NEXT_N_DAYS:2", "2026-05-07", "2026-05-09"),
        ("N_DAYS_AGO:2", "2026-05-04", "2026-05-05"),
        ("LAST_N_MONTHS:5", "2025-12-01", "2026-05-01"),
        ("NEXT_N_MONTHS:8", "2026-06-01", "2027-02-01"),
        ("N_WEEKS_AGO:1", "2026-04-26", "2026-05-03"),
        ("LAST_N_QUARTERS:2", "2025-10-01", "2026-04-01"),
        ("N_YEARS_AGO:1", "2025-01-01", "2026-01-01"),
    ],
)
def test_relative_dates(literal: str, first: str, end: str) -> None:
    days = days_of(literal, date(2026, 5, 6))  # a Wednesday
    assert (days.first.isoformat(), days.end.isoformat()) == (first, end)
