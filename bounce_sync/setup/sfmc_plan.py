"""What SFMC needs for an installation's source and delivery. Pure: reading and making is `sfmc`'s.

Nothing for the source ``soap`` with the delivery ``api``, scopes of the installed package apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bounce_sync.environment import DATA_VIEWS, FILES, JOURNEY
from bounce_sync.marketing_cloud.data_extensions import DataExtension, Field
from bounce_sync.marketing_cloud.journey import (
    RELEASE_AUTOMATION,
    RELEASES,
    SET_AUTOMATION,
    STAGING,
)
from bounce_sync.marketing_cloud.sources.data_views import (
    BOUNCES,
    HELD,
    KEYS,
    QUERY_SUFFIX,
    STATUSES,
)
from bounce_sync.setup.steps import SFMC, State, Step

EXTENSION, QUERY, AUTOMATION = "Data extension", "Query activity", "Automation"
JOURNEY_STEP, EXTRACT = "Journey", "Extracts"

DELIVERIES = DataExtension(
    "bounce_sync_deliveries",
    (
        Field("RunId", length=100, is_key=True),
        Field("Automation", length=50, is_key=True),
        Field("RowTotal", "Number"),
    ),
    "What the automations of bounce_sync took into their Journeys, run by run.",
)
NO_DAY = "2000-01-01T00:00:00.000"
"""Window of a query that hasn't run yet: each run sets its own."""

_ENTRIES = {SET_AUTOMATION: STAGING, RELEASE_AUTOMATION: RELEASES}
"""Automation → what its Journey takes in."""


@dataclass(frozen=True)
class Query:
    """A query activity: `text` names the file under ``sql/``, `values` what is put into it."""

    key: str
    target: str
    text: str
    values: Mapping[str, str]
    update: str = "Overwrite"


@dataclass(frozen=True)
class Wanted:
    """One object to be there in a business unit."""

    unit: str
    what: DataExtension | Query | str
    """A str is the key of an automation, which runs the query of that key and `QUERY_SUFFIX`."""
    why: str

    @property
    def kind(self) -> str:
        if isinstance(self.what, DataExtension):
            return EXTENSION
        return QUERY if isinstance(self.what, Query) else AUTOMATION

    @property
    def key(self) -> str:
        return self.what if isinstance(self.what, str) else self.what.key

    @property
    def name(self) -> str:
        return f"{self.key} in {self.unit}"


@dataclass(frozen=True)
class Found:
    """What a tenant has: names as `Wanted.name`."""

    there: frozenset[str] = frozenset()
    differing: Mapping[str, str] = field(default_factory=dict)
    """Name → how it differs, and what to do."""
    started: frozenset[str] = frozenset()
    """Automations that start a Journey."""


def wanted(source: str, delivery: str, account: str, units: Sequence[str]) -> list[Wanted]:
    """Everything in the order in which it can be made."""
    found: list[Wanted] = []
    if source == DATA_VIEWS:
        why = "the source data_views works with it"
        found += [
            *(Wanted(unit, BOUNCES, why) for unit in units),
            *(Wanted(account, each, why) for each in (HELD, STATUSES, KEYS)),
            *(Wanted(unit, _query(BOUNCES, start=NO_DAY, end=NO_DAY), why) for unit in units),
            *(
                Wanted(account, _query(each, subscribers="_Subscribers"), why)
                for each in (HELD, STATUSES)
            ),
        ]
    if delivery == JOURNEY:
        found += [
            Wanted(account, STAGING, "the set Journey takes its records from it"),
            Wanted(account, RELEASES, "the release Journey takes its records from it"),
            Wanted(account, DELIVERIES, "which runs the Journeys were given"),
            *(Wanted(account, _delivered(key), "the automation's step") for key in _ENTRIES),
            *(Wanted(account, key, "starts its Journey when it ends") for key in _ENTRIES),
        ]
    return found


def _query(target: DataExtension, **values: str) -> Query:
    name = target.key.removeprefix("bounce_sync_")
    return Query(target.key + QUERY_SUFFIX, target.key, name, {"run": "setup"} | values)


def _delivered(automation: str) -> Query:
    values = {"automation": automation, "delivered": _ENTRIES[automation].key}
    return Query(automation + QUERY_SUFFIX, DELIVERIES.key, "delivered", values, "Update")


def plan(
    objects: Sequence[Wanted], found: Found, source: str, delivery: str, fields: tuple[str, str]
) -> list[Step]:
    """Every step of SFMC's set-up; `fields` are the CRM's flag and date field."""
    steps = []
    for each in objects:
        state = State.THERE if each.name in found.there else State.MISSING
        note = found.differing.get(each.name, "")
        state = State.DIFFERS if note else state
        steps.append(Step(SFMC, each.kind, each.name, each.why, state, note))
    if delivery == JOURNEY:
        steps += [_journey(key, found, fields) for key in _ENTRIES]
    if source == FILES:
        steps.append(Step(SFMC, EXTRACT, "to SFMC_FILES", _EXTRACT_WHY, State.BY_HAND, _EXTRACTS))
    return steps


_EXTRACT_WHY = "the source files reads what SFMC exports"
_EXTRACTS = (
    "Automation Studio › a daily automation that exports, text-qualified, either the bounces of the"
    " day (Data Extract › Tracking Extract) and every subscriber's SubscriberKey, EmailAddress and"
    " Status (Data Extract › Data Extension), or the staging data extension alone; each is followed"
    " by a File Transfer to the folder that SFMC_FILES names. SFMC_FILES_FORMAT tells other names"
    " and formats."
)
_JOURNEY = {
    SET_AUTOMATION: (
        "Journey Builder › a new Journey. Entry source: Data Extension {extension}; Schedule:"
        " Automation, {automation}; Contact Evaluation: Evaluate all records; Contact Entry:"
        " Re-entry anytime. Two Salesforce activities, Object Activity › Update with Find: Contact"
        " where Id = ContactId, then Lead where Id = LeadId; both set {flag} to true and {date} to"
        " FlagDate; where no record is found the contact goes on. Activate. After the first run"
        " compare one {date} with its FlagDate: SFMC reads times in the account's time zone."
    ),
    RELEASE_AUTOMATION: (
        "The same again. Entry source: Data Extension {extension}; Schedule: Automation,"
        " {automation}; Evaluate all records; Re-entry anytime. Contact where Id = ContactId, then"
        " Lead where Id = LeadId; both set {flag} to false and nothing else: the date stays as"
        " history. Activate."
    ),
}


def _journey(automation: str, found: Found, fields: tuple[str, str]) -> Step:
    done = automation in found.started
    clicks = _JOURNEY[automation].format(
        extension=_ENTRIES[automation].key, automation=automation, flag=fields[0], date=fields[1]
    )
    return Step(
        SFMC,
        JOURNEY_STEP,
        f"of {automation}",
        "only Journey Builder can make it",
        State.THERE if done else State.BY_HAND,
        "" if done else clicks,
    )
