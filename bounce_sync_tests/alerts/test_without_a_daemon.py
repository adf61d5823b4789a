"""Runs that no sensor sees, and runs of other jobs: who is told what of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from bounce_sync.alerts.telling import TOLD, NotTold, tell
from bounce_sync.assets.rule import ALLOW_DOMAINS
from bounce_sync.definitions import defs
from bounce_sync.settings import AlertSettings
from bounce_sync_tests.alerts.receivers import WebHook, web_hook
from bounce_sync_tests.installation import Installation, environ, installed
from bounce_sync_tests.tenant import Tenant, last_day

DAY = last_day()
UNDO = {
    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    "ops": {"put_back": {"config": {"run_id": "never-ran"}}},
}


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with web_hook() as served:
        yield served


@pytest.fixture
def installation(hook: WebHook, tmp_path: Path) -> Iterator[Installation]:
    alerts = f"json://127.0.0.1:{hook.port}/"
    with installed(Tenant(), tmp_path, BOUNCE_SYNC_ALERTS=alerts) as served:
        yield served


def test_a_run_of_the_command_line_is_told_of_and_a_dead_receiver_hides_nothing(
    installation: Installation, hook: WebHook, capfd: pytest.CaptureFixture[str]
) -> None:
    tags = {ALLOW_DOMAINS: "big.example jane@small.example"}
    report = installation.runner.materialise(DAY, ["raw_bounces"], tags=tags)
    ((title, body),) = hook.inbox.messages
    assert title == f"bounce_sync (live): daily_bounce_sync of {DAY} succeeded"
    assert "raw_bounces, volume_is_usual (warning): No rows at all" in body
    assert "no_domain_spike: big.example …@… (by the run tag bounce_sync/allow_domains)" in body
    assert f"Run {report.run_id}" in body
    assert capfd.readouterr().err == ""

    hook.stop()
    again = installation.runner.materialise(DAY, ["raw_bounces"])
    hook.start()
    assert again.success
    assert "An alert wasn't delivered: 1:json" in capfd.readouterr().err
    assert len(hook.inbox.messages) == 1


def test_who_cant_be_reached_is_told_in_our_words_and_not_the_library_s(
    installation: Installation, hook: WebHook
) -> None:
    ours = "Salesforce, login: no answer (ConnectionError). Check SALESFORCE_LOGIN_URL"
    with environ({"SALESFORCE_LOGIN_URL": "https://127.0.0.1:1"}):
        report = installation.runner.execute("check_crm_drift")
    assert (report.error or "").startswith(ours)
    ((_, body),) = hook.inbox.messages
    assert f"- crm_drift: {ours}" in body


def test_nobody_is_told_of_a_rehearsal(installation: Installation, hook: WebHook) -> None:
    with environ({"BOUNCE_SYNC_TARGET": "sandbox"}):
        installation.runner.materialise(DAY, ["raw_bounces"])
    assert hook.inbox.messages == []


def _stored(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def _undo(instance: dg.DagsterInstance) -> dg.DagsterRun:
    result = defs.resolve_job_def("undo_run").execute_in_process(
        instance=instance,
        run_config=UNDO,
        raise_on_error=False,
    )
    return _stored(instance, result.run_id)


def _canceled(instance: dg.DagsterInstance) -> dg.DagsterRun:
    run = instance.create_run_for_job(defs.resolve_job_def("undo_run"), run_config=UNDO)
    instance.report_run_canceled(run)
    return run


def test_a_failed_undo_says_why(installation: Installation, hook: WebHook) -> None:
    instance = installation.runner.instance
    tell(instance, _undo(instance), AlertSettings.load())
    ((title, body),) = hook.inbox.messages
    assert title == "bounce_sync (live): undo_run failed"
    assert "put_back: " in body
    assert "never-ran" in body


def test_a_run_that_could_not_start_says_which_setting_is_missing(
    installation: Installation, hook: WebHook
) -> None:
    instance = installation.runner.instance
    with environ({"SFMC_CLIENT_ID": ""}):
        tell(instance, _undo(instance), AlertSettings.load())
    ((_, body),) = hook.inbox.messages
    assert "SFMC_CLIENT_ID: missing" in body


def test_a_canceled_run_is_told_of_and_nobody_is_told_twice(
    installation: Installation, hook: WebHook
) -> None:
    instance = installation.runner.instance
    run = _canceled(instance)
    with web_hook() as other:
        both = f"json://127.0.0.1:{hook.port}/ json://127.0.0.1:{other.port}/"
        with environ({"BOUNCE_SYNC_ALERTS": both}):
            settings = AlertSettings.load()
        other.stop()
        with pytest.raises(NotTold, match="2:json"):
            tell(instance, _stored(instance, run.run_id), settings)
        assert _stored(instance, run.run_id).tags[TOLD] == "1:json"
        other.start()
        tell(instance, _stored(instance, run.run_id), settings)
        tell(instance, _stored(instance, run.run_id), settings)
        for inbox in (hook.inbox, other.inbox):
            ((title, _),) = inbox.messages
            assert title == "bounce_sync (live): undo_run was canceled"


def test_a_run_whose_process_vanished_is_told_of(installation: Installation, hook: WebHook) -> None:
    instance = installation.runner.instance
    run = instance.create_run_for_job(defs.resolve_job_def("undo_run"), run_config=UNDO)
    instance.report_run_failed(run)  # as Dagster's monitoring does, of a worker that is gone
    tell(instance, _stored(instance, run.run_id), AlertSettings.load())
    ((title, body),) = hook.inbox.messages
    assert title == "bounce_sync (live): undo_run failed"
    assert "marked as failed from outside" in body


def _tick(instance: dg.DagsterInstance, cursor: str | None) -> str | None:
    """Asks the sensor of canceled runs as the daemon does; returns its new cursor."""
    (sensor,) = (each for each in defs.sensors or () if each.name == "alerts_on_canceled")
    assert isinstance(sensor, dg.SensorDefinition)
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        return sensor.evaluate_tick(context).cursor


def test_while_one_receiver_is_down_the_others_are_told_of_later_runs(
    installation: Installation, hook: WebHook
) -> None:
    instance = installation.runner.instance
    with web_hook() as down:
        both = f"json://127.0.0.1:{down.port}/ json://127.0.0.1:{hook.port}/"
        with environ({"BOUNCE_SYNC_ALERTS": both}):
            _canceled(instance)
            started = _tick(instance, None)
            down.stop()
            runs = [_canceled(instance).run_id for _ in range(3)]
            for _ in range(2):
                with pytest.raises(NotTold, match="1:json"):
                    _tick(instance, started)
            down.start()
            cursor = started
            for _ in runs:
                cursor = _tick(instance, cursor)
        for inbox in (hook.inbox, down.inbox):
            assert [body for _, body in inbox.messages] == [f"Run {run}" for run in runs]


def test_the_sensors_rest_while_the_target_is_the_sandbox() -> None:
    assert {sensor.name: sensor.default_status for sensor in defs.sensors or ()} == dict.fromkeys(
        (
            "alerts_on_success",
            "alerts_on_failure",
            "alerts_on_canceled",
            "alerts_on_missing_days",
        ),
        dg.DefaultSensorStatus.STOPPED,
    )
