"""The doctor: looks at an installation and both of its services, says what is well and what isn't.

It only reads. `lines` lists what is looked at, `asking` gets the facts, `judging` says what they
mean, `examining` goes through the lines.
"""

from bounce_sync.doctor.examining import examine, without_settings
from bounce_sync.doctor.findings import Finding, Judgement, Level, counted
from bounce_sync.doctor.lines import GROUPS, LINES, Line
from bounce_sync.doctor.patient import Patient

__all__ = [
    "GROUPS",
    "LINES",
    "Finding",
    "Judgement",
    "Level",
    "Line",
    "Patient",
    "counted",
    "examine",
    "without_settings",
]
