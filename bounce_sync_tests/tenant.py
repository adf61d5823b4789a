"""A small tenant and its org, written down person by person, as the CSV folder the sandbox loads.

Times of SFMC are server time (UTC-6), times of the CRM are UTC, as in design and README.
"""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SERVER = timedelta(hours=-6)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def to_18(id15: str) -> str:
    """facts/salesforce.md §6, written again on purpose: the tests don't ask the rules."""
    chunks = (id15[n : n + 5] for n in (0, 5, 10))
    return id15 + "".join(
        ALPHABET[sum(1 << k for k, letter in enumerate(chunk) if "A" <= letter <= "Z")]
        for chunk in chunks
    )


def last_day() -> str:
    """The newest finished server day."""
    return ((datetime.now(UTC) + SERVER).date() - timedelta(days=1)).isoformat()


def day_before(day: str, days: int) -> str:
    return (datetime.fromisoformat(day).date() - timedelta(days=days)).isoformat()


def crm_time(day: str, clock: str) -> str:
    """A server time as the CRM shows it: UTC, whole seconds."""
    at = datetime.fromisoformat(f"{day}T{clock}") - SERVER
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass
class Tenant:
    """Rows of the four files; each helper returns the key or id it made."""

    subscribers: list[dict[str, Any]] = field(default_factory=list)
    bounces: list[dict[str, Any]] = field(default_factory=list)
    contacts: list[dict[str, Any]] = field(default_factory=list)
    leads: list[dict[str, Any]] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def contact(self, email: str | None = None, **fields: Any) -> str:
        number = next(self._numbers)
        record = to_18(f"003Dn00000A{number:04x}"[:15].ljust(15, "q"))
        self.contacts.append({"Id": record, "Email": email or f"c{number}@ok.example"} | fields)
        return record

    def lead(self, email: str | None = None, **fields: Any) -> str:
        number = next(self._numbers)
        record = to_18(f"00QDn00000B{number:04x}"[:15].ljust(15, "q"))
        self.leads.append({"Id": record, "Email": email or f"l{number}@ok.example"} | fields)
        return record

    def email_of(self, record: str) -> str:
        rows = [*self.contacts, *self.leads]
        return next(row["Email"] for row in rows if row["Id"] == record)

    def subscriber(self, key: str, status: str, email: str | None = None, **fields: Any) -> str:
        address = self.email_of(key) if email is None else email
        self.subscribers.append(
            {"SubscriberKey": key, "EmailAddress": address, "Status": status} | fields
        )
        return key

    def bounce(self, key: str, day: str, clock: str = "12:00:00", **fields: Any) -> None:
        row = {
            "SubscriberKey": key,
            "EventDate": f"{day} {clock}",
            "BounceCategory": "Hard bounce",
            "SMTPBounceReason": "550 5.1.1 user unknown",
            "SMTPCode": "550",
            "JobID": 100,
        }
        self.bounces.append(row | fields)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("subscribers", "bounces", "contacts", "leads"):
            rows: list[dict[str, Any]] = getattr(self, name)
            required = {"bounces": ["SubscriberKey", "EventDate"], "subscribers": ["SubscriberKey"]}
            columns = list(dict.fromkeys(required.get(name, ["Id"]) + [c for r in rows for c in r]))
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns, restval="")
                writer.writeheader()
                writer.writerows(rows)
        return folder
