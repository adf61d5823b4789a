"""What SFMC's extract activities would put on the SFTP server: a tenant as CSV files.

Three of them (facts/marketing-cloud.md §8), in one shape: UTF-8, comma, every field text-qualified,
a header line, CRLF. Times are server time, printed as extracts do, cut to the second:
``1/15/2026 3:04:05 PM``. An empty value is an empty field.

- ``Bounces-YYYY-MM-DD.csv`` for each day, also one without bounces: the tracking extract, with the
  address that bounced, the whole reason and the columns of HELP/mktg.mc_as_bounces.htm.
- ``Subscribers-YYYY-MM-DD.csv``, bearing the last day: all subscribers as they are now.
- ``Hard_Bounce_Staging-YYYY-MM-DD.csv``, bearing the last day: the staging data extension, which a
  query has joined already; one row per Held subscriber that bounced on one of the days, with its
  newest bounce. ``BounceDate`` is text there, ``2026-01-15 15:04:05.123``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from bounce_sync.sandbox.store import SandboxError, Store

BOUNCES = (
    "ClientID", "SendID", "SubscriberKey", "EmailAddress", "SubscriberID", "ListID", "EventDate",
    "EventType", "BounceCategory", "SMTPCode", "BounceReason", "BatchID",
    "TriggeredSendExternalKey",
)  # fmt: skip
SUBSCRIBERS = (
    "ClientID", "SubscriberKey", "EmailAddress", "SubscriberID", "Status", "DateHeld",
    "DateCreated", "DateUnsubscribed",
)  # fmt: skip
STAGING = (
    "SubscriberKey", "EmailAddress", "BounceCategory", "SMTPCode", "BounceReason", "BounceDate",
    "Domain", "EvidenceCount", "BusinessUnit",
)  # fmt: skip
_LONGEST_TEXT = 4_000
"""What a Text column of a data extension holds at most."""


def export(store: Store, folder: Path, first_day: date, until_day: date) -> list[Path]:
    """Writes the files for the server-time days from ``first_day`` to ``until_day``, both included.

    Returns their paths. A file of the same name is replaced, each at once. Raises SandboxError
    where the days are the wrong way round or lie in the tenant's future.
    """
    if until_day < first_day:
        raise SandboxError(f"the last day, {until_day}, lies before the first, {first_day}")
    if until_day > store.now().date():
        raise SandboxError(f"{until_day} lies in the future: the tenant is at {store.now()}")
    folder.mkdir(parents=True, exist_ok=True)
    days = [
        first_day + timedelta(days=number) for number in range((until_day - first_day).days + 1)
    ]
    written = [_write(folder / f"Bounces-{day}.csv", BOUNCES, _bounces(store, day)) for day in days]
    written.append(
        _write(folder / f"Subscribers-{until_day}.csv", SUBSCRIBERS, _subscribers(store))
    )
    written.append(
        _write(
            folder / f"Hard_Bounce_Staging-{until_day}.csv",
            STAGING,
            _staging(store, first_day, until_day),
        )
    )
    return written


def _bounces(store: Store, day: date) -> Iterator[tuple[Any, ...]]:
    rows = store.execute(
        """
        SELECT account_id, job_id, subscriber_key, email_address, subscriber_id, list_id,
            event_date, bounce_category, smtp_code, smtp_bounce_reason, batch_id,
            triggered_send_customer_key
        FROM bounce WHERE event_date >= ? AND event_date < ? ORDER BY event_date, id
        """,
        _bounds(day, day),
    )
    for account, job, key, address, subscriber, in_list, at, *what in rows:
        yield account, job, key, address, subscriber, in_list, _printed(at), "Bounce", *what


def _subscribers(store: Store) -> Iterator[tuple[Any, ...]]:
    account = store.account_id
    rows = store.execute(
        "SELECT subscriber_key, email_address, subscriber_id, lower(status), date_undeliverable,"
        " created_date, date_unsubscribed FROM subscriber ORDER BY subscriber_id"
    )
    for *who, held, created, left in rows:
        yield account, *who, _printed(held), _printed(created), _printed(left)


def _staging(store: Store, first_day: date, until_day: date) -> Iterator[tuple[Any, ...]]:
    """As the query of facts/marketing-cloud.md §7 fills it, for bounces of every category."""
    return store.execute(
        """
        SELECT subscriber_key, email_address, bounce_category, smtp_code, reason, event_date,
            domain, evidence, account_id
        FROM (
            SELECT b.subscriber_key, s.email_address, b.bounce_category, b.smtp_code,
                substr(b.smtp_bounce_reason, 1, ?) AS reason, b.event_date, b.domain, b.account_id,
                count(*) OVER (PARTITION BY b.subscriber_key) AS evidence,
                row_number() OVER (
                    PARTITION BY b.subscriber_key ORDER BY b.event_date DESC, b.job_id DESC
                ) AS place
            FROM bounce b JOIN subscriber s ON s.subscriber_key = b.subscriber_key
            WHERE s.status = 'Held' AND b.event_date >= ? AND b.event_date < ?
        ) WHERE place = 1 ORDER BY subscriber_key
        """,
        (_LONGEST_TEXT, *_bounds(first_day, until_day)),
    )


def _bounds(first_day: date, until_day: date) -> tuple[str, str]:
    return first_day.isoformat(), (until_day + timedelta(days=1)).isoformat()


def _printed(at: str | None) -> str | None:
    """A stored time as SFMC prints it; strftime's padding of days and hours isn't SFMC's."""
    if at is None:
        return None
    moment = datetime.fromisoformat(at)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Under another name first: whoever watches the folder never sees half a file."""
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow(header)
        writer.writerows(rows)
    unfinished.replace(path)
    return path
