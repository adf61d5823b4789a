"""Rows printed by SQLite and escaped a page at a time hold exactly the values that went in."""

import json
import sqlite3

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bounce_sync.sandbox.marketing_cloud.marked import JSON, MISSING, XML, Markup

# What XML 1.0 can't carry at all, and NUL, which ends a text of SQLite's printf.
NOWHERE = {"Cs"}
TEXTS = st.lists(
    st.text(st.characters(exclude_categories=NOWHERE, exclude_characters="\x00\ufffe\uffff")),
    min_size=1,
    max_size=5,
)
CONTROLS = {code: None for code in range(32) if code not in {9, 10, 13}}


def printed(sql: str, values: list[str]) -> list[bytes]:
    connection = sqlite3.connect(":memory:")
    try:
        rows = connection.execute(
            f"SELECT CAST({sql} AS BLOB) FROM (SELECT value AS v FROM json_each(?) ORDER BY key)",
            (json.dumps(values),),
        )
        return [row[0] for row in rows]
    finally:
        connection.close()


@given(TEXTS)
def test_xml(values: list[str]) -> None:
    sql = XML.printed([Markup('<row a="&amp;">'), "v", Markup("</row>")])
    page = b"<page>" + XML.finished(printed(sql, values)) + b"</page>"
    found = [row.text or "" for row in etree.fromstring(page)]
    assert found == [value.translate(CONTROLS) for value in values]


@given(TEXTS)
def test_json(values: list[str]) -> None:
    sql = JSON.printed([Markup('{"a\\"b":"'), "v", Markup('","n":["'), "v", Markup('"]}')])
    page = b"[" + JSON.finished(printed(sql, values), b",") + b"]"
    kept = [value.translate(CONTROLS) for value in values]
    assert json.loads(page) == [{'a"b': value, "n": [value]} for value in kept]


def test_more_values_than_one_call_takes() -> None:
    names = [f"'{number}'" for number in range(250)]
    assert printed(XML.printed(names), [""])[0].decode() == "".join(map(str, range(250)))


def test_percent_signs_are_no_placeholders() -> None:
    sql = XML.printed([Markup("<a>100%s"), "v", Markup("%d</a>")])
    assert XML.finished(printed(sql, ["x%s"])) == b"<a>100%sx%s%d</a>"


def test_a_missing_value_changes_its_element() -> None:
    sql = XML.printed([Markup("<a>"), f"coalesce(nullif(v, ''), {MISSING})", Markup("</a>")])
    page = XML.finished(printed(sql, ["x", ""]))
    assert XML.completed(page, {"<a>{}</a>": "<a />"}) == b"<a>x</a><a />"
