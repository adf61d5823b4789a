"""The three processes of an installation, started as the shipped systemd units start them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bounce_sync_tests.production.shipped import FOLDER, environment_file, loaded, started

BINARIES = Path(sys.executable).parent
INSTALLED, CONFIGURED = "/opt/bounce-sync/bin", "/etc/bounce-sync"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Machine:
    """A machine with the shipped files in the place of /etc/bounce-sync."""

    folder: Path
    environ: dict[str, str]

    @classmethod
    def prepare(cls, folder: Path, database: str, **more: str) -> Machine:
        """`database` is the URL of a PostgreSQL server; both databases are made in it."""
        configuration = folder / "etc"
        configuration.mkdir()
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(FOLDER / name, configuration)
        with psycopg.connect(f"{database}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE dagster")
            connection.execute((FOLDER / "create-ledger.sql").read_bytes())
        given = environment_file("dagster.env") | {
            "DAGSTER_HOME": str(configuration),
            "DAGSTER_STATE": str(folder / "state"),
            "DAGSTER_POSTGRES_URL": f"{database}/dagster".replace(":", "+psycopg2:", 1),
            "CODE_SERVER_PORT": str(free_port()),
            "WEBSERVER_PORT": str(free_port()),
            "BOUNCE_SYNC_HOME": str(folder / "state"),
            "BOUNCE_SYNC_LEDGER": f"{database}/ledger",
            "PATH": f"{BINARIES}:{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
        }
        return cls(folder, given | more)

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.environ['WEBSERVER_PORT']}"

    def commands(self, unit: str) -> list[list[str]]:
        return [
            [
                word.replace(INSTALLED, str(BINARIES)).replace(CONFIGURED, str(self.folder / "etc"))
                for word in words
            ]
            for words in started(f"bounce-sync-{unit}.service", self.environ)
        ]

    def run(self, unit: str, **environ: str) -> int:
        """A unit that ends by itself: the exit status of its last command, or of a failed one."""
        status = 0
        for words in self.commands(unit):
            status = status or self._run(words, **environ)
        return status

    def health(self) -> dict[str, int]:
        """Exit status of the health check of each container, asked about our processes."""
        ports = {"4000": "CODE_SERVER_PORT", "3000": "WEBSERVER_PORT"}
        found = {}
        for name, service in loaded("compose.yaml")["services"].items():
            if name != "postgres":
                test = service["healthcheck"]["test"][1:]
                for port, variable in ports.items():
                    test = [word.replace(port, self.environ[variable]) for word in test]
                found[name] = self._run(test)
        return found

    def _run(self, words: list[str], **environ: str) -> int:
        given = self.environ | environ
        return subprocess.run(
            words, cwd=self.folder, env=given, capture_output=True, check=False
        ).returncode

    @contextlib.contextmanager
    def running(self, unit: str) -> Iterator[None]:
        """A unit that goes on; ended as systemd ends it: all its processes, then the hard way."""
        with (self.folder / f"{unit}.log").open("wb") as log:
            (words,) = self.commands(unit)
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
