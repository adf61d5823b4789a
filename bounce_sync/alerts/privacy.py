"""What a message may repeat of words that somebody else wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 300
_ADDRESS = re.compile(r"[^\s<>\"'()\[\],;:]+@[^\s<>\"'()\[\],;:]+")
_OURS = re.compile(r"(?:bounce_sync\.[\w.]+|dagster\._core\.definitions\.events\.Failure): ")
_CLASS = re.compile(r"^([A-Za-z_][\w.]*)(?:: |$)")
_SHORTEST_SECRET = 4


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` on one line, at most 300 characters, without e-mail addresses and `secrets`."""
    line = " ".join(text.split())
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            line = line.replace(" ".join(secret.split()), "…")
    line = _ADDRESS.sub("…@…", line)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def tellable(error: str, secrets: Iterable[str] = ()) -> str:
    """An error as Python prints it, for people outside of the UI.

    Our own messages are written to be read by anybody. Anyone else's may quote a row, so of those
    only the class is told.
    """
    if found := _OURS.match(error):
        return masked(error[found.end() :], secrets)
    named = _CLASS.match(error)
    return f"{named[1] if named else 'An error'} (its message is on the run's page)"
