"""The graph's edges to the world, opened when a step first needs them and closed with the run.

The environment is read when a run starts, never at import. With target sandbox and no address given
the run serves its own sandbox for as long as it lives.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

import dagster as dg
import pydantic
from pydantic import PrivateAttr

from bounce_sync.environment import JOURNEY
from bounce_sync.ledger import Ledger
from bounce_sync.marketing_cloud import sources
from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.marketing_cloud.connection import Connection as MarketingCloudConnection
from bounce_sync.marketing_cloud.journey import JourneyDelivery
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.rules.policy import PolicyError, SyncPolicy
from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.services import Services
from bounce_sync.settings import Settings
from bounce_sync.storage import Lake


class PolicyResource(dg.ConfigurableResource):
    """What confirms a bounce, what clears a flag, and how much may change in one run."""

    def policy(self) -> SyncPolicy:
        """The policy of this run. Raises `PolicyError` listing every impossible setting."""
        return SyncPolicy(
            **{each.name: getattr(self, each.name) for each in dataclasses.fields(SyncPolicy)}
        )


def editable_policy() -> PolicyResource:
    """The policy with a field in the Launchpad for each setting of `SyncPolicy`, which stays the
    only place where settings, defaults and descriptions are written."""
    listed: dict[str, Any] = {}
    for setting in dataclasses.fields(SyncPolicy):
        default: Any = setting.default
        kind: Any = type(default)
        if kind is tuple:  # the Launchpad knows lists
            default, kind = list(default), list[str]
        described = pydantic.Field(default=default, description=setting.metadata["description"])
        listed[setting.name] = (kind, described)
    editable = pydantic.create_model(
        "SyncPolicy", __base__=PolicyResource, __doc__=PolicyResource.__doc__, **listed
    )
    return editable()


class Installation(dg.ConfigurableResource):
    """The environment of this run, and the embedded sandbox where there is one."""

    _services: Services = PrivateAttr()

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Raises `SettingsError` listing everything that is missing."""
        with Services(Settings.load()) as self._services:
            yield self

    @property
    def settings(self) -> Settings:
        return self._services.settings

    def lake(self) -> Lake:
        return Lake(self.settings.lake)

    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger)

    def account(self) -> Account:
        """Where SFMC is; serves the sandbox first if it has to."""
        return self._services.account()

    def demand_possible(self, policy: SyncPolicy) -> None:
        """Raises `PolicyError` for a policy that the chosen delivery can't follow."""
        if self.settings.delivery == JOURNEY and policy.match_field == "Email":
            raise PolicyError(
                "BOUNCE_SYNC_DELIVERY=journey can't match by Email: its Journeys find one Contact "
                "and one Lead by Id. Use match_field Id, or the delivery api."
            )

    def org(self) -> Org:
        """Where the CRM is; serves the sandbox first if it has to."""
        return self._services.org()

    def facts(self, reader: RecordReader) -> CrmFacts:
        """What a decision must know of the org."""
        return self._services.facts(reader)


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
            settings = self.installation.settings
            self._source = sources.open_source(
                settings.source,
                self.installation.account(),
                dg.get_dagster_logger().info,
                held=settings.held,
                files=settings.files,
                files_format=settings.files_format,
            )
        return self._source

    @property
    def calls(self) -> int:
        """API calls so far; 0 where nothing was asked."""
        return self._source.calls if self._source is not None else 0


class Journeys(dg.ConfigurableResource):
    """SFMC as the one who writes, for the delivery `journey`."""

    installation: dg.ResourceDependency[Installation]
    marketing_cloud: dg.ResourceDependency[MarketingCloud]
    _calls: int = PrivateAttr(default=0)

    @contextlib.contextmanager
    def delivery(
        self, say: Callable[[str], None], stop: threading.Event
    ) -> Iterator[JourneyDelivery]:
        """The parent account's data extensions and automations, until `stop` is set."""
        connection = MarketingCloudConnection(self.installation.account())
        try:
            yield JourneyDelivery(
                connection,
                say,
                longest_run=self.installation.settings.journey_wait,
                stop=stop,
            )
        finally:
            self._calls += connection.calls
            connection.close()

    @property
    def calls(self) -> int:
        """SFMC's API calls so far, those that read included."""
        return self.marketing_cloud.calls + self._calls


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
