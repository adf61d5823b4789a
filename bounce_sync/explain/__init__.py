"""Why somebody is or isn't flagged: the whole story of one person, from lake, ledger and services.

`explain` needs no Dagster. A `Story` holds addresses and bounce texts, because somebody asked for
this one person; it is for a terminal or a caller, never for a log.
"""

from bounce_sync.explain.explaining import explain
from bounce_sync.explain.story import Event, RecordNow, Story

__all__ = ["Event", "RecordNow", "Story", "explain"]
