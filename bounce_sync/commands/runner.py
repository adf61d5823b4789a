"""Runs the real Dagster job in this process, on the instance under BOUNCE_SYNC_HOME.

One `Runner` serves the sandbox once for all the runs it starts, where the target is a sandbox of
our own. What a run did is read from the events that Dagster stored.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import dagster as dg

from bounce_sync import failures, stopping
from bounce_sync.environment import LIVE, SettingsError
from bounce_sync.rules import server_time
from bounce_sync.sandbox import embedded
from bounce_sync.settings import AlertSettings, Settings
from bounce_sync.storage import Lake
from bounce_sync.tables import OUTCOMES

DAGSTER_YAML = """\
# Made by bounce-sync: no telemetry, no newsletter dialog; runs whose process died are noticed,
# those that ended together with Dagster's own processes after twelve hours.
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
  poll_interval_seconds: 30
  max_runtime_seconds: 43200
"""

_CLASS_NAME = re.compile(r"^[\w.]+: ")


@dataclass(frozen=True)
class RunReport:
    """What one run did, from its stored events."""

    run_id: str
    success: bool
    materialised: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Asset → its metadata as plain values."""
    failed_checks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What each failed check that doesn't stop a run has to say, and what to do."""
    blocked_by: str | None = None
    """The blocking check that stopped the run."""
    error: str | None = None

    def number(self, asset: str, name: str) -> int:
        """A count from an asset's metadata; 0 where the run didn't get that far."""
        return int(self.materialised.get(asset, {}).get(name) or 0)

    def calls(self, service: str) -> int:
        return max(
            (int(each.get(f"{service} calls") or 0) for each in self.materialised.values()),
            default=0,
        )


class Runner:
    """Starts runs and reads what became of them. Use `running()`."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.lake = Lake(settings.lake)

    def materialise(
        self,
        partition: str,
        assets: Sequence[str] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> RunReport:
        """One run of the daily job, or of some of its assets with their checks."""
        from bounce_sync.automation import DAILY_JOB

        return self.execute(DAILY_JOB, partition, assets, tags=tags, policy=policy)

    def execute(
        self,
        job: str,
        partition: str | None = None,
        assets: Sequence[str] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        policy: Mapping[str, Any] | None = None,
        config: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> RunReport:
        """One run of a job, or of some of its assets with their checks.

        `config` is that of the Launchpad: asset → its settings.
        """
        from bounce_sync.definitions import defs

        with stopping.noticed():
            result = defs.resolve_job_def(job).execute_in_process(
                instance=self.instance,
                partition_key=partition,
                asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
                run_config={
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                    "resources": {"policy": {"config": dict(policy or {})}},
                    "ops": {
                        name: {"config": dict(given)} for name, given in (config or {}).items()
                    },
                },
                tags=dict(tags or {}),
                raise_on_error=False,
            )
        self._tell(result.run_id)
        return _report(result)

    def attempts(self, report: RunReport, writer: str) -> dict[str, int]:
        """What became of what a run sent to the CRM: outcome → count.

        Where the writing asset failed it left no numbers, but the ledger knows what it had sent.
        """
        if writer in report.materialised or report.success:
            return {name: report.number(writer, name) for name in OUTCOMES}
        from bounce_sync import ledger

        try:
            if ledger.look(self.settings.ledger).revision is None:
                return {}
            sent = ledger.Ledger(self.settings.ledger).updates(report.run_id)
        except ledger.LedgerError:
            return {}  # the run's own error tells
        return {str(name): int(count) for name, count in sent["outcome"].value_counts().items()}

    def _tell(self, run_id: str) -> None:
        """Sends what the sensors send: they see no run that happens outside of Dagster's own
        processes. As with them, nothing is sent of a rehearsal."""
        alerts = AlertSettings.load()
        run = self.instance.get_run_by_id(run_id)
        if alerts.target == LIVE and alerts.receivers and run is not None:
            from bounce_sync.alerts.telling import NotTold, tell

            try:
                tell(self.instance, run, alerts)
            except NotTold as error:
                click.echo(str(error), err=True)


@contextlib.contextmanager
def running(settings: Settings | None = None) -> Iterator[Runner]:
    """A runner on the instance of this installation; serves the sandbox where it has to.

    Raises `SettingsError` listing everything that is missing.
    """
    settings = settings or Settings.load()
    with contextlib.ExitStack() as stack:
        if settings.embedded:
            address = stack.enter_context(embedded.serve_own(settings.sandbox_folder))
            units = embedded.business_units(settings.sandbox_folder)
            stack.enter_context(_environment(sandbox_environment(address, units)))
            settings = Settings.load()
        instance = stack.enter_context(dagster_instance(settings.dagster_home))
        runner = Runner(settings, instance)
        _reach(runner.lake)
        yield runner


def _reach(lake: Lake) -> None:
    try:
        lake.root.exists()
    except Exception as error:  # every filesystem has errors of its own
        raise SettingsError(
            f"The lake on {lake.root.protocol or 'this machine'} can't be reached "
            f"({type(error).__name__}). Check BOUNCE_SYNC_LAKE and the credentials that "
            "fsspec takes from the environment."
        ) from error


def sandbox_environment(address: embedded.Address, units: Sequence[str]) -> dict[str, str]:
    """The variables that lead to a sandbox served by this process."""
    return {
        "SFMC_AUTH_URL": address.auth_url,
        "SFMC_CLIENT_ID": address.client_id,
        "SFMC_CLIENT_SECRET": address.client_secret,
        "SFMC_ACCOUNT_ID": str(address.account_id),
        "SFMC_BUSINESS_UNITS": ",".join(units),
        "SALESFORCE_LOGIN_URL": address.salesforce_url,
        "SALESFORCE_CLIENT_ID": address.client_id,
        "SALESFORCE_CLIENT_SECRET": address.client_secret,
        "BOUNCE_SYNC_CA_BUNDLE": address.ca_bundle or "",
    }


def prepare_home(folder: Path) -> None:
    """Makes DAGSTER_HOME with our `dagster.yaml`; an existing one is left as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(DAGSTER_YAML)


