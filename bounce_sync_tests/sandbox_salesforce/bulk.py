"""Drives Bulk 2.0 jobs step by step."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

from bounce_sync_tests.sandbox_salesforce.org import Org

FINISHED = ("JobComplete", "Failed", "Aborted")


def create(org: Org, **options: Any) -> dict[str, Any]:
    body = {"object": "Contact", "operation": "update", "contentType": "CSV"} | options
    said = org.ask("POST", "jobs/ingest", json=body)
    assert said.status_code == 200, said.text
    return said.json()


def upload(org: Org, job: dict[str, Any], text: str) -> None:
    said = org.ask(
        "PUT",
        f"jobs/ingest/{job['id']}/batches",
        data=iter([text.encode()]),  # chunked, as jsforce sends it
        headers={"Content-Type": "text/csv"},
    )
    assert (said.status_code, said.content) == (201, b""), said.text


def close(org: Org, job: dict[str, Any], state: str = "UploadComplete") -> dict[str, Any]:
    said = org.ask("PATCH", f"jobs/ingest/{job['id']}", json={"state": state})
    assert said.status_code == 200, said.text
    return said.json()


def info(org: Org, job: dict[str, Any], kind: str = "ingest") -> dict[str, Any]:
    return org.ask("GET", f"jobs/{kind}/{job['id']}").json()


def finished(org: Org, job: dict[str, Any], kind: str = "ingest") -> dict[str, Any]:
    """The job once it is finished; each question waits a little longer than the last."""
    pause = 0.01
    while (now := info(org, job, kind))["state"] not in FINISHED:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
    return now


def run(org: Org, text: str, **options: Any) -> dict[str, Any]:
    """The whole life of an ingest job."""
    job = create(org, **options)
    upload(org, job, text)
    close(org, job)
    return finished(org, job)


def results(org: Org, job: dict[str, Any], kind: str, delimiter: str = ",") -> list[list[str]]:
    """A result file as rows, its header first."""
    said = org.ask("GET", f"jobs/ingest/{job['id']}/{kind}")
    assert said.status_code == 200, said.text
    assert said.headers["Content-Type"] == "text/csv"
    return list(csv.reader(io.StringIO(said.content.decode()), delimiter=delimiter))


def csv_of(header: str, *rows: str, line: str = "\n") -> str:
    return line.join([header, *rows]) + line
