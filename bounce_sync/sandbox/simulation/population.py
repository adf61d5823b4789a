"""The tenant on its first morning: subscribers, and the CRM records they were made from.

Nobody is Held yet. The population holds every way in which a SubscriberKey leads to a record, or
doesn't: see :class:`Kind`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from bounce_sync.sandbox.simulation import identifiers, mailboxes, records
from bounce_sync.sandbox.simulation.addresses import (
    FIRST_NAMES,
    LAST_NAMES,
    as_crm_spells,
    domain_names,
    domain_weights,
    local_part,
)
from bounce_sync.sandbox.simulation.clock import DAY, HOUR, crm_text, midnight, server_text
from bounce_sync.sandbox.simulation.world import LOG_COLUMNS, Settings, to_minutes
from bounce_sync.sandbox.store import Store


class Kind(IntEnum):
    """How a subscriber's key stands to the CRM."""

    CONTACT = 0
    LEAD = 1
    LEAD_CONVERTED = 2
    """Of a Lead that became a Contact without a subscriber of its own."""
    LEAD_CONVERTED_INTO_SUBSCRIBER = 3
    CONTACT_MERGED = 4
    """Of a Contact merged into another subscriber's, some of them over two hops."""
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
_CONTACT_KINDS = (Kind.CONTACT, Kind.CONTACT_MERGED, Kind.CONTACT_DELETED)
_LEAD_KINDS = (
    Kind.LEAD,
    Kind.LEAD_CONVERTED,
    Kind.LEAD_CONVERTED_INTO_SUBSCRIBER,
    Kind.LEAD_MERGED,
)
_FIRST_SUBSCRIBER = 1_000_001
_STRANGERS_START = 90_000_000
_CONTACTS_PER_ACCOUNT = 4
_USERS = 24
_UNSUBSCRIBED = 0.02
_UNIT_SHARES = (0.62, 0.16, 0.12, 0.10)
_INDUSTRIES = ("Manufacturing", "Retail", "Health Care", "Software", "Energy")
_TITLES = ("Buyer", "Director", "Head of Sales", "Assistant", None)
_SOURCES = ("Web", "Trade Show", "Referral", None)


@dataclass
class _People:
    """Everybody in the tenant; the first ``subscribers`` of them are subscribers."""

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    address: list[str]
    crm_address: list[str | None]
    domain: npt.NDArray[np.int64]


