"""Reads a day's bounces, or all Held subscribers, from a served sandbox; prints what it cost.

A program of its own, so that its memory is the reader's alone. It is told how on its standard input
and answers with one line of JSON: ``echo '{…}' | python -m bounce_sync_tests.benchmarks.readers``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from lxml import etree

from bounce_sync.marketing_cloud import soap
from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.sources.soap import BOUNCE_PROPERTIES, SoapSource
from bounce_sync.rules.server_time import Window

PARTNER = "{http://exacttarget.com/wsdl/partnerAPI}"


def ours(source: SoapSource, window: Window, _: dict[str, Any]) -> tuple[int, int]:
    """The day as the pipeline reads it: rows, and bytes of the finished frame."""
    frame = source.bounces(window)
    return len(frame), int(frame.memory_usage(deep=True).sum())


def held(source: SoapSource, _: Window, __: dict[str, Any]) -> tuple[int, int]:
    """Every Held subscriber, as the pipeline reads them."""
    frame = source.held()
    return len(frame), int(frame.memory_usage(deep=True).sum())


def plain_loop(_: SoapSource, window: Window, where: dict[str, Any]) -> tuple[int, int]:
    """What a script does: one page after the other, each row a dict."""
    with requests.Session() as session:
        keys = ("client_id", "client_secret", "account_id")
        login = {"grant_type": "client_credentials"} | {key: where[key] for key in keys}
        told = session.post(where["auth_url"] + "v2/token", json=login, timeout=60).json()
        question = soap.Retrieve("BounceEvent", BOUNCE_PROPERTIES, soap.within("EventDate", window))
        rows = []
        after = None
        while True:
            answer = session.post(
                told["soap_instance_url"] + "Service.asmx",
                data=soap.message(told["access_token"], question.body(after)),
                headers={"Content-Type": "text/xml", "SOAPAction": "Retrieve"},
                timeout=60,
            )
            page = etree.fromstring(answer.content)
            for result in page.iter(f"{PARTNER}Results"):
                rows.append({child.tag: child.text for child in result})  # noqa: PERF401
            if page.findtext(f".//{PARTNER}OverallStatus") != "MoreDataAvailable":
                return len(rows), 0
            after = page.findtext(f".//{PARTNER}RequestID")


READERS = {"ours": ours, "held": held, "plain_loop": plain_loop}


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    where = json.load(sys.stdin)
    window = Window(*map(datetime.fromisoformat, where["window"]))
    account = Account(
        where["auth_url"], where["client_id"], where["client_secret"], where["account_id"]
    )
    with closing(SoapSource(account, workers=where["workers"])) as source:
        before, began, busy = resident(), time.perf_counter(), time.process_time()
        rows, frame = READERS[where["reader"]](source, window, where)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        calls = source.calls
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told = {"rows": rows, "seconds": seconds, "cpu": busy, "memory": peak - before, "peak": peak}
    print(json.dumps(told | {"frame": frame, "calls": calls}))


if __name__ == "__main__":
    main()
