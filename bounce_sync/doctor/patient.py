"""Who is examined: an installation, with both services, opened when a line first asks for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Protocol

from bounce_sync.ledger import LedgerState, look
from bounce_sync.marketing_cloud.connection import ALL_UNITS, Account
from bounce_sync.marketing_cloud.connection import Connection as MarketingCloud
from bounce_sync.marketing_cloud.retrieving import Retriever
from bounce_sync.marketing_cloud.retrying import Patience
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.salesforce.connection import Connection as Crm
from bounce_sync.salesforce.connection import Org
from bounce_sync.salesforce.describe import Descriptions, describe_objects
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.settings import Settings
from bounce_sync.tables import ACCOUNT, CONTACT, LEAD

Say = Callable[[str], None]

PATIENCE = Patience(attempts=3)
"""Somebody is waiting: a service that is down is told of sooner than in a daily run."""


class Whereabouts(Protocol):
    """Where an installation's services are: `Services`, or the resource `Installation`."""

    @property
    def settings(self) -> Settings: ...
    def account(self) -> Account: ...
    def org(self) -> Org: ...
    def facts(self, reader: RecordReader) -> CrmFacts: ...


@dataclass
class Patient:
    """What the lines ask. `say` gets a line of progress on long work.

    `start_date` is the first partition. With `first_run` the first run is worked out, which takes
    as long as reading both services does.
    """

    where: Whereabouts
    policy: SyncPolicy
    start_date: date
    say: Say
    first_run: bool = True
    remembered: dict[str, Any] = field(default_factory=dict)
    """What was asked of a service for several lines."""

    @property
    def settings(self) -> Settings:
        return self.where.settings

    @cached_property
    def account(self) -> Account:
        return self.where.account()

    @cached_property
    def sfmc(self) -> MarketingCloud:
        return self._stack.enter_context(contextlib.closing(MarketingCloud(self.account, PATIENCE)))

    @cached_property
    def retriever(self) -> Retriever:
        return Retriever(self.sfmc, self.say)

    @property
    def asks_all_units(self) -> bool:
        """The parent's token asks for the events of every business unit."""
        return self.account.business_units == ALL_UNITS

    @property
    def event_units(self) -> tuple[str, ...]:
        """The accounts whose tokens ask for events."""
        return (self.account.account_id,) if self.asks_all_units else self.account.units

    @cached_property
    def crm(self) -> Crm:
        return self._stack.enter_context(Crm(self.where.org()))

    @cached_property
    def described(self) -> Descriptions:
        return describe_objects(self.crm, (CONTACT, LEAD, ACCOUNT))

    @property
    def written_objects(self) -> tuple[str, ...]:
        """Objects whose records the sync writes."""
        return (CONTACT, LEAD, ACCOUNT) if self.settings.person_accounts else (CONTACT, LEAD)

    @cached_property
    def reader(self) -> RecordReader:
        return RecordReader(self.crm, self.say)

    @cached_property
    def ledger(self) -> LedgerState:
        return look(self.settings.ledger)

    @cached_property
    def _stack(self) -> contextlib.ExitStack:
        return contextlib.ExitStack()

    def close(self) -> None:
        """Gives connections back."""
        self._stack.close()
