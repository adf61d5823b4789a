"""The preview features of Dagster that we chose, and why; any other is an error in the tests."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from dagster import PreviewWarning

CHOSEN = {
    "partitioned asset checks": "An unpartitioned check on a partitioned asset loads all its "
    "partitions and keeps no history by day (facts/dagster.md §0.2).",
}


@contextlib.contextmanager
def chosen(feature: str) -> Iterator[None]:
    """Definitions made inside may use `feature`, which is one of `CHOSEN`."""
    if feature not in CHOSEN:
        raise KeyError(f"{feature!r} was never chosen; the chosen are {', '.join(CHOSEN)}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        yield
