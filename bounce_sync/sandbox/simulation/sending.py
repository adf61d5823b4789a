"""A day in SFMC: jobs go out, mails come back or are read, people and support step in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from bounce_sync.sandbox.simulation import mailboxes, recording
from bounce_sync.sandbox.simulation.addresses import domain_names
from bounce_sync.sandbox.simulation.bounce_kinds import KINDS, POSITION
from bounce_sync.sandbox.simulation.bounce_management import (
    BOUNCED,
    DELETED,
    HELD,
    Happening,
)
from bounce_sync.sandbox.simulation.clock import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Millis,
    midnight,
    server_text,
)
from bounce_sync.sandbox.simulation.happenings import Happenings
from bounce_sync.sandbox.simulation.mailboxes import Condition
from bounce_sync.sandbox.simulation.world import World
from bounce_sync.sandbox.store import Store


class Stream(IntEnum):
    """Each kind of chance has a stream of its own, so that one more draw disturbs no other."""

    MAILBOXES = 0
    HANDS = 1
    CRM = 2
    JOBS = 10


@dataclass(frozen=True)
class _Plan:
    """A job that goes out every day."""

    unit: int
    at: int
    email: str
    subject: str
    batch: int = 1


_PLANS = (
    _Plan(1, 6 * HOUR + 30 * MINUTE, "Shop morning offers", "Today only ☕"),
    _Plan(0, 10 * HOUR, "Newsletter", "News for you"),
    _Plan(2, 14 * HOUR, "Service reminder", "Your appointment"),
    _Plan(3, 16 * HOUR + 30 * MINUTE, "Events", "Meet us"),
    _Plan(
        0, 20 * HOUR + 15 * MINUTE, "Order confirmation", "Your order", recording.TRIGGERED_BATCH
    ),
)
_SENDING = 10 * MINUTE
"""How long a job sends. It leaves out those to whom something happens meanwhile, so that every
subscriber's events are played in their order."""
_WEEKEND = 0.85
_ALSO_THE_PARENT = 0.3
"""How much rarer a child unit's subscriber gets the enterprise's own newsletter."""
_ORDERS = 0.004
_FIRST_JOB = date(2020, 1, 1)
_RETRIES = 72 * HOUR
_SECOND_REPORT = 0.01
_ARRIVED_ALL_THE_SAME = 0.02

_REIMPORTED, _RELEASED = 0.0025, 0.0005
"""Shares of the Held that are made Active by an import, or by support, on a day."""
_REIMPORTED_BOUNCED = 0.0005
_OLD_MAIL_OPENED = {True: 0.02, False: 0.0012}
"""Chance on a day that somebody opens an old mail of a living mailbox that is Bounced or Held, or
that a forwarded copy or a scanner does so for a mailbox that isn't living."""
_UNSUBSCRIBED_HELD, _DELETED = 0.0008, 0.00003
_UNSUBSCRIBES_ON_OPEN = 0.002


def play(store: Store, world: World, day: date) -> None:
    """Plays one server-time day of SFMC, from midnight to midnight."""
    start = midnight(day)
    chance = world.generator(day, Stream.MAILBOXES)
    receiver = mailboxes.receivers()[world.domain]
    world.condition = mailboxes.pass_a_day(world.condition, receiver, chance)
    _put_hands_in(world, day)
    for number, plan in enumerate(_PLANS):
        _run_job(store, world, day, number, plan)
    recording.record(store, world, world.agenda.due(start + DAY))


