"""The tenant on its first morning: who is a subscriber, and what SubscriberKeys look like.

Nobody is Held yet. The population holds every way in which a SubscriberKey leads to a record, or
doesn't: see :class:`Kind`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from bounce_sync.sandbox.simulation import identifiers, mailboxes
from bounce_sync.sandbox.simulation.addresses import (
    FIRST_NAMES,
    LAST_NAMES,
    as_crm_spells,
    domain_names,
    domain_weights,
    local_part,
)
from bounce_sync.sandbox.simulation.clock import DAY, HOUR, server_text
from bounce_sync.sandbox.simulation.world import LOG_COLUMNS, to_minutes
from bounce_sync.sandbox.store import Store


class Kind(IntEnum):
    """How a subscriber's key stands to the CRM."""

    CONTACT = 0
    LEAD = 1
    LEAD_CONVERTED = 2
    """Of a Lead that became a Contact without a subscriber of its own."""
    LEAD_CONVERTED_INTO_SUBSCRIBER = 3
    CONTACT_MERGED = 4
    """Of a Contact merged into another subscriber's, some of them over several hops."""
    LEAD_MERGED = 5
    CONTACT_DELETED = 6
    OTHER_FORM = 7
    """A second subscriber for a Contact, under the 15-character form of its id."""
    EMAIL = 8
    """The key is the address; some have a record, none is its id."""
    STRANGER = 9
    """A valid id of no record."""
    FOREIGN = 10
    """A number of another system."""


_SHARES = {
    Kind.CONTACT: 0.560,
    Kind.LEAD: 0.270,
    Kind.LEAD_CONVERTED: 0.030,
    Kind.LEAD_CONVERTED_INTO_SUBSCRIBER: 0.015,
    Kind.CONTACT_MERGED: 0.020,
    Kind.LEAD_MERGED: 0.010,
    Kind.CONTACT_DELETED: 0.005,
    Kind.OTHER_FORM: 0.005,
    Kind.EMAIL: 0.045,
    Kind.STRANGER: 0.020,
    Kind.FOREIGN: 0.020,
}
_CERTAIN_CONTACTS = 4
"""One in so many is a Contact whatever chance says: even a tiny tenant has one to merge into."""
_FIRST_SUBSCRIBER = 1_000_001
_STRANGERS_START = 90_000_000
_TWINS = 0.02
_WITHOUT_ADDRESS, _WITH_ANOTHER_ADDRESS = 0.012, 0.03
_UNSUBSCRIBED = 0.02
_UNIT_SHARES = (0.62, 0.16, 0.12, 0.10)
_CADENCES = {0.45: 0.06, 0.15: 0.70, 0.07: 0.24}
_ENGAGEMENTS = {0.0: 0.30, 0.15: 0.42, 0.45: 0.28}


@dataclass
class People:
    """Everybody in the tenant, one list position each; each is a subscriber."""

    kind: npt.NDArray[np.int64]
    first: list[str]
    last: list[str]
    address: list[str]
    """As SFMC has it."""
    crm_address: list[str | None]
    domain: npt.NDArray[np.int64]

    def where(self, *kinds: Kind) -> npt.NDArray[np.int64]:
        """Positions of those of some kinds."""
        return np.flatnonzero(np.isin(self.kind, kinds))


def invent(chance: np.random.Generator, count: int) -> People:
    """``count`` people with names, addresses and what the CRM believes their address to be."""
    kind = chance.choice(len(_SHARES), size=count, p=list(_SHARES.values()))
    kind[::_CERTAIN_CONTACTS] = Kind.CONTACT
    first = chance.integers(len(FIRST_NAMES), size=count).tolist()
    last = chance.integers(len(LAST_NAMES), size=count).tolist()
    names = domain_names()
    domain = chance.choice(len(names), size=count, p=domain_weights())
    local = [
        local_part(FIRST_NAMES[one], LAST_NAMES[two], number)
        for number, (one, two) in enumerate(zip(first, last, strict=True))
    ]
    # Some people are a Contact and a Lead: one address under two keys.
    twins = np.flatnonzero((kind == Kind.LEAD) & (chance.random(count) < _TWINS)).tolist()
    originals = chance.choice(np.flatnonzero(kind == Kind.CONTACT), size=len(twins)).tolist()
    for lead, contact in zip(twins, originals, strict=True):
        local[lead], domain[lead] = local[contact], domain[contact]
    address = [f"{one}@{names[number]}" for one, number in zip(local, domain.tolist(), strict=True)]
    crm_address: list[str | None] = [
        as_crm_spells(one, number) for number, one in enumerate(address)
    ]
    draws = chance.random(count)
    for who in np.flatnonzero(draws < _WITHOUT_ADDRESS).tolist():
        crm_address[who] = None
    for who in np.flatnonzero(draws > 1 - _WITH_ANOTHER_ADDRESS).tolist():
        crm_address[who] = f"{local[who]}.new@{names[(domain[who] + 1) % len(names)]}"
    return People(
        kind=kind,
        first=[FIRST_NAMES[one].written for one in first],
        last=[LAST_NAMES[two].written for two in last],
        address=address,
        crm_address=crm_address,
        domain=domain,
    )


