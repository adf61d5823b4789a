"""A day in the CRM: reps convert, merge, correct addresses, tick and untick flags."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

import numpy as np

from bounce_sync.sandbox.simulation import identifiers, records
from bounce_sync.sandbox.simulation.addresses import domain_names
from bounce_sync.sandbox.simulation.bounce_management import HELD, UNSUBSCRIBED
from bounce_sync.sandbox.simulation.clock import DAY, HOUR, NEVER, midnight
from bounce_sync.sandbox.simulation.mailboxes import Condition
from bounce_sync.sandbox.simulation.sending import Stream
from bounce_sync.sandbox.simulation.world import World
from bounce_sync.sandbox.store import Store

# Shares per day.
_CONVERTED = 0.0008
_CONVERTED_INTO_KNOWN = 0.15
_MERGED = 0.0002
_ADDRESS_CORRECTED, _ADDRESS_CORRECTED_HELD = 0.0002, 0.004
_ADDRESS_REMOVED_HELD = 0.0005
_TICKED = 0.03
_TICKED_WITHOUT_DATE = 0.2
_UNTICKED = 0.006
_OPT_OUT_ARRIVES = 0.6
_CORRECTED_WHERE = (0.5, 0.35, 0.15)
"""An address is corrected in the CRM alone, in both systems, or in SFMC alone."""


@dataclass
class CrmWorld:
    """The CRM's live records in memory: enough to choose from, the rest is read where needed."""

    hands: records.Hands
    users: list[str]
    contacts: list[str]
    account_of: dict[str, str]
    siblings: dict[str, list[str]]
    leads: list[str]
    """Live Leads that weren't converted."""

    @classmethod
    def load(cls, store: Store) -> CrmWorld:
        """Reads the live records, in the order of their ids."""
        users = [
            user
            for (user,) in store.execute(
                "SELECT Id FROM User WHERE Id <> ? ORDER BY Id", (store.setting("user_id"),)
            )
        ]
        rows = store.execute("SELECT Id, AccountId FROM Contact WHERE NOT IsDeleted ORDER BY Id")
        account_of = dict(map(tuple, rows))
        siblings = defaultdict(list)
        for contact, account in account_of.items():
            if account:
                siblings[account].append(contact)
        leads = store.execute(
            "SELECT Id FROM Lead WHERE NOT IsDeleted AND NOT IsConverted ORDER BY Id"
        )
        return cls(
            hands=records.Hands(store, users),
            users=users,
            contacts=list(account_of),
            account_of=account_of,
            siblings=siblings,
            leads=[lead for (lead,) in leads],
        )

    def play(self, store: Store, world: World, day: date) -> None:
        """Plays one day of office hours, after SFMC's day."""
        shift = _Shift(self, store, world, day)
        shift.convert()
        shift.merge()
        shift.correct_addresses()
        shift.untick()
        shift.tick()
        shift.opt_out()


