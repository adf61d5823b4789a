"""SFMC's tables: what happened is applied to the subscribers and written down."""

from __future__ import annotations

import numpy as np

from bounce_sync.sandbox.simulation.addresses import domain_names
from bounce_sync.sandbox.simulation.bounce_kinds import DELAYED, HARD, IMMEDIATE, KINDS
from bounce_sync.sandbox.simulation.bounce_management import DELETED, HELD, UNSUBSCRIBED, Happening
from bounce_sync.sandbox.simulation.clock import server_text
from bounce_sync.sandbox.simulation.happenings import Happenings
from bounce_sync.sandbox.simulation.reasons import reason, smtp_message
from bounce_sync.sandbox.simulation.world import LOG_COLUMNS, World
from bounce_sync.sandbox.store import Store

RELEASES = ("support", "reimport")
"""Why a subscriber was made Active by hand; the detail of a ``RELEASE``."""

TRIGGERED_BATCH = 7
"""The batch of the mails that a triggered send sends; a list's mails have another."""
_TRIGGERED = ("6a1f2c9e-5f0b-4b57-9a54-0d2b7f3e8c11", "order_confirmation")
_NOT_TRIGGERED = (None, None)

_IS_HARD = np.array([kind.category == HARD for kind in KINDS])
_EVENT = (
    "account_id", "oyb_account_id", "job_id", "list_id", "batch_id", "subscriber_id",
    "subscriber_key", "event_date", "domain", "triggerer_send_definition_object_id",
    "triggered_send_customer_key",
)  # fmt: skip
_BOUNCE = (
    *_EVENT, "is_unique", "email_address", "bounce_category_id", "bounce_category",
    "bounce_subcategory_id", "bounce_subcategory", "bounce_type_id", "bounce_type",
    "smtp_bounce_reason", "smtp_message", "smtp_code", "is_false_bounce",
)  # fmt: skip
_STATUS_EVENT = (
    "account_id", "subscriber_id", "subscriber_key", "created_date", "previous_status",
    "current_status", "reason_unsub",
)  # fmt: skip
_LINKS = (
    ("https://www.shop.example/offers", "Offers", "See all offers"),
    ("https://www.shop.example/account?view=profile&id=1", "Profile", None),
)
_STATUS_EVENTS = ("normal", "normal", "held", "unsub", None)
"""Each status as SubscriberStatusEvent has it (facts §4.6): it tells Active and Bounced not apart
and has no word for Deleted."""


def record(store: Store, world: World, due: Happenings) -> None:
    """Lets ``due`` happen, in its order, and writes every row that SFMC keeps of it.

    A subscriber to whom several things happen takes them one after the other; different
    subscribers don't touch each other, so that each round takes one thing of everyone's.
    """
    if not len(due):
        return
    holds_at_once = world.trusts[due.domain] & _IS_HARD[due.detail % len(KINDS)]
    order = np.argsort(due.who, kind="stable")
    starts = np.flatnonzero(np.diff(due.who[order], prepend=-1))
    turn = np.empty(len(due), dtype=np.int64)
    turn[order] = np.arange(len(due)) - np.repeat(starts, np.diff(starts, append=len(due)))
    before = np.empty(len(due), dtype=np.int8)
    after = np.empty(len(due), dtype=np.int8)
    for step in range(int(turn.max()) + 1):
        for happening in Happening:
            now = np.flatnonzero((turn == step) & (due.what == happening))
            if not len(now):
                continue
            who = due.who[now]
            before[now] = world.standing.status[who]
            world.standing.apply(
                world.settings.rules, happening, who, due.at[now], holds_at_once[now]
            )
            after[now] = world.standing.status[who]
    _write_status_events(store, world, due, before, after)
    _write_bounces(store, world, due.where(due.what == Happening.BOUNCE))
    _write_engagement(store, world, due)
    _write_log(store, world, due)


def write_sent(store: Store, world: World, sent: Happenings) -> None:
    """Writes the rows of a job's mails."""
    store.insert("sent", _EVENT, _event_columns(world, sent))


