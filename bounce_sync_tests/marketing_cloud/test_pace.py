"""Calls stay within the rate that Salesforce advises, on a clock that the test turns."""

from __future__ import annotations

from bounce_sync.marketing_cloud.pace import Pace


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
