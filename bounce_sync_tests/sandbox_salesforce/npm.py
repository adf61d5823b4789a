"""Node packages for tests, installed once into a cache folder of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

PACKAGE = '{"name": "bounce-sync-clients", "private": true, "type": "module"}'


def installed(*packages: str) -> Path:
    """A folder whose ``node_modules`` has these packages; skips the test where that can't be."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node and npm aren't installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bounce-sync-tests"
    folder = cache / "-".join(one.replace("/", "+") for one in sorted(packages))
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / ".installed").exists():
            (folder / "package.json").write_text(PACKAGE)
            done = subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                pytest.skip(f"npm can't install {', '.join(packages)}: {done.stderr[-300:]}")
            (folder / ".installed").touch()
    return folder


def run(folder: Path, script: str, *arguments: str, stdin: str = "") -> str:
    """Runs a script (text) with the packages of a folder; gives what it prints."""
    file = folder / f"script-{os.getpid()}.mjs"
    file.write_text(script)
    try:
        done = subprocess.run(
            ["node", str(file), *arguments],
            cwd=folder,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        file.unlink()
    assert done.returncode == 0, done.stderr
    return done.stdout
