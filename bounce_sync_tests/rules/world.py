"""A little tenant and org, told in a few lines, that is put through the rules from end to end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pandas as pd

from bounce_sync import tables
from bounce_sync.rules.addresses import fingerprint
from bounce_sync.rules.changes import CrmFacts, plan
from bounce_sync.rules.confirmation import confirm
from bounce_sync.rules.identity import flag_state, same_subscriber, to_18
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.server_time import evidence_days, to_server

PARTITION = "2026-01-31"
READ_AT = "2026-02-01T09:00:00Z"
OFFSET = timedelta(hours=-6)

Row = dict[str, Any]


def at(day: int, time: str = "12:00:00") -> str:
    """An instant of January 2026, UTC."""
    return f"2026-01-{day:02d}T{time}Z"


def contact_id(n: int) -> str:
    return to_18(f"003aB0000Cd{n:04d}")


def lead_id(n: int) -> str:
    return to_18(f"00QaB0000Cd{n:04d}")


@dataclass
class World:
    """SFMC, the CRM and the ledger as they stand when a partition is run."""

    policy: SyncPolicy = field(default_factory=SyncPolicy)
    facts: CrmFacts = field(default_factory=CrmFacts)
    subscribers: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    bounces: list[Row] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)
    writes: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    carried: list[Row] = field(default_factory=list)
    allowed_domains: tuple[str, ...] = ()

    def subscriber(self, key: str, status: str, email: str | None = "ann@corp.com") -> None:
        self.subscribers[key] = (status, email)

    def bounce(self, key: str, event_at: str = at(30), **columns: Any) -> None:
        defaults = {
            "business_unit": "7001",
            "bounce_category": tables.HARD_BOUNCE,
            "smtp_code": "550",
            "smtp_reason": "user unknown",
            "job_id": 1,
        }
        self.bounces.append({**defaults, "subscriber_key": key, "event_at": event_at, **columns})

    def held(self, key: str, event_at: str = at(30), email: str | None = "ann@corp.com") -> None:
        """A Held subscriber with a hard bounce."""
        self.subscriber(key, tables.HELD, email)
        self.bounce(key, event_at)

    def record(self, record_id: str, email: str | None = "ann@corp.com", **columns: Any) -> str:
        """A Contact or Lead, by its id; returns the id."""
        kind = tables.CONTACT if record_id.startswith("003") else tables.LEAD
        defaults = {
            "flag": False,
            "flag_date": None,
            "is_deleted": False,
            "is_converted": False,
            "match_value": record_id,
        }
        self.records.append(
            {**defaults, "object": kind, "record_id": record_id, "email": email, **columns}
        )
        return record_id

    def wrote(self, record_id: str, action: str, date_written: str | None, **columns: Any) -> None:
        """The ledger's last confirmed write on a record."""
        kind = tables.CONTACT if record_id.startswith("003") else tables.LEAD
        written = {
            "object": kind,
            "record_id": record_id,
            "action": action,
            "is_undo": False,
            "flag_written": action != tables.CLEAR,
            "date_written": date_written,
        }
        self.writes.append({**written, **columns})

    def held_frame(self) -> pd.DataFrame:
        rows = [
            {"subscriber_key": key, "email_address": email, "read_at": READ_AT}
            for key, (status, email) in self.subscribers.items()
            if status == tables.HELD
        ]
        return framed(tables.HeldSubscribers, rows)

    def staging_frame(self) -> pd.DataFrame:
        bounces = framed(tables.RawBounces, self.bounces)
        days = to_server(bounces["event_at"], OFFSET).dt.strftime("%Y-%m-%d")
        window = bounces[days.isin(evidence_days(PARTITION, self.policy))]
        carried = framed(tables.ConfirmedBounceStaging, self.carried)
        return confirm(window, self.held_frame(), carried, self.policy)

    def frames(self) -> list[pd.DataFrame]:
        """What a plan is made of, in the order of its parameters."""
        staging, held = self.staging_frame(), self.held_frame()
        records = framed(tables.CrmRecords, self.records)
        state = flag_state(records, staging["subscriber_key"], self.policy.match_field)
        released = self._asked(set(state["subscriber_key"]) - set(held["subscriber_key"]))
        knowledge = framed(tables.LedgerKnowledge, self.writes)
        return [
            staging,
            state,
            held,
            released,
            knowledge,
            framed(tables.DomainHistory, self.history),
        ]

    def _asked(self, keys: set[str]) -> pd.DataFrame:
        """What SFMC answers when it is asked for the keys that aren't Held."""
        answers = {same_subscriber(key): status for key, (status, _) in self.subscribers.items()}
        rows = [
            {
                "subscriber_key": key,
                "status": answers.get(same_subscriber(key), tables.UNKNOWN_STATUS),
                "read_at": READ_AT,
            }
            for key in sorted(keys)
        ]
        return framed(tables.ReleasedSubscribers, rows)

    def plan(self) -> pd.DataFrame:
        return plan(*self.frames(), self.policy, self.facts, self.allowed_domains)

    def decision(self, record_id: str) -> tuple[str, str]:
        """Action and reason of the one decision on a record."""
        row = self.decision_row(record_id)
        return row["action"], row["reason"]

    def decision_row(self, record_id: str) -> pd.Series:
        changes = self.plan()
        rows = changes[(changes["record_id"] == record_id) & (changes["reason"] != "other_key")]
        assert len(rows) == 1, f"{len(rows)} decisions on {record_id}"
        return rows.iloc[0]

    def with_policy(self, **settings: Any) -> World:
        return replace(self, policy=replace(self.policy, **settings))


def framed(model: type[tables.Table], rows: list[Row]) -> pd.DataFrame:
    """Rows as a frame of the model's columns and types."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    frame = pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns}
    )
    return tables.shape(model, frame)


def applied(world: World, changes: pd.DataFrame) -> World:
    """The world after a plan was written: records and ledger, nothing else."""
    acting = changes[changes["action"] != tables.NONE]
    planned = {row["record_id"]: row for row in acting.to_dict("records")}
    records = [
        {**record, **_written(planned[record["record_id"]])}
        if record["record_id"] in planned
        else record
        for record in world.records
    ]
    kept = [write for write in world.writes if write["record_id"] not in planned]
    after = replace(world, records=records, writes=kept)
    for record_id, row in planned.items():
        after.wrote(record_id, row["action"], _written(row)["flag_date"])
    return after


def _written(change: Row) -> Row:
    date = change["date_after"]
    return {
        "flag": bool(change["flag_after"]),
        "flag_date": None if pd.isna(date) else date.isoformat(),
    }


def hash_of(email: str) -> str:
    return fingerprint(pd.Series([email], dtype="str")).iloc[0]
