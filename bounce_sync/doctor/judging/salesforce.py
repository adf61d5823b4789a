"""Judging what the CRM said."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bounce_sync.doctor.findings import Judgement, failed, passed, warned
from bounce_sync.rules.addresses import SANDBOX_SUFFIX
from bounce_sync.salesforce.connection import Org
from bounce_sync.salesforce.describe import Descriptions, layout_of, person_field
from bounce_sync.salesforce.errors import FieldsMissing
from bounce_sync.tables import ACCOUNT

FEW_CALLS, TOO_FEW_CALLS = 1_000, 50
"""Calls of a run: 1,000 read or write a million records by Bulk; 50 hardly read a day."""

SETUP = (
    "`bounce-sync setup` makes what is missing and grants it to the integration user. It changes "
    "no field of another type: name another one in SALESFORCE_FLAG_FIELD or SALESFORCE_DATE_FIELD."
)


def api(used: int, limit: int, share: float) -> Judgement:
    """How many of the day's calls a run may take."""
    mine = int(max(0, limit - used) * share)
    said = (
        f"{used:,} of {limit:,} calls of the last 24 hours are used; a run may take {mine:,} "
        f"({share:.0%} of the rest)."
    )
    numbers = {"used": used, "limit": limit, "for_a_run": mine}
    advice = (
        "Find out what else calls the API (Setup, System Overview), run at another hour, or raise "
        "SALESFORCE_API_SHARE."
    )
    if mine < TOO_FEW_CALLS:
        return failed(said, advice, **numbers)
    return warned(said, advice, **numbers) if mine < FEW_CALLS else passed(said, **numbers)


def org(org_id: str, *, is_sandbox: bool, addresses: Sequence[str]) -> Judgement:
    """Which org it is; `addresses` is a sample of its e-mails, of which only the ends are seen."""
    kind = "a sandbox org" if is_sandbox else "a production org"
    masked = sum(address.strip().lower().endswith(SANDBOX_SUFFIX) for address in addresses)
    numbers = {"addresses": len(addresses), "masked": masked}
    ends = f"{masked:,} of {len(addresses):,} e-mails looked at end in {SANDBOX_SUFFIX}"
    if masked and not is_sandbox:
        return failed(
            f"{org_id} is {kind}, but {ends}.",
            "These addresses were masked in a sandbox and copied: nobody can be compared by "
            "address. Repair the data first.",
            **numbers,
        )
    if masked:
        return warned(
            f"{org_id} is {kind}, and {ends}: a refresh masked them.",
            "Nothing to do for a rehearsal: the suffix is ignored when addresses are compared.",
            **numbers,
        )
    return passed(f"{org_id} is {kind}.", **numbers)


def objects(described: Descriptions, written: Sequence[str]) -> Judgement:
    if hidden := [name for name in written if described[name] is None]:
        return failed(
            f"Not visible to the integration user: {', '.join(hidden)}.",
            "Grant Read and Edit on them by permission set (`bounce-sync setup`).",
        )
    also = "" if described[ACCOUNT] else " (Account isn't; only Person Accounts need it.)"
    return passed(f"{_listed(written)} are visible.{also}")


def fields(
    described: Descriptions, where: Org, written: Sequence[str], match_field: str
) -> Judgement:
    """The fields are there, and can hold what they have to."""
    try:
        layout = layout_of({name: described[name] for name in written}, where, match_field)
    except FieldsMissing as missing:
        problems = "; ".join(missing.problems)
        return failed(f"{problems[:1].upper()}{problems[1:]}.", SETUP)
    kind = "Date" if layout.date_is_day else "DateTime"
    return passed(
        f"{where.flag_field} (checkbox) and {where.date_field} ({kind}) on {_listed(written)}."
    )