def keys(chance: np.random.Generator, people: People, record_of: list[str | None]) -> list[str]:
    """Everybody's SubscriberKey; ``record_of`` is the id of the record each was made from."""
    is_other_form = (people.kind == Kind.OTHER_FORM).tolist()
    keyed = [
        (who, record_id)
        for who, record_id in enumerate(record_of)
        if record_id is not None and not is_other_form[who]
    ]
    forms = identifiers.key_forms([record_id for _, record_id in keyed], chance)
    made: dict[int, str] = {who: form for (who, _), form in zip(keyed, forms, strict=True)}
    taken = {key.casefold() for key in forms}
    strangers = identifiers.record_ids(
        identifiers.CONTACT, _STRANGERS_START + np.arange(len(record_of))
    )
    for who, (kind, stranger) in enumerate(zip(people.kind.tolist(), strangers, strict=True)):
        if who in made:
            continue
        short = (record_of[who] or stranger)[:15]
        match kind:
            case Kind.OTHER_FORM if short.casefold() not in taken:
                key = short
            case Kind.EMAIL:
                key = people.address[who]
            case Kind.FOREIGN:
                key = f"{who:012d}" if who % 2 else f"CUST-{who:08d}-é"
            case _:
                key = stranger
        made[who] = key
        taken.add(key.casefold())
    return [made[who] for who in range(len(record_of))]


def subscribe(
    store: Store,
    chance: np.random.Generator,
    begin: int,
    people: People,
    subscriber_keys: list[str],
    record_of: list[str | None],
) -> None:
    """Writes everybody to SFMC's All Subscribers, and what nobody sees of them beside it.

    ``begin`` is the first moment of the simulation. A few unsubscribed before it.
    """
    count = len(subscriber_keys)
    names = domain_names()
    ids = np.arange(count) + _FIRST_SUBSCRIBER
    joined = begin - chance.integers(10 * DAY, 900 * DAY, size=count)
    leaves = chance.random(count) < _UNSUBSCRIBED
    left = begin - chance.integers(HOUR, 10 * DAY, size=count)
    left_text = server_text(to_minutes(left))
    types = {identifiers.CONTACT: "Salesforce Contact", identifiers.LEAD: "Salesforce Lead"}
    subscribers = {
        "subscriber_id": ids.tolist(),
        "subscriber_key": subscriber_keys,
        "email_address": people.address,
        "status": np.where(leaves, "Unsubscribed", "Active").tolist(),
        "date_joined": server_text(to_minutes(joined)),
        "date_unsubscribed": [
            text if gone else None for text, gone in zip(left_text, leaves, strict=True)
        ],
        "subscriber_type": [types.get((record or "")[:3], "ExactTarget") for record in record_of],
        "domain": [names[number] for number in people.domain.tolist()],
        "created_date": server_text(joined),
    }
    store.insert("subscriber", list(subscribers), zip(*subscribers.values(), strict=True))
    store.insert(
        "simulation_log",
        LOG_COLUMNS,
        [
            (at, "unsubscribe", subscriber, None, None, None)
            for at, subscriber in zip(server_text(left[leaves]), ids[leaves].tolist(), strict=True)
        ],
    )
    hidden = {
        "subscriber_id": ids.tolist(),
        "record_id": record_of,
        "unit": chance.choice(len(_UNIT_SHARES), size=count, p=_UNIT_SHARES).tolist(),
        "cadence": _habits(chance, count, _CADENCES),
        "engagement": _habits(chance, count, _ENGAGEMENTS),
        "condition": mailboxes.first_conditions(
            mailboxes.receivers()[people.domain], chance
        ).tolist(),
    }
    store.insert("simulation_subscriber", list(hidden), zip(*hidden.values(), strict=True))


def _habits(chance: np.random.Generator, count: int, shares: dict[float, float]) -> list[float]:
    drawn: list[float] = chance.choice(list(shares), size=count, p=list(shares.values())).tolist()
    return drawn
