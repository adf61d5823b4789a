"""Judging what is on this machine."""

from __future__ import annotations

from bounce_sync.doctor.findings import Judgement, failed, passed, warned
from bounce_sync.ledger import LedgerState


def folder(what: str, path: str, *, exists: bool, is_writable: bool, variable: str) -> Judgement:
    """A local folder, or the nearest one above it that is there."""
    if not is_writable:
        return failed(
            f"{what} {path} can't be written.",
            f"Give this user write permission there, or set {variable}.",
        )
    return passed(f"{path}" if exists else f"{path} isn't there yet; it will be made.")


def remote_lake(protocol: str, problem: str | None) -> Judgement:
    """A lake elsewhere: a write isn't tried, as the doctor only reads."""
    if problem is not None:
        return failed(
            f"The lake on {protocol} can't be reached ({problem}).",
            "Check BOUNCE_SYNC_LAKE and the credentials that fsspec takes from the environment.",
        )
    return passed(f"The lake on {protocol} answers; whether it takes files, the first run shows.")


def ledger(state: LedgerState) -> Judgement:
    if state.revision is None:
        return passed("There is none yet; the first run makes it.")
    if not state.is_known:
        return failed(
            f"It has revision {state.revision}, which this release doesn't know.",
            "Install the release that wrote it, or a newer one.",
        )
    if not state.is_newest:
        return warned(
            f"It has revision {state.revision}, an older one; the next run migrates it.",
            "Copy the ledger (BOUNCE_SYNC_LEDGER) before that run.",
        )
    return passed(f"At revision {state.revision}, the newest.")


def ledger_org(state: LedgerState, org_id: str, *, is_live: bool) -> Judgement:
    """Whether the ledger belongs to this org."""
    if state.org_id is None:
        bound = "the first live run binds it" if is_live else "only live runs bind it"
        return passed(f"It belongs to no org yet; {bound}.")
    if state.org_id[:15] != org_id[:15]:
        return failed(
            f"The ledger belongs to the org {state.org_id}; these credentials lead to {org_id}.",
            "Use the right credentials, or give this org a ledger of its own (BOUNCE_SYNC_LEDGER).",
        )
    return passed(f"It belongs to this org, {org_id}.")
