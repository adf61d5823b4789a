"""Where bounces, Held subscribers and statuses come from: one protocol, three roads.

``soap`` asks SFMC's API, ``data_views`` lets query activities fill data extensions and reads those,
``files`` reads what SFMC's extract activities put on an SFTP server. On one tenant all three give
the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, get_args

import pandas as pd

from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.marketing_cloud.sources.data_views import DataViewsSource
from bounce_sync.marketing_cloud.sources.files import FilesSource
from bounce_sync.marketing_cloud.sources.soap import HeldMode, SoapSource
from bounce_sync.rules.server_time import Window

Kind = Literal["soap", "data_views", "files"]
Say = Callable[[str], None]


class Source(Protocol):
    """One way to read a tenant. Every method raises a `MarketingCloudError` or gives all rows."""

    @property
    def calls(self) -> int:
        """API calls made so far."""

    def bounces(self, window: Window) -> pd.DataFrame:
        """Every bounce event of the window (UTC), as `tables.RawBounces`, in order of time."""

    def bounces_of(self, keys: Sequence[str]) -> pd.DataFrame:
        """Every bounce of these subscribers that SFMC still has, as `tables.RawBounces`, in order
        of time. Raises `NotByKey` where the source can't tell."""

    def held(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """Every subscriber that is Held now, as `tables.HeldSubscribers`, in order of key.

        `keys` are the ones of interest: those that bounced in the evidence window and those flagged
        in the CRM. They show whether "nobody is Held" can be true; a source that can't ask for Held
        as such asks for these alone.
        """

    def statuses(self, keys: Sequence[str]) -> pd.DataFrame:
        """Today's status of each key, as `tables.ReleasedSubscribers`: one row per distinct key,
        in the order asked. A key that SFMC doesn't know is ``Unknown``."""

    def close(self) -> None:
        """Give connections back."""


def open_source(
    kind: Kind,
    account: Account,
    say: Say | None = None,
    *,
    held: HeldMode = "all",
    files: str | None = None,
    files_format: Mapping[str, Any] | None = None,
    patience: Patience | None = None,
) -> Source:
    """The source of this kind.

    `say` gets a line of progress on long work. `held` is SFMC_HELD, for the source ``soap``;
    `files` and `files_format` are SFMC_FILES and SFMC_FILES_FORMAT, for the source ``files``.
    Raises `ValueError` for a kind or a format that isn't one.
    """

    def soap() -> SoapSource:
        return SoapSource(account, say=say, held_mode=held, patience=patience)

    if kind == "soap":
        return soap()
    if kind == "data_views":
        return DataViewsSource(account, say=say, patience=patience)
    if kind == "files" and files:
        return FilesSource(account, files, files_format, say=say, soap=soap)
    raise ValueError(f"{kind!r} is no source, or lacks its folder; there are {get_args(Kind)}.")
