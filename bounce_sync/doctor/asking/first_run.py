"""Working out what the first run would change: the daily run's rules, in memory alone.

It reads what `run --dry-run` reads and stores nothing. Nothing comes from the lake: keys that an
earlier run put off, and the history by which a mail domain's outage is noticed, aren't known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import pandas as pd

from bounce_sync.doctor.findings import Judgement
from bounce_sync.doctor.judging import first_run as judging
from bounce_sync.doctor.patient import PATIENCE, Patient
from bounce_sync.environment import DATA_VIEWS, HELD_BY_KEY, SOAP
from bounce_sync.ledger import Ledger
from bounce_sync.marketing_cloud import sources
from bounce_sync.rules import changes, confirmation, identity, server_time
from bounce_sync.rules.texts import is_in
from bounce_sync.tables import (
    ConfirmedBounceStaging,
    DomainHistory,
    LedgerKnowledge,
    RawBounces,
    empty,
)


def is_wanted(patient: Patient) -> bool:
    return patient.first_run


def first_run(patient: Patient) -> Judgement:
    offset = server_time.parse_offset(patient.settings.utc_offset)
    day = server_time.last_finished_day(datetime.now(UTC), offset)
    if day < patient.start_date:
        return judging.not_yet(day, patient.start_date)
    source = _source(patient)
    try:
        plan = _plan(patient, source, server_time.evidence_days(day, patient.policy))
    finally:
        source.close()
    return judging.first_run(plan, day, patient.policy)


def _source(patient: Patient) -> sources.Source:
    """The chosen one; but data views are filled by queries, which write in SFMC: SOAP instead."""
    settings = patient.settings
    return sources.open_source(
        cast("sources.Kind", SOAP if settings.source == DATA_VIEWS else settings.source),
        patient.account,
        patient.say,
        held=settings.held,
        files=settings.files,
        files_format=settings.files_format,
        patience=PATIENCE,
    )


def _plan(patient: Patient, source: sources.Source, days: Sequence[str]) -> pd.DataFrame:
    """`CrmFlagChanges` of the last finished day, as the daily run would make it now."""
    policy, reader = patient.policy, patient.reader
    bounces = _bounces(patient, source, days)
    keys = bounces["subscriber_key"].drop_duplicates().tolist()
    if patient.settings.held == HELD_BY_KEY:
        keys += _flagged_keys(patient)
    patient.say("Reading who is Held")
    held = source.held(keys)
    staging = confirmation.confirm(bounces, held, empty(ConfirmedBounceStaging), policy)

    patient.say("Reading the CRM")
    staged = staging["subscriber_key"]
    if policy.match_field == "Id":
        ids = identity.record_ids(staged)["record_id"].dropna().unique().tolist()
        records = reader.read(ids)
    else:
        records = reader.read([], policy.match_field, staged.tolist())
    state = identity.flag_state(records, staged, policy.match_field)
    speaking = state["subscriber_key"].drop_duplicates()
    is_held = is_in(
        identity.compared_form(speaking, policy.match_field),
        identity.compared_form(held["subscriber_key"], policy.match_field),
    )
    patient.say("Reading the status of those who aren't Held")
    released = source.statuses(speaking[~is_held].tolist())
    facts = patient.where.facts(reader)
    history = empty(DomainHistory)
    return changes.plan(staging, state, held, released, _knowledge(patient), history, policy, facts)


def _bounces(patient: Patient, source: sources.Source, days: Sequence[str]) -> pd.DataFrame:
    offset = server_time.parse_offset(patient.settings.utc_offset)
    wanted = [day for day in days if day >= patient.start_date.isoformat()]
    frames = [empty(RawBounces)]
    for number, day in enumerate(wanted, start=1):
        patient.say(f"Reading the bounces of {day} ({number} of {len(wanted)})")
        frames.append(source.bounces(server_time.day_window(day, offset)))
    return pd.concat(frames, ignore_index=True)


def _flagged_keys(patient: Patient) -> list[str]:
    """Every key that may speak for a record that is flagged now."""
    match_field = patient.policy.match_field
    nobody = pd.Series(dtype="str")
    state = identity.flag_state(patient.reader.read([], match_field), nobody, match_field)
    return state["subscriber_key"].drop_duplicates().tolist()


def _knowledge(patient: Patient) -> pd.DataFrame:
    """What the ledger knows; opening one that isn't the newest would migrate it."""
    if not patient.ledger.is_newest:
        return empty(LedgerKnowledge)
    return Ledger(patient.settings.ledger).knowledge()
