"""Asking Marketing Cloud (SFMC)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bounce_sync.doctor.findings import Judgement, passed
from bounce_sync.doctor.judging import marketing_cloud as judging
from bounce_sync.doctor.patient import Patient
from bounce_sync.environment import FILES, JOURNEY, SOAP
from bounce_sync.marketing_cloud import soap
from bounce_sync.marketing_cloud.automations import JOURNEY as STARTS_JOURNEY
from bounce_sync.marketing_cloud.automations import Automations
from bounce_sync.marketing_cloud.data_extensions import DataExtensions
from bounce_sync.marketing_cloud.enterprise import account_and_enterprise
from bounce_sync.marketing_cloud.errors import (
    AuthenticationFailed,
    DataExtensionDiffers,
    Place,
    UnreadableAnswer,
)
from bounce_sync.marketing_cloud.files_format import FilesFormat
from bounce_sync.marketing_cloud.journey import (
    RELEASE_AUTOMATION,
    RELEASES,
    SET_AUTOMATION,
    STAGING,
)
from bounce_sync.marketing_cloud.subscribers import SubscriberReader
from bounce_sync.rules.server_time import Window, parse_offset
from bounce_sync.tables import HELD

_PROBED = 500
"""Bounced subscribers that are asked one by one where nobody is given as Held."""

_WHOLE_HOURS = [timedelta(hours=hours) for hours in range(-12, 15)]

Sample = tuple[Sequence[str], str | None]
"""SubscriberKeys of some bounces, and the time of one of them as SFMC shows it."""


def login(patient: Patient) -> Judgement:
    patient.sfmc.scopes(patient.account.account_id)
    return passed(f"SFMC gives a token for account {patient.account.account_id}.")


def account(patient: Patient) -> Judgement:
    return judging.account(*account_and_enterprise(patient.sfmc, patient.account.account_id))


def units(patient: Patient) -> Judgement:
    refused = []
    for unit in patient.event_units:
        try:
            patient.sfmc.scopes(unit)
        except AuthenticationFailed:
            refused.append(unit)
    return judging.units(patient.event_units, refused, all_units=patient.asks_all_units)


def scopes(patient: Patient) -> Judgement:
    settings = patient.settings
    asks_statuses = (
        settings.source == FILES and FilesFormat.parse(settings.files_format).releases == "soap"
    )
    needed = judging.needed_scopes(settings.source, settings.delivery, asks_statuses=asks_statuses)
    return judging.scopes(patient.sfmc.scopes(patient.account.account_id), needed)


def offset(patient: Patient) -> Judgement:
    """SFMC takes times with their offset from UTC and shows them in its own, without one
    (facts/marketing-cloud.md §4.4): the offset under which a bounce is found again is its own."""
    _, shown = bounce_sample(patient)
    configured = parse_offset(patient.settings.utc_offset)
    measured = _measured(patient, shown, configured) if shown else None
    return judging.offset(configured, measured, has_bounces=shown is not None)


def _measured(patient: Patient, shown: str, first: timedelta) -> timedelta | None:
    try:
        naive = datetime.fromisoformat(shown)
    except ValueError:
        raise UnreadableAnswer(Place("Retrieve BounceEvent"), "EventDate is no time") from None
    for guess in dict.fromkeys([first, *sorted(_WHOLE_HOURS, key=lambda each: abs(each - first))]):
        at = (naive - guess).replace(tzinfo=UTC)
        around = Window(at, at + timedelta(seconds=1))
        if any(shown in times for _, times in _bounces(patient, around)):
            return guess
    return None


def asks_by_status(patient: Patient) -> bool:
    return patient.settings.source == SOAP


def status_filter(patient: Patient) -> Judgement:
    keys, more = held_sample(patient)
    found = f"{'more than ' if more else ''}{len(keys):,}" if keys else ""
    probe = [] if keys else bounce_sample(patient)[0][:_PROBED]
    reader = SubscriberReader(patient.account, patient.retriever, patient.say)
    held = int(reader.statuses(probe)["status"].eq(HELD).sum()) if probe else 0
    return judging.status_filter(patient.settings.held, found, len(probe), held)


def delivers_by_journey(patient: Patient) -> bool:
    return patient.settings.delivery == JOURNEY


def journey(patient: Patient) -> Judgement:
    unit = patient.account.account_id
    extensions = DataExtensions(patient.sfmc, unit)
    problems = []
    for extension in (STAGING, RELEASES):
        try:
            extensions.require(extension)
        except DataExtensionDiffers as error:
            problems.append(f"{error.place.request}: {error.answer.rstrip('.')}")
            continue
        if extensions.sent_by(extension.key) != extension.sendable_by:
            problems.append(f"{extension.key} isn't sendable by {extension.sendable_by}")
    for key in (SET_AUTOMATION, RELEASE_AUTOMATION):
        kinds = Automations(patient.sfmc, unit).activities(key)
        if kinds is None:
            problems.append(f"the automation {key} is missing")
        elif STARTS_JOURNEY not in kinds:
            problems.append(f"the automation {key} starts no Journey")
    return judging.journey(problems)


def bounce_sample(patient: Patient) -> Sample:
    """A page of the newest bounces that some unit has; nothing where none has any."""
    if "bounces" not in patient.remembered:
        patient.remembered["bounces"] = _some_bounces(patient)
    found: Sample = patient.remembered["bounces"]
    return found


def held_sample(patient: Patient) -> tuple[Sequence[str], bool]:
    """A page of Held subscribers' keys, and whether there are more."""
    if "held" not in patient.remembered:
        held = soap.condition("Status", "equals", HELD)
        question = soap.Retrieve("Subscriber", ("SubscriberKey",), held)
        place = Place("Retrieve Subscriber (Held)", patient.account.account_id)
        page, _ = next(patient.retriever.pages(question, place))
        keys = page.columns["SubscriberKey"].drop_null().to_pylist()
        patient.remembered["held"] = keys, page.more
    found: tuple[Sequence[str], bool] = patient.remembered["held"]
    return found


def _some_bounces(patient: Patient) -> Sample:
    now = datetime.now(UTC)
    for days in judging.LOOKS_BACK:
        pages = _bounces(patient, Window(now - timedelta(days=days), now + timedelta(days=1)))
        keys = [key for page, _ in pages for key in page]
        times = [time for _, page in pages for time in page]
        if times:
            return list(dict.fromkeys(keys)), times[-1]
    return (), None


def _bounces(patient: Patient, window: Window) -> list[tuple[list[str], list[str]]]:
    """Of each unit the first page of bounces: SubscriberKeys, and times as SFMC shows them."""
    question = soap.Retrieve(
        "BounceEvent",
        ("SubscriberKey", "EventDate"),
        soap.within("EventDate", window),
        all_accounts=patient.asks_all_units,
    )
    found = []
    for unit in patient.event_units:
        place = Place("Retrieve BounceEvent", unit, window)
        page, _ = next(patient.retriever.pages(question, place))
        keys, times = (page.columns[name].drop_null() for name in question.properties)
        found.append((keys.to_pylist(), times.to_pylist()))
    return found
