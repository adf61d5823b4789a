"""What there is to tell about a run, if anything: one message with counts and links.

Pure: knows no Dagster and no receiver. What comes in was made fit for other eyes already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

MOST_LINES = 20
"""Lines of one section; receivers cut what is longer than they like."""


class Status(Enum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "was canceled"


class Level(Enum):
    """How much a message wants to be read, in Apprise's words."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Check:
    """An asset check, and what it said."""

    asset: str
    name: str
    said: str = ""
    warns: bool = False
    """Failing, it is a warning rather than an error."""
    blocks: bool = False
    """Failing, it lets nothing below it run."""


@dataclass(frozen=True)
class RunStory:
    """What became of a run."""

    run_id: str
    job: str
    status: Status
    target: str
    partition: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    """Step, or an empty name for the run as a whole → what went wrong."""
    failed: Sequence[Check] = ()
    silent: Sequence[Check] = ()
    """Planned, and never evaluated: crashed, or the run ended before."""
    recovered: Sequence[Check] = ()
    """Passed now; failed when they were last evaluated."""
    reporting_again: Sequence[Check] = ()
    """Passed now; silent in the run before."""
    released: Mapping[str, str] = field(default_factory=dict)
    """Guard → what its release let through."""
    quarantined: int = 0
    """Sets that wait because their mail domain exploded."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Outcome of a write → how many writes."""

    @property
    def untaken(self) -> int:
        """Writes that the CRM didn't confirm."""
        return sum(count for outcome, count in self.outcomes.items() if outcome != "written")


@dataclass(frozen=True)
class Message:
    """What is sent; the body is Markdown."""

    title: str
    body: str
    level: Level


def digest(story: RunStory, ui: str = "") -> Message | None:
    """The run in one message; None where there is nothing that anybody has to know.

    Args:
        story: the run.
        ui: address of the Dagster UI; empty where nobody said it, and the run is named by its id.
    """
    sections = dict(_sections(story))
    if not sections and story.status is Status.SUCCEEDED:
        return None
    body = "\n\n".join(f"**{title}**\n\n{_listed(lines)}" for title, lines in sections.items())
    where = f"[Run {story.run_id}]({ui}/runs/{story.run_id})" if ui else f"Run {story.run_id}"
    of = f" of {story.partition}" if story.partition else ""
    return Message(
        f"bounce_sync ({story.target}): {story.job}{of} {story.status.value}",
        f"{body}\n\n{where}".strip(),
        _level(story),
    )


def _level(story: RunStory) -> Level:
    if story.status is Status.FAILED or not all(check.warns for check in story.failed):
        return Level.FAILURE
    wrong = story.failed or story.silent or story.untaken or story.quarantined or story.released
    return Level.WARNING if wrong or story.status is Status.CANCELED else Level.SUCCESS


def _sections(story: RunStory) -> Iterator[tuple[str, list[str]]]:
    if story.failed:
        yield "Failed checks", [_said(check) for check in story.failed]
    if story.errors:
        yield (
            "Errors",
            [f"{step}: {said}" if step else said for step, said in story.errors.items()],
        )
    if story.silent:
        why = "" if story.status is Status.SUCCEEDED else " (the run ended before)"
        yield f"Checks that did not report{why}", _by_asset(story.silent)
    if story.untaken:
        yield (
            "Updates",
            [", ".join(f"{count:,} {outcome}" for outcome, count in story.outcomes.items())],
        )
    if story.quarantined:
        yield "Quarantined", [f"{story.quarantined:,} sets wait"]
    if story.released:
        yield "Released guards", [f"{guard}: {said}" for guard, said in story.released.items()]
    if story.recovered:
        yield "Recovered", [_said(check) for check in story.recovered]
    if story.reporting_again:
        yield "Checks that report again", _by_asset(story.reporting_again)


def _said(check: Check) -> str:
    kind = " (warning)" if check.warns else " (stops the run)" if check.blocks else ""
    return f"{check.asset}, {check.name}{kind}" + (f": {check.said}" if check.said else "")


def _by_asset(checks: Iterable[Check]) -> list[str]:
    names: dict[str, list[str]] = {}
    for check in checks:
        names.setdefault(check.asset, []).append(check.name)
    return [f"{asset}: {', '.join(sorted(each))}" for asset, each in sorted(names.items())]


def _listed(lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:MOST_LINES]]
    more = len(lines) - len(shown)
    return "\n".join([*shown, f"- and {more:,} more"] if more else shown)
