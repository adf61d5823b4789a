"""Server time in the simulation: whole milliseconds since 1970, without a zone, as numpy can sort.

Text appears only where rows are stored: SFMC's tables say ``YYYY-MM-DD HH:MM:SS.mmm`` in server
time, the CRM's ``YYYY-MM-DDTHH:MM:SS.000Z`` in UTC.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

Millis = npt.NDArray[np.int64]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEVER = np.iinfo(np.int64).min
"""Stands for an empty time in an array."""

_EPOCH = date(1970, 1, 1)


def midnight(day: date) -> int:
    """The first millisecond of a server-time day."""
    return (day - _EPOCH).days * DAY


def day_of(millis: int) -> date:
    """The server-time day that a moment lies in."""
    return _EPOCH + timedelta(days=millis // DAY)


def server_text(millis: Millis | list[int]) -> list[str | None]:
    """SFMC's spelling of each moment; None for ``NEVER``."""
    moments = np.asarray(millis, dtype=np.int64)
    if not len(moments):
        return []
    letters = np.datetime_as_string(moments.astype("datetime64[ms]"), unit="ms").astype("U23")
    letters.view("U1").reshape(len(moments), 23)[:, 10] = " "
    text: list[str | None] = letters.tolist()
    for position in np.flatnonzero(moments == NEVER):
        text[position] = None
    return text


def server_millis(text: list[str | None]) -> Millis:
    """The moments that SFMC's spellings stand for; ``NEVER`` for None."""
    moments = np.array(text, dtype="datetime64[ms]")
    return np.where(np.isnat(moments), NEVER, moments.astype(np.int64))


def crm_texts(millis: Millis, offset: timedelta) -> list[str]:
    """The CRM's spelling (UTC, whole seconds) of moments in server time."""
    seconds = (millis - int(offset.total_seconds()) * SECOND) // SECOND
    return [f"{text}.000Z" for text in np.datetime_as_string(seconds.astype("datetime64[s]"))]


def crm_text(millis: int, offset: timedelta) -> str:
    """The CRM's spelling of one moment in server time."""
    return crm_texts(np.array([millis]), offset)[0]
