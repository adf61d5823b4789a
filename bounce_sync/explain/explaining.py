"""From a question to a story."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import pandas as pd

from bounce_sync.explain import timeline
from bounce_sync.explain.lake_rows import LakeRows
from bounce_sync.explain.person import Person, identify
from bounce_sync.explain.story import BOUNCE, DECISION, WRITE, Event, RecordNow, Story
from bounce_sync.ledger import Ledger
from bounce_sync.rules.identity import object_of
from bounce_sync.rules.server_time import day_window
from bounce_sync.tables import HELD

SERVER_TIME = timedelta(hours=-6)


class Statuses(Protocol):
    """The part of a `marketing_cloud.sources.Source` that tells today's status."""

    def statuses(self, keys: list[str]) -> pd.DataFrame: ...


class Records(Protocol):
    """The part of `salesforce.reading.RecordReader` that tells what records hold today."""

    def reread(self, records: pd.DataFrame) -> pd.DataFrame: ...


def explain(
    key: str,
    lake: str,
    ledger: Ledger,
    *,
    crm: Records | None = None,
    marketing_cloud: Statuses | None = None,
    utc_offset: timedelta = SERVER_TIME,
) -> Story:
    """Why the person whom `key` means is or isn't flagged, as far back as lake and ledger reach.

    Args:
        key: a subscriber key, a Contact's or Lead's id in any form, or an e-mail address.
        lake: fsspec URL or path of the lake.
        crm: where given, today's values of the records are asked too.
        marketing_cloud: where given, today's statuses of the keys are asked too.
        utc_offset: of SFMC's server time, whose calendar days the partitions are.

    Raises the errors of the clients and of the lake's file system; a person whom nobody knows is
    an answer (`Story.known`).
    """
    rows = LakeRows(lake)
    person = identify(key.strip(), rows, ledger)
    spellings = person.spellings()

    def of(asset: str) -> pd.DataFrame:
        return person.is_theirs(rows.having(asset, subscriber_key=spellings))

    def of_records_too(asset: str, *, replaced_too: bool = False) -> pd.DataFrame:
        found = rows.having(
            asset,
            replaced_too=replaced_too,
            subscriber_key=spellings,
            record_id=person.records,
        )
        return person.is_theirs(found)

    bounced, held, released = of("raw_bounces"), of("held_subscribers"), of("released_subscribers")
    state = of_records_too("crm_flag_state")
    decided = of_records_too("crm_flag_changes", replaced_too=True)
    compared = of_records_too("crm_drift", replaced_too=True)
    history = ledger.history(list(person.records), list(spellings))

    def end_of(partition: str) -> datetime:
        return day_window(partition, utc_offset).end

    events: list[Event] = [
        *timeline.bounces(bounced),
        *timeline.holds(held),
        *timeline.addresses(held),
        *timeline.statuses(released),
        *timeline.staged(of("confirmed_bounce_staging"), end_of),
        *timeline.records(state, end_of),
        *timeline.decisions(decided, end_of),
        *timeline.drift(compared),
        *timeline.writes(history),
    ]
    told_of = (bounced, held, released, decided, compared, history)
    seen = [frame["subscriber_key"] for frame in told_of]
    keys = tuple(pd.concat(seen).dropna().drop_duplicates().sort_values())
    now = _today(person, crm) if crm else _last_seen(state, end_of)
    status = _statuses(held, released)
    if marketing_cloud and keys:
        said = marketing_cloud.statuses(list(keys))
        status |= dict(zip(said["subscriber_key"], said["status"], strict=True))
    told = tuple(sorted(events, key=lambda event: event.at))
    return Story(
        asked=key,
        answer=_answer(told, now, status),
        keys=keys,
        addresses=_addresses(held, state, now),
        records=now,
        statuses=status,
        timeline=told,
    )


def _today(person: Person, crm: Records) -> tuple[RecordNow, ...]:
    asked = pd.DataFrame({"record_id": sorted(person.records)}, dtype="str")
    if asked.empty:
        return ()
    found = crm.reread(asked.assign(object=asked["record_id"].map(object_of)))
    return tuple(
        _record(row, datetime.now(UTC), today=True)
        for row in found[~found["is_deleted"]].to_dict("records")
    )


def _last_seen(state: pd.DataFrame, end_of: timeline.EndOfDay) -> tuple[RecordNow, ...]:
    last = state.drop_duplicates("record_id", keep="last")
    return tuple(
        _record(row, end_of(row["partition"]), today=False) for row in last.to_dict("records")
    )


def _record(row: dict, seen_at: datetime, *, today: bool) -> RecordNow:
    date = row["flag_date"]
    return RecordNow(
        object=row["object"],
        record_id=row["record_id"],
        email=None if pd.isna(row["email"]) else row["email"],
        flag=bool(row["flag"]),
        flag_date=None if pd.isna(date) else date.to_pydatetime(),
        seen_at=seen_at,
        today=today,
    )


def _statuses(held: pd.DataFrame, released: pd.DataFrame) -> dict[str, str]:
    """Each key's status in the newest partition that tells one."""
    columns = ["subscriber_key", "partition", "status"]
    told = pd.concat([held.assign(status=HELD)[columns], released[columns]])
    last = told.sort_values("partition", kind="stable").drop_duplicates(
        "subscriber_key", keep="last"
    )
    return dict(zip(last["subscriber_key"], last["status"], strict=True))


def _addresses(
    held: pd.DataFrame, state: pd.DataFrame, now: tuple[RecordNow, ...]
) -> tuple[str, ...]:
    seen = pd.concat(
        [
            held[["partition", "email_address"]],
            state[["partition", "email"]].rename(columns={"email": "email_address"}),
        ]
    ).sort_values("partition", kind="stable")
    listed = [*seen["email_address"].dropna(), *(each.email for each in now if each.email)]
    return tuple(dict.fromkeys(listed))


def _answer(
    events: tuple[Event, ...], records: tuple[RecordNow, ...], statuses: dict[str, str]
) -> str:
    """The short answer: what each record says, and the newest decision about it."""
    if not events and not records:
        return "Nothing is known: no bounce, no hold, no CRM record and no write."
    decisions = {
        event.who: event
        for event in sorted(events, key=lambda event: event.until or event.at)
        if event.kind == DECISION and event.details["reason"] != "other_key"
    }
    writes = {event.who: event for event in events if event.kind == WRITE}
    sentences = []
    for record in records:
        state = "is flagged" if record.flag else "isn't flagged"
        sentences.append(f"{record.object} {record.record_id} {state}.")
        if record.record_id in decisions:
            sentences.append(decisions[record.record_id].text)
        if record.record_id in writes:
            sentences.append(f"Last write: {writes[record.record_id].text}.")
    if not records and decisions:
        sentences.append(f"No CRM record is flagged. {list(decisions.values())[-1].text}")
    if not decisions:
        sentences.append(_undecided(events, statuses))
    return " ".join(sentences)


def _undecided(events: tuple[Event, ...], statuses: dict[str, str]) -> str:
    bounced = sum(event.kind == BOUNCE for event in events)
    if HELD in statuses.values():
        return "SFMC holds the address, and no bounce in the evidence window confirms it."
    if bounced:
        times = "once" if bounced == 1 else f"{bounced} times"
        return (
            f"It bounced {times}, and SFMC hasn't given the address up: no flag for a bounce alone."
        )
    return "It was never a candidate for a flag."
