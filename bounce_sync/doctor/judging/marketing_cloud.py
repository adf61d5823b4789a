"""Judging what Marketing Cloud (SFMC) said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from bounce_sync.doctor.findings import Judgement, failed, passed, warned
from bounce_sync.environment import API, DATA_VIEWS, FILES, HELD_ALL, JOURNEY, SOAP
from bounce_sync.marketing_cloud.errors import HeldFilterSilent

EVENTS, SUBSCRIBERS = "tracking_events_read", "list_and_subscribers_read"
_EXTENSIONS = ("data_extensions_read", "data_extensions_write")
_SOURCE = {
    SOAP: (EVENTS, SUBSCRIBERS),
    DATA_VIEWS: ("automations_execute", "automations_read", "automations_write", *_EXTENSIONS),
    FILES: (),
}
_DELIVERY = {API: (), JOURNEY: ("automations_execute", "automations_read", *_EXTENSIONS)}

GRANT = (
    "In SFMC's Setup, Installed Packages, open the package, edit its API integration and tick: {}."
)


def needed_scopes(source: str, delivery: str, *, asks_statuses: bool = False) -> tuple[str, ...]:
    """The scopes that the daily run needs (facts/marketing-cloud.md §3).

    `asks_statuses`: the source `files` has released subscribers asked by SOAP.
    """
    also = (SUBSCRIBERS,) if asks_statuses else ()
    return tuple(sorted({*_SOURCE[source], *_DELIVERY[delivery], *also}))


def scopes(granted: Collection[str], needed: Sequence[str]) -> Judgement:
    if needed and not granted:
        return warned(
            "The token's answer doesn't say what it allows.",
            f"Make sure that the package has: {', '.join(needed)}.",
        )
    if missing := [each for each in needed if each not in granted]:
        return failed(f"Missing: {', '.join(missing)}.", GRANT.format(", ".join(missing)))
    if more := [each for each in (EVENTS, SUBSCRIBERS) if each not in granted]:
        return warned(
            f"{_there(needed)} The doctor would need {' and '.join(more)} to measure the server "
            "time and to look at keys.",
            GRANT.format(", ".join(more)),
        )
    return passed(_there(needed))


def _there(needed: Sequence[str]) -> str:
    if not needed:
        return "A run needs none."
    return f"All {len(needed)} that a run needs are there: {', '.join(needed)}."


def account(organization: object, enterprise: object) -> Judgement:
    """Whether the token is the enterprise's own: subscribers and their statuses live there."""
    if not organization or not enterprise:
        return warned(
            "SFMC doesn't tell whose token this is.",
            "Make sure that SFMC_ACCOUNT_ID is the MID of the parent account (the top of SFMC's "
            "account menu).",
        )
    if organization != enterprise:
        return failed(
            f"{organization} is a child unit of the enterprise {enterprise}; who is Held is known "
            "at the parent only.",
            f"Set SFMC_ACCOUNT_ID={enterprise}, enable the package for it, and name {organization} "
            "in SFMC_BUSINESS_UNITS.",
        )
    return passed(f"{organization} is the enterprise (parent) account.")


def units(asked: Sequence[str], refused: Sequence[str], *, all_units: bool) -> Judgement:
    if all_units:
        return passed("All of them are asked for with the parent's token.")
    if refused:
        return failed(
            f"No token for {', '.join(refused)} ({len(refused)} of {len(asked)}).",
            "Enable the installed package for these business units, or correct "
            "SFMC_BUSINESS_UNITS.",
            units=len(asked),
            refused=len(refused),
        )
    return passed(f"Reached: {', '.join(asked)}.", units=len(asked))


def offset(configured: timedelta, measured: timedelta | None, *, has_bounces: bool) -> Judgement:
    """Whether SFMC's clock is where SFMC_UTC_OFFSET says."""
    if not has_bounces:
        return warned(
            f"Not measured: no unit has a bounce in the last {LOOKS_BACK[-1]} days.",
            "Look again after the first bounces; until then make sure that SFMC_BUSINESS_UNITS "
            "names the units that send.",
        )
    if measured is None:
        return warned(
            "SFMC shows a bounce at a time that fits no whole hour from UTC.",
            "Report this with the tenant's stack (the number in SFMC's address).",
        )
    if measured != configured:
        return failed(
            f"SFMC's server time is UTC{spelled(measured)}, SFMC_UTC_OFFSET says "
            f"{spelled(configured)}: days and dates would be wrong.",
            f"Set SFMC_UTC_OFFSET={spelled(measured)}.",
            measured=spelled(measured),
        )
    return passed(f"Server time is UTC{spelled(measured)}, as set; measured by a bounce.")


LOOKS_BACK = (1, 7, 30, 180)
"""Days in which a bounce to measure by is looked for, one after the other."""


def spelled(offset: timedelta) -> str:
    """As SFMC_UTC_OFFSET is written."""
    sign = "-" if offset < timedelta() else "+"
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"{sign}{hours:02}:{minutes:02}"


def status_filter(mode: str, found: str, probed: int, held_of_them: int) -> Judgement:
    """Whether Held subscribers can be asked for as such.

    `found` is how many came back ("" for none); if none did, `probed` bounced subscribers were
    asked one by one, and `held_of_them` are Held.
    """
    if mode != HELD_ALL:
        works = "; this tenant could do without (SFMC_HELD=all)" if found else ""
        return passed(f"Subscribers are asked by key{works}.")
    if found:
        return passed(f"SFMC gives Held subscribers by status: {found}.")
    if held_of_them:
        return failed(
            f"SFMC gives nobody as Held, but of {probed:,} bounced subscribers {held_of_them:,} "
            "are.",
            HeldFilterSilent.advice,
            probed=probed,
            held=held_of_them,
        )
    return warned(
        f"SFMC gives nobody as Held, and of {probed:,} bounced subscribers nobody is.",
        "If SFMC's Subscribers page shows Held ones, set SFMC_HELD=by_key.",
        probed=probed,
    )


def journey(problems: Sequence[str]) -> Judgement:
    """What the delivery by Journey needs in SFMC: data extensions, and automations that start it.

    Without the Journey an automation ends well, and nothing reaches the CRM.
    """
    if problems:
        said = "; ".join(problems)
        return failed(
            f"{said[:1].upper()}{said[1:]}.",
            "`bounce-sync setup` makes the data extensions and automations, and shows what has to "
            "be made by hand.",
        )
    return passed("Data extensions are there, and automations that start a Journey.")
