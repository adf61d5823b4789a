"""The simulated tenant's subscribers in memory, and the way to the store and back.

What SFMC shows is read from and written to its own tables, so that a status which somebody
changed there in between counts. What nobody sees (the mailbox's condition, habits, the streak of
bounces, events still to come) has tables of its own here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from bounce_sync.sandbox.simulation.addresses import domain_names
from bounce_sync.sandbox.simulation.bounce_management import ACTIVE, STATUSES, Standing
from bounce_sync.sandbox.simulation.clock import MINUTE, NEVER, Millis, server_millis, server_text
from bounce_sync.sandbox.simulation.happenings import Agenda, Happenings
from bounce_sync.sandbox.simulation.settings import Settings
from bounce_sync.sandbox.store import SandboxError, Store, quoted

SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS simulation_subscriber (
        subscriber_id INTEGER PRIMARY KEY,
        record_id TEXT,
        unit INTEGER NOT NULL,
        cadence REAL NOT NULL,
        engagement REAL NOT NULL,
        condition INTEGER NOT NULL,
        streak INTEGER NOT NULL DEFAULT 0,
        streak_began INTEGER,
        last_sent INTEGER,
        last_job INTEGER NOT NULL DEFAULT 0,
        last_unit INTEGER NOT NULL DEFAULT 0,
        last_batch INTEGER NOT NULL DEFAULT 0,
        opened_job INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS simulation_pending (
        id INTEGER PRIMARY KEY, subscriber_id INTEGER, at INTEGER, what INTEGER, job INTEGER,
        unit INTEGER, batch INTEGER, detail INTEGER, salt INTEGER, "unique" INTEGER,
        "false" INTEGER, domain INTEGER, address TEXT
    )
    """,
    # What people and support did, in server time: with the events, it explains every status.
    """
    CREATE TABLE IF NOT EXISTS simulation_log (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        action TEXT NOT NULL,
        subscriber_id INTEGER,
        record_id TEXT,
        before TEXT,
        after TEXT
    )
    """,
)
_PENDING_COLUMNS = (
    "at", "what", "job", "unit", "batch", "detail", "salt", "unique", "false", "domain", "address",
)  # fmt: skip
LOG_COLUMNS = ("at", "action", "subscriber_id", "record_id", "before", "after")


