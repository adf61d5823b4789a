"""The environment variables: each declared here and nowhere else, and how they are read.

Errors: `SettingsError` lists everything that is missing or wrong at once, by variable name, and
never repeats the value of a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import dotenv

SANDBOX, LIVE = "sandbox", "live"
API, JOURNEY = "api", "journey"
SOAP, DATA_VIEWS, FILES = "soap", "data_views", "files"
HELD_ALL, HELD_BY_KEY = "all", "by_key"

T = TypeVar("T")

_PASSWORD = re.compile(r"://[^/@\s]*:([^@\s]+)@")
"""Of a URL, wherever it stands."""


class SettingsError(Exception):
    """The environment can't be used; the message lists every variable and what is wrong with it."""


@dataclass(frozen=True)
class Variable:
    """One environment variable: what it means, what it is when absent, whether it is a secret."""

    meaning: str
    default: str = ""
    choices: tuple[str, ...] = ()
    secret: bool = False
    live: bool = False
    """Says where or who a service is: the sandbox brings its own."""


VARIABLES: dict[str, Variable] = {
    "BOUNCE_SYNC_TARGET": Variable(
        "sandbox rehearses on a simulated tenant; live talks to your SFMC and CRM.",
        SANDBOX,
        (SANDBOX, LIVE),
    ),
    "BOUNCE_SYNC_HOME": Variable(
        "State folder: lake/, ledger.db, sandbox/, dagster/.", ".bounce_sync"
    ),
    "BOUNCE_SYNC_LAKE": Variable("fsspec URL of the tables; default HOME/lake."),
    "BOUNCE_SYNC_LEDGER": Variable(
        "SQLAlchemy URL of the ledger; default HOME/ledger.db.", secret=True
    ),
    "BOUNCE_SYNC_DELIVERY": Variable(
        "api writes to the CRM; journey lets SFMC's Journeys do it.", API, (API, JOURNEY)
    ),
    "BOUNCE_SYNC_JOURNEY_WAIT": Variable("Seconds to wait for the Journeys' effect.", "900"),
    "BOUNCE_SYNC_START_DATE": Variable("First partition.", "2026-01-01"),
    "BOUNCE_SYNC_CA_BUNDLE": Variable("Extra CA file for both APIs."),
    "BOUNCE_SYNC_ALERTS": Variable(
        "Who is told what became of runs: Apprise URLs, space-separated.", secret=True
    ),
    "BOUNCE_SYNC_UI_URL": Variable("Address of the Dagster UI, for links in alerts."),
    "SFMC_AUTH_URL": Variable("Authentication base URI of the installed package.", live=True),
    "SFMC_SUBDOMAIN": Variable("Tenant subdomain, instead of SFMC_AUTH_URL.", live=True),
    "SFMC_CLIENT_ID": Variable("Client id of the installed package.", live=True),
    "SFMC_CLIENT_SECRET": Variable("Its secret.", secret=True, live=True),
    "SFMC_ACCOUNT_ID": Variable("MID of the parent account.", live=True),
    "SFMC_BUSINESS_UNITS": Variable(
        "MIDs, comma-separated, or * for all (source soap alone); default the account alone."
    ),
    "SFMC_SOURCE": Variable("Which road the data takes.", SOAP, (SOAP, DATA_VIEWS, FILES)),
    "SFMC_FILES": Variable("fsspec folder with SFMC's exports, for the source files."),
    "SFMC_FILES_FORMAT": Variable("JSON: delimiter, header, encoding, columns.", "{}"),
    "SFMC_UTC_OFFSET": Variable("The tenant's server time, without daylight saving.", "-06:00"),
    "SFMC_HELD": Variable(
        "by_key for tenants that can't filter subscribers by status.",
        HELD_ALL,
        (HELD_ALL, HELD_BY_KEY),
    ),
    "SALESFORCE_LOGIN_URL": Variable("My Domain URL of the org.", live=True),
    "SALESFORCE_CLIENT_ID": Variable("Consumer key of the app.", live=True),
    "SALESFORCE_CLIENT_SECRET": Variable(
        "Its secret, for client credentials.", secret=True, live=True
    ),
    "SALESFORCE_USERNAME": Variable("Integration user, for JWT bearer.", live=True),
    "SALESFORCE_JWT_KEY_FILE": Variable("PEM file of the JWT key.", live=True),
    "SALESFORCE_JWT_KEY": Variable("The PEM itself, instead of a file.", secret=True, live=True),
    "SALESFORCE_FLAG_FIELD": Variable("Checkbox field.", "Hard_Bounce__c"),
    "SALESFORCE_DATE_FIELD": Variable("Date or DateTime field.", "Hard_Bounce_Date__c"),
    "SALESFORCE_PERSON_ACCOUNTS": Variable(
        "Write Person Accounts through their Account.", "false", ("true", "false")
    ),
    "SALESFORCE_API_VERSION": Variable("REST API version.", "62.0"),
    "SALESFORCE_API_SHARE": Variable("Share of the day's remaining calls a run may take.", "0.5"),
    "SALESFORCE_BULK_FROM": Variable("Changes from which Bulk API 2.0 is considered.", "2000"),
}


