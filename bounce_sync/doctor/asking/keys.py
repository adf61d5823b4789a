"""Asking both services: which SubscriberKeys there are, and whether the CRM knows them."""

from __future__ import annotations

import pandas as pd

from bounce_sync.doctor.asking.marketing_cloud import bounce_sample, held_sample
from bounce_sync.doctor.findings import Judgement
from bounce_sync.doctor.judging import keys as judging
from bounce_sync.doctor.patient import Patient
from bounce_sync.rules import identity

SAMPLE = 2_000
"""Keys of each kind that are looked at: Held subscribers, and those that bounced."""


def keys(patient: Patient) -> Judgement:
    held, bounced = held_sample(patient)[0], bounce_sample(patient)[0]
    looked_at = list(dict.fromkeys([*held[:SAMPLE], *bounced[:SAMPLE]]))
    match_field = patient.policy.match_field
    matched = _matched(patient, looked_at, match_field) if looked_at else 0
    return judging.keys(judging.shapes(looked_at), matched, match_field)


def _matched(patient: Patient, looked_at: list[str], match_field: str) -> int:
    if match_field == "Id":
        spelled = identity.record_ids(pd.Series(looked_at, dtype="str")).dropna()
        asked = spelled[["object", "record_id"]].drop_duplicates()
        known = patient.reader.reread(asked)["record_id"]
        return int(spelled["record_id"].isin(known).sum())
    records = patient.reader.read([], match_field, looked_at)
    known = records["match_value"].dropna().str.lower()
    return int(pd.Series(looked_at, dtype="str").str.lower().isin(known).sum())
