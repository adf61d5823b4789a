"""The tenant that public clients work on: more of everything than fits a page."""

from __future__ import annotations

from pathlib import Path

from bounce_sync.sandbox.store import DataExtensionField, Store
from bounce_sync_tests.sandbox_salesforce.org import contact_id as contact_id

CONTACTS = 2_300
"""A SOQL answer holds 2,000 records."""

BOUNCES = 5_300
"""A SOAP page holds 2,500."""

HELD = 100
ROWS = 130
DAY = "2026-05-04"
REASON = "550 5.1.1 Ünknown <user> & more"
EXTENSION = "Rehearsal_DE"


def make(folder: Path) -> None:
    with Store.making(folder) as store:
        store.insert(
            "Contact",
            ["Id", "FirstName", "LastName", "Email", "HasOptedOutOfEmail"],
            [
                (contact_id(n), "Åsa", f"Doe {n:04}", f"{n}@example.com", n % 2)
                for n in range(1, CONTACTS + 1)
            ],
        )
        _subscribers_and_bounces(store)
        store.create_data_extension(
            EXTENSION,
            [
                DataExtensionField("SubscriberKey", max_length=254, is_primary_key=True),
                DataExtensionField("Note", max_length=100),
            ],
        )
        found = store.data_extension(EXTENSION)
        assert found is not None
        store.insert(
            found["row_table"],
            ["SubscriberKey", "Note"],
            [(key(n), f"note {n}") for n in range(1, ROWS + 1)],
        )


def key(number: int) -> str:
    """Subscriber keys are record ids, save each tenth: digits, the first of them a zero."""
    return f"0{number:06}" if number % 10 == 0 else contact_id(number)


def _subscribers_and_bounces(store: Store) -> None:
    store.insert(
        "subscriber",
        ["subscriber_id", "subscriber_key", "email_address", "status", "created_date"],
        [
            (
                n,
                key(n),
                f"{n}@example.com",
                "Held" if n <= HELD else "Active",
                "2026-01-01 00:00:00.000",
            )
            for n in range(1, CONTACTS + 1)
        ],
    )
    store.insert(
        "bounce",
        [
            "account_id",
            "subscriber_key",
            "event_date",
            "bounce_category",
            "bounce_type",
            "smtp_code",
            "smtp_bounce_reason",
            "job_id",
            "batch_id",
        ],
        [
            (
                store.account_id,
                key(1 + n % CONTACTS),
                f"{DAY} {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.120",
                "Hard bounce" if n % 2 else "Soft bounce",
                "immediate",
                550,
                REASON,
                12,
                1,
            )
            for n in range(BOUNCES)
        ],
    )
