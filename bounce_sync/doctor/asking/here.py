"""Asking this machine: folders, the lake, the ledger."""

from __future__ import annotations

import os
from pathlib import Path

from upath import UPath

from bounce_sync.doctor.findings import Judgement, passed
from bounce_sync.doctor.judging import here
from bounce_sync.doctor.patient import Patient
from bounce_sync.environment import LIVE


def settings(patient: Patient) -> Judgement:
    """They were read, or there would be no patient."""
    it = patient.settings
    return passed(f"Target {it.target}, source {it.source}, delivery {it.delivery}.")


def home(patient: Patient) -> Judgement:
    return _folder("The state folder", patient.settings.home, "BOUNCE_SYNC_HOME")


def lake(patient: Patient) -> Judgement:
    url = patient.settings.lake
    protocol, is_elsewhere, _ = url.partition("://")
    if not is_elsewhere or protocol in ("file", "local"):
        return _folder("The lake", Path(UPath(url).path), "BOUNCE_SYNC_LAKE")
    problem = None
    try:
        UPath(url).exists()
    except Exception as error:  # every filesystem has errors of its own
        problem = type(error).__name__
    return here.remote_lake(protocol, problem)


def ledger(patient: Patient) -> Judgement:
    return here.ledger(patient.ledger)


def ledger_org(patient: Patient) -> Judgement:
    is_live = patient.settings.target == LIVE
    return here.ledger_org(patient.ledger, patient.crm.identity().org_id, is_live=is_live)


def _folder(what: str, path: Path, variable: str) -> Judgement:
    there = next(each for each in (path, *path.parents) if each.exists())
    return here.folder(
        what,
        str(path),
        exists=there == path,
        is_writable=there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        variable=variable,
    )
