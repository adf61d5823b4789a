"""An installation that has run a day, to copy for each page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bounce_sync.storage import Lake

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
