"""The environment, read once and typed.

`Settings` is read when a run or a command starts. Only `ImportSettings` is read when the
definitions are imported, because partitions and schedules can't wait for a run. Both raise
`SettingsError`, which lists everything that is missing or wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from bounce_sync import values
from bounce_sync.environment import (
    DATA_VIEWS,
    FILES,
    JOURNEY,
    SANDBOX,
    VARIABLES,
    Reader,
    environment,
)
from bounce_sync.rules import server_time

if TYPE_CHECKING:
    from bounce_sync.alerts.sending import Receiver

SourceName = Literal["soap", "data_views", "files"]
HeldMode = Literal["all", "by_key"]


@dataclass(frozen=True)
class ImportSettings:
    """What the definitions need before any run: nothing of it is secret, none needs a network."""

    target: str
    delivery: str
    start_date: date
    utc_offset: str

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> ImportSettings:
        """Raises `SettingsError` for an impossible value."""
        reader = Reader(environment() if environ is None else environ)
        settings = cls(
            target=reader.text("BOUNCE_SYNC_TARGET"),
            delivery=reader.text("BOUNCE_SYNC_DELIVERY"),
            start_date=reader.parsed("BOUNCE_SYNC_START_DATE", values.day),
            utc_offset=reader.text("SFMC_UTC_OFFSET"),
        )
        reader.parsed("SFMC_UTC_OFFSET", server_time.parse_offset)
        reader.finish()
        return settings


@dataclass(frozen=True)
class AlertSettings:
    """Who is told, and what they may not be told.

    Read on its own, so that a run which fails because the rest isn't complete can be told of.
    """

    target: str
    receivers: tuple[Receiver, ...]
    ui: str
    """Address of the Dagster UI without a slash at its end; empty where it wasn't said."""
    secrets: frozenset[str] = field(repr=False)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> AlertSettings:
        """Raises `SettingsError` where a receiver can't be understood."""
        reader = Reader(environment() if environ is None else environ)
        settings = cls(
            target=reader.text("BOUNCE_SYNC_TARGET"),
            receivers=reader.parsed("BOUNCE_SYNC_ALERTS", values.receivers),
            ui=reader.parsed("BOUNCE_SYNC_UI_URL", values.web_address),
            secrets=reader.secrets(),
        )
        reader.finish()
        return settings


@dataclass(frozen=True)
class MarketingCloudSettings:
    """Where SFMC is and who we are there."""

    auth_url: str
    client_id: str
    client_secret: str = field(repr=False)
    account_id: str = ""


@dataclass(frozen=True)
class SalesforceSettings:
    """Where the CRM is and who we are there; a secret or a user with a key."""

    login_url: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    username: str | None = None
    jwt_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything a run needs to know from outside."""

    target: str
    home: Path
    lake: str
    ledger: str
    delivery: str
    journey_wait: float
    start_date: date
    ca_bundle: str | None
    utc_offset: str
    source: SourceName
    files: str | None
    files_format: dict[str, Any]
    held: HeldMode
    business_units: tuple[str, ...]
    marketing_cloud: MarketingCloudSettings | None
    """None: the embedded sandbox says."""
    salesforce: SalesforceSettings | None
    """None: the embedded sandbox says."""
    flag_field: str
    date_field: str
    person_accounts: bool
    api_version: str
    api_share: float
    bulk_from: int

    @property
    def embedded(self) -> bool:
        """Whether this process serves its own sandbox."""
        return self.target == SANDBOX and self.marketing_cloud is None

    @property
    def sandbox_folder(self) -> Path:
        return self.home / "sandbox"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Reads and checks everything.

        Raises:
            SettingsError: naming every variable that is missing or can't be understood.
        """
        reader = Reader(environment() if environ is None else environ)
        target = reader.text("BOUNCE_SYNC_TARGET")
        home = Path(reader.text("BOUNCE_SYNC_HOME")).expanduser().absolute()
        source = reader.text("SFMC_SOURCE")
        if source == FILES:
            reader.demand("SFMC_FILES", "the source `files` reads a folder")
        marketing_cloud, salesforce = _services(reader, target)
        reader.parsed("SFMC_UTC_OFFSET", server_time.parse_offset)
        reader.parsed("BOUNCE_SYNC_ALERTS", values.receivers)
        reader.parsed("BOUNCE_SYNC_UI_URL", values.web_address)
        settings = cls(
            target=target,
            home=home,
            lake=reader.parsed("BOUNCE_SYNC_LAKE", values.folder) or str(home / "lake"),
            ledger=(
                reader.parsed("BOUNCE_SYNC_LEDGER", values.database)
                or f"sqlite:///{home / 'ledger.db'}"
            ),
            delivery=reader.text("BOUNCE_SYNC_DELIVERY"),
            journey_wait=reader.parsed("BOUNCE_SYNC_JOURNEY_WAIT", values.positive),
            start_date=reader.parsed("BOUNCE_SYNC_START_DATE", values.day),
            ca_bundle=reader.parsed("BOUNCE_SYNC_CA_BUNDLE", values.certificates),
            utc_offset=reader.text("SFMC_UTC_OFFSET"),
            source=cast("SourceName", source),
            files=reader.parsed("SFMC_FILES", values.folder) or None,
            files_format=reader.parsed("SFMC_FILES_FORMAT", values.files_format),
            held=cast("HeldMode", reader.text("SFMC_HELD")),
            business_units=reader.parsed("SFMC_BUSINESS_UNITS", values.account_ids),
            marketing_cloud=marketing_cloud,
            salesforce=salesforce,
            flag_field=reader.parsed("SALESFORCE_FLAG_FIELD", values.custom_field),
            date_field=reader.parsed("SALESFORCE_DATE_FIELD", values.custom_field),
            person_accounts=reader.text("SALESFORCE_PERSON_ACCOUNTS") == "true",
            api_version=reader.parsed("SALESFORCE_API_VERSION", values.api_version),
            api_share=reader.parsed("SALESFORCE_API_SHARE", values.share),
            bulk_from=reader.parsed("SALESFORCE_BULK_FROM", values.count),
        )
        if settings.flag_field.lower() == settings.date_field.lower():
            reader.complain("SALESFORCE_FLAG_FIELD and SALESFORCE_DATE_FIELD: the same field.")
        if settings.business_units == ("*",) and source == DATA_VIEWS:
            reader.complain(
                "SFMC_BUSINESS_UNITS: * doesn't go with SFMC_SOURCE=data_views, which show one "
                "unit each. List the MIDs."
            )
        if settings.person_accounts and settings.delivery == JOURNEY:
            reader.complain(
                "SALESFORCE_PERSON_ACCOUNTS: true doesn't go with BOUNCE_SYNC_DELIVERY=journey, "
                "whose Journeys write Contacts and Leads alone. With false they are reported "
                "(person_account)."
            )
        reader.finish()
        return settings