def populate(store: Store, settings: Settings, subscribers: int) -> None:
    """Fills an empty tenant; raises sqlite3.IntegrityError where it isn't empty."""
    chance = np.random.default_rng([settings.seed, 0])
    begin = midnight(settings.first_day)
    kind = np.sort(chance.choice(len(_SHARES), size=subscribers, p=list(_SHARES.values())))
    # The tenant needs somebody to merge and convert into, however small it is.
    kind[: max(1, subscribers // 4)] = Kind.CONTACT
    kind = chance.permutation(kind)
    users = _users(store, settings, begin)
    people = _people(chance, kind)
    crm = _Crm(store, settings, chance, kind, people, users, begin)
    crm.fill()
    keys = _keys(chance, kind, crm.record_of, people)
    _subscribers(store, settings, chance, begin, people, keys, crm.record_of)


def _users(store: Store, settings: Settings, begin: int) -> list[str]:
    """The reps who own records. (The store's own first user is the integration's.)"""
    serials = np.arange(_USERS)
    ids = identifiers.record_ids(identifiers.USER, serials)
    settings.serials[identifiers.USER] = _USERS
    made = crm_text(begin - 900 * DAY, store.utc_offset)
    rows = []
    for number, user in enumerate(ids):
        first, last = FIRST_NAMES[number % 26].written, LAST_NAMES[-number - 1].written
        mail = f"{FIRST_NAMES[number % 26].ascii}.{number}@crm.example"
        rows.append((user, mail, mail, first, last, f"{first} {last}", f"rep{number}", 1))
    store.insert(
        "User",
        ("Id", "Username", "Email", "FirstName", "LastName", "Name", "Alias", "IsActive")
        + ("UserType", "CreatedDate", "LastModifiedDate", "SystemModstamp"),
        [(*row, "Standard", made, made, made) for row in rows],
    )
    return ids


def _people(chance: np.random.Generator, kind: npt.NDArray[np.int64]) -> _People:
    count = len(kind)
    first = chance.integers(len(FIRST_NAMES), size=count)
    last = chance.integers(len(LAST_NAMES), size=count)
    names = domain_names()
    domain = chance.choice(len(names), size=count, p=domain_weights())
    locals_ = [
        local_part(FIRST_NAMES[one], LAST_NAMES[two], number)
        for number, (one, two) in enumerate(zip(first.tolist(), last.tolist(), strict=True))
    ]
    # Some people are a Contact and a Lead: one address under two keys.
    contacts = np.flatnonzero(kind == Kind.CONTACT)
    twins = np.flatnonzero((kind == Kind.LEAD) & (chance.random(count) < 0.02))
    for lead, contact in zip(
        twins.tolist(), chance.choice(contacts, size=len(twins)).tolist(), strict=True
    ):
        locals_[lead], domain[lead] = locals_[contact], domain[contact]
    address = [
        f"{local}@{names[number]}" for local, number in zip(locals_, domain.tolist(), strict=True)
    ]
    crm_address: list[str | None] = [
        as_crm_spells(one, number) for number, one in enumerate(address)
    ]
    draws = chance.random(count)
    for who in np.flatnonzero(draws < 0.012).tolist():
        crm_address[who] = None
    for who in np.flatnonzero(draws > 0.97).tolist():
        crm_address[who] = f"{locals_[who]}.new@{names[(domain[who] + 1) % len(names)]}"
    return _People(first, last, address, crm_address, domain)


class _Crm:
    """The CRM's records, and which of them each subscriber was made from."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        chance: np.random.Generator,
        kind: npt.NDArray[np.int64],
        people: _People,
        users: list[str],
        begin: int,
    ) -> None:
        self._store, self._settings, self._chance = store, settings, chance
        self._kind, self._people, self._users, self._begin = kind, people, users, begin
        self.record_of: list[str | None] = [None] * len(kind)

    def fill(self) -> None:
        """Makes Accounts, Contacts and Leads."""
        chance, kind = self._chance, self._kind
        mail_contacts = np.flatnonzero((kind == Kind.EMAIL) & (chance.random(len(kind)) < 0.6))
        own = np.flatnonzero(np.isin(kind, _CONTACT_KINDS))
        converted = np.flatnonzero(kind == Kind.LEAD_CONVERTED)
        persons = np.concatenate([own, mail_contacts, converted])
        contacts = self._ids(identifiers.CONTACT, len(persons))
        accounts = self._accounts(len(persons))
        account = chance.integers(len(accounts), size=len(persons))
        owns = dict(zip(own.tolist(), contacts, strict=False))
        for who, record_id in owns.items():
            self.record_of[who] = record_id

        live = np.flatnonzero(kind[persons] == Kind.CONTACT)
        masters = self._merge(np.flatnonzero(kind[persons] == Kind.CONTACT_MERGED), live, contacts)
        for loser, (_, winner) in masters.items():
            account[loser] = account[winner]
        became = dict(zip(converted.tolist(), contacts[-len(converted) :], strict=False))
        account_of = {
            record: accounts[number]
            for record, number in zip(contacts, account.tolist(), strict=True)
        }
        live_ids = [contacts[number] for number in live.tolist()]
        deleted = kind[persons] == Kind.CONTACT_DELETED
        records.insert(
            self._store,
            "Contact",
            records.CONTACT_COLUMNS,
            (
                (record_id, *person, account_of[record_id], owner, title, source, *mark)
                + (int(position in masters or gone), masters.get(position, (None,))[0], *made)
                for position, (record_id, person, owner, title, source, mark, gone, made) in (
                    enumerate(
                        zip(
                            contacts,
                            self._named(persons),
                            self._draw(self._users, len(persons)),
                            self._draw(_TITLES, len(persons)),
                            self._draw(_SOURCES, len(persons)),
                            self._marks(len(persons)),
                            deleted.tolist(),
                            self._made(len(persons)),
                            strict=True,
                        )
                    )
                )
            ),
        )
        self._leads(became, live_ids, account_of)
        others = np.flatnonzero(kind == Kind.OTHER_FORM)
        for who, target in zip(
            others.tolist(), chance.permutation(len(live_ids)).tolist(), strict=False
        ):
            self.record_of[who] = live_ids[target]

    def _leads(
        self, became: dict[int, str], contacts: list[str], account_of: dict[str, str]
    ) -> None:
        chance, kind = self._chance, self._kind
        mail_leads = np.flatnonzero((kind == Kind.EMAIL) & (chance.random(len(kind)) < 0.2))
        own = np.flatnonzero(np.isin(kind, _LEAD_KINDS))
        persons = np.concatenate([own, mail_leads])
        leads = self._ids(identifiers.LEAD, len(persons))
        for who, record_id in zip(own.tolist(), leads, strict=False):
            self.record_of[who] = record_id
        of_kind = kind[persons]
        live = np.flatnonzero((of_kind == Kind.LEAD) | (of_kind == Kind.EMAIL))
        masters = self._merge(np.flatnonzero(of_kind == Kind.LEAD_MERGED), live, leads)
        known = chance.integers(len(contacts), size=len(persons)).tolist()
        rows = []
        for position, (record_id, who, person, owner, source, mark, made) in enumerate(
            zip(
                leads,
                persons.tolist(),
                self._named(persons),
                self._draw(self._users, len(persons)),
                self._draw(_SOURCES, len(persons)),
                self._marks(len(persons)),
                self._made(len(persons)),
                strict=True,
            )
        ):
            contact = became.get(who)
            if of_kind[position] == Kind.LEAD_CONVERTED_INTO_SUBSCRIBER:
                contact = contacts[known[position]]
            rows.append(
                (record_id, *person, f"{person[1]} & Co", owner)
                + ("Closed - Converted" if contact else "Open - Not Contacted", source, *mark)
                + (int(position in masters), masters.get(position, (None,))[0])
                + (int(contact is not None), made[0][:10] if contact else None)
                + (account_of[contact] if contact else None, contact, *made)
            )
        records.insert(self._store, "Lead", records.LEAD_COLUMNS, rows)

    def _ids(self, prefix: str, count: int) -> list[str]:
        self._settings.serials[prefix] = count
        return identifiers.record_ids(prefix, np.arange(count))

    def _accounts(self, contacts: int) -> list[str]:
        ids = self._ids(identifiers.ACCOUNT, contacts // _CONTACTS_PER_ACCOUNT + 1)
        records.insert(
            self._store,
            "Account",
            records.ACCOUNT_COLUMNS,
            (
                (record_id, f"{LAST_NAMES[number % len(LAST_NAMES)].written} {number}", *rest)
                for number, (record_id, *rest) in enumerate(
                    (record_id, owner, industry, *made)
                    for record_id, owner, industry, made in zip(
                        ids,
                        self._draw(self._users, len(ids)),
                        self._draw(_INDUSTRIES, len(ids)),
                        self._made(len(ids)),
                        strict=True,
                    )
                )
            ),
        )
        return ids

    def _merge(
        self, losers: npt.NDArray[np.int64], live: npt.NDArray[np.int64], ids: list[str]
    ) -> dict[int, tuple[str, int]]:
        """Loser → (id it was merged into, position of that record); one in five over two hops."""
        if not len(live):
            return {}
        winners = self._chance.choice(live, size=len(losers))
        hops = self._chance.random(len(losers)) < 0.2
        masters: dict[int, tuple[str, int]] = {}
        previous: int | None = None
        for loser, winner, hop in zip(
            losers.tolist(), winners.tolist(), hops.tolist(), strict=True
        ):
            target = previous if hop and previous is not None else winner
            masters[loser] = (ids[target], target)
            previous = loser
        return masters

    def _draw(self, choices: Any, count: int) -> list[Any]:
        return [
            choices[number] for number in self._chance.integers(len(choices), size=count).tolist()
        ]

    def _named(self, persons: npt.NDArray[np.int64]) -> list[tuple[str, str, str, str | None]]:
        named = []
        for who in persons.tolist():
            first = FIRST_NAMES[self._people.first[who]].written
            last = LAST_NAMES[self._people.last[who]].written
            named.append((first, last, f"{first} {last}", self._people.crm_address[who]))
        return named

    def _marks(self, count: int) -> list[tuple[int, int, str | None]]:
        """Opt-out and flag: a few were flagged by hand in the past, half of them without a date."""
        draws = self._chance.random((count, 3))
        moments = self._begin - self._chance.integers(DAY, 365 * DAY, size=count)
        offset = self._store.utc_offset
        return [
            (
                int(opted < 0.01),
                int(flagged < 0.004),
                crm_text(at, offset) if flagged < 0.004 and dated < 0.5 else None,
            )
            for (opted, flagged, dated), at in zip(draws.tolist(), moments.tolist(), strict=True)
        ]

    def _made(self, count: int) -> list[tuple[str, str]]:
        moments = self._begin - self._chance.integers(30 * DAY, 900 * DAY, size=count)
        seconds = (moments - int(self._store.utc_offset.total_seconds()) * 1_000) // 1_000
        texts = np.datetime_as_string(seconds.astype("datetime64[s]")).tolist()
        makers = self._draw(self._users, count)
        return [(f"{text}.000Z", maker) for text, maker in zip(texts, makers, strict=True)]


def _keys(
    chance: np.random.Generator,
    kind: npt.NDArray[np.int64],
    record_of: list[str | None],
    people: _People,
) -> list[str]:
    by_id = [who for who, record_id in enumerate(record_of) if record_id is not None]
    by_id = [who for who in by_id if kind[who] != Kind.OTHER_FORM]
    forms = identifiers.key_forms([record_of[who] or "" for who in by_id], chance)
    keys: list[str] = [""] * len(kind)
    for who, form in zip(by_id, forms, strict=True):
        keys[who] = form
    strangers = identifiers.record_ids(identifiers.CONTACT, _STRANGERS_START + np.arange(len(kind)))
    taken = {key.casefold() for key in keys}
    for who in np.flatnonzero([key == "" for key in keys]).tolist():
        match kind[who]:
            case Kind.OTHER_FORM if (record_of[who] or "")[:15].casefold() not in taken:
                key = (record_of[who] or "")[:15]
            case Kind.EMAIL:
                key = people.address[who]
            case Kind.FOREIGN:
                key = f"{who:012d}" if who % 2 else f"CUST-{who:08d}-é"
            case _:
                key = strangers[who]
        keys[who] = key
        taken.add(key.casefold())
    return keys


def _subscribers(
    store: Store,
    settings: Settings,
    chance: np.random.Generator,
    begin: int,
    people: _People,
    keys: list[str],
    record_of: list[str | None],
) -> None:
    count = len(keys)
    names = domain_names()
    ids = np.arange(count) + _FIRST_SUBSCRIBER
    joined = begin - chance.integers(10 * DAY, 900 * DAY, size=count)
    leaves = chance.random(count) < _UNSUBSCRIBED
    left = begin - chance.integers(HOUR, 10 * DAY, size=count)
    joined_text, left_text = server_text(to_minutes(joined)), server_text(to_minutes(left))
    types = {identifiers.CONTACT: "Salesforce Contact", identifiers.LEAD: "Salesforce Lead"}
    store.insert(
        "subscriber",
        ("subscriber_id", "subscriber_key", "email_address", "status", "date_joined")
        + ("date_unsubscribed", "subscriber_type", "domain", "created_date"),
        zip(
            ids.tolist(),
            keys,
            people.address,
            np.where(leaves, "Unsubscribed", "Active").tolist(),
            joined_text,
            [text if gone else None for text, gone in zip(left_text, leaves, strict=True)],
            [types.get((record or "")[:3], "ExactTarget") for record in record_of],
            [names[number] for number in people.domain.tolist()],
            server_text(joined),
            strict=True,
        ),
    )
    gone = np.flatnonzero(leaves)
    store.insert(
        "simulation_log",
        LOG_COLUMNS,
        [
            (at, "unsubscribe", subscriber, None, None, None)
            for at, subscriber in zip(server_text(left[gone]), ids[gone].tolist(), strict=True)
        ],
    )
    receiver = mailboxes.receivers()[people.domain]
    store.insert(
        "simulation_subscriber",
        ("subscriber_id", "record_id", "unit", "cadence", "engagement", "condition"),
        zip(
            ids.tolist(),
            record_of,
            chance.choice(len(_UNIT_SHARES), size=count, p=_UNIT_SHARES).tolist(),
            chance.choice([0.45, 0.15, 0.07], size=count, p=[0.06, 0.70, 0.24]).tolist(),
            chance.choice([0.0, 0.15, 0.45], size=count, p=[0.3, 0.42, 0.28]).tolist(),
            mailboxes.first_conditions(receiver, chance).tolist(),
            strict=True,
        ),
    )
