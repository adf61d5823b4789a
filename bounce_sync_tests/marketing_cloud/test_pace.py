"""Calls stay within the rate that Salesforce advises, on a clock that the test turns."""

from __future__ import annotations

from contextlib import closing

import pytest

from bounce_sync.marketing_cloud import connection
from bounce_sync.marketing_cloud.connection import Account, Connection
from bounce_sync.marketing_cloud.errors import Place
from bounce_sync.marketing_cloud.pace import Pace
from bounce_sync.marketing_cloud.sources.soap import SoapSource
from bounce_sync_tests.marketing_cloud.scripted import envelope, scripted
from bounce_sync_tests.marketing_cloud.tenants import IMPATIENT, day


def test_a_burst_passes_and_what_is_above_waits_its_turn() -> None:
    now, waited = [100.0], []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    pace = Pace(3, clock=lambda: now[0], sleep=sleep)
    called = []
    for _ in range(8):
        pace.wait()
        called.append(now[0])
        now[0] += 1
    assert waited == [57.0, 57.0]
    assert called == [100, 101, 102, 160, 161, 162, 220, 221]
    assert all(third - first >= 60 for first, third in zip(called, called[3:], strict=False))


def test_every_call_waits_for_its_turn_also_one_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: dict[int, int] = {}

    class Counting(Pace):
        def __init__(self, per_minute: int) -> None:
            super().__init__(per_minute)
            self.per_minute = per_minute

        def wait(self) -> None:
            waited[self.per_minute] = waited.get(self.per_minute, 0) + 1

    monkeypatch.setattr(connection, "Pace", Counting)
    asked: list[str] = []

    def script(method: str, path: str, body: bytes) -> bytes | tuple[int, bytes]:
        asked.append(path)
        if asked.count(path) == 1:
            return 503, b""
        return envelope() if path == "/Service.asmx" else b"{}"

    with scripted(script) as url:
        account = Account(url, "id", "s3cret", "77")
        with closing(SoapSource(account, patience=IMPATIENT)) as source:
            source.bounces(day())
        with closing(Connection(account, IMPATIENT)) as opened:
            opened.rest("GET", "data/v1/anything", Place("anything"))
    assert len(asked) == 4
    assert waited == {connection.SOAP_CALLS_PER_MINUTE: 2, connection.REST_CALLS_PER_MINUTE: 2}
