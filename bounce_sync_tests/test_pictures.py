"""Pictures are images, small ones, of any counts that may come."""

from __future__ import annotations

import io
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image

from bounce_sync import pictures
from bounce_sync.rules.confirmation import FUNNEL

DAYS = [f"2026-01-{day:02}" for day in range(1, 31) if day != 9]
MOST = 40_000
"""Bytes that a picture may have: it lives in Dagster's event log."""
LIGHT = 200
"""Grey of the faint lines; ink is far darker."""


def image(png: bytes) -> Image.Image:
    assert len(png) < MOST
    return Image.open(io.BytesIO(png))


def days(*names: str, among: list[str] | None = None) -> pd.DataFrame:
    index = among or DAYS
    return pd.DataFrame({name: range(len(index)) for name in names}, index=index)


@pytest.mark.parametrize(
    "counts", [{"bounces": 2_844, "Held": 369}, {"nothing": 0}, {"long " * 30: 10**9}]
)
def test_counts_become_bars(counts: dict[str, int]) -> None:
    assert image(pictures.bars(counts)).width > 600


@pytest.mark.parametrize("among", [DAYS, DAYS[:1], DAYS[:2]])
def test_few_days_and_many_become_a_plot(among: list[str]) -> None:
    for plot in (pictures.stacked_days, pictures.lines_over_days):
        assert image(plot(days("Hard bounce", "Soft bounce", among=among))).width > 600


def test_long_names_are_whole() -> None:
    """A text that is cut leaves ink on the edge of the picture."""
    names = tuple(FUNNEL[name] for name in ("staged", "naive_false_flags"))
    for plot in (pictures.stacked_days, pictures.lines_over_days):
        shown = image(plot(days(*names))).convert("L")
        edges = (shown.crop((x, 0, x + 1, shown.height)) for x in (0, shown.width - 1))
        assert min(edge.getextrema()[0] for edge in edges) > LIGHT


def test_a_missing_day_is_a_gap() -> None:
    whole = days("bounces")
    with_zero = pd.concat([whole, pd.DataFrame({"bounces": [0]}, index=["2026-01-09"])])
    assert pictures.lines_over_days(whole) != pictures.lines_over_days(with_zero)


def test_the_same_counts_become_the_same_bytes() -> None:
    assert pictures.bars({"a": 1}) == pictures.bars({"a": 1}) != pictures.bars({"a": 2, "b": 1})


def test_print_is_finer_than_screen() -> None:
    fine = image(pictures.bars({"a": 1}, dpi=pictures.PRINT))
    assert fine.width > image(pictures.bars({"a": 1})).width


def test_importing_the_definitions_draws_nothing() -> None:
    program = "import sys, bounce_sync.definitions; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