def _put_hands_in(world: World, day: date) -> None:
    """Puts on the agenda what people, support and imports do on this day."""
    chance = world.generator(day, Stream.HANDS)
    start = midnight(day)
    status = world.standing.status
    draws = chance.random(len(world.ids))
    moments = start + chance.integers(DAY, size=len(world.ids))
    is_held = status == HELD

    def happen(what: Happening, mask: npt.NDArray[np.bool_], **columns: object) -> None:
        who = np.flatnonzero(mask)
        world.agenda.add(Happenings.of(moments[who], what, who, **columns))

    # Slices of one draw: at most one of these happens to a subscriber on a day.
    happen(Happening.RELEASE, is_held & (draws < _RELEASED))
    bound = _RELEASED + _REIMPORTED
    happen(Happening.RELEASE, is_held & (draws >= _RELEASED) & (draws < bound), detail=1)
    happen(Happening.UNSUBSCRIBE, is_held & (draws >= bound) & (draws < bound + _UNSUBSCRIBED_HELD))
    happen(Happening.RELEASE, (status == BOUNCED) & (draws < _REIMPORTED_BOUNCED), detail=1)
    happen(Happening.DELETE, (status != DELETED) & (draws >= 1 - _DELETED))

    lives = np.isin(world.condition, (Condition.FINE, Condition.FLAKY))
    curiosity = np.where(lives, _OLD_MAIL_OPENED[True], _OLD_MAIL_OPENED[False])
    has_old_mail = (world.last_job > 0) & (world.last_sent < start - _RETRIES)
    opens = (status >= BOUNCED) & (status <= HELD) & has_old_mail
    opens &= chance.random(len(world.ids)) < curiosity
    who = np.flatnonzero(opens)
    world.agenda.add(
        Happenings.of(
            start + chance.integers(DAY, size=len(who)),
            Happening.OPEN,
            who,
            job=world.last_job[who],
            unit=world.last_unit[who],
            batch=world.last_batch[who],
            unique=world.opened_job[who] != world.last_job[who],
            domain=world.domain[who],
        )
    )
    world.opened_job[who] = world.last_job[who]

    for outage in world.settings.outages:
        if (day - outage.day).days == outage.released_after:
            since = midnight(outage.day)
            there = world.domain == domain_names().index(outage.domain)
            held_then = is_held & (world.standing.undeliverable_at >= since)
            happen(Happening.RELEASE, there & held_then & (draws < 0.8))


def _run_job(store: Store, world: World, day: date, number: int, plan: _Plan) -> None:
    chance = world.generator(day, Stream.JOBS + number)
    start = midnight(day) + plan.at
    recording.record(store, world, world.agenda.due(start))
    meanwhile = world.agenda.due(start + _SENDING)
    recording.record(store, world, meanwhile)
    mailable = world.standing.mailable()
    mailable[meanwhile.who] = False

    share = world.cadence * (_WEEKEND if day.weekday() >= 5 else 1.0)
    if plan.batch == recording.TRIGGERED_BATCH:
        share = np.full(len(share), _ORDERS)
    elif plan.unit == 0:
        share = np.where(world.unit == 0, share, share * _ALSO_THE_PARENT)
    else:
        share = np.where(world.unit == plan.unit, share, 0.0)
    who = np.flatnonzero(mailable & (chance.random(len(share)) < share))
    job = (day - _FIRST_JOB).days * 10 + number + 100_000
    sent = Happenings.of(
        start + np.sort(chance.integers(_SENDING, size=len(who))),
        Happening.DELIVERED,
        who,
        job=job,
        unit=plan.unit,
        batch=plan.batch,
        domain=world.domain[who],
    )
    store.insert(
        "job",
        ("job_id", "account_id", "email_name", "subject", "sent_at"),
        [(job, world.units[plan.unit], plan.email, plan.subject, server_text([start])[0])],
    )
    recording.write_sent(store, world, sent)
    world.last_sent[who] = sent.at
    world.last_job[who] = job
    world.last_unit[who] = plan.unit
    world.last_batch[who] = plan.batch

    refused = _refuse(world, day, sent, chance)
    arrived = ~refused
    arrived[refused] = chance.random(int(refused.sum())) < _ARRIVED_ALL_THE_SAME
    arrived &= np.isin(world.condition[who], (Condition.FINE, Condition.FLAKY))
    _bounce(world, day, sent, refused, arrived, chance)
    if world.settings.rules.reset_on_delivery:
        world.agenda.add(sent.where(~refused))
    _engage(world, sent.where(arrived), chance)


def _in_outage(world: World, day: date, sent: Happenings) -> npt.NDArray[np.float64]:
    """The share of living mailboxes refused at each mail's moment and domain."""
    share = np.zeros(len(sent))
    for outage in world.settings.outages:
        if outage.day == day:
            hour = (sent.at - midnight(day)) // HOUR
            there = sent.domain == domain_names().index(outage.domain)
            share[there & (hour >= outage.from_hour) & (hour < outage.until_hour)] = outage.share
    return share


