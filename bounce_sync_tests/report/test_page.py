"""What the page of a day says, and what it never says."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from importlib.resources import files

import pytest
from lxml import html

from bounce_sync.report import making
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.errors import remedy_of_row
from bounce_sync.services import Services
from bounce_sync.settings import Settings
from bounce_sync_tests.installation import FLAG
from bounce_sync_tests.report.day import (
    ACME,
    ANN,
    DAY,
    DOMAIN,
    NAMES,
    OUTAGE,
    QUEUE,
    SILENT,
    Written,
    written,
)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    with written(tmp_path_factory.mktemp("report")) as made:
        yield made


@pytest.fixture(scope="module")
def text(day: Written) -> str:
    """The page that the run itself left in the lake."""
    return making.path(day.installation.runner.lake, DAY).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> html.HtmlElement:
    return html.document_fromstring(text)


@pytest.fixture
def org() -> Iterator[Org]:
    with Services(Settings.load()) as services:
        yield services.org()


def section(page: html.HtmlElement, anchor: str) -> list[html.HtmlElement]:
    """What stands between a heading and the next."""
    (heading,) = page.xpath(f"//h2[@id='{anchor}']")
    following = heading.itersiblings()
    found = [heading]
    for element in following:
        if element.tag == "h2":
            break
        found.append(element)
    return found


def links(page: html.HtmlElement, anchor: str) -> set[str]:
    hrefs = [link for each in section(page, anchor) for link in each.xpath(".//td/a/@href")]
    return {str(href).split("/")[-2] for href in hrefs}


def words(page: html.HtmlElement, anchor: str) -> str:
    texts = [text for each in section(page, anchor) for text in each.itertext()]
    return " ".join(" ".join(texts).split())


def shares(page: html.HtmlElement, title: str) -> dict[str, tuple[int, int]]:
    (table,) = page.xpath(f"//h3[text()='{title}']/following-sibling::div[1]/table")
    rows = [[str(cell.text_content()) for cell in row] for row in table.xpath("./tbody/tr")]
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}


@pytest.mark.parametrize("what", ["new", "released", "conflicts", "refused"])
def test_everybody_stands_where_they_belong_with_a_link(
    day: Written, page: html.HtmlElement, what: str
) -> None:
    expected = getattr(day.people, what)
    assert links(page, what) == set(expected)
    assert f"({len(expected)})" in words(page, what)
    url = day.installation.address.salesforce_url
    hrefs = page.xpath("//td/a/@href")
    assert all(href.startswith(f"{url}/lightning/r/") for href in hrefs)


def test_the_numbers_are_those_of_the_tables(day: Written, page: html.HtmlElement) -> None:
    lake = day.installation.runner.lake
    updates, plan = lake.read("crm_flag_updates", DAY), lake.read("crm_flag_changes", DAY)
    by_outcome = updates.groupby(["action", "outcome"]).size()
    tiles = {
        str(tile.xpath("./a/@href")[0]): str(tile.xpath(".//b/text()")[0])
        for tile in page.xpath("//ul[@class='tiles']/li")
    }
    assert tiles["#new"] == str(by_outcome["set", "written"])
    assert tiles["#released"] == str(by_outcome["clear", "written"])
    assert tiles["#refused"] == str((updates["outcome"] == "rejected").sum())
    assert tiles["#quarantined"] == str((plan["reason"] == "domain_spike").sum()) == str(SILENT)
    assert f"({(plan['action'] == 'none').sum()})" in words(page, "left")


def test_a_quarantined_domain_is_named_with_its_records(page: html.HtmlElement) -> None:
    assert f"{OUTAGE} {SILENT}" in words(page, "quarantined")


def test_a_refusal_carries_its_code_and_what_it_means(page: html.HtmlElement) -> None:
    code = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    said = words(page, "refused")
    assert f"rejected {code}" in said
    assert f"{code}: {remedy_of_row(code).advice}" in said


def test_reachability_is_what_the_crm_holds(day: Written, page: html.HtmlElement) -> None:
    expected: dict[str, dict[str, tuple[int, int]]] = {"By owner": {}, "By Account": {}}
    with day.installation.store() as store:
        people = (
            f'SELECT OwnerId, AccountId, "{FLAG}" FROM Contact WHERE Email IS NOT NULL UNION ALL '
            f'SELECT OwnerId, NULL, "{FLAG}" FROM Lead WHERE Email IS NOT NULL AND IsConverted = 0'
        )
        for title, column in (("By owner", "OwnerId"), ("By Account", "AccountId")):
            for identity, count, flagged in store.execute(
                f'SELECT {column}, count(*), sum("{FLAG}") FROM ({people}) WHERE {column} NOT NULL'
                f" GROUP BY {column}"
            ):
                name = next((n for (_, known), n in NAMES.items() if known == identity), identity)
                if title == "By owner" or flagged:
                    expected[title][name] = (count, flagged)
    assert {title: shares(page, title) for title in expected} == expected


def test_a_queue_whose_name_cannot_be_read_is_named_by_its_id(page: html.HtmlElement) -> None:
    assert QUEUE in shares(page, "By owner")
    assert "names of Group records can't be read" in words(page, "reachability")


def test_names_of_the_crm_are_text_and_nothing_else(text: str, page: html.HtmlElement) -> None:
    assert page.xpath("//script") == []
    assert "<b>bold" not in text
    assert NAMES["Account", ACME] in shares(page, "By Account")
    assert NAMES["User", ANN] in words(page, "new")


def test_no_address_stands_on_the_page_of_the_lake(day: Written, text: str) -> None:
    for person in (*day.people.tenant.contacts, *day.people.tenant.leads):
        assert person["Email"] not in text
    assert DOMAIN not in text


def test_addresses_are_there_when_they_are_asked_for(day: Written, org: Org) -> None:
    lake = day.installation.runner.lake
    with Connection(org) as connection:
        asked = making.make(lake, connection, DAY, with_addresses=True)
    people = day.people
    for record in (*people.new, *people.released, *people.conflicts, *people.refused):
        assert people.tenant.email_of(record) in asked
    assert f"fine0@{DOMAIN}" not in asked


def test_nothing_is_loaded_from_anywhere(text: str, page: html.HtmlElement) -> None:
    loaded = page.xpath("//@src | //link/@href | //@srcset | //object/@data | //iframe | //form")
    assert loaded
    assert all(str(each).startswith("data:image/png;base64,") for each in loaded)
    assert re.findall(r"url\(|@import|javascript:", text) == []


def test_the_page_of_one_run_tells_what_that_run_wrote(day: Written, org: Org) -> None:
    lake = day.installation.runner.lake
    again = day.installation.run(DAY).line()["run_id"]
    with Connection(org) as connection:
        first = html.document_fromstring(making.make(lake, connection, DAY, run_id=day.runs[DAY]))
        second = html.document_fromstring(making.make(lake, connection, DAY, run_id=again))
    assert links(first, "new") == set(day.people.new)
    assert links(second, "new") == set()
    assert links(second, "refused") == set(day.people.refused)


def test_a_crm_that_says_nothing_leaves_a_page_with_a_note(day: Written, org: Org) -> None:
    nowhere = dataclasses.replace(org, login_url="https://127.0.0.1:9")
    with Connection(nowhere, sleep=lambda _: None) as connection:
        made = making.make(day.installation.runner.lake, connection, DAY)
    page = html.document_fromstring(made)
    assert links(page, "new") == set(day.people.new)
    assert "The CRM didn't tell everything" in words(page, "reachability")


def test_hidden_accounts_are_a_note_too(day: Written, org: Org) -> None:
    with day.installation.store() as store:
        store.set_setting("missing_permissions", "ReadAccount")
    try:
        with Connection(org) as connection:
            made = making.make(day.installation.runner.lake, connection, DAY)
    finally:
        with day.installation.store() as store:
            store.set_setting("missing_permissions", "")
    page = html.document_fromstring(made)
    assert ACME in shares(page, "By Account")
    assert "names of Account records can't be read" in words(page, "reachability")


def test_the_lists_of_flagged_records_are_those_that_setup_makes(page: html.HtmlElement) -> None:
    hrefs = [str(href) for href in page.xpath("//p/a[contains(@href, '/lightning/o/')]/@href")]
    views = [href.partition("filterName=")[2] for href in hrefs]
    components = files("bounce_sync.setup") / "salesforce/force-app/main/default/objects"
    for name, view in zip(("Contact", "Lead"), views, strict=True):
        assert (components / name / "listViews" / f"{view}.listView-meta.xml").is_file()
