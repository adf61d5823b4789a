"""The graph's edges to the world, opened when a step first needs them and closed with the run.

The environment is read when a run starts, never at import. With target sandbox and no address given
the run serves its own sandbox for as long as it lives.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Self

import dagster as dg
import pydantic
from pydantic import PrivateAttr

from bounce_sync.ledger import Ledger
from bounce_sync.marketing_cloud import sources
from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.rules import server_time
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.sandbox import embedded
from bounce_sync.settings import MarketingCloudSettings, SalesforceSettings, Settings
from bounce_sync.storage import Lake


def _launchpad_fields() -> dict[str, Any]:
    """The policy's settings as fields of a resource: the dataclass stays the only declaration."""
    listed: dict[str, Any] = {}
    for setting in dataclasses.fields(SyncPolicy):
        default = setting.default
        kind = list[str] if isinstance(default, tuple) else type(default)
        listed[setting.name] = (
            kind,
            pydantic.Field(
                default=list(default) if isinstance(default, tuple) else default,
                description=setting.metadata["description"],
            ),
        )
    return listed


class _Policy(dg.ConfigurableResource):
    """What confirms a bounce, what clears a flag, and how much may change in one run."""

    def policy(self) -> SyncPolicy:
        """The policy of this run. Raises `PolicyError` listing every impossible setting."""
        return SyncPolicy(
            **{each.name: getattr(self, each.name) for each in dataclasses.fields(SyncPolicy)}
        )


PolicyResource = pydantic.create_model("PolicyResource", __base__=_Policy, **_launchpad_fields())


class Installation(dg.ConfigurableResource):
    """The environment of this run, and the embedded sandbox where there is one."""

    _settings: Settings = PrivateAttr()
    _stack: contextlib.ExitStack = PrivateAttr()
    _address: embedded.Address | None = PrivateAttr(default=None)

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Raises `SettingsError` listing everything that is missing."""
        self._settings = Settings.load()
        with contextlib.ExitStack() as self._stack:
            yield self

    @property
    def settings(self) -> Settings:
        return self._settings

    def lake(self) -> Lake:
        return Lake(self.settings.lake)

    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger)

    def account(self) -> Account:
        """Where SFMC is; serves the sandbox first if it has to."""
        settings = self.settings
        where = settings.marketing_cloud
        if where is None:
            address = self._sandbox()
            where = MarketingCloudSettings(
                auth_url=address.auth_url,
                client_id=address.client_id,
                client_secret=address.client_secret,
                account_id=address.account_id,
            )
        return Account(
            auth_url=where.auth_url,
            client_id=where.client_id,
            client_secret=where.client_secret,
            account_id=where.account_id,
            business_units=self._business_units(where.account_id),
            ca_bundle=self._ca_bundle(),
            utc_offset=server_time.parse_offset(settings.utc_offset),
        )

    def org(self) -> Org:
        """Where the CRM is; serves the sandbox first if it has to."""
        settings = self.settings
        where = settings.salesforce
        if where is None:
            address = self._sandbox()
            where = SalesforceSettings(
                login_url=address.salesforce_url,
                client_id=address.client_id,
                client_secret=address.client_secret,
            )
        return Org(
            login_url=where.login_url,
            client_id=where.client_id,
            client_secret=where.client_secret,
            username=where.username,
            jwt_key=where.jwt_key,
            ca_bundle=self._ca_bundle(),
            api_version=settings.api_version,
            api_share=settings.api_share,
            bulk_from=settings.bulk_from,
            flag_field=settings.flag_field,
            date_field=settings.date_field,
            person_accounts=settings.person_accounts,
        )

    def _business_units(self, account_id: str) -> tuple[str, ...]:
        if self.settings.business_units:
            return self.settings.business_units
        if self.settings.embedded:
            return embedded.business_units(self.settings.sandbox_folder)
        return (account_id,)

    def _ca_bundle(self) -> str | None:
        if self.settings.ca_bundle:
            return self.settings.ca_bundle
        return self._sandbox().ca_bundle if self.settings.embedded else None

    def _sandbox(self) -> embedded.Address:
        if self._address is None:
            self._address = self._stack.enter_context(
                embedded.serve_own(self.settings.sandbox_folder)
            )
        return self._address


class MarketingCloud(dg.ConfigurableResource):
    """SFMC, by the source that SFMC_SOURCE names."""

    installation: dg.ResourceDependency[Installation]
    _source: sources.Source | None = PrivateAttr(default=None)

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        try:
            yield self
        finally:
            if self._source is not None:
                self._source.close()

    @property
    def source(self) -> sources.Source:
        if self._source is None:
            self._source = sources.open_source(
                self.installation.settings.source, self.installation.account()
            )
        return self._source

    @property
    def calls(self) -> int:
        """API calls so far; 0 where nothing was asked."""
        return self._source.calls if self._source is not None else 0


class Crm(dg.ConfigurableResource):
    """The CRM org."""

    installation: dg.ResourceDependency[Installation]
    _connection: Connection | None = PrivateAttr(default=None)

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        try:
            yield self
        finally:
            if self._connection is not None:
                self._connection.close()

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(self.installation.org())
        return self._connection

    @property
    def calls(self) -> int:
        """API calls so far; 0 where nothing was asked."""
        return self._connection.calls if self._connection is not None else 0
