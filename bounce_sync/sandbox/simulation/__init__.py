"""A tenant that lives: SFMC and the CRM, played day by day from a seed.

Jobs go out, mails come back, are opened or left; SFMC's bounce management follows from the events
(`bounce_management.py`); support, imports and reps step in. The same seed plays the same tenant,
and a tenant that is advanced goes on as if it had never paused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from bounce_sync.sandbox.simulation import population, sending
from bounce_sync.sandbox.simulation.addresses import domain_names
from bounce_sync.sandbox.simulation.bounce_management import HoldRules
from bounce_sync.sandbox.simulation.clock import midnight
from bounce_sync.sandbox.simulation.crm import CrmWorld
from bounce_sync.sandbox.simulation.first_records import FirstRecords
from bounce_sync.sandbox.simulation.settings import Outage, Settings, trusted_by_default
from bounce_sync.sandbox.simulation.world import SCHEMA, World
from bounce_sync.sandbox.store import SandboxError, Store, server_time

__all__ = ["HoldRules", "Outage", "advance", "simulate"]

BUSINESS_UNITS = ((7281699, "Shop"), (7281700, "Service"), (7281701, "Events"))
"""Children that an enterprise without any is given."""

_EVENT_TABLES = ("sent", "opened", "clicked", "bounce", "status_event", "subscriber")
_LONG_ENOUGH_FOR_AN_OUTAGE = 42


def simulate(
    store: Store,
    *,
    subscribers: int,
    days: int,
    seed: int,
    until: date | None = None,
    rules: HoldRules | None = None,
    trusted_domains: Sequence[str] | None = None,
    outages: Sequence[Outage] | None = None,
) -> None:
    """Fills an empty tenant with ``days`` days of life, all in one transaction.

    ``until`` is the last of them, a server-time day (default: yesterday); the tenant's present is
    set to the midnight that ends it. ``trusted_domains`` and ``outages`` name domains of
    :func:`~bounce_sync.sandbox.simulation.addresses.domain_names`. Unless told otherwise, a
    tenant of at least 42 days saw one outage, on its eleventh day, so that it lies more than 30
    days back. Raises SandboxError where the tenant isn't empty or a number makes no sense.
    """
    if subscribers < 1 or days < 1:
        raise SandboxError("a simulated tenant needs at least one subscriber and one day")
    if until is None:
        until = (datetime.now(UTC) + store.utc_offset).date() - timedelta(days=1)
    first_day = until - timedelta(days=days - 1)
    if outages is None:
        outages = _usual_outages(first_day, days)
    settings = Settings(
        seed=seed,
        first_day=first_day,
        next_day=first_day,
        rules=rules or HoldRules(),
        trusted_domains=_known(
            trusted_by_default() if trusted_domains is None else trusted_domains
        ),
        outages=tuple(outages),
    )
    _known([outage.domain for outage in outages])
    with store.transaction():
        if store.execute("SELECT 1 FROM subscriber LIMIT 1").fetchone():
            raise SandboxError(f"{store.path} has subscribers already: simulate a new tenant")
        for statement in SCHEMA:
            store.execute(statement)
        with store.loading(*_EVENT_TABLES):
            store.set_setting("seed", seed)
            if len(store.business_units()) == 1:
                for mid, name in BUSINESS_UNITS:
                    store.add_business_unit(mid, name)
            _found(store, settings, subscribers)
            _play(store, days)


def advance(store: Store, days: int, *, outages: Sequence[Outage] = ()) -> None:
    """Moves a simulated tenant on by ``days``, in one transaction; its present moves with it.

    What happened to the tenant meanwhile counts: flags that were set are there to be unticked,
    subscribers that were released are mailed. ``outages`` come on top of those it was made with.
    Raises SandboxError where the tenant wasn't simulated.
    """
    if days < 1:
        raise SandboxError("a tenant is advanced by at least one day")
    _known([outage.domain for outage in outages])
    with store.transaction():
        settings = Settings.load(store)
        settings.outages += tuple(outages)
        settings.save(store)
        _play(store, days)


def _found(store: Store, settings: Settings, subscribers: int) -> None:
    chance = np.random.default_rng([settings.seed, 0])
    begin = midnight(settings.first_day)
    people = population.invent(chance, subscribers)
    crm = FirstRecords(store, chance, begin, people)
    keys = population.keys(chance, people, crm.record_of)
    population.subscribe(store, chance, begin, people, keys, crm.record_of)
    settings.serials = crm.serials
    settings.save(store)


def _play(store: Store, days: int) -> None:
    world = World.load(store)
    crm = CrmWorld.load(store)
    for _ in range(days):
        day = world.settings.next_day
        sending.play(store, world, day)
        crm.play(store, world, day)
        world.settings.next_day = day + timedelta(days=1)
    world.save(store)
    present = datetime.combine(world.settings.next_day, datetime.min.time())
    store.set_setting("today", server_time(present))


def _usual_outages(first_day: date, days: int) -> list[Outage]:
    if days < _LONG_ENOUGH_FOR_AN_OUTAGE:
        return []
    return [Outage("orchardmail.example", first_day + timedelta(days=10))]


def _known(domains: Sequence[str]) -> tuple[str, ...]:
    if unknown := sorted(set(domains) - set(domain_names())):
        raise SandboxError(f"no mail domain of the simulated world: {', '.join(unknown)}")
    return tuple(domains)
