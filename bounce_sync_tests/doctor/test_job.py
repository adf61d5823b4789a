"""The Dagster job `doctor`: the same lines, as a table of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from bounce_sync.commands.runner import dagster_instance
from bounce_sync.definitions import defs
from bounce_sync_tests.doctor.patient import Patient, admitted, healthy
from bounce_sync_tests.installation import environ, environment


def _run(patient: Patient, **policy: Any) -> dg.ExecuteInProcessResult:
    with (
        environ(environment(patient.address, patient.home)),
        dagster_instance(patient.home / "dagster") as instance,
    ):
        return defs.resolve_job_def("doctor").execute_in_process(
            instance=instance,
            run_config={
                "resources": {"policy": {"config": policy}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )


def _lines(metadata: Any) -> dict[str, dict[str, Any]]:
    return {record.data["line"]: record.data for record in metadata["lines"].records}


def _output(result: dg.ExecuteInProcessResult) -> Any:
    (event,) = (event for event in result.all_events if event.is_successful_output)
    return event.step_output_data.metadata


def test_it_lists_its_lines_and_takes_the_policy_of_the_launchpad(patient: Patient) -> None:
    result = _run(patient, max_changes=1)
    assert result.success
    metadata = _output(result)
    lines = _lines(metadata)
    assert next(iter(lines)) == "The two together: first run", "what isn't well stands first"
    first = lines.pop("The two together: first run")
    assert {line["level"] for line in lines.values()} == {"pass"}
    assert metadata["fail"].value == 0
    assert first["level"] == "warn"
    assert "2 sets and 0 clears are planned" in first["what was found"]
    assert "--allow-changes" in first["what to do"]


def test_it_fails_where_a_line_fails_and_says_which(patient: Patient) -> None:
    patient.store.remove_field("Contact", "Hard_Bounce__c")
    result = _run(patient)
    assert not result.success
    (failure,) = (event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert "Failed: fields." in failure.error.to_string()
    line = _lines(failure.user_failure_data.metadata)["Salesforce CRM: fields"]
    assert (line["level"], "setup" in line["what to do"]) == ("fail", True)


@pytest.mark.parametrize("is_right", [True, False])
def test_other_keys_pass_under_the_policy_that_matches_them(
    tmp_path: Path, *, is_right: bool
) -> None:
    tenant = healthy()
    for record in tenant.contacts:
        record["Person__c"] = f"P-{record['Id']}"
    for row in (*tenant.subscribers, *tenant.bounces):
        row["SubscriberKey"] = f"P-{row['SubscriberKey']}"
    for record in tenant.leads:
        record["Person__c"] = f"P-{record['Id']}"
    with admitted(tenant, tmp_path) as patient:
        result = _run(patient, match_field="Person__c" if is_right else "Id")
    assert result.success is is_right
    if is_right:
        keys = _lines(_output(result))["The two together: SubscriberKeys"]
        assert "100% lead to a record in the CRM" in keys["what was found"]
