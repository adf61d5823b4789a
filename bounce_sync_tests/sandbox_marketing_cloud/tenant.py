"""Rows of a tenant, as few words as a test needs for them."""

from bounce_sync.sandbox.store import Store

PARENT, CHILD = 7281698, 7281699


def bounce(store: Store, key: str, at: str, **more: object) -> None:
    row = {
        "account_id": PARENT,
        "subscriber_key": key,
        "event_date": at,
        "bounce_category": "Hard bounce",
        "smtp_code": 550,
        "smtp_bounce_reason": "550 5.1.1 unknown",
        "job_id": 12,
        "batch_id": 1,
    } | more
    store.insert("bounce", list(row), [list(row.values())])


def subscriber(store: Store, number: int, key: str, status: str = "Active", **more: object) -> None:
    row = {
        "subscriber_id": number,
        "subscriber_key": key,
        "email_address": f"{number}@example.com",
        "status": status,
        "created_date": "2026-01-01 00:00:00.000",
    } | more
    store.insert("subscriber", list(row), [list(row.values())])
