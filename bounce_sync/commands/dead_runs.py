"""Runs whose process ended together with Dagster's own."""

from __future__ import annotations

import os

import dagster as dg
from dagster import DagsterEventType

_ENGINE = DagsterEventType.ENGINE_EVENT


def end_dead_runs(instance: dg.DagsterInstance) -> int:
    """Fails them; returns how many there were.

    Dagster notices only processes that die under a living code server: the others would stay
    started, and a backfill would wait for them. For a home that no other machine works in.
    """
    dead = 0
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id, _ENGINE)]
        told = [event.engine_event_data.metadata.get("pid") for event in events if event]
        processes = [int(str(pid.value)) for pid in told if pid]
        if processes and not any(map(_lives, processes)):
            instance.report_run_failed(run, "Its process ended with Dagster. Launch it again.")
            dead += 1
    return dead


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True
