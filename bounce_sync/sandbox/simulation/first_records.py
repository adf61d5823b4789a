"""The CRM on the first morning: Users, Accounts, Contacts and Leads for the people there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bounce_sync.sandbox.simulation import identifiers, records
from bounce_sync.sandbox.simulation.addresses import FIRST_NAMES, LAST_NAMES
from bounce_sync.sandbox.simulation.clock import DAY, crm_text, crm_texts
from bounce_sync.sandbox.simulation.population import Kind, People
from bounce_sync.sandbox.store import Store

_USERS = 24
_CONTACTS_PER_ACCOUNT = 4
_FOR_A_MAIL_KEY = {"Contact": 0.6, "Lead": 0.2}
"""Share of the people with an address as key who have a record of each object all the same."""
_SECOND_HOP = 0.2
_OPTED_OUT, _FLAGGED, _FLAG_DATED = 0.01, 0.004, 0.5
_INDUSTRIES = ("Manufacturing", "Retail", "Health Care", "Software", "Energy")
_TITLES = ("Buyer", "Director", "Head of Sales", "Assistant", None)
_SOURCES = ("Web", "Trade Show", "Referral", None)

_T = TypeVar("_T")


class FirstRecords:
    """Makes the records. Afterwards ``record_of`` has the id that each person was made from, and
    ``serials`` how many records of each key prefix there are."""

    def __init__(
        self, store: Store, chance: np.random.Generator, begin: int, people: People
    ) -> None:
        self._store, self._chance, self._begin, self._people = store, chance, begin, people
        self.record_of: list[str | None] = [None] * len(people.address)
        self.serials: dict[str, int] = {}
        self._users = self._make_users()
        self._contacts()

    def _ids(self, prefix: str, count: int) -> list[str]:
        self.serials[prefix] = count
        return identifiers.record_ids(prefix, np.arange(count))

    def _make_users(self) -> list[str]:
        """The reps who own records. (The store's own first user is the integration's.)"""
        ids = self._ids(identifiers.USER, _USERS)
        made = crm_text(self._begin - 900 * DAY, self._store.utc_offset)
        first = [FIRST_NAMES[number % 26] for number in range(_USERS)]
        last = [LAST_NAMES[-number - 1].written for number in range(_USERS)]
        mail = [f"{name.ascii}.{number}@crm.example" for number, name in enumerate(first)]
        columns = {
            "Id": ids,
            "Username": mail,
            "Email": mail,
            "FirstName": [name.written for name in first],
            "LastName": last,
            "Name": [f"{one.written} {two}" for one, two in zip(first, last, strict=True)],
            "Alias": [f"rep{number}" for number in range(_USERS)],
            "IsActive": [1] * _USERS,
            "UserType": ["Standard"] * _USERS,
            "CreatedDate": [made] * _USERS,
            "LastModifiedDate": [made] * _USERS,
            "SystemModstamp": [made] * _USERS,
        }
        self._store.insert("User", list(columns), zip(*columns.values(), strict=True))
        return ids

    def _contacts(self) -> None:
        people = self._people
        own = people.where(Kind.CONTACT, Kind.CONTACT_MERGED, Kind.CONTACT_DELETED)
        converted = people.where(Kind.LEAD_CONVERTED)
        persons = np.concatenate([own, converted, self._with_mail_key("Contact")])
        ids = self._ids(identifiers.CONTACT, len(persons))
        self._remember(own, ids)
        kind = people.kind[persons]
        live = np.flatnonzero(kind == Kind.CONTACT)
        merged_into = self._merge(np.flatnonzero(kind == Kind.CONTACT_MERGED), live)
        accounts = self._accounts(len(persons))
        account = self._draw(accounts, len(persons))
        for loser, winner in merged_into.items():
            account[loser] = account[winner]
        gone = (kind == Kind.CONTACT_DELETED) | np.isin(np.arange(len(ids)), list(merged_into))
        records.insert(
            self._store,
            "Contact",
            {
                "Id": ids,
                **self._person(persons),
                "AccountId": account,
                "Title": self._draw(_TITLES, len(ids)),
                "IsDeleted": gone.astype(int).tolist(),
                "MasterRecordId": _masters(merged_into, ids),
            },
        )
        account_of = dict(zip(ids, account, strict=True))
        became = dict(zip(converted.tolist(), ids[len(own) :], strict=False))
        live_ids = [ids[position] for position in live.tolist()]
        self._leads(became, live_ids, account_of)
        others = people.where(Kind.OTHER_FORM)
        self._remember(others, self._chance.permutation(live_ids).tolist())

    def _leads(
        self, became: dict[int, str], contacts: list[str], account_of: dict[str, str]
    ) -> None:
        """``became`` has the Contacts that some people's Leads were converted into."""
        people = self._people
        own = people.where(
            Kind.LEAD, Kind.LEAD_CONVERTED, Kind.LEAD_CONVERTED_INTO_SUBSCRIBER, Kind.LEAD_MERGED
        )
        persons = np.concatenate([own, self._with_mail_key("Lead")])
        ids = self._ids(identifiers.LEAD, len(persons))
        self._remember(own, ids)
        kind = people.kind[persons]
        live = np.flatnonzero((kind == Kind.LEAD) | (kind == Kind.EMAIL))
        merged_into = self._merge(np.flatnonzero(kind == Kind.LEAD_MERGED), live)
        known = self._draw(contacts, len(ids))
        contact = [
            known[position]
            if kind[position] == Kind.LEAD_CONVERTED_INTO_SUBSCRIBER
            else became.get(who)
            for position, who in enumerate(persons.tolist())
        ]
        converted_on = crm_texts(self._days_ago(1, 30, len(ids)), self._store.utc_offset)
        records.insert(
            self._store,
            "Lead",
            {
                "Id": ids,
                **self._person(persons),
                "Company": [f"{people.last[who]} & Co" for who in persons.tolist()],
                "Status": [
                    "Closed - Converted" if to else "Open - Not Contacted" for to in contact
                ],
                "IsDeleted": [int(position in merged_into) for position in range(len(ids))],
                "MasterRecordId": _masters(merged_into, ids),
                "IsConverted": [int(to is not None) for to in contact],
                "ConvertedDate": [
                    on[:10] if to else None for on, to in zip(converted_on, contact, strict=True)
                ],
                "ConvertedAccountId": [account_of[to] if to else None for to in contact],
                "ConvertedContactId": contact,
            },
        )

    def _accounts(self, contacts: int) -> list[str]:
        ids = self._ids(identifiers.ACCOUNT, contacts // _CONTACTS_PER_ACCOUNT + 1)
        records.insert(
            self._store,
            "Account",
            {
                "Id": ids,
                "Name": [
                    f"{LAST_NAMES[number % len(LAST_NAMES)].written} {number}"
                    for number in range(len(ids))
                ],
                "Industry": self._draw(_INDUSTRIES, len(ids)),
                **self._made(len(ids)),
            },
        )
        return ids

    def _person(self, persons: npt.NDArray[np.int64]) -> dict[str, list[object]]:
        """What Contacts and Leads have in common. A few were flagged by hand in the past."""
        people, count = self._people, len(persons)
        who = persons.tolist()
        draws = self._chance.random((3, count))
        flagged = draws[1] < _FLAGGED
        dated = flagged & (draws[2] < _FLAG_DATED)
        flag_dates = crm_texts(self._days_ago(1, 365, count), self._store.utc_offset)
        return {
            "FirstName": [people.first[one] for one in who],
            "LastName": [people.last[one] for one in who],
            "Name": [f"{people.first[one]} {people.last[one]}" for one in who],
            "Email": [people.crm_address[one] for one in who],
            "LeadSource": list(self._draw(_SOURCES, count)),
            "HasOptedOutOfEmail": (draws[0] < _OPTED_OUT).astype(int).tolist(),
            "Hard_Bounce__c": flagged.astype(int).tolist(),
            "Hard_Bounce_Date__c": [
                date if shown else None for date, shown in zip(flag_dates, dated, strict=True)
            ],
            **self._made(count),
        }

    def _made(self, count: int) -> dict[str, list[object]]:
        return {
            "OwnerId": list(self._draw(self._users, count)),
            "CreatedDate": list(crm_texts(self._days_ago(31, 900, count), self._store.utc_offset)),
            "CreatedById": list(self._draw(self._users, count)),
        }

    def _days_ago(self, least: int, most: int, count: int) -> npt.NDArray[np.int64]:
        return self._begin - self._chance.integers(least * DAY, most * DAY, size=count)

    def _with_mail_key(self, sobject: str) -> npt.NDArray[np.int64]:
        mail_keyed = self._people.where(Kind.EMAIL)
        chosen = self._chance.random(len(mail_keyed)) < _FOR_A_MAIL_KEY[sobject]
        return mail_keyed[chosen]

    def _remember(self, persons: npt.NDArray[np.int64], ids: list[str]) -> None:
        for who, record_id in zip(persons.tolist(), ids, strict=False):
            self.record_of[who] = record_id

    def _merge(self, losers: npt.NDArray[np.int64], live: npt.NDArray[np.int64]) -> dict[int, int]:
        """Loser → the record it was merged into, some of them merged away themselves."""
        if not len(live):
            return {}
        winners = self._chance.choice(live, size=len(losers)).tolist()
        hops = (self._chance.random(len(losers)) < _SECOND_HOP).tolist()
        merged_into: dict[int, int] = {}
        previous: int | None = None
        for loser, winner, hop in zip(losers.tolist(), winners, hops, strict=True):
            merged_into[loser] = winner if previous is None or not hop else previous
            previous = loser
        return merged_into

    def _draw(self, choices: Sequence[_T], count: int) -> list[_T]:
        positions = self._chance.integers(len(choices), size=count).tolist()
        return [choices[position] for position in positions]


def _masters(merged_into: dict[int, int], ids: list[str]) -> list[str | None]:
    masters: list[str | None] = [None] * len(ids)
    for loser, winner in merged_into.items():
        masters[loser] = ids[winner]
    return masters