@dataclass
class World:
    """Every subscriber, one array position each, in the order of SubscriberID."""

    settings: Settings
    account_id: int
    units: list[int]
    """MIDs of the enterprise's account (first) and its children."""
    ids: npt.NDArray[np.int64]
    keys: list[str]
    addresses: npt.NDArray[np.object_]
    domain: npt.NDArray[np.int64]
    records: list[str | None]
    """Id of the CRM record that the subscriber was made from."""
    unit: npt.NDArray[np.int64]
    cadence: npt.NDArray[np.float64]
    """Chance to be mailed by a unit on a day."""
    engagement: npt.NDArray[np.float64]
    """Chance to open a mail that arrived."""
    condition: npt.NDArray[np.int8]
    standing: Standing
    last_sent: Millis
    last_job: npt.NDArray[np.int64]
    last_unit: npt.NDArray[np.int64]
    last_batch: npt.NDArray[np.int64]
    opened_job: npt.NDArray[np.int64]
    agenda: Agenda

    def __post_init__(self) -> None:
        trusted = set(self.settings.trusted_domains)
        self.trusts = np.array([name in trusted for name in domain_names()])
        self._as_loaded = self._numbers()
        self._addresses_as_loaded = self.addresses.copy()

    def generator(self, day: date, stream: int) -> np.random.Generator:
        """Chance of one kind on one day: the same whenever that day is played."""
        return np.random.default_rng([self.settings.seed, day.toordinal(), stream])

    @classmethod
    def load(cls, store: Store) -> World:
        """Reads a simulated tenant; raises SandboxError for any other."""
        settings = Settings.load(store)
        rows = store.execute(
            """
            SELECT s.subscriber_id, s.subscriber_key, s.email_address, s.domain, s.status,
                s.bounce_count, s.date_undeliverable, s.date_unsubscribed, h.record_id, h.unit,
                h.cadence, h.engagement, h.condition, h.streak, h.streak_began, h.last_sent,
                h.last_job, h.last_unit, h.last_batch, h.opened_job
            FROM subscriber s JOIN simulation_subscriber h USING (subscriber_id)
            ORDER BY s.subscriber_id
            """
        )
        columns: list[Any] = list(zip(*map(tuple, rows), strict=True))
        if not columns:
            raise SandboxError(f"{store.path} holds no simulated subscriber")
        number = {name: position for position, name in enumerate(domain_names())}
        code = {status: position for position, status in enumerate(STATUSES)}
        ids = np.array(columns[0])
        status = np.array([code[status] for status in columns[4]], dtype=np.int8)
        streak = np.array(columns[13])
        # Somebody else's release restarts the count as SFMC's own does.
        streak[status == ACTIVE] = 0
        return cls(
            settings=settings,
            account_id=store.account_id,
            units=store.business_units(),
            ids=ids,
            keys=list(columns[1]),
            addresses=np.array(columns[2], dtype=object),
            domain=np.array([number[name] for name in columns[3]]),
            records=list(columns[8]),
            unit=np.array(columns[9]),
            cadence=np.array(columns[10]),
            engagement=np.array(columns[11]),
            condition=np.array(columns[12], dtype=np.int8),
            standing=Standing(
                status=status,
                streak=streak,
                streak_began=_moments(columns[14]),
                bounce_count=np.array(columns[5]),
                undeliverable_at=server_millis(columns[6]),
                unsubscribed_at=server_millis(columns[7]),
            ),
            last_sent=_moments(columns[15]),
            last_job=np.array(columns[16]),
            last_unit=np.array(columns[17]),
            last_batch=np.array(columns[18]),
            opened_job=np.array(columns[19]),
            agenda=Agenda(_load_pending(store, ids)),
        )

    def _numbers(self) -> npt.NDArray[np.int64]:
        standing = self.standing
        return np.column_stack(
            [
                standing.status,
                standing.bounce_count,
                standing.undeliverable_at,
                standing.unsubscribed_at,
                standing.streak,
                standing.streak_began,
                self.condition,
                self.last_sent,
                self.last_job,
                self.last_unit,
                self.last_batch,
                self.opened_job,
            ]
        ).astype(np.int64)

    def save(self, store: Store) -> None:
        """Writes back what has changed since it was loaded, and the settings."""
        numbers = self._numbers()
        moved = self.addresses != self._addresses_as_loaded
        changed = np.flatnonzero((numbers != self._as_loaded).any(axis=1) | moved)
        seen = np.flatnonzero((numbers[:, :4] != self._as_loaded[:, :4]).any(axis=1) | moved)
        names = domain_names()
        store.connection.executemany(
            "UPDATE subscriber SET status = ?, bounce_count = ?, date_undeliverable = ?,"
            " date_unsubscribed = ?, email_address = ?, domain = ? WHERE subscriber_id = ?",
            zip(
                (STATUSES[code] for code in numbers[seen, 0]),
                numbers[seen, 1].tolist(),
                server_text(to_minutes(numbers[seen, 2])),
                server_text(to_minutes(numbers[seen, 3])),
                self.addresses[seen].tolist(),
                (names[number] for number in self.domain[seen]),
                self.ids[seen].tolist(),
                strict=True,
            ),
        )
        hidden = numbers[changed, 4:].astype(object)
        hidden[hidden == NEVER] = None
        store.connection.executemany(
            "UPDATE simulation_subscriber SET streak = ?, streak_began = ?, condition = ?,"
            " last_sent = ?, last_job = ?, last_unit = ?, last_batch = ?, opened_job = ?"
            " WHERE subscriber_id = ?",
            (
                (*row, subscriber)
                for row, subscriber in zip(hidden.tolist(), self.ids[changed].tolist(), strict=True)
            ),
        )
        store.execute("DELETE FROM simulation_pending")
        pending = self.agenda.pending()
        store.insert(
            "simulation_pending",
            ("subscriber_id", *_PENDING_COLUMNS),
            zip(
                self.ids[pending.who].tolist(),
                *(getattr(pending, name).tolist() for name in _PENDING_COLUMNS),
                strict=True,
            ),
        )
        self.settings.save(store)


def to_minutes(moments: Millis) -> Millis:
    """As a smalldatetime column keeps them: rounded to the minute (facts §1.2)."""
    rounded = (moments + MINUTE // 2) // MINUTE * MINUTE
    return np.where(moments == NEVER, NEVER, rounded)


def _moments(column: list[int | None]) -> Millis:
    return np.array([NEVER if moment is None else moment for moment in column], dtype=np.int64)


def _load_pending(store: Store, ids: npt.NDArray[np.int64]) -> Happenings:
    names = ", ".join(map(quoted, _PENDING_COLUMNS))
    rows = store.execute(
        f"SELECT subscriber_id, {names} FROM simulation_pending ORDER BY id"
    ).fetchall()
    if not rows:
        return Happenings.empty()
    subscribers, *columns = zip(*map(tuple, rows), strict=True)
    values: dict[str, Any] = {
        name: np.array(column, dtype=object if name == "address" else np.int64)
        for name, column in zip(_PENDING_COLUMNS, columns, strict=True)
    }
    return Happenings(who=np.searchsorted(ids, subscribers), **values)
