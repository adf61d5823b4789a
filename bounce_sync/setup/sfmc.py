"""SFMC's part of a set-up: data extensions and queries by SOAP, automations by REST.

The installed package needs, for the source ``data_views`` or the delivery ``journey``:
data_extensions_read, data_extensions_write, automations_read and automations_write. For anything
else nothing is asked of SFMC at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bounce_sync.marketing_cloud import automations as activities
from bounce_sync.marketing_cloud.automations import Automations
from bounce_sync.marketing_cloud.connection import ALL_UNITS, Account, Connection
from bounce_sync.marketing_cloud.data_extensions import DataExtension, DataExtensions
from bounce_sync.marketing_cloud.errors import (
    DataExtensionDiffers,
    MarketingCloudError,
    PermissionMissing,
    Place,
    UnreadableAnswer,
)
from bounce_sync.marketing_cloud.journey import RELEASES, STAGING
from bounce_sync.marketing_cloud.queries import QueryActivities, query_text
from bounce_sync.marketing_cloud.sources.data_views import QUERY_SUFFIX
from bounce_sync.setup import sfmc_plan
from bounce_sync.setup.sfmc_plan import Found, Query, Wanted
from bounce_sync.setup.steps import SFMC, Step

Say = Callable[[str], None]

_UNSENDABLE = (
    "It isn't sendable by SubscriberKey. Contact Builder › Data Extensions › {key} › Edit: Is "
    "Sendable, SubscriberKey relates to Subscribers on Subscriber Key. Or delete it and run setup."
)


class SfmcSetup:
    """One tenant's set-up for a source and a delivery. To be used as a context manager."""

    system = SFMC

    def __init__(
        self, account: Account, source: str, delivery: str, fields: tuple[str, str], say: Say
    ) -> None:
        self._source, self._delivery, self._fields, self._say = source, delivery, fields, say
        self._connection = Connection(account)
        units = account.units if account.business_units != ALL_UNITS else (account.account_id,)
        self._wanted = sfmc_plan.wanted(source, delivery, account.account_id, units)
        self._extensions = {
            mid: DataExtensions(self._connection, mid) for mid in {*units, account.account_id}
        }

    def __enter__(self) -> SfmcSetup:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def where(self) -> str:
        return f"account {self._connection.account.account_id}"

    def look(self) -> list[Step]:
        """What there is and what isn't. Raises `MarketingCloudError`."""
        if self._wanted:
            self._say("Looking at SFMC.")
        there, differing, started = set(), {}, set()
        for each in self._wanted:
            kinds = self._kinds(each)
            if kinds is None:
                continue
            there.add(each.name)
            if activities.JOURNEY in kinds:
                started.add(each.key)
            if problem := self._differs(each):
                differing[each.name] = problem
        found = Found(frozenset(there), differing, frozenset(started))
        return sfmc_plan.plan(self._wanted, found, self._source, self._delivery, self._fields)

    def make(self, steps: Sequence[Step]) -> list[str]:
        """Makes what `steps` name, in order; gives what went wrong.

        Raises `PermissionMissing`: nothing else would work either.
        """
        names = {(step.kind, step.name) for step in steps}
        problems = []
        for each in self._wanted:
            if (each.kind, each.name) not in names:
                continue
            self._say(f"Making {each.kind.lower()} {each.name}.")
            try:
                self._make(each)
            except PermissionMissing:
                raise
            except MarketingCloudError as error:
                problems.append(str(error))
        return problems

    # --- looked at -----------------------------------------------------------------------------

    def _kinds(self, each: Wanted) -> list[int] | None:
        """None where it isn't there; the kinds of activity that an automation has."""
        if isinstance(each.what, DataExtension):
            return [] if self._extensions[each.unit].fields(each.key) else None
        if isinstance(each.what, Query):
            return None if self._queries(each.unit).find(each.key) is None else []
        return Automations(self._connection, each.unit).activities(each.key)

    def _differs(self, each: Wanted) -> str:
        """How what is there isn't what it has to be, and what to do; empty where it is."""
        if not isinstance(each.what, DataExtension):
            return ""
        extensions = self._extensions[each.unit]
        # A team's further columns in those of the delivery are its own business.
        check = extensions.require if each.what in (STAGING, RELEASES) else extensions.ensure
        try:
            check(each.what)
        except DataExtensionDiffers as error:
            return str(error)
        if each.what.sendable_by and extensions.sent_by(each.key) != each.what.sendable_by:
            return _UNSENDABLE.format(key=each.key)
        return ""

    # --- made ----------------------------------------------------------------------------------

    def _make(self, each: Wanted) -> None:
        if isinstance(each.what, DataExtension):
            self._extensions[each.unit].ensure(each.what)
        elif isinstance(each.what, Query):
            query = each.what
            text = query_text(query.text, **query.values)
            self._queries(each.unit).create(query.key, query.target, text, query.update)
        else:
            self._make_automation(each)

    def _make_automation(self, each: Wanted) -> None:
        query_key = each.key + QUERY_SUFFIX
        query_id = self._queries(each.unit).find(query_key)
        if query_id is None:
            place = Place(f"query activity {query_key}", each.unit)
            raise UnreadableAnswer(place, "The automation's query isn't there")
        made = Automations(self._connection, each.unit)
        made.create(each.key, "Starts a Journey of bounce_sync.", query_id, query_key)

    def _queries(self, unit: str) -> QueryActivities:
        return QueryActivities(self._connection, unit, self._extensions[unit])
