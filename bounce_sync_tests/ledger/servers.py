"""A PostgreSQL server of Debian's packages, on loopback, for the time of the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OPTIONS = "-c fsync=off -c unix_socket_directories='' -c listen_addresses=127.0.0.1"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl, where PostgreSQL is installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("pg_ctl")
    folders = [*debian, *([Path(found).parent] if found else [])]
    return next((each for each in folders if (each / "initdb").exists()), None)


@contextmanager
def postgresql() -> Iterator[str]:
    """A running server, with its data in a folder of its own; yields its URL without a database.

    PostgreSQL refuses to run as root, who lends it to the user `postgres` or `nobody`.
    """
    found = programs()
    assert found is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="bounce_sync_postgresql_") as folder:
        user = _other_user() if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [found / program, "-D", f"{folder}/data", *arguments],
                check=True,
                user=user,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "Asia/Kolkata"},
            )

        run("initdb", "-U", "ledger", "-A", "trust", "-E", "UTF8", "--no-sync")
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"-p {port} {OPTIONS}", "start")
        try:
            yield f"postgresql://ledger@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


def _other_user() -> str:
    known = {each.pw_name for each in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
