"""What users get: the built wheel runs outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with our wheel; the dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(CHECKOUT)],
        check=True,
        env=environment,
        cwd=folder,
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    purelib = next((folder / "env" / "lib").iterdir()) / "site-packages"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", purelib, wheel],
        check=True,
        env=environment,
    )
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_demo_runs_outside_the_checkout(installed_wheel: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    where = subprocess.run(
        [installed_wheel, "-c", "import bounce_sync; print(bounce_sync.__file__)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert where.stdout.startswith(str(installed_wheel.parents[1]))
    demo = subprocess.run(
        [installed_wheel, "-m", "bounce_sync.cli", "demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert demo.returncode == 0, demo.stderr
    assert "newly flagged" in demo.stdout
    assert "Where to look next" in demo.stdout
    assert (tmp_path / ".bounce_sync" / "ledger.db").exists()
    assert list((tmp_path / ".bounce_sync" / "lake" / "reports").glob("*.html"))


def test_what_setup_deploys_comes_with_the_wheel(installed_wheel: Path, tmp_path: Path) -> None:
    told = subprocess.run(
        [installed_wheel, "-m", "bounce_sync.cli", "setup", "--export", "source"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert told.returncode == 0, told.stderr
    shipped = CHECKOUT / "bounce_sync" / "setup" / "salesforce"
    files = {path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()}
    written = {path.relative_to(tmp_path / "source") for path in tmp_path.rglob("source/**/*.*")}
    assert written == files


def test_the_files_for_production_come_along(installed_wheel: Path) -> None:
    purelib = next((installed_wheel.parents[1] / "lib").iterdir()) / "site-packages"
    shipped = CHECKOUT / "bounce_sync" / "deploy"
    files = {path.relative_to(CHECKOUT) for path in shipped.rglob("*") if path.is_file()}
    missing = {path for path in files if path.suffix != ".pyc" and not (purelib / path).exists()}
    assert missing == set()


def test_what_is_no_code_is_in_it_too(installed_wheel: Path) -> None:
    """Queries, pages, the CRM's source files, what deployments need."""
    (shipped,) = installed_wheel.parents[1].glob("lib/*/site-packages/bounce_sync")
    assert _no_code(CHECKOUT / "bounce_sync") <= _no_code(shipped)


def _no_code(package: Path) -> set[Path]:
    files = (path for path in package.rglob("*") if path.is_file())
    return {path.relative_to(package) for path in files if path.suffix not in (".py", ".pyc")}
