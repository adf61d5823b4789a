"""Somebody in good health, for each test to make ill in one way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bounce_sync_tests.doctor.patient import Patient, admitted, healthy


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    with admitted(healthy(), tmp_path) as patient:
        yield patient
