"""Tenants of a few rows, served over TLS, and the client that reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.rules.server_time import Window, day_window
from bounce_sync.sandbox.faults import Faults
from bounce_sync.sandbox.server import Address, serve
from bounce_sync.sandbox.store import Store

PARENT, CHILD = "7281698", "7281699"
OFFSET = timedelta(hours=-6)
DAY = "2026-06-15"
IMPATIENT = Patience(read_timeout=20, attempts=6, first_wait=0.01, longest_wait=0.05)


def day(text: str = DAY) -> Window:
    return day_window(text, OFFSET)


@dataclass
class Tenant:
    """A store and shorthands to fill it; times are server time."""

    store: Store
    said: list[str] = field(default_factory=list)

    def bounces(self, *rows: dict[str, Any]) -> None:
        """Bounces at the parent, hard unless said otherwise."""
        usual = {
            "account_id": PARENT,
            "job_id": 100,
            "event_date": f"{DAY} 12:00:00.000",
            "bounce_category": "Hard bounce",
            "smtp_code": 550,
            "smtp_bounce_reason": "550 5.1.1 user unknown",
        }
        for row in rows:
            filled = usual | row
            self.store.insert("bounce", list(filled), [list(filled.values())])

    def subscribers(self, *rows: tuple[str, str], created: str = "2020-01-01 00:00:00.000") -> None:
        """(key, status) each, with an address made from the key."""
        self.store.insert(
            "subscriber",
            ["subscriber_key", "email_address", "status", "created_date"],
            [(key, f"{key}@mail.example", status, created) for key, status in rows],
        )

    def became_held(self, key: str, at: str) -> None:
        self.store.insert(
            "status_event",
            ["account_id", "subscriber_key", "created_date", "previous_status", "current_status"],
            [(PARENT, key, at, "Active", "Held")],
        )

    @contextmanager
    def served(self, *faults: dict[str, Any]) -> Iterator[Address]:
        """Both services over TLS; each fault is an entry of a faults file."""
        planned = Faults.parse({"seed": 1, "faults": list(faults)}) if faults else None
        with serve(self.store.directory, faults=planned) as address:
            yield address


def account(address: Address, *units: str, **changes: Any) -> Account:
    given: dict[str, Any] = {
        "auth_url": address.auth_url,
        "client_id": address.client_id,
        "client_secret": address.client_secret,
        "account_id": address.account_id,
        "business_units": units,
        "ca_bundle": address.ca_bundle,
        "utc_offset": OFFSET,
    }
    return Account(**given | changes)


def tuples(frame: Any, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The frame's rows as plain values, missing ones as None."""
    plain = frame[list(columns)].astype(object)
    return [tuple(row) for row in plain.where(plain.notna(), None).itertuples(index=False)]