def writable(described: Descriptions, where: Org, written: Sequence[str]) -> Judgement:
    """The integration user may edit the objects and both fields."""
    closed = []
    for name in written:
        description = described[name]
        if description is None or not description.updateable:
            closed.append(name)
            continue
        for own in (where.flag_field, where.date_field):
            field = description.fields.get((person_field(own) if name == ACCOUNT else own).lower())
            if field is not None and not field.updateable:
                closed.append(f"{name}.{field.name}")
    if closed:
        return failed(
            f"Readable but not editable: {', '.join(closed)}.",
            "Grant Edit by permission set (`bounce-sync setup`); a plan (--dry-run) works without.",
        )
    return passed(f"The integration user may edit both fields on {_listed(written)}.")


def record_access(*, looked_at: int, closed: int) -> Judgement:
    """Reading may be granted for all records, editing follows sharing."""
    if closed:
        return (failed if closed == looked_at else warned)(
            f"Of {looked_at:,} records looked at, {closed:,} aren't shared for editing: writes to "
            "them would be rejected.",
            "Share them with the integration user (criteria-based sharing rules), or grant Modify "
            "All Records on Contact and Lead.",
            records=looked_at,
            closed=closed,
        )
    return passed(f"All {looked_at:,} records looked at may be edited.", records=looked_at)


def time_zone(zone: str, *, date_is_day: bool) -> Judgement:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return failed(
            f"The integration user's time zone, {zone}, isn't known here.",
            "Give the user another one in Salesforce, or install the package tzdata.",
        )
    if date_is_day:
        return passed(f"A bounce's day is its day in {zone}, the integration user's time zone.")
    return passed(f"{zone}; it doesn't matter, as the date field is a DateTime.")


def person_accounts(*, in_org: bool, written: bool) -> Judgement:
    if in_org and written:
        return warned(
            "Person Accounts are written through their Account, which hasn't been tried on a real "
            "org yet.",
            "Rehearse in a sandbox org first: run --dry-run, then run, then look at some records.",
        )
    if in_org:
        return warned(
            "The org has Person Accounts; they are left (reason person_account).",
            "Set SALESFORCE_PERSON_ACCOUNTS=true to write them, after a rehearsal.",
        )
    if written:
        return failed(
            "SALESFORCE_PERSON_ACCOUNTS is true, but the org has no Person Accounts.",
            "Set SALESFORCE_PERSON_ACCOUNTS=false.",
        )
    return passed("The org has none.")


def assignment_rules(names: Sequence[str], *, by_journey: bool) -> Judgement:
    """Active lead assignment rules: an update without our header would give Leads away."""
    if not names:
        return passed("No lead assignment rule is active.")
    said = f"Active: {_some(names)}"
    if by_journey:
        return warned(
            f"{said}; Journeys don't send the header that keeps it from running.",
            "See in a sandbox org that the Journey's updates leave a Lead's owner as it is.",
            rules=len(names),
        )
    return passed(
        f"{said}; every request carries Sforce-Auto-Assign: FALSE, so it doesn't run.",
        rules=len(names),
    )


def flows(names: Sequence[str]) -> Judgement:
    if not names:
        return passed("No record-triggered flow runs when a Contact or Lead is updated.")
    return warned(
        f"{len(names)} will run with every flag that is written: {_some(names)}.",
        "Have their owner see that a change of the two fields starts nothing unwanted. (Process "
        "Builder and workflow rules aren't listed here; look at them in Setup.)",
        flows=len(names),
    )


def triggers(names: Sequence[str]) -> Judgement:
    if not names:
        return passed("No Apex trigger runs when a Contact or Lead is updated.")
    return warned(
        f"{len(names)} will run with every flag that is written: {_some(names)}.",
        "Have their owner see that they take 200 records at once, and that a change of the two "
        "fields starts nothing unwanted.",
        triggers=len(names),
    )


def validation_rules(names: Sequence[str]) -> Judgement:
    if not names:
        return passed("None is active on Contact or Lead.")
    return warned(
        f"{len(names)} active: {_some(names)}. A record that breaks one can't be flagged.",
        "Exempt the integration user in each rule, or look at no_update_was_rejected after the "
        "first run.",
        rules=len(names),
    )


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