def _refuse(
    world: World, day: date, sent: Happenings, chance: np.random.Generator
) -> npt.NDArray[np.bool_]:
    receiver = mailboxes.receivers()[sent.domain]
    refused = mailboxes.refuses(world.condition[sent.who], receiver, chance)
    return refused | (chance.random(len(sent)) < _in_outage(world, day, sent))


def _bounce(
    world: World,
    day: date,
    sent: Happenings,
    refused: npt.NDArray[np.bool_],
    arrived: npt.NDArray[np.bool_],
    chance: np.random.Generator,
) -> None:
    back = sent.where(refused)
    condition = world.condition[back.who]
    kinds = mailboxes.bounce_kinds(condition, mailboxes.receivers()[back.domain], chance)
    kinds[_in_outage(world, day, back) > 0] = POSITION["user_unknown"]
    delayed_share = np.array([kind.delayed_share for kind in KINDS])[kinds]
    is_delayed = chance.random(len(back)) < delayed_share
    at = np.where(
        is_delayed,
        back.at + _delayed(len(back), chance),
        back.at + _prompt(len(back), chance),
    )
    bounces = Happenings.of(
        at,
        Happening.BOUNCE,
        back.who,
        job=back.job,
        unit=back.unit,
        batch=back.batch,
        detail=kinds + is_delayed * len(KINDS),
        salt=chance.integers(2**31, size=len(back)),
        unique=1,
        false=arrived[refused],
        domain=back.domain,
        address=world.addresses[back.who],
    )
    world.agenda.add(bounces)
    # Some servers report the same mail twice.
    _repeat(world, bounces, _SECOND_REPORT, 2 * HOUR, chance)


def _repeat(
    world: World, first: Happenings, share: float, within: int, chance: np.random.Generator
) -> None:
    """Lets the same happen once more to some: it counts, but isn't unique."""
    again = first.where(chance.random(len(first)) < share)
    again.at = again.at + chance.integers(SECOND, within, size=len(again))
    again.unique = np.zeros_like(again.unique)
    world.agenda.add(again)


def _prompt(count: int, chance: np.random.Generator) -> Millis:
    """Seconds for most, up to an hour for one in six (facts §1.4)."""
    quick = chance.exponential(8 * SECOND, count) + 200
    late = chance.exponential(12 * MINUTE, count) + MINUTE
    wait = np.where(chance.random(count) < 1 / 6, np.minimum(late, HOUR), quick)
    return wait.astype(np.int64)


def _delayed(count: int, chance: np.random.Generator) -> Millis:
    """Most when 72 hours of retries are over, the others when the server gives its last word."""
    early = chance.integers(HOUR, _RETRIES, size=count)
    end = _RETRIES - chance.integers(15 * MINUTE, size=count)
    return np.where(chance.random(count) < 0.3, early, end)


def _engage(world: World, arrived: Happenings, chance: np.random.Generator) -> None:
    readers = arrived.where(chance.random(len(arrived)) < world.engagement[arrived.who])
    readers.what = np.full(len(readers), Happening.OPEN, dtype=np.int64)
    waits = np.minimum(chance.exponential(5 * HOUR, len(readers)), _RETRIES - HOUR)
    readers.at = readers.at + MINUTE + waits.astype(np.int64)
    readers.unique = np.ones_like(readers.unique)
    world.opened_job[readers.who] = readers.job
    world.agenda.add(readers)
    _repeat(world, readers, 0.15, 30 * MINUTE, chance)

    clicks = readers.where(chance.random(len(readers)) < 0.1)
    clicks.what = np.full(len(clicks), Happening.CLICK, dtype=np.int64)
    clicks.at = clicks.at + chance.integers(SECOND, 5 * MINUTE, size=len(clicks))
    clicks.detail = chance.integers(2, size=len(clicks))
    world.agenda.add(clicks)
    _repeat(world, clicks, 0.2, 10 * MINUTE, chance)

    leavers = readers.where(chance.random(len(readers)) < _UNSUBSCRIBES_ON_OPEN)
    leavers.what = np.full(len(leavers), Happening.UNSUBSCRIBE, dtype=np.int64)
    leavers.at = leavers.at + MINUTE
    world.agenda.add(leavers)
