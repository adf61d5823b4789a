"""Dates of requests (facts/marketing-cloud.md 4.4).

In the store a moment is text in server time, ``YYYY-MM-DD HH:MM:SS.mmm``, so that it sorts and
compares as text.
"""

import re
from datetime import datetime, timedelta, timezone

from bounce_sync.sandbox.store import server_time

_FRACTION = re.compile(r"(\.\d{1,6})\d*")


def read_date(text: str, offset: timedelta) -> str:
    """An ISO date in the store's form: `Z` is UTC, an offset is honoured, no zone is server time.

    Raises ValueError for what isn't a date.
    """
    moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text.strip()))
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone(offset)).replace(tzinfo=None)
    return server_time(moment)
