"""Journeys with a Find-and-Update activity on the CRM's objects.

Two are always there, of the automations `bounce_sync_set` and `bounce_sync_release`: the first
ticks the flag and dates it, the second unticks it. They go through the org's own rules: a record
that isn't there is skipped, one that the org refuses is left, and neither is reported anywhere.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bounce_sync.sandbox.marketing_cloud import data_extensions
from bounce_sync.sandbox.marketing_cloud.soap.writing import new_id
from bounce_sync.sandbox.salesforce.cursors import Cursors
from bounce_sync.sandbox.salesforce.entities import entity
from bounce_sync.sandbox.salesforce.http import Table
from bounce_sync.sandbox.salesforce.ids import canonical
from bounce_sync.sandbox.salesforce.records import Change, Manner, update
from bounce_sync.sandbox.salesforce.service import Service
from bounce_sync.sandbox.salesforce.sessions import Sessions
from bounce_sync.sandbox.salesforce.setup.objects import prepare
from bounce_sync.sandbox.store import Store, crm_time, quoted

SET, RELEASE = "bounce_sync_set", "bounce_sync_release"
_ENTRIES = {SET: "Hard_Bounce_Staging_DE", RELEASE: "Hard_Bounce_Release_DE"}
_BATCH = 200


@dataclass(frozen=True)
class Journey:
    """`flag` is what its activities write into the checkbox; `dated` whether they date it."""

    key: str
    mid: int
    event_key: str
    data_extension: str
    flag: bool
    dated: bool


def found(store: Store) -> None:
    """Makes the two Journeys where they are missing."""
    for key, extension in _ENTRIES.items():
        definition = {"dataExtension": extension, "flag": key == SET, "dated": key == SET}
        store.execute(
            "INSERT OR IGNORE INTO journey (id, journey_key, name, mid, event_definition_key,"
            " definition) VALUES (?, ?, ?, ?, ?, ?)",
            (new_id(), key, key, store.account_id, f"APIEvent-{key}", json.dumps(definition)),
        )


def by_key(store: Store, key: str) -> Journey | None:
    return _made(store.execute("SELECT * FROM journey WHERE journey_key = ?", (key,)).fetchone())


def by_event(store: Store, mid: int, event_key: str) -> Journey | None:
    row = store.execute(
        "SELECT * FROM journey WHERE event_definition_key = ? AND mid = ?", (event_key, mid)
    )
    return _made(row.fetchone())


def evaluate_all(store: Store, journey: Journey) -> int:
    """Takes every record of the entry's data extension through the Journey, whether it went
    before or not; returns how many records of the CRM were updated."""
    source = data_extensions.find(store, journey.mid, journey.data_extension)
    if source is None:
        return 0
    names = [f.name for f in source.fields]
    shown = ", ".join(quoted(name) for name in names)
    rows = store.execute(f"SELECT {shown} FROM {source.rows} ORDER BY _row").fetchall()
    return enter(store, journey, (dict(zip(names, row, strict=True)) for row in rows))


def enter(store: Store, journey: Journey, records: Iterable[Mapping[str, Any]]) -> int:
    """The same for given records (field → value)."""
    entering = list(records)
    written = 0
    for object_name, id_field in (("Contact", "ContactId"), ("Lead", "LeadId")):
        changes = {}
        for record in entering:
            record_id = canonical(_get(record, id_field))
            if record_id is not None:
                changes[record_id] = Change(record_id, _values(store, journey, object_name, record))
        written += _update(store, object_name, list(changes.values()))
    return written


def _update(store: Store, object_name: str, changes: list[Change]) -> int:
    """Find and update: what isn't found is skipped."""
    prepare(store)
    org = Service(store, "", Sessions(store), Cursors(), Table())
    user = store.setting("user_id")
    target = entity(store, object_name, user)
    manner = Manner(user, "journey")
    written = 0
    for start in range(0, len(changes), _BATCH):
        batch = [c for c in changes[start : start + _BATCH] if c.record_id[:3] == target.prefix]
        outcomes = update(org, target, batch, manner) if batch else []
        written += sum(outcome is None for outcome in outcomes)
    return written


def _values(
    store: Store, journey: Journey, object_name: str, record: Mapping[str, Any]
) -> dict[str, Any]:
    values: dict[str, Any] = {store.setting("flag_field", "Hard_Bounce__c"): int(journey.flag)}
    dated = _date(_get(record, "FlagDate")) if journey.dated else None
    if dated is not None:
        name = store.setting("date_field", "Hard_Bounce_Date__c")
        kind = store.execute(
            "SELECT type FROM field WHERE object = ? AND name = ?", (object_name, name)
        ).fetchone()
        values[name] = dated[:10] if kind and kind["type"] == "date" else dated
    return values


def _date(text: Any) -> str | None:
    """An ISO time as the CRM keeps it; one without a zone is UTC."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return crm_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _get(record: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in record.items() if key.lower() == name.lower()), None)


def _made(row: sqlite3.Row | None) -> Journey | None:
    if row is None:
        return None
    said = json.loads(row["definition"])
    return Journey(
        row["journey_key"],
        row["mid"],
        row["event_definition_key"],
        said["dataExtension"],
        bool(said["flag"]),
        bool(said["dated"]),
    )
