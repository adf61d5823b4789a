"""The source `files` against a real OpenSSH server on loopback."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import fsspec
import pytest

from bounce_sync import tables
from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.errors import FileMissing
from bounce_sync.marketing_cloud.sources.files import FilesSource
from bounce_sync_tests.marketing_cloud.tenants import PARENT, day
from bounce_sync_tests.marketing_cloud.test_files_source import HEADER, ROW, SUBSCRIBERS, put

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/sbin")

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's server (openssh-server)"),
]


@contextmanager
def sftp_server(home: Path) -> Iterator[int]:
    """An unprivileged sshd that knows SFTP alone and one key; gives its port."""
    for name in ("host", "client"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)]
        subprocess.run(key, check=True)
    (home / "authorized").write_text((home / "client.pub").read_text())
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": home / "host",
        "AuthorizedKeysFile": home / "authorized",
        "PidFile": home / "pid",
        "PasswordAuthentication": "no",
        "UsePAM": "no",
        "StrictModes": "no",
        "Subsystem": "sftp internal-sftp",
        "ForceCommand": "internal-sftp",
    }
    config = home / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    Path("/run/sshd").mkdir(exist_ok=True)
    command = [str(SSHD), "-D", "-e", "-f", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            assert "listening" in server.stderr.readline()
            yield port
        finally:
            server.terminate()


def test_files_are_read_over_sftp(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    put(folder, "Bounces-2026-06-15.csv", HEADER, ROW)
    put(
        folder,
        "Subscribers-2026-06-15.csv",
        SUBSCRIBERS,
        "k1,ann@mail.example,held,",
        "k2,,active,",
    )
    with sftp_server(tmp_path) as port:
        user = quote(getpass.getuser())
        fsspec.config.conf["sftp"] = {
            "key_filename": str(tmp_path / "client"),
            "look_for_keys": False,
        }
        try:
            known = Account("https://nowhere.example", "id", "secret", PARENT)
            stranger = FilesSource(known, f"sftp://nobody:wrong@127.0.0.1:{port}{folder}")
            with pytest.raises(FileMissing, match=r"can't be listed .* its user and password"):
                stranger.bounces(day())
            url = f"sftp://{user}@127.0.0.1:{port}{folder}"
            source = FilesSource(known, url, {"settle_seconds": 0})
            assert len(tables.RawBounces.validate(source.bounces(day()))) == 1
            assert source.held()["subscriber_key"].tolist() == ["k1"]
            assert source.statuses(["k2", "k3"])["status"].tolist() == ["Active", "Unknown"]
            source.close()
        finally:
            fsspec.config.conf.pop("sftp")
