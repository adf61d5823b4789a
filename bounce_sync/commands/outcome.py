"""What a `bounce-sync run` did, as its line of JSON tells it (design §6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bounce_sync.commands.runner import RunReport
from bounce_sync.tables import ACTIONS, OUTCOMES

WRITER = "crm_flag_updates"
REPORT = "sync_report"


@dataclass
class Outcome:
    """A command's runs, as the one line of JSON tells them."""

    partition: str
    target: str
    dry_run: bool
    report: RunReport | None = None
    fetched: list[RunReport] = field(default_factory=list)
    missing_days: list[str] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    """What became of what was sent to the CRM: outcome → count."""
    caught_up: int | None = None
    """Bounces of all days of a catch-up."""
    seconds: float = 0.0
    error: str | None = None

    @property
    def success(self) -> bool:
        return self.error is None and self.report is not None and self.report.success

    def calls(self, service: str) -> int:
        reports = [*self.fetched, *([self.report] if self.report else [])]
        return sum(report.calls(service) for report in reports)

    @property
    def page(self) -> str | None:
        """Where the day's report lies."""
        materialised = self.report.materialised if self.report else {}
        return materialised.get(REPORT, {}).get("page")

    def line(self) -> dict[str, Any]:
        report = self.report or RunReport(run_id="", success=False)
        plan = {name: report.number("crm_flag_changes", name) for name in ACTIONS}
        return {
            "partition": self.partition,
            "target": self.target,
            "run_id": report.run_id,
            "dry_run": self.dry_run,
            "stopped": report.blocked_by,
            "raw_bounces": (
                report.number("raw_bounces", "rows") if self.caught_up is None else self.caught_up
            ),
            "held_subscribers": report.number("held_subscribers", "rows"),
            "staged": report.number("confirmed_bounce_staging", "rows"),
            **plan,
            "unmatched": report.number("crm_flag_changes", "unmatched"),
            "quarantined": report.number("crm_flag_changes", "quarantined"),
            **{name: self.attempts.get(name, 0) for name in OUTCOMES},
            "missing_days": self.missing_days,
            "api_calls": {"sfmc": self.calls("sfmc"), "salesforce": self.calls("salesforce")},
            "seconds": round(self.seconds, 1),
        }
