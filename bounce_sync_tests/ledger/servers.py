"""A PostgreSQL server of Debian's packages, on loopback, for the time of the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
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
def postgresql(folder: Path) -> Iterator[str]:
    """A server with its data in `folder`; yields its URL without a database's name.

    PostgreSQL refuses to run as root: root lends it to the user `postgres` or `nobody`.
    """
    found = programs()
    assert found is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = _lend(folder) if os.geteuid() == 0 else None

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [found / program, *arguments],
            check=True,
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "Asia/Kolkata"},
        )

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "ledger", "-A", "trust", "-E", "UTF8", "--no-sync")
    run(
        "pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", f"-p {port} {OPTIONS}", "start"
    )
    try:
        yield f"postgresql://ledger@127.0.0.1:{port}"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")


def _lend(folder: Path) -> str:
    known = {each.pw_name for each in pwd.getpwall()}
    user = "postgres" if "postgres" in known else "nobody"
    shutil.chown(folder, user)
    for parent in folder.parents:  # pytest keeps its folders to their owner
        if parent.owner() == "root" and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return user
