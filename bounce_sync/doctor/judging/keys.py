"""Judging what SubscriberKeys look like: whether they can lead to the CRM."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bounce_sync.doctor.findings import Judgement, failed, passed, warned
from bounce_sync.rules import identity

ENOUGH = 20
"""Fewer ids than this say nothing about the org."""

HARDLY, MOSTLY = 0.1, 0.8
"""Shares of ids that are found in the CRM: below the first it is another org."""


@dataclass(frozen=True)
class Shapes:
    """How many of some keys look like what."""

    ids_18: int = 0
    ids_15: int = 0
    emails: int = 0
    others: int = 0

    @property
    def all(self) -> int:
        return self.ids_18 + self.ids_15 + self.emails + self.others

    @property
    def ids(self) -> int:
        return self.ids_18 + self.ids_15


def shapes(keys: Iterable[str]) -> Shapes:
    """Ids are those of a Contact, Lead or Account, also with damaged case."""
    counts = dict.fromkeys(("ids_18", "ids_15", "emails", "others"), 0)
    for key in keys:
        record = identity.record_id(key)
        if record is not None and identity.object_of(record) is not None:
            counts["ids_18" if len(key) == 18 else "ids_15"] += 1
        else:
            counts["emails" if "@" in key else "others"] += 1
    return Shapes(**counts)


def keys(found: Shapes, matched: int, match_field: str) -> Judgement:
    """`matched` of the keys lead to a CRM record."""
    if not found.all:
        return warned(
            "Nobody bounced or is Held: there is no key to look at.",
            "Look again after the first bounces.",
        )
    by_id = match_field == "Id"
    able = found.ids if by_id else found.all
    parts = {
        "18-character ids": found.ids_18,
        "15-character ids": found.ids_15,
        "e-mails": found.emails,
        "others": found.others,
    }
    looks = ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)
    of = "of the ids " if by_id else ""
    leads = f" {matched / able:.0%} {of}lead to a record in the CRM." if able else ""
    said = f"Of {found.all:,} keys: {looks}.{leads}"
    numbers = {
        "keys": found.all,
        "ids_18": found.ids_18,
        "ids_15": found.ids_15,
        "emails": found.emails,
        "others": found.others,
        "matched": matched,
    }
    if by_id and found.ids < found.all / 2:
        return failed(said, _other_field(found), **numbers)
    if able >= ENOUGH and matched < HARDLY * able:
        return failed(
            said,
            "These are another org's ids: check SALESFORCE_LOGIN_URL and SFMC_ACCOUNT_ID."
            if by_id
            else f"Check the policy's match_field ({match_field}).",
            **numbers,
        )
    if matched < MOSTLY * able:
        return warned(
            said,
            "The rest were deleted in the CRM, belong to another org, or aren't visible to the "
            "integration user (it needs View All Records on both objects).",
            **numbers,
        )
    if by_id and found.ids < found.all:
        return warned(
            said,
            "Keys that are no ids lead nowhere (reason unmatched); if they are people of the CRM, "
            "give them their record's id as SubscriberKey.",
            **numbers,
        )
    return passed(said, **numbers)


def _other_field(found: Shapes) -> str:
    if found.emails > found.others:
        return "Most keys are e-mail addresses: set the policy's match_field to Email."
    return (
        "Most keys are no record ids: set the policy's match_field to the API name of the field, "
        "on Contact and Lead, that holds them."
    )
