"""The Dagster UI as a person sees it: a real `bounce-sync dev`, a real Chromium.

Every step waits for what it looks for; nothing else says that a page is ready.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bounce_sync.assets.catalogue import SALES
from bounce_sync.assets.rule_book import rules_of
from bounce_sync.definitions import defs
from bounce_sync.rules.confirmation import FUNNEL
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync_tests.chromium import chromium, needs_chromium
from bounce_sync_tests.pipeline.dagster_ui import dagster_ui
from bounce_sync_tests.report.day import DAY, DOMAIN, OUTAGE, Written, written

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.external, needs_chromium]

GRAPH = defs.resolve_asset_graph()
LOCATION = "bounce_sync.definitions"
PATIENCE = 60.0
"""Seconds to wait for anything to appear; on a good day it takes two."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """Two days were written: people flagged and released, a refusal, a quarantined domain."""
    with written(tmp_path_factory.mktemp("ui")) as made:
        yield made


class Ui:
    """One tab."""

    def __init__(self, url: str, page: playwright.Page) -> None:
        self._url, self.page = url, page

    def go(self, path: str) -> playwright.Page:
        self.page.goto(self._url + path)
        return self.page

    def day_of(self, asset: str) -> playwright.Page:
        """The asset's page, with the day chosen."""
        self.go(f"/assets/{asset}?view=partitions&partition={DAY}")
        self.page.get_by_role("heading", name="Metadata").or_(
            self.page.get_by_text("Metadata", exact=True)
        ).first.wait_for()
        return self.page

    def entry(self, label: str) -> playwright.Locator:
        """The row of the metadata with this label."""
        label_cell = self.page.get_by_role("cell", name=label, exact=True)
        return self.page.get_by_role("row").filter(has=label_cell)

    def opened(self, label: str) -> playwright.Locator:
        """What is behind an entry's click."""
        self.entry(label).get_by_text("[Show Markdown]").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_text(label, exact=True).first.wait_for()
        return dialog


@pytest.fixture(scope="module")
def ui(day: Written, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    with dagster_ui(tmp_path_factory.mktemp("dev")) as served, chromium() as browser:
        page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
        page.set_default_timeout(PATIENCE * 1000)
        yield Ui(served.url, page)


@pytest.mark.parametrize("group", sorted(GRAPH.all_group_names))
def test_the_graph_shows_every_asset_of_every_group(ui: Ui, group: str) -> None:
    page = ui.go(f"/locations/{LOCATION}/asset-groups/{group}")
    for key in GRAPH.asset_keys_for_group(group):
        page.get_by_text(key.path[-1], exact=True).first.wait_for()


def test_the_whole_graph_shows_the_groups(ui: Ui) -> None:
    page = ui.go("/asset-groups")
    for group in GRAPH.all_group_names:
        page.get_by_text(group, exact=True).first.wait_for()


def test_an_external_asset_says_so_and_what_it_is(ui: Ui) -> None:
    page = ui.go("/assets/salesforce/Contact?view=overview")
    page.get_by_text("External Asset").first.wait_for()
    page.get_by_text("who can still be reached by e-mail").first.wait_for()


def test_an_asset_says_whom_to_ask_and_what_its_columns_mean(ui: Ui) -> None:
    page = ui.go("/assets/crm_flag_updates?view=overview")
    for shown in (SALES[0].removeprefix("team:"), "writes_to: salesforce", "personal_data: yes"):
        page.get_by_text(shown, exact=True).first.wait_for()
    page.get_by_text("The CRM's code of a rejection.").first.wait_for()
    page.get_by_text("where columns come from").first.wait_for()


def test_the_funnel_is_a_table_and_a_picture(ui: Ui, day: Written) -> None:
    ui.day_of("confirmed_bounce_staging")
    funnel = day.installation.runner.lake.read("confirmed_bounce_staging", DAY).attrs["funnel"]
    table = ui.entry("funnel").get_by_role("row")
    table.nth(len(funnel)).wait_for()
    assert [row.split("\t") for row in table.all_inner_texts()[1:]] == [
        [f"{count:,}", FUNNEL[name]] for name, count in funnel.items()
    ]
    picture = ui.opened("funnel, drawn").get_by_role("img", name="funnel")
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 600


def test_the_spot_check_names_records_with_links_and_nobody_s_address(ui: Ui, day: Written) -> None:
    ui.day_of("crm_flag_updates")
    shown_there = ui.entry("spot check")
    links = shown_there.get_by_role("link")
    links.first.wait_for()
    expected = {*day.people.new, *day.people.released}
    shown = {link.get_attribute("href") for link in links.all()}
    assert {href.split("/")[-2] for href in shown if href} == expected
    assert all(day.installation.address.salesforce_url in href for href in shown if href)
    text = shown_there.inner_text()
    assert f"n…@{DOMAIN}" in text
    assert f"{DAY} 18:00:00" in text, "SFMC's noon, in UTC"
    for record in expected:
        assert day.people.tenant.email_of(record) not in text


@pytest.mark.parametrize(
    ("asset", "check", "found"),
    [
        ("crm_flag_changes", "no_domain_spike", OUTAGE),
        ("crm_flag_updates", "no_update_was_rejected", "FIELD_CUSTOM_VALIDATION_EXCEPTION (1)"),
    ],
)
def test_a_failed_check_says_what_it_found_and_what_to_do(
    ui: Ui, asset: str, check: str, found: str
) -> None:
    page = ui.go(f"/assets/{asset}?view=checks&checkDetail={check}")
    page.get_by_text(found).first.wait_for()
    page.get_by_text("what to do").first.wait_for()
    (rule,) = (rule for rule in rules_of(asset) if rule.name == check)
    page.get_by_text(rule.recovery).first.wait_for()


def test_a_backfill_offers_the_missing_days(ui: Ui) -> None:
    page = ui.go("/assets/raw_bounces?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Missing", exact=True).click()
    launch = dialog.get_by_role("button", name="Launch backfill")
    playwright.expect(launch).to_be_enabled(timeout=PATIENCE * 1000)


def test_the_launchpad_shows_the_whole_policy(ui: Ui) -> None:
    page = ui.go(f"/locations/{LOCATION}/jobs/daily_bounce_sync/playground")
    editor = page.locator(".CodeMirror").first
    for setting in SyncPolicy().stored():
        editor.get_by_text(setting, exact=True).first.wait_for()
