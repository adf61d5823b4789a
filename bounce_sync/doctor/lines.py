"""Every line that the doctor looks at: its place, its name, what it means, and on what it depends.

The only place where this is written; the README's table is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bounce_sync.doctor.asking import first_run, here, keys, marketing_cloud, salesforce
from bounce_sync.doctor.findings import Judgement
from bounce_sync.doctor.patient import Patient
from bounce_sync.marketing_cloud.errors import MarketingCloudError, PermissionMissing
from bounce_sync.salesforce.errors import RequestRejected, SalesforceError

HERE, SFMC, CRM, BOTH = "This machine", "Marketing Cloud", "Salesforce CRM", "The two together"
GROUPS = (HERE, SFMC, CRM, BOTH)

Errors = tuple[type[MarketingCloudError | SalesforceError], ...]


@dataclass(frozen=True)
class Line:
    """One line, for the installations that it `concerns`.

    It isn't looked at where one of those in `after` failed or wasn't looked at itself. Errors
    in `beyond` mean that it takes a permission which the daily run doesn't need; `without` says
    what to do then.
    """

    group: str
    name: str
    title: str
    meaning: str
    ask: Callable[[Patient], Judgement]
    concerns: Callable[[Patient], bool] = lambda _: True
    after: tuple[str, ...] = ()
    beyond: Errors = ()
    without: str = ""


_SEE_EVENTS = (
    "Nothing has to be done for the daily run; with tracking_events_read and "
    "list_and_subscribers_read the doctor could tell."
)
_SEE_SETUP = (
    "The daily run doesn't need it: let an admin look in Setup, or let the doctor look with View "
    "Setup and Configuration granted for a while."
)

SETTINGS = Line(HERE, "settings", "settings", "Every variable is set and possible.", here.settings)

LINES = (
    SETTINGS,
    Line(HERE, "home", "state folder", "BOUNCE_SYNC_HOME can be written.", here.home),
    Line(HERE, "lake", "lake", "The tables' folder can be written, or reached.", here.lake),
    Line(
        HERE,
        "ledger",
        "ledger",
        "The ledger can be read, and this release knows its shape.",
        here.ledger,
    ),
    Line(
        SFMC,
        "sfmc_login",
        "credentials",
        "SFMC gives a token for the client id and secret.",
        marketing_cloud.login,
    ),
    Line(
        SFMC,
        "sfmc_account",
        "account",
        "The token is the parent account's, where subscribers and their statuses are.",
        marketing_cloud.account,
        after=("sfmc_login",),
        beyond=(PermissionMissing,),
        without="Make sure that SFMC_ACCOUNT_ID is the MID of the parent account.",
    ),
    Line(
        SFMC,
        "sfmc_units",
        "business units",
        "Each of SFMC_BUSINESS_UNITS gives a token.",
        marketing_cloud.units,
        after=("sfmc_login",),
    ),
    Line(
        SFMC,
        "sfmc_scopes",
        "scopes",
        "The package may do what the chosen source and delivery need.",
        marketing_cloud.scopes,
        after=("settings", "sfmc_login"),
    ),
    Line(
        SFMC,
        "sfmc_offset",
        "server time",
        "SFMC_UTC_OFFSET is the tenant's, measured: a bounce is found again at the time it shows.",
        marketing_cloud.offset,
        after=("sfmc_units", "sfmc_scopes"),
        beyond=(PermissionMissing,),
        without=_SEE_EVENTS,
    ),
    Line(
        SFMC,
        "sfmc_status_filter",
        "status filter",
        "SFMC answers when Held subscribers are asked for; some tenants give nothing (SFMC_HELD).",
        marketing_cloud.status_filter,
        concerns=marketing_cloud.asks_by_status,
        after=("sfmc_account", "sfmc_units", "sfmc_scopes"),
    ),
    Line(
        SFMC,
        "sfmc_journey",
        "journey",
        "The delivery's data extensions are there, and its automations start a Journey.",
        marketing_cloud.journey,
        concerns=marketing_cloud.delivers_by_journey,
        after=("sfmc_scopes",),
    ),
    Line(
        CRM,
        "crm_login",
        "credentials",
        "The org gives a token for the client id and secret (or key).",
        salesforce.login,
    ),
    Line(
        CRM,
        "crm_api",
        "API calls",
        "The API answers, and enough of the day's calls are left for a run.",
        salesforce.api,
        after=("crm_login",),
    ),
    Line(
        CRM,
        "crm_org",
        "org",
        "Production or sandbox, and whether a refresh masked its e-mails (.invalid).",
        salesforce.org,
        after=("crm_api",),
    ),
    Line(
        CRM,
        "crm_ledger",
        "ledger's org",
        "The ledger belongs to this org, or to none yet.",
        here.ledger_org,
        after=("ledger", "crm_api"),
    ),
    Line(
        CRM,
        "crm_objects",
        "objects",
        "The integration user sees Contact and Lead (Account, for Person Accounts).",
        salesforce.objects,
        after=("crm_api",),
    ),
    Line(
        CRM,
        "crm_person_accounts",
        "Person Accounts",
        "SALESFORCE_PERSON_ACCOUNTS fits the org.",
        salesforce.person_accounts,
        after=("crm_objects",),
    ),
    Line(
        CRM,
        "crm_fields",
        "fields",
        "The checkbox and the date are there, visible, and of a type that can hold them.",
        salesforce.fields,
        after=("crm_objects", "crm_person_accounts"),
    ),
    Line(
        CRM,
        "crm_writable",
        "edit access",
        "The integration user may edit the objects and both fields.",
        salesforce.writable,
        concerns=salesforce.writes,
        after=("crm_fields",),
    ),
    Line(
        CRM,
        "crm_record_access",
        "sharing",
        "Sharing lets the integration user edit records: a sample of Contacts and Leads.",
        salesforce.record_access,
        concerns=salesforce.writes,
        after=("crm_writable",),
        beyond=(RequestRejected,),
        without="Look at no_update_was_rejected after the first run.",
    ),
    Line(
        CRM,
        "crm_time_zone",
        "time zone",
        "The integration user's zone is known; days of a Date field are days there.",
        salesforce.time_zone,
        after=("crm_fields",),
    ),
    Line(
        CRM,
        "crm_assignment_rules",
        "lead assignment",
        "Active lead assignment rules don't run with our updates.",
        salesforce.assignment_rules,
        after=("crm_api",),
        beyond=(RequestRejected,),
        without=_SEE_SETUP,
    ),
    Line(
        CRM,
        "crm_flows",
        "flows",
        "Record-triggered flows that will run when a flag is written.",
        salesforce.flows,
        after=("crm_api",),
        beyond=(RequestRejected,),
        without=_SEE_SETUP,
    ),
    Line(
        CRM,
        "crm_triggers",
        "Apex triggers",
        "Apex triggers that will run when a flag is written.",
        salesforce.triggers,
        after=("crm_api",),
        beyond=(RequestRejected,),
        without=_SEE_SETUP,
    ),
    Line(
        CRM,
        "crm_validation_rules",
        "validation rules",
        "Validation rules that may refuse a flag on records that break them.",
        salesforce.validation_rules,
        after=("crm_api",),
        beyond=(RequestRejected,),
        without=_SEE_SETUP,
    ),
    Line(
        BOTH,
        "keys",
        "SubscriberKeys",
        "What the keys of Held and bounced subscribers look like, and how many lead to the CRM.",
        keys.keys,
        after=("sfmc_account", "sfmc_units", "sfmc_scopes", "crm_fields"),
        beyond=(PermissionMissing,),
        without=_SEE_EVENTS,
    ),
    Line(
        BOTH,
        "first_run",
        "first run",
        "How many records a run of the last finished day would change, by reason.",
        first_run.first_run,
        concerns=first_run.is_wanted,
        after=("keys", "sfmc_offset", "sfmc_status_filter", "crm_ledger", "crm_time_zone"),
        beyond=(PermissionMissing,),
        without=_SEE_EVENTS,
    ),
)
"""In the order in which they are looked at."""


def as_table() -> str:
    """Lines and meanings as the README shows them."""
    rows = [f"| {line.group} | {line.title} | {line.meaning} |" for line in LINES]
    return "\n".join(["| | line | what it means |", "|---|---|---|", *rows]) + "\n"