@contextlib.contextmanager
def dagster_instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    """The on-disk Dagster instance of this installation; DAGSTER_HOME, where set, wins."""
    home = Path(os.environ.get("DAGSTER_HOME") or folder)
    prepare_home(home)
    with _environment({"DAGSTER_HOME": str(home)}), dg.DagsterInstance.get() as instance:
        yield instance


def last_finished_day() -> date:
    """The newest SFMC day that is over.

    Raises `SettingsError` where it comes before the first partition.
    """
    settings = Settings.load()
    offset = server_time.parse_offset(settings.utc_offset)
    day = server_time.last_finished_day(datetime.now(UTC), offset)
    if day < settings.start_date:
        raise SettingsError(
            f"BOUNCE_SYNC_START_DATE: no day can be run before {settings.start_date} is over; the "
            f"last finished day in SFMC's server time is {day}."
        )
    return day


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _report(result: dg.ExecuteInProcessResult) -> RunReport:
    from bounce_sync.assets.checks import WHAT_TO_DO

    materialised: dict[str, dict[str, Any]] = {}
    failed, warnings, blocked_by, error = [], [], None, None
    for event in result.all_events:
        if event.is_step_materialization and event.asset_key:
            metadata = event.step_materialization_data.materialization.metadata
            materialised[event.asset_key.path[-1]] = {
                name: value.value for name, value in metadata.items()
            }
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed:
                failed.append(evaluation.check_name)
                advice = evaluation.metadata.get(WHAT_TO_DO)
                said = " ".join(
                    [evaluation.description or "", *([str(advice.value)] if advice else [])]
                )
                if not evaluation.blocking:
                    asset = evaluation.asset_key.path[-1]
                    warnings.append(f"{asset}, {evaluation.check_name}: {said}")
                elif blocked_by is None:
                    blocked_by, error = evaluation.check_name, said
        elif event.is_step_failure and error is None:
            error = _said(event.step_failure_data.error)
        elif event.is_run_failure and error is None:
            error = _said(event.job_failure_data.error) or event.message
    return RunReport(
        run_id=result.run_id,
        success=result.success,
        materialised=materialised,
        failed_checks=tuple(failed),
        warnings=tuple(warnings),
        blocked_by=blocked_by,
        error=None if result.success else error,
    )


def _said(stored: Any) -> str | None:
    error = failures.raised(stored)
    if error is not None and error.cls_name == "DagsterExecutionInterruptedError":
        return "Stopped by a signal. Nothing is lost: run it again to go on."
    return _CLASS_NAME.sub("", error.message.strip()) if error is not None else None
