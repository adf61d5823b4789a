"""`bounce-sync dev`, where it can't start. (Where it does, the tests of the UI use it.)"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from bounce_sync.commands.dev import dev


def test_a_port_that_is_taken_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOUNCE_SYNC_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = CliRunner().invoke(dev, ["--port", str(port)])
    assert ended.exit_code == 1
    assert f"port {port} (Address already in use)" in ended.output
    assert "--port" in ended.output
    assert not (tmp_path / "home").exists()