def _event_columns(world: World, events: Happenings) -> zip[tuple[object, ...]]:
    names = domain_names()
    units = events.unit.tolist()
    who = events.who.tolist()
    triggered = [
        _TRIGGERED if batch == TRIGGERED_BATCH else _NOT_TRIGGERED
        for batch in events.batch.tolist()
    ]
    return zip(
        [world.units[unit] for unit in units],
        [world.units[unit] if unit else None for unit in units],
        events.job.tolist(),
        [5_000 + unit for unit in units],
        events.batch.tolist(),
        world.ids[events.who].tolist(),
        [world.keys[position] for position in who],
        server_text(events.at),
        [names[number] for number in events.domain.tolist()],
        [definition for definition, _ in triggered],
        [key for _, key in triggered],
        strict=True,
    )


def _write_bounces(store: Store, world: World, bounces: Happenings) -> None:
    names = domain_names()
    rows = []
    for event, number, salt, delayed, unique, false, domain, address in zip(
        _event_columns(world, bounces),
        bounces.detail.tolist(),
        bounces.salt.tolist(),
        (bounces.detail >= len(KINDS)).tolist(),
        bounces.unique.tolist(),
        bounces.false.tolist(),
        bounces.domain.tolist(),
        bounces.address.tolist(),
        strict=True,
    ):
        position = number % len(KINDS)
        kind = KINDS[position]
        rows.append(
            (
                *event,
                unique,
                address,
                *kind.category,
                *(kind.subcategory or (None, None)),
                *(DELAYED if delayed else IMMEDIATE),
                reason(position, salt, address, names[domain]),
                smtp_message(position),
                kind.smtp_code,
                false,
            )
        )
    store.insert("bounce", _BOUNCE, rows)


def _write_engagement(store: Store, world: World, due: Happenings) -> None:
    opens = due.where(due.what == Happening.OPEN)
    store.insert(
        "opened",
        (*_EVENT, "is_unique"),
        (
            (*event, unique)
            for event, unique in zip(
                _event_columns(world, opens), opens.unique.tolist(), strict=True
            )
        ),
    )
    clicks = due.where(due.what == Happening.CLICK)
    store.insert(
        "clicked",
        (*_EVENT, "is_unique", "url", "link_name", "link_content"),
        (
            (*event, unique, *_LINKS[link % len(_LINKS)])
            for event, unique, link in zip(
                _event_columns(world, clicks),
                clicks.unique.tolist(),
                clicks.detail.tolist(),
                strict=True,
            )
        ),
    )


def _write_status_events(
    store: Store, world: World, due: Happenings, before: np.ndarray, after: np.ndarray
) -> None:
    crossed = np.flatnonzero(
        (before != after) & ((before >= HELD) | (after >= HELD)) & (after != DELETED)
    )
    store.insert(
        "status_event",
        _STATUS_EVENT,
        (
            (
                world.account_id,
                subscriber,
                world.keys[who],
                at,
                _STATUS_EVENTS[old],
                _STATUS_EVENTS[new],
                "Subscriber asked for it" if new == UNSUBSCRIBED else None,
            )
            for subscriber, who, at, old, new in zip(
                world.ids[due.who[crossed]].tolist(),
                due.who[crossed].tolist(),
                server_text(due.at[crossed]),
                before[crossed].tolist(),
                after[crossed].tolist(),
                strict=True,
            )
        ),
    )


def _write_log(store: Store, world: World, due: Happenings) -> None:
    by_hand = due.where(due.what >= Happening.RELEASE)
    actions = [
        RELEASES[detail] if what == Happening.RELEASE else Happening(what).name.lower()
        for what, detail in zip(by_hand.what.tolist(), by_hand.detail.tolist(), strict=True)
    ]
    store.insert(
        "simulation_log",
        LOG_COLUMNS,
        zip(
            server_text(by_hand.at),
            actions,
            world.ids[by_hand.who].tolist(),
            [world.records[who] for who in by_hand.who.tolist()],
            [None] * len(actions),
            [None] * len(actions),
            strict=True,
        ),
    )
