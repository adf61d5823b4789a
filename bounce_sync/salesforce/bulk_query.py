"""Bulk API 2.0 query: a large result in few calls (facts/salesforce.md §3.2, facts/wire.md 37)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from bounce_sync.salesforce.errors import ServiceUnavailable, UnreadableAnswer
from bounce_sync.salesforce.transport import Answer, with_parameters

if TYPE_CHECKING:
    from bounce_sync.salesforce.connection import Connection

CALLS = 10
"""What a query job costs beside its pages: made, and watched."""
PAGE = 50_000
"""Records of one page of results."""
RESULT_SECONDS = 600.0

RUNNING = ("UploadComplete", "InProgress")


def pages(
    connection: Connection,
    statement: str,
    *,
    deleted_too: bool,
    like: Mapping[str, Any],
    what: str,
) -> Iterator[list[dict[str, Any]]]:
    """The records of a statement, page by page, as REST would give them.

    `like` is a record that REST gave for the same statement: CSV doesn't tell true from "true".
    Raises ``ServiceUnavailable`` where the job fails, ``UnreadableAnswer`` where its pages don't
    add up to the number of records that it says it read.
    """
    what = f"Bulk {what}"
    body = {"operation": "queryAll" if deleted_too else "query", "query": statement}
    job = connection.request("POST", "jobs/query", what=what, json=body, read=_job)
    pause = 0.25
    while job["state"] in RUNNING:
        connection.sleep(pause)
        pause = min(pause * 2, 30.0)
        job = connection.request("GET", f"jobs/query/{job['id']}", what=what, read=_job)
    if job["state"] != "JobComplete":
        reason = f"the job ended {job['state']}: {job.get('errorMessage') or 'no reason given'}."
        raise ServiceUnavailable(what, reason, "Run again.")
    kinds = {name: isinstance(value, bool) for name, value in like.items() if name != "attributes"}
    came, locator = 0, ""
    while locator != "null":
        records, locator = _page(connection, job["id"], locator, kinds, f"{what}, from {came + 1}")
        came += len(records)
        yield records
    if came != job.get("numberRecordsProcessed"):
        total = job.get("numberRecordsProcessed")
        raise UnreadableAnswer(what, f"{came} records of {total} came.")


def _page(
    connection: Connection, job_id: str, locator: str, kinds: Mapping[str, bool], what: str
) -> tuple[list[dict[str, Any]], str]:
    parameters = {"maxRecords": str(PAGE), **({"locator": locator} if locator else {})}

    def read(answer: Answer) -> tuple[list[dict[str, Any]], str]:
        following, announced = (
            answer.headers.get(name) for name in ("Sforce-Locator", "Sforce-NumberOfRecords")
        )
        try:
            rows = pd.read_csv(
                io.BytesIO(answer.content), dtype=str, keep_default_na=False, encoding="utf-8"
            )
        except (ValueError, pd.errors.ParserError) as error:
            raise UnreadableAnswer(what, "not a CSV file with a header.") from error
        if not following or following == locator or announced != str(len(rows)):
            raise UnreadableAnswer(what, f"{len(rows)} records where {announced} were announced.")
        if lacking := [name for name in kinds if name not in rows.columns]:
            raise UnreadableAnswer(what, f"no column {', '.join(lacking)}.")
        columns = [_typed(rows[name].tolist(), is_flag) for name, is_flag in kinds.items()]
        return [dict(zip(kinds, row, strict=True)) for row in zip(*columns, strict=True)], following

    return connection.request(
        "GET",
        with_parameters(f"jobs/query/{job_id}/results", parameters),
        what=what,
        headers={"Accept": "text/csv"},
        read=read,
        seconds=RESULT_SECONDS,
    )


def _typed(values: list[str], is_flag: bool) -> list[Any]:
    """Text as JSON has it. An odd boolean stays text, for whoever checks records to refuse."""
    if is_flag:
        return [{"true": True, "false": False}.get(value, value) for value in values]
    return [value or None for value in values]


def _job(answer: Answer) -> dict[str, Any]:
    job = answer.json()
    if not isinstance(job, dict) or not job.get("id") or not isinstance(job.get("state"), str):
        raise ValueError("not a job with its id and state")
    return job
