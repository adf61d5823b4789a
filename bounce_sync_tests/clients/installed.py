"""Public clients in environments of their own, installed once per machine and left unchanged.

They live under ``$BOUNCE_SYNC_TEST_CACHE`` (default: ``bounce-sync-tests`` in the user's cache
folder). A script that stands beside the tests gets JSON on its standard input and prints JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

SECONDS = 120
"""More than any script of the tests needs; one that hangs is ended."""


def cache() -> Path:
    """Where this machine keeps what the tests install."""
    users = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bounce-sync-tests"
    return Path(os.environ.get("BOUNCE_SYNC_TEST_CACHE", users))


@dataclass(frozen=True)
class Environment:
    """An interpreter with its packages; ``folder`` is where scripts find them."""

    interpreter: Path
    folder: Path

    def run(
        self, script: Path, given: object, *, seconds: float = SECONDS, **variables: str
    ) -> Any:
        """What the script prints, read as JSON. Fails the test with what it wrote if it fails.

        A copy of the script's folder is run, since Node looks for packages beside the script.
        Nothing of this process's environment gets there but the path: no proxy, no credentials.
        """
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="run-") as place:
            shutil.copytree(script.parent, place, dirs_exist_ok=True)
            done = subprocess.run(
                [self.interpreter, Path(place, script.name)],
                cwd=place,
                env={"PATH": os.environ["PATH"], "HOME": place, "TMPDIR": place, **variables},
                input=json.dumps(given),
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
            )
        assert done.returncode == 0, f"{script.name}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return json.loads(done.stdout)


def node(*packages: str) -> Environment:
    """Node with these packages of npm; skips the test where there is no Node or no npm."""
    found = {name: shutil.which(name) for name in ("node", "npm")}
    if not all(found.values()):
        pytest.skip("Node and npm aren't installed")

    def install(folder: Path) -> None:
        (folder / "package.json").write_text('{"private": true}')
        _run(
            folder,
            found["npm"],
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            *packages,
        )

    return Environment(Path(str(found["node"])), _installed("node", packages, install))


def python(*packages: str, without_dependencies: Sequence[str] = ()) -> Environment:
    """Python with these packages of PyPI, in a virtual environment."""

    def install(folder: Path) -> None:
        _run(folder, sys.executable, "-m", "venv", "venv")
        pip = (folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet")
        _run(folder, *pip, *packages)
        if without_dependencies:
            _run(folder, *pip, "--no-deps", *without_dependencies)

    folder = _installed("python", (*packages, *without_dependencies), install)
    return Environment(folder / "venv" / "bin" / "python", folder)


def _installed(kind: str, packages: Sequence[str], install: Callable[[Path], None]) -> Path:
    """The folder of exactly these packages, made by whoever comes first."""
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    folder = cache() / f"{kind}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "installed"
    with FileLock(folder / "lock"):
        if not whole.exists():
            try:
                install(folder)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"{', '.join(packages)} can't be installed: {error.stderr[-500:]}")
            whole.touch()
    return folder


def _run(folder: Path, *command: Any) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
