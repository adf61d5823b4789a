"""The policy told again, person by person and in plain Python: what a run must make of the CRM.

It knows nothing of frames and asks nothing of the rules. It does know what the ledger may remember:
the last confirmed write of each record, what was undone, and what a crash left behind.
Times are texts as the CRM stores them, which sort.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, timedelta

from bounce_sync_tests.crashes.installation import Flags

WINDOW = timedelta(days=15)
CARRIED_FOR = timedelta(days=60)
HELD, UNKNOWN = "Held", "Unknown"
MAILED = ("Active", "Bounced")

Value = tuple[bool, str | None]


@dataclass
class Subscriber:
    status: str
    address: str
    bounces: list[tuple[str, str]] = field(default_factory=list)
    """SFMC's day and the time of each."""


@dataclass
class Person:
    """A Contact or Lead, without what we write."""

    email: str | None
    leads_to: str | None = None
    """The record it was merged or converted into."""


@dataclass(frozen=True)
class Word:
    """What SFMC says about a record."""

    key: str
    status: str
    address: str | None = None
    bounced_at: str | None = None
    bounced_address: str | None = None


@dataclass(eq=False)
class Write:
    """One record's change of one run. `root` is what an undo takes back in the end."""

    run: str
    record: str
    word: Word
    email: str | None
    before: Value
    after: Value
    root: Write | None = None
    depth: int = 0

    @property
    def clears(self) -> bool:
        return self.before[0] and not self.after[0]

    def shows(self, image: Value, now: Value) -> bool:
        """Whether the fields that this write moves are now as in the image."""
        moved = [n for n in (0, 1) if self.before[n] != self.after[n]]
        return all(now[n] == image[n] for n in moved)


@dataclass(frozen=True)
class Lost:
    """A bounce whose write never arrived: to be staged again."""

    since: str
    day: str
    bounced_at: str
    address: str | None


@dataclass
class Expectation:
    """SFMC, the people, and what the ledger must know by now."""

    subscribers: dict[str, Subscriber]
    people: dict[str, Person]
    last: dict[str, Write] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)
    """The newest bounce that any confirmed write of a record rested on."""
    open: list[Write] = field(default_factory=list)
    lost: dict[str, Lost] = field(default_factory=dict)
    runs: dict[str, list[Write]] = field(default_factory=dict)

    # -- a run ---------------------------------------------------------------------------------

    def staged(self, day: str) -> dict[str, Word]:
        """Held subscribers with evidence: their newest bounce, and the address that bounced."""
        first = (date.fromisoformat(day) - WINDOW + timedelta(days=1)).isoformat()
        horizon = (date.fromisoformat(day) - CARRIED_FOR).isoformat()
        found = {}
        for key, who in self.subscribers.items():
            times = [at for on, at in who.bounces if first <= on <= day]
            lost = self.lost.get(key)
            if who.status != HELD:
                continue
            if times:
                found[key] = Word(key, HELD, who.address, max(times), who.address)
            elif lost and horizon <= lost.since < day:
                found[key] = Word(key, HELD, who.address, lost.bounced_at, lost.address)
        return found

    def run(self, run: str, day: str, flags: Flags) -> list[Write]:
        """What a run of the day must write, given what the CRM holds; settles what is open."""
        staged = self.staged(day)
        for key in [key for key, each in self.lost.items() if each.day == day]:
            if key not in staged:  # the day's staging, where its row was, is replaced
                del self.lost[key]
        self.settle(flags)
        writes = []
        for record in self.people:
            word = self._word(record, staged)
            after = self._decided(record, word, flags[record]) if word else None
            if word and after is not None and after != flags[record]:
                email = self.people[record].email
                writes.append(Write(run, record, word, email, flags[record], after))
        self.runs[run] = writes
        return writes

    def ended(self, writes: list[Write], staged: Collection[str] = ()) -> None:
        """Everything was written and noted."""
        for write in writes:
            self._confirm(write)
        for key in staged:
            self.lost.pop(key, None)

    def _word(self, record: str, staged: dict[str, Word]) -> Word | None:
        """Its own key speaks where SFMC knows it, else that of who became it; none for the gone."""
        if self.people[record].leads_to:
            return None
        keys = [record] if record in self.subscribers else self._became(record)
        for key in keys:
            who = self.subscribers[key]
            return staged.get(key) or Word(key, who.status, who.address)
        return Word(record, UNKNOWN)

    def _became(self, record: str) -> list[str]:
        return [
            key
            for key, person in self.people.items()
            if person.leads_to == record and key in self.subscribers
        ]

    def _decided(self, record: str, word: Word, now: Value) -> Value | None:
        """Flag and date that the record is to have; None: it is left to whoever changed it."""
        (flag, since), email = now, self.people[record].email
        bounce = word.bounced_at
        bounced_address = word.bounced_address if bounce else word.address
        agrees = email is not None and email == bounced_address
        last = self.last.get(record)
        if last and last.depth % 2 and last.root:
            if last.root.clears:
                if (last.root.word.status, last.root.email) == (word.status, email):
                    return None
            elif not (bounce and bounce > self.newest[record]):
                return None
        elif last:
            newer = bool(bounce and bounce > (last.after[1] or ""))
            if last.after[0] and not flag and word.status == HELD and not newer:
                return None
            if not last.after[0] and flag and not (newer and agrees):
                return None
        elif bounce and not flag and since and since >= bounce:
            return None

        if word.status == HELD and not agrees:
            return False, since
        if bounce:
            return True, max(since or "", bounce)
        if word.status in MAILED:
            return False, since
        return now

    # -- what happens to runs ------------------------------------------------------------------

    def died(self, writes: list[Write], noted: Collection[str], flags: Flags) -> None:
        """A run ended in the middle. `noted` are the records with an intent without an outcome."""
        for write in writes:
            if write.record in noted:
                self.open.append(write)
            elif write.shows(write.after, flags[write.record]):
                self._confirm(write)

    def settle(self, flags: Flags) -> None:
        """The next run looks at what the records hold."""
        for write in self.open:
            now = flags[write.record]
            person = self.people[write.record]
            if person.leads_to and write.record.startswith("003"):
                continue  # merged: gone
            if write.shows(write.after, now):
                self._confirm(write)
            elif write.shows(write.before, now) and not write.depth and not write.clears:
                self._carry(write)
        self.open.clear()

    def _carry(self, write: Write) -> None:
        word, day = write.word, write.run.partition("/")[0]
        earlier = self.lost.get(word.key)
        since = earlier.since if earlier and earlier.since < day else day
        assert word.bounced_at
        self.lost[word.key] = Lost(since, day, word.bounced_at, word.bounced_address)

    def _confirm(self, write: Write) -> None:
        self.last[write.record] = write
        bounces = [self.newest.get(write.record), write.word.bounced_at]
        self.newest[write.record] = max(each or "" for each in bounces)

    def undo(self, run: str, of: str, flags: Flags) -> list[Write]:
        """What an undo must put back: what the run wrote last and what still stands."""
        self.settle(flags)
        writes = []
        for write in self.runs[of]:
            now = flags[write.record]
            stands = self.last.get(write.record) is write and write.shows(write.after, now)
            if stands and not self.people[write.record].leads_to:
                flag, since = (
                    write.before[n] if write.before[n] != write.after[n] else now[n] for n in (0, 1)
                )
                writes.append(
                    Write(
                        run,
                        write.record,
                        write.word,
                        self.people[write.record].email,
                        now,
                        (bool(flag), since if isinstance(since, str) else None),
                        write.root or write,
                        write.depth + 1,
                    )
                )
        if writes:
            self.runs[run] = writes
        return writes
