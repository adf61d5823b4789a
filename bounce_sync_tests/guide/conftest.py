"""An installation that has run a day, to copy for each page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.sandbox import csv_folder
from bounce_sync.sandbox.server import serve
from bounce_sync.storage import Lake
from bounce_sync.tables import CrmFlagUpdates, empty
from bounce_sync_tests.installation import environment
from bounce_sync_tests.tenant import Tenant, last_day

BINARIES = Path(sys.executable).parent


@dataclass(frozen=True)
class Folder:
    """Where a reader of the guide stands: a folder with an installation's `.bounce_sync` in it."""

    path: Path

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BOUNCE_SYNC_", "SFMC_", "SALESFORCE_", "DAGSTER_"))
        }
        return kept | {"PATH": f"{BINARIES}:{kept['PATH']}", "HOME": str(self.path)}

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.path,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def lake(self) -> Lake:
        return Lake(str(self.path / ".bounce_sync" / "lake"))

    def updates(self) -> pd.DataFrame:
        """`crm_flag_updates` of the newest day that has any; empty before the first run."""
        days = self.lake.partitions("crm_flag_updates")
        return self.lake.read("crm_flag_updates", days[-1]) if days else empty(CrmFlagUpdates)


@pytest.fixture(scope="session")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder in which the demo was run."""
    folder = Folder(tmp_path_factory.mktemp("demonstrated"))
    ran = folder.shell("bounce-sync demo")
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture
def folder(demonstrated: Folder, tmp_path: Path) -> Folder:
    """A copy of it."""
    shutil.copytree(demonstrated.path, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Folder(tmp_path)


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Folder]:
    """An empty folder but for the `.env` of somebody whose SFMC and org nobody has set up yet."""
    day = last_day()
    tenant = Tenant()
    for _ in range(5):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), day)
    exports = tenant.write(tmp_path / "EXPORTS")
    csv_folder.create(tmp_path / "services", exports, bare=True)
    with serve(tmp_path / "services") as address:
        settings = environment(address, tmp_path / ".bounce_sync")
        lines = (f"{name}={value}\n" for name, value in settings.items())
        (tmp_path / ".env").write_text("".join(lines), encoding="utf-8")
        yield Folder(tmp_path)
