"""`doctor` from the UI: the same lines as the command's, as a table of the run."""

from typing import Any

import dagster as dg
from pydantic import Field

from bounce_sync import doctor as examination
from bounce_sync.assets.partitions import IMPORTED
from bounce_sync.assets.resources import Installation, PolicyResource
from bounce_sync.doctor import Finding, Level, Patient

_COLUMNS = ("level", "line", "what was found", "what to do")


class DoctorConfig(dg.Config):
    """How much to look at."""

    first_run: bool = Field(
        default=True,
        description="Work out what the first run would change too; it reads everything.",
    )


@dg.op
def look_at_everything(
    context: dg.OpExecutionContext,
    config: DoctorConfig,
    installation: Installation,
    policy: PolicyResource,
) -> None:
    """Looks at what the daily run needs, line by line, and writes nothing.

    Fails where a line fails; the lines, with what to do, are in the metadata either way.
    """
    rules = policy.policy()
    installation.demand_possible(rules)
    patient = Patient(
        installation,
        rules,
        IMPORTED.start_date,
        context.log.info,
        config.first_run,
    )
    logs = {
        Level.PASS: context.log.info,
        Level.WARN: context.log.warning,
        Level.FAIL: context.log.error,
    }
    findings: list[Finding] = []
    try:
        for finding in examination.examine(patient):
            logs[finding.level](_told(finding))
            findings.append(finding)
    finally:
        patient.close()
    metadata: dict[str, Any] = {**examination.counted(findings), "lines": _table(findings)}
    if failed := [each.title for each in findings if each.level is Level.FAIL]:
        raise dg.Failure(f"Failed: {', '.join(failed)}.", metadata=metadata, allow_retries=False)
    context.add_output_metadata(metadata)


def _told(finding: Finding) -> str:
    _, line, said, to_do = _row(finding)
    return f"{line}: {said}" + (f"\n→ {to_do}" if to_do else "")


def _row(finding: Finding) -> tuple[str, str, str, str]:
    judgement = finding.judgement
    line = f"{finding.group}: {finding.title}"
    return str(finding.level), line, judgement.said, judgement.to_do


def _table(findings: list[Finding]) -> dg.MetadataValue:
    """What isn't well first: the page of a run shows no more than the head of a table."""
    ordered = sorted(findings, key=lambda each: list(Level).index(each.level), reverse=True)
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(_COLUMNS, _row(each), strict=True))) for each in ordered],
        dg.TableSchema([dg.TableColumn(name) for name in _COLUMNS]),
    )


@dg.job(
    description="Looks at everything that the daily run needs, in SFMC, in the CRM and here, and "
    "says what to do. Writes nothing; fails where a line fails."
)
def doctor() -> None:
    """One op: its lines depend on one another."""
    look_at_everything()
