"""What a decision must know of the org it is made for."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class CrmFacts:
    """Facts about the CRM org, read from it before a plan is made."""

    date_is_day: bool = False
    """The date field is a Date; else a DateTime."""
    time_zone: str = "UTC"
    """Zone of the integration user (IANA): the calendar days of a Date field are days there."""
    is_sandbox: bool = False
    """A sandbox org: refreshed ones have every e-mail address masked."""
    person_accounts: bool = False
    """Records of Person Accounts are written, through their Account."""

    def as_stored(self, times: pd.Series) -> pd.Series:
        """UTC times as the date field holds them: cut to seconds, or midnight UTC of the day."""
        if not self.date_is_day:
            return times.dt.floor("s")
        days = times.dt.tz_convert(self.time_zone).dt.tz_localize(None).dt.floor("D")
        return days.dt.tz_localize("UTC").astype("datetime64[us, UTC]")

    def comparable(self, dates: pd.Series) -> pd.Series:
        """Values of the date field at the precision at which they are compared."""
        return dates.dt.floor("D" if self.date_is_day else "s")
