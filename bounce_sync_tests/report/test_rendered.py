"""The page in a real browser: on a screen, on a phone, on paper."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.report import page
from bounce_sync.report.day import Day
from bounce_sync.report.names import nobody_s
from bounce_sync.report.reachability import Reachability
from bounce_sync_tests.chromium import chromium, needs_chromium

pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.external, needs_chromium]

LONG = "Donaudampfschifffahrtsgesellschaft"
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]


def records(count: int) -> pd.DataFrame:
    """As many listed records."""
    return pd.DataFrame(
        {
            "object": ["Contact"] * count,
            "record_id": [f"003{number:015}" for number in range(count)],
            "reason": ["released"] * count,
            "bounced_at": [pd.Timestamp("2026-01-03T12:00:00Z")] * count,
            "category": ["Technical/Other bounce"] * count,
            "domain": [f"{LONG.lower()}.example"] * count,
            "status": ["Held"] * count,
            "outcome": ["rejected"] * count,
            "error_code": ["FIELD_CUSTOM_VALIDATION_EXCEPTION"] * count,
            "email": [f"a@{LONG}.example"] * count,
        }
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full page with everything as long as it gets."""
    counted = pd.DataFrame({"with_email": [12_345_678], "flagged": [1_234_567]}, index=["005Ann"])
    day = Day(
        partition=DAYS[-1],
        run_ids=("12345678-abcd",),
        instance_url="https://acme.my.salesforce.com",
        new=records(300),
        released=records(3),
        refused=records(3),
        conflicts=records(1),
        quarantined=records(5),
        refreshed=1,
        left={"still_held": 12_345},
        funnel={"raw_bounces": 100, "naive_false_flags": 10},
        naive={"flagged": 20, "right": 10, "wrong": 10, "missed": 0},
    )
    text = page.render(
        day,
        reachability=Reachability(counted, counted, counted),
        belonging=nobody_s(),
        name_of=lambda identity: f"{LONG} & {LONG}" if isinstance(identity, str) else "",
        trend=pd.DataFrame({"set": [1, 2, 3]}, index=DAYS),
        notes=[],
        made_at=datetime(2026, 1, 4, tzinfo=UTC),
        is_rehearsal=True,
        with_addresses=True,
    )
    written = tmp_path_factory.mktemp("page") / "page.html"
    written.write_text(text, encoding="utf-8")
    return written


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize(("width", "height"), [(1200, 900), (360, 740)])
def test_it_fits_the_screen_and_loads_nothing_but_itself(
    browser, file: Path, width: int, height: int
) -> None:
    tab = browser.new_context(viewport={"width": width, "height": height}).new_page()
    requests: list[str] = []
    messages: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: messages.append(message.text))
    tab.goto(file.as_uri(), wait_until="load")
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    assert messages == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    widths = tab.evaluate("[...document.images].map(i => [i.naturalWidth, i.clientWidth])")
    assert len(widths) == 2
    assert all(drawn > 600 and 0 < shown <= width for drawn, shown in widths)


def test_a_phone_shows_every_column_without_scrolling_sideways(browser, file: Path) -> None:
    tab = browser.new_context(viewport={"width": 360, "height": 740}).new_page()
    tab.goto(file.as_uri())
    aside = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth)"
    assert tab.evaluate(f"{aside}.map(e => e.innerText.slice(0, 80))") == []


def test_a_tile_leads_to_its_list(browser, file: Path) -> None:
    tab = browser.new_page()
    tab.goto(file.as_uri())
    tab.get_by_role("link", name="refused by the CRM").click()
    heading = tab.get_by_role("heading", name="Refused by the CRM (3)")
    assert heading.evaluate("h => h.getBoundingClientRect().top < window.innerHeight")


def test_it_prints_on_paper_with_every_row_and_dark_on_white(browser, file: Path) -> None:
    tab = browser.new_page()
    tab.goto(file.as_uri())
    tab.emulate_media(media="print")
    ink, paper = tab.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert (ink, paper) == ("rgb(34, 37, 43)", "rgb(255, 255, 255)")
    overflow = "[...document.querySelectorAll('.wide')].map(e => getComputedStyle(e).overflow)"
    assert set(tab.evaluate(overflow)) == {"visible"}
    assert tab.pdf(format="A4").startswith(b"%PDF")