def environment() -> dict[str, str]:
    """The process environment over the `.env` file of the current folder.

    Raises `SettingsError` where that file can't be read.
    """
    try:
        found = dotenv.dotenv_values(".env")
    except UnicodeDecodeError:
        raise SettingsError("The file .env isn't text in UTF-8: save it as that.") from None
    except OSError as error:
        raise SettingsError(f"The file .env can't be read ({error.strerror}).") from None
    stored = {name: value for name, value in found.items() if value}
    return {**stored, **os.environ}


class Reader:
    """Reads variables and gathers complaints instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._complaints: list[str] = []

    def text(self, name: str) -> str:
        variable = VARIABLES[name]
        value = self._given(name) or variable.default
        if variable.choices and value not in variable.choices:
            self.complain(f"{name}: {value!r} is not one of {', '.join(variable.choices)}.")
            return variable.default
        return value

    def _given(self, name: str) -> str:
        """The value, or for a secret what stands in the file that NAME_FILE names."""
        value = self._environ.get(name, "").strip()
        path = self._environ.get(f"{name}_FILE", "").strip() if VARIABLES[name].secret else ""
        if not path:
            return value
        if value:
            self.complain(f"{name} and {name}_FILE: both are set; keep one.")
        try:
            return value or Path(path).read_text().strip()
        except OSError as error:
            self.complain(f"{name}_FILE: {path} can't be read ({error.strerror}).")
        except UnicodeDecodeError:
            self.complain(f"{name}_FILE: {path} isn't text (a key has to be in PEM form).")
        return ""

    def parsed(self, name: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(self.text(name))
        except ValueError as error:
            self.complain(f"{name}: {error}.")
            return parse(VARIABLES[name].default)

    def secrets(self) -> frozenset[str]:
        """Every secret that was given, also those inside of addresses."""
        given = {name: self._given(name) for name in VARIABLES}
        secret = {given[name] for name, variable in VARIABLES.items() if variable.secret}
        inside = {unquote(each) for value in given.values() for each in _PASSWORD.findall(value)}
        return frozenset((secret | inside) - {""})

    def demand(self, name: str, why: str = "") -> None:
        if not self.text(name):
            self.complain(f"{name}: missing{f' ({why})' if why else ''}.")

    def complain(self, complaint: str) -> None:
        if complaint not in self._complaints:
            self._complaints.append(complaint)

    def finish(self) -> None:
        if self._complaints:
            raise SettingsError(
                "The environment isn't complete:\n"
                + "\n".join(f"  - {each}" for each in self._complaints)
                + "\n.env.example documents each variable."
            )


def env_example() -> str:
    """The text of `.env.example`."""
    lines = [
        "# Copy to .env and fill in what differs. Every variable, with its default. In place of a",
        "# secret, NAME_FILE may name a file that holds it.",
    ]
    for name, variable in VARIABLES.items():
        choices = f" ({' | '.join(variable.choices)})" if variable.choices else ""
        secret = " Secret." if variable.secret else ""
        lines += ["", f"# {variable.meaning}{choices}{secret}", f"#{name}={variable.default}"]
    return "\n".join(lines) + "\n"