def _services(
    reader: Reader, target: str
) -> tuple[MarketingCloudSettings | None, SalesforceSettings | None]:
    given = [name for name, each in VARIABLES.items() if each.live and reader.text(name)]
    if target == SANDBOX and not given:
        return None, None
    addresses = [reader.text(name) for name in ("SFMC_AUTH_URL", "SALESFORCE_LOGIN_URL")]
    if target == SANDBOX and not all(
        address and values.is_loopback(address) for address in addresses
    ):
        reader.complain(
            f"{', '.join(given)}: set, but BOUNCE_SYNC_TARGET is sandbox. Set it to live, or "
            "remove them. (A sandbox served elsewhere is named by two loopback addresses.)"
        )
        return None, None

    auth_url, subdomain = reader.text("SFMC_AUTH_URL"), reader.text("SFMC_SUBDOMAIN")
    if not auth_url and not subdomain:
        reader.complain("SFMC_AUTH_URL (or SFMC_SUBDOMAIN): missing.")
    if subdomain and not auth_url:
        if not re.fullmatch(r"[A-Za-z0-9-]+", subdomain):
            reader.complain(
                "SFMC_SUBDOMAIN: not a subdomain; it is what stands before "
                ".auth.marketingcloudapis.com."
            )
        auth_url = f"https://{subdomain}.auth.marketingcloudapis.com/"
    for name in ("SFMC_CLIENT_ID", "SFMC_CLIENT_SECRET", "SFMC_ACCOUNT_ID"):
        reader.demand(name)
    for name in ("SALESFORCE_LOGIN_URL", "SALESFORCE_CLIENT_ID"):
        reader.demand(name)
    secret, username = (
        reader.text("SALESFORCE_CLIENT_SECRET"),
        reader.text("SALESFORCE_USERNAME"),
    )
    key = reader.text("SALESFORCE_JWT_KEY").replace("\\n", "\n")
    if not secret and not (username and key):
        reader.complain(
            "SALESFORCE_CLIENT_SECRET: missing (or SALESFORCE_USERNAME with "
            "SALESFORCE_JWT_KEY_FILE or SALESFORCE_JWT_KEY)."
        )
    for name, address in (
        ("SFMC_AUTH_URL", auth_url),
        ("SALESFORCE_LOGIN_URL", reader.text("SALESFORCE_LOGIN_URL")),
    ):
        if address and not values.is_secure(address):
            reader.complain(f"{name}: not an https:// address (http:// only on loopback).")
    return (
        MarketingCloudSettings(
            auth_url=auth_url.rstrip("/") + "/",
            client_id=reader.text("SFMC_CLIENT_ID"),
            client_secret=reader.text("SFMC_CLIENT_SECRET"),
            account_id=reader.text("SFMC_ACCOUNT_ID"),
        ),
        SalesforceSettings(
            login_url=reader.text("SALESFORCE_LOGIN_URL").rstrip("/"),
            client_id=reader.text("SALESFORCE_CLIENT_ID"),
            client_secret=secret or None,
            username=username or None,
            jwt_key=key or None,
        ),
    )
