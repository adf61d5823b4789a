"""A story on a terminal."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table

from bounce_sync.explain.story import BOUNCE, DECISION, HELD, WRITE, RecordNow, Story

_STYLES = {BOUNCE: "red", HELD: "yellow", DECISION: "cyan", WRITE: "bold green"}


def render(story: Story, console: Console) -> None:
    """Prints the answer, the records, the addresses and the timeline."""
    console.print(story.answer, style="bold", markup=False)
    if not story.known:
        return
    console.print()
    for name, values in (("Subscriber keys", story.keys), ("Addresses", story.addresses)):
        if values:
            console.print(f"{name}: {', '.join(values)}", markup=False)
    for key, status in story.statuses.items():
        console.print(f"SFMC says of {key}: {status}", markup=False)
    for record in story.records:
        console.print(_record(record), markup=False)
    table = Table(title="Timeline (UTC)", title_justify="left", show_lines=False)
    table.add_column("when", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("", overflow="fold")
    for event in story.timeline:
        table.add_row(
            _when(event.at), event.kind, _escaped(event.text), style=_STYLES.get(event.kind)
        )
    console.print()
    console.print(table)


def _record(record: RecordNow) -> str:
    seen = "today" if record.today else f"as last seen on {record.seen_at:%Y-%m-%d}"
    flag = "flagged" if record.flag else "not flagged"
    date = _when(record.flag_date) if record.flag_date else "empty"
    return f"{record.object} {record.record_id} {seen}: {flag}, date {date}"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _escaped(text: str) -> str:
    """Brackets of a bounce text are no markup."""
    return text.replace("[", r"\[")
