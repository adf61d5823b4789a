"""Folders of CSV files, and sandboxes over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bounce_sync.sandbox import csv_folder
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_core.rehearsal import CONTACT, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def loaded(tmp_path: Path, folder: Path) -> Iterator[Callable[..., Store]]:
    """Loads a folder of these files, ``name=text``, and opens the sandbox."""
    opened: list[Store] = []

    def load(**files: str) -> Store:
        for name, text in files.items():
            write(folder / f"{name}.csv", text)
        csv_folder.create(tmp_path / "tenant", folder)
        opened.append(Store.open(tmp_path / "tenant"))
        return opened[-1]

    yield load
    for store in opened:
        store.close()


@pytest.fixture
def tenant(tmp_path: Path, folder: Path) -> Path:
    """The folder of a sandbox with one Held subscriber, who bounced, and her Contact."""
    write(
        folder / "subscribers.csv", f"SubscriberKey,EmailAddress,Status\n{CONTACT},a@x.test,held\n"
    )
    write(folder / "bounces.csv", f"SubscriberKey,EventDate\n{CONTACT},2026-05-01 10:00:00.250\n")
    write(folder / "contacts.csv", f"Id,Email\n{CONTACT},a@x.test\n")
    csv_folder.create(tmp_path / "served", folder)
    return tmp_path / "served"
