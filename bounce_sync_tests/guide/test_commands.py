"""Every command of the README and the guide does what a reader expects: it runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess

import duckdb
import pytest

from bounce_sync_tests.guide.conftest import Folder
from bounce_sync_tests.guide.pages import PAGES, Line, lines
from bounce_sync_tests.tenant import day_before, last_day

TESTED_ELSEWHERE = {
    "python3": "installs and builds, as `.ci/run` and bounce_sync_tests/packaging do",
    **dict.fromkeys(
        ("docker", "helm", "kubectl", "systemctl"),
        "bounce_sync_tests/production compares these with the files that they are about",
    ),
}
"""Programs that this machine needn't have, and who looks after the lines that call them."""

SERVERS = {
    "bounce-sync dev": "Serving dagster-webserver",
    "bounce-sync sandbox serve": '"status_url"',
}
"""What runs until it is stopped, and what it says when it is ready."""


ANSWERED = {"bounce-sync setup": "--yes", "bounce-sync drift --mend": "--yes"}
"""What asks, and how a reader without a terminal answers."""

NEWCOMER = "going_live.md"
"""The page that begins with nothing; the others with an installation that has run a day."""


def filled_in(text: str, folder: Folder) -> str:
    """A line with the words that stand for the reader's own values replaced by some of the demo."""
    text = text.replace(".venv/bin/", "")  # on the PATH here
    text += "".join(f" {answer}" for asks, answer in ANSWERED.items() if text.startswith(asks))
    updates = folder.updates()
    if updates.empty:
        return text
    values = {
        "DAY": last_day(),
        "FIRST": day_before(last_day(), 2),
        "KEY": updates["subscriber_key"].iloc[0],
        "RECORD": updates["record_id"].iloc[0],
        "RUN": updates["run_id"].iloc[-1],
    }
    return re.sub(rf"\b({'|'.join(values)})\b", lambda word: values[word[0]], text)


def serve_and_stop(folder: Folder, command: str, ready: str) -> None:
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=folder.path,
        env=folder.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout
        said = []
        try:
            for line in server.stdout:
                said.append(line)
                if ready in line:
                    break
        finally:
            os.kill(server.pid, signal.SIGTERM)
            server.communicate()
        assert any(ready in line for line in said), "".join(said)


def run(folder: Folder, line: Line) -> None:
    text = filled_in(line.text, folder)
    if line.language == "sql":
        with duckdb.connect(config={"file_search_path": str(folder.path)}) as database:
            database.sql(text).fetchall()  # what there is to find depends on the lines before
        return
    ready = next((word for start, word in SERVERS.items() if start in text), None)
    if ready:
        serve_and_stop(folder, text, ready)
        return
    ran = folder.shell(text)
    assert ran.returncode == 0, f"{line}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"


def runs(page: str, folder: Folder) -> None:
    for line in lines(page):
        if line.program not in TESTED_ELSEWHERE:
            run(folder, line)


@pytest.mark.parametrize("page", [page for page in PAGES if lines(page) and page != NEWCOMER])
def test_every_line_of_the_page_runs(page: str, folder: Folder) -> None:
    runs(page, folder)


def test_a_newcomer_goes_live(newcomer: Folder) -> None:
    runs(NEWCOMER, newcomer)
    assert "written" in set(newcomer.updates()["outcome"])