class _Shift:
    """What people do in the CRM on one day."""

    def __init__(self, crm: CrmWorld, store: Store, world: World, day: date) -> None:
        self._crm, self._store, self._world, self._day = crm, store, world, day
        self._hands = crm.hands
        self._chance = world.generator(day, Stream.CRM)
        self._now = midnight(day) + 8 * HOUR
        # The larger the tenant, the more is done in the same nine hours.
        self._pause = 9 * HOUR / max(20, len(world.ids) / 500)

    def _later(self) -> int:
        """The moment of the next edit: they follow each other through the working day."""
        self._now += int(self._chance.exponential(self._pause)) + 1
        return min(self._now, midnight(self._day) + DAY - 1)

    def _some(self, of: list[str], share: float) -> list[str]:
        """A random few, each at most once."""
        count = min(int(self._chance.poisson(share * len(of))), len(of))
        return [of[position] for position in self._chance.choice(len(of), count, replace=False)]

    def _new_id(self, prefix: str) -> str:
        serials = self._world.settings.serials
        serial = serials[prefix]
        serials[prefix] = serial + 1
        return identifiers.record_ids(prefix, np.array([serial]))[0]

    def convert(self) -> None:
        """Leads become Contacts: mostly new ones at a new Account."""
        crm = self._crm
        chosen = self._some(crm.leads, _CONVERTED)
        for lead in chosen:
            at = self._later()
            person = self._store.execute(
                "SELECT FirstName, LastName, Name, Email, OwnerId, Company FROM Lead WHERE Id = ?",
                (lead,),
            ).fetchone()
            if self._chance.random() < _CONVERTED_INTO_KNOWN and crm.contacts:
                contact = crm.contacts[int(self._chance.integers(len(crm.contacts)))]
                account = crm.account_of[contact]
            else:
                contact, account = self._new_contact(at, *person)
            self._hands.edit(
                "Lead",
                lead,
                at,
                IsConverted=1,
                Status="Closed - Converted",
                ConvertedDate=self._hands.time(at)[:10],
                ConvertedAccountId=account,
                ConvertedContactId=contact,
            )
            self._hands.log(at, "convert", record_id=lead, after=contact)
        gone = set(chosen)
        crm.leads = [lead for lead in crm.leads if lead not in gone]

    def _new_contact(
        self, at: int, first: str, last: str, name: str, email: str, owner: str, company: str
    ) -> tuple[str, str]:
        crm = self._crm
        contact, account = self._new_id(identifiers.CONTACT), self._new_id(identifiers.ACCOUNT)
        made = {"OwnerId": [owner], "CreatedDate": [self._hands.time(at)], "CreatedById": [owner]}
        records.insert(self._store, "Account", {"Id": [account], "Name": [company], **made})
        person = {"FirstName": [first], "LastName": [last], "Name": [name], "Email": [email]}
        records.insert(
            self._store, "Contact", {"Id": [contact], "AccountId": [account], **person, **made}
        )
        crm.contacts.append(contact)
        crm.account_of[contact] = account
        crm.siblings[account].append(contact)
        return contact, account

    def merge(self) -> None:
        """Duplicates are merged: Contacts of one Account, and Leads that stand side by side."""
        crm = self._crm
        gone = set()
        for loser in self._some(crm.contacts, _MERGED):
            others = [one for one in crm.siblings[crm.account_of[loser]] if one != loser]
            if others:
                winner = others[int(self._chance.integers(len(others)))]
                self._merge_one("Contact", loser, winner)
                crm.siblings[crm.account_of[loser]].remove(loser)
                gone.add(loser)
        crm.contacts = [contact for contact in crm.contacts if contact not in gone]
        losers = self._some(crm.leads, _MERGED)
        for loser in losers:
            position = crm.leads.index(loser)
            if len(crm.leads) > 1:
                self._merge_one("Lead", loser, crm.leads[position - 1])
                del crm.leads[position]

    def _merge_one(self, sobject: str, loser: str, winner: str) -> None:
        at = self._later()
        self._hands.edit(sobject, loser, at, IsDeleted=1, MasterRecordId=winner)
        self._hands.log(at, "merge", record_id=loser, after=winner)

    def correct_addresses(self) -> None:
        """New addresses, above all where mail doesn't arrive; some are taken out."""
        world = self._world
        draws = self._chance.random(len(world.ids))
        held = world.standing.status == HELD
        corrected = draws < np.where(held, _ADDRESS_CORRECTED_HELD, _ADDRESS_CORRECTED)
        for who in np.flatnonzero(corrected).tolist():
            where = int(self._chance.choice(3, p=_CORRECTED_WHERE))
            self._correct(who, in_crm=where <= 1, in_sfmc=where >= 1)
        for who in np.flatnonzero(held & (draws > 1 - _ADDRESS_REMOVED_HELD)).tolist():
            self._write_address(who, self._later(), None)

    def _correct(self, who: int, *, in_crm: bool, in_sfmc: bool) -> None:
        world, names, at = self._world, domain_names(), self._later()
        local = world.addresses[who].partition("@")[0].split(".new")[0]
        number = int(world.domain[who])
        if self._chance.random() < 0.7:
            number = (number + int(self._chance.integers(1, 12))) % len(names)
        address = f"{local}.new{at // HOUR % 10_000}@{names[number]}"
        if in_crm:
            self._write_address(who, at, address)
        if in_sfmc:
            self._hands.log(
                at,
                "address",
                subscriber_id=int(world.ids[who]),
                before=world.addresses[who],
                after=address,
            )
            world.addresses[who] = address
            world.domain[who] = number
            world.condition[who] = Condition.FINE

    def _write_address(self, who: int, at: int, address: str | None) -> None:
        record_id = self._world.records[who]
        sobject = _sobject(record_id)
        if record_id is None or sobject is None:
            return
        before = self._hands.edit(sobject, record_id, at, Email=address)
        self._hands.log(
            at,
            "crm_address",
            subscriber_id=int(self._world.ids[who]),
            record_id=record_id,
            before=before["Email"],
            after=address,
        )

    def untick(self) -> None:
        """Reps who know better take flags away."""
        for sobject in filter(self._has_flag, ("Contact", "Lead")):
            flagged = self._store.execute(
                f'SELECT Id FROM "{sobject}" WHERE Hard_Bounce__c = 1 AND NOT IsDeleted'
                f"{' AND NOT IsConverted' if sobject == 'Lead' else ''} ORDER BY Id"
            )
            for record_id in self._some([one for (one,) in flagged], _UNTICKED):
                at = self._later()
                self._hands.edit(sobject, record_id, at, Hard_Bounce__c=0)
                self._hands.log(at, "untick", record_id=record_id)

    def tick(self) -> None:
        """Reps who saw a mail come back tick the flag themselves, rightly or wrongly."""
        today = self._store.execute(
            "SELECT DISTINCT h.record_id FROM bounce b"
            " JOIN simulation_subscriber h USING (subscriber_id)"
            " WHERE b.event_date >= ? AND b.bounce_category = 'Hard bounce'"
            " AND h.record_id IS NOT NULL ORDER BY h.record_id",
            (self._day.isoformat(),),
        )
        for record_id in self._some([one for (one,) in today], _TICKED):
            sobject = _sobject(record_id)
            if sobject is None or not self._is_live(sobject, record_id):
                continue
            if not self._has_flag(sobject):
                continue
            at = self._later()
            dated = self._chance.random() >= _TICKED_WITHOUT_DATE
            fields = {"Hard_Bounce_Date__c": self._hands.time(at)} if dated else {}
            self._hands.edit(sobject, record_id, at, Hard_Bounce__c=1, **fields)
            self._hands.log(at, "tick", record_id=record_id)

    def _has_flag(self, sobject: str) -> bool:
        """Not in an org that nobody has set up."""
        return any(row["name"] == "Hard_Bounce__c" for row in self._store.fields(sobject))

    def _is_live(self, sobject: str, record_id: str) -> bool:
        converted = "IsConverted" if sobject == "Lead" else "0"
        row = self._store.execute(
            f'SELECT NOT IsDeleted AND NOT {converted} FROM "{sobject}" WHERE Id = ?',
            (record_id,),
        ).fetchone()
        return bool(row and row[0])

    def opt_out(self) -> None:
        """Today's unsubscribes reach most of the records as an opt-out."""
        world, start = self._world, midnight(self._day)
        standing = world.standing
        left = (standing.status == UNSUBSCRIBED) & (standing.unsubscribed_at != NEVER)
        left &= (standing.unsubscribed_at >= start) & (
            self._chance.random(len(world.ids)) < _OPT_OUT_ARRIVES
        )
        for who in np.flatnonzero(left).tolist():
            record_id = world.records[who]
            sobject = _sobject(record_id)
            if record_id and sobject and self._is_live(sobject, record_id):
                self._hands.edit(sobject, record_id, self._later(), HasOptedOutOfEmail=1)


def _sobject(record_id: str | None) -> str | None:
    """The object of a person's record, by its key prefix."""
    prefixes = {identifiers.CONTACT: "Contact", identifiers.LEAD: "Lead"}
    return prefixes.get((record_id or "")[:3])
