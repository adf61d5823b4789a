"""A real `bounce-sync dev` with daemon and webserver, spoken to as the UI speaks to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

PATIENCE = 180.0
"""Seconds after which a test gives up; on a good day none is needed."""


def eventually(what: str, found: Callable[[], Any]) -> Any:
    """Asks again and again until the answer is true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.25)
    raise AssertionError(f"{what} didn't happen within {PATIENCE:.0f} s")


class DagsterUi:
    """GraphQL, as the UI sends it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = requests.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60
        ).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def ready(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            entries = self.ask(
                "{ workspaceOrError { ... on Workspace { locationEntries {"
                " locationOrLoadError { __typename } } } } }"
            )["workspaceOrError"]["locationEntries"]
            return [entry["locationOrLoadError"] for entry in entries] == [
                {"__typename": "RepositoryLocation"}
            ]
        return False


@contextlib.contextmanager
def dagster_ui(folder: Path) -> Iterator[DagsterUi]:
    """`bounce-sync dev` in the present environment, ended as a person would end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "bounce_sync.cli", "dev", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ui = DagsterUi(f"http://127.0.0.1:{port}")
        eventually("the UI to load the code location", ui.ready)
        yield ui
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
