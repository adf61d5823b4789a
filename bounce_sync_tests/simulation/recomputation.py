"""Every subscriber's status, worked out again from the stored events alone.

Written from facts/marketing-cloud.md §2, slowly and plainly, and sharing nothing with the
simulation: one subscriber at a time, one event after the other.

- Status Bounced: a bounce that doesn't hold. Bounced subscribers are still mailed.
- Status Held: one hard bounce at a trusted domain, or three or more bounces of any category with
  at least 15 days between the first and the last. Held are not mailed.
- An open or click of a Bounced or Held subscriber makes it Active; the count starts again.
- Support and imports make it Active by hand.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass
class Story:
    """What became of one subscriber."""

    status: str = "Active"
    first_bounce: datetime | None = None
    bounces: int = 0
    bounces_ever: int = 0
    held_since: datetime | None = None
    mailed_while: list[str] = field(default_factory=list)
    """The status at each send."""
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    """(time, previous, current) whenever normal, held or unsub changed into another."""


Event = tuple[str, int, str, Any]
"""(time, order at that time, what happened, its detail)"""

_WORDS = {"Active": "normal", "Bounced": "normal", "Held": "held", "Unsubscribed": "unsub"}


def statuses(
    connection: sqlite3.Connection,
    trusted_domains: set[str],
    *,
    reset_on_engagement: bool = True,
    reset_on_delivery: bool = False,
) -> dict[int, Story]:
    """SubscriberID → what its events make of it."""
    events: dict[int, list[Event]] = defaultdict(list)
    bounced = {
        (row[0], row[1]) for row in connection.execute("SELECT job_id, subscriber_id FROM bounce")
    }
    for job, subscriber, at in connection.execute(
        "SELECT job_id, subscriber_id, event_date FROM sent"
    ):
        events[subscriber].append((at, 0, "sent", (job, subscriber) not in bounced))
    for subscriber, at, category, domain in connection.execute(
        "SELECT subscriber_id, event_date, bounce_category, domain FROM bounce"
    ):
        events[subscriber].append((at, 1, "bounce", (category, domain)))
    for table in ("opened", "clicked"):
        for subscriber, at in connection.execute(f"SELECT subscriber_id, event_date FROM {table}"):
            events[subscriber].append((at, 2, "engagement", None))
    for subscriber, at, action in connection.execute(
        "SELECT subscriber_id, at, action FROM simulation_log"
        " WHERE action IN ('support', 'reimport', 'unsubscribe', 'delete')"
    ):
        events[subscriber].append((at, 3, action, None))
    return {
        subscriber: tell(
            sorted(events[subscriber], key=lambda event: event[:2]),
            trusted_domains,
            reset_on_engagement=reset_on_engagement,
            reset_on_delivery=reset_on_delivery,
        )
        for (subscriber,) in connection.execute("SELECT subscriber_id FROM subscriber")
    }


def tell(
    events: list[Event],
    trusted_domains: set[str],
    *,
    reset_on_engagement: bool = True,
    reset_on_delivery: bool = False,
) -> Story:
    """What one subscriber's events, in their order, make of it."""
    story = Story()
    for at, _, what, detail in events:
        before = story.status
        if what == "sent":
            story.mailed_while.append(before)
            if reset_on_delivery and detail and before in ("Active", "Bounced"):
                _start_again(story)
        elif what == "bounce":
            _bounce(story, datetime.fromisoformat(at), *detail, trusted_domains)
        elif what == "engagement":
            if reset_on_engagement and before in ("Active", "Bounced", "Held"):
                _start_again(story)
        elif what in ("support", "reimport"):
            if before in ("Active", "Bounced", "Held"):
                _start_again(story)
        elif what == "unsubscribe":
            if before != "Deleted":
                story.status = "Unsubscribed"
        elif what == "delete":
            story.status = "Deleted"
        old, new = _WORDS.get(before), _WORDS.get(story.status)
        if old and new and old != new:
            story.changes.append((at, old, new))
    return story


def _start_again(story: Story) -> None:
    story.status = "Active"
    story.first_bounce = None
    story.bounces = 0
    story.held_since = None


def _bounce(
    story: Story, at: datetime, category: str, domain: str, trusted_domains: set[str]
) -> None:
    story.bounces_ever += 1
    if story.status not in ("Active", "Bounced", "Held"):
        return
    story.bounces += 1
    if story.first_bounce is None:
        story.first_bounce = at
    if story.status == "Held":
        return
    for_good = category == "Hard bounce" and domain in trusted_domains
    too_many = story.bounces >= 3 and at - story.first_bounce >= timedelta(days=15)
    if for_good or too_many:
        story.status = "Held"
        story.held_since = at
    else:
        story.status = "Bounced"
