"""What became of a run, as Dagster's event log tells it.

Planned checks are compared with evaluated ones: a check that crashed leaves no evaluation, and a
failed one that doesn't block leaves the run green (facts/dagster.md §0.3, §0.8).
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster import DagsterEventType as Event

from bounce_sync import failures
from bounce_sync.alerts.digest import Check, RunStory, Status
from bounce_sync.alerts.privacy import masked, tellable
from bounce_sync.assets.rule import ALLOW_DOMAINS
from bounce_sync.tables import OUTCOMES

STATUSES = {
    dg.DagsterRunStatus.SUCCESS: Status.SUCCEEDED,
    dg.DagsterRunStatus.FAILURE: Status.FAILED,
    dg.DagsterRunStatus.CANCELED: Status.CANCELED,
}
"""The ends of a run that there is something to tell about."""

_TOLD_OF = {
    Event.ASSET_CHECK_EVALUATION,
    Event.ASSET_CHECK_EVALUATION_PLANNED,
    Event.ASSET_MATERIALIZATION,
    Event.STEP_FAILURE,
    Event.RUN_FAILURE,
}
_WRITERS = ("crm_flag_updates", "crm_drift_updates")
_EARLIER = 10
"""Evaluations of a check among which the one before this run's is looked for."""


def story(
    instance: dg.DagsterInstance, run: dg.DagsterRun, target: str, secrets: Collection[str]
) -> RunStory:
    """The story of a finished run. `secrets` are texts that are left out wherever they stand."""
    events: dict[Event, list[Any]] = {each: [] for each in _TOLD_OF}
    for record in instance.get_records_for_run(run.run_id, of_type=_TOLD_OF).records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            events[Event(event.event_type_value)].append(event)
    evaluations = [
        event.asset_check_evaluation_data for event in events[Event.ASSET_CHECK_EVALUATION]
    ]
    evaluated = {each.asset_check_key for each in evaluations}
    planned = [
        event.event_specific_data.asset_check_key
        for event in events[Event.ASSET_CHECK_EVALUATION_PLANNED]
    ]
    materialised = {
        event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata
        for event in events[Event.ASSET_MATERIALIZATION]
    }
    before = {
        each.asset_check_key: _before(instance, run.run_id, each.asset_check_key)
        for each in evaluations
        if each.passed
    }
    partition = run.tags.get("dagster/partition")
    return RunStory(
        run_id=run.run_id,
        job="materialisation" if run.job_name.startswith("__") else run.job_name,
        status=STATUSES[run.status],
        target=target,
        partition=partition,
        errors=_errors(events[Event.STEP_FAILURE], events[Event.RUN_FAILURE], secrets),
        failed=[_check(each, secrets) for each in evaluations if not each.passed],
        silent=[_named(key) for key in planned if key not in evaluated],
        recovered=[_named(key) for key, status in before.items() if status == "failed"],
        reporting_again=[_named(key) for key, status in before.items() if status == "silent"],
        released=dict(_released(evaluations, run.tags, secrets)),
        quarantined=_count(materialised.get("crm_flag_changes", {}), "quarantined"),
        outcomes={
            outcome: sum(_count(materialised.get(each, {}), outcome) for each in _WRITERS)
            for outcome in OUTCOMES
        },
    )


def _named(key: dg.AssetCheckKey) -> Check:
    return Check(key.asset_key.path[-1], key.name)


def _check(evaluation: Any, secrets: Collection[str]) -> Check:
    return Check(
        evaluation.asset_key.path[-1],
        evaluation.check_name,
        masked(evaluation.description or "", secrets),
        warns=evaluation.severity == dg.AssetCheckSeverity.WARN,
        blocks=evaluation.blocking,
    )


def _errors(steps: list[Any], runs: list[Any], secrets: Collection[str]) -> Mapping[str, str]:
    """The run's own error only where no step has one: else it just names the steps.

    A step that a failed check stopped has nothing to add to what the check says.
    """
    if steps:
        said = {event.step_key: _said(event.step_failure_data.error) for event in steps}
        return {
            step: tellable(error, secrets)
            for step, error in said.items()
            if "DagsterAssetCheckFailedError" not in error
        }
    if not runs:
        return {}
    reported = runs[-1].event_specific_data  # none where the run's process just vanished
    if reported is not None and reported.error:
        return {"": tellable(_said(reported.error), secrets)}
    return {"": masked(runs[-1].message or "", secrets)}


def _said(stored: Any) -> str:
    error = failures.raised(stored)
    return str(error.message) if error is not None else ""


def _released(
    evaluations: list[Any], tags: Mapping[str, str], secrets: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Guard → what its release let through; what the guard itself says of it comes last."""
    if domains := tags.get(ALLOW_DOMAINS):
        yield "no_domain_spike", masked(f"{domains} (by the run tag {ALLOW_DOMAINS})", secrets)
    for each in evaluations:
        if each.passed and "released" in each.metadata:
            yield each.check_name, masked(each.description or "", secrets)


def _before(instance: dg.DagsterInstance, run_id: str, key: dg.AssetCheckKey) -> str:
    """What the check said before this run: passed, failed, silent, or nothing ("")."""
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=_EARLIER)
    own = [record.id for record in history if record.run_id == run_id]
    for record in history:
        if own and record.id < min(own):
            if record.status.value != "PLANNED":
                return {"SUCCEEDED": "passed", "FAILED": "failed"}.get(record.status.value, "")
            run = instance.get_run_by_id(record.run_id)
            if run is not None and run.is_finished:
                return "silent"
    return ""


def _count(metadata: Mapping[str, Any], name: str) -> int:
    value = metadata.get(name)
    return int(value.value) if value is not None else 0
