"""What can go wrong with Marketing Cloud, each kind with where it happened and what to do.

An error says which request, unit, window, page and row it is about, what came back, and the next
step. It never holds a secret, an e-mail address, a subscriber key or a bounce reason: what the
service says is passed through `masked` first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bounce_sync.rules.server_time import Window

_ADDRESS = re.compile(r"[^\s<>\"'()\[\],;:]+@[^\s<>\"'()\[\],;:]+")
_RECORD_ID = re.compile(r"\b(?:003|00Q|001)[0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?\b")
_KEY_VALUE = re.compile(r"key value is \([^)]*\)")
_LONGEST_ANSWER = 300


def masked(text: str) -> str:
    """`text` on one line, at most 300 characters, without e-mail addresses and record ids."""
    line = _KEY_VALUE.sub("key value is (…)", " ".join(text.split()))
    line = _RECORD_ID.sub("<record id>", _ADDRESS.sub("<e-mail>", line))
    return line if len(line) <= _LONGEST_ANSWER else line[:_LONGEST_ANSWER] + "…"


@dataclass(frozen=True)
class Place:
    """Where in the conversation something happened; prints as far as it is known."""

    request: str
    unit: str | None = None
    window: Window | None = None
    page: int | None = None
    row: int | None = None
    line: int | None = None

    def on(self, page: int) -> Place:
        """The same request, on this page (the first is 1)."""
        return replace(self, page=page)

    def at(self, row: int) -> Place:
        """The same page, at this row (the first is 1)."""
        return replace(self, row=row)

    def __str__(self) -> str:
        parts = [self.request]
        if self.unit is not None:
            parts.append(f"business unit {self.unit}")
        if self.window is not None:
            parts.append(f"window {self.window}")
        if self.page is not None:
            parts.append(f"page {self.page}")
        if self.row is not None:
            parts.append(f"row {self.row}")
        if self.line is not None:
            parts.append(f"line {self.line}")
        return ", ".join(parts)


class MarketingCloudError(RuntimeError):
    """Marketing Cloud didn't give what was asked for.

    `place` is the request it is about, `answer` what came back, `advice` what to do.
    """

    advice = "Run the partition again; if it stays, ask Salesforce Support with this message."

    def __init__(self, place: Place, answer: str, advice: str | None = None) -> None:
        self.place = place
        self.answer = masked(answer)
        self.advice = advice or self.advice
        super().__init__(f"Marketing Cloud, {place}: {self.answer.rstrip('.')}. {self.advice}")


class AuthenticationFailed(MarketingCloudError):
    """The client id and secret, or the account, were refused."""

    advice = (
        "Check SFMC_AUTH_URL (or SFMC_SUBDOMAIN), SFMC_CLIENT_ID, SFMC_CLIENT_SECRET and that the "
        "installed package is enabled for the account (SFMC_ACCOUNT_ID, SFMC_BUSINESS_UNITS)."
    )


class PermissionMissing(MarketingCloudError):
    """The installed package lacks a permission for this request."""

    advice = (
        "Give the installed package's API integration these scopes: tracking_events_read, "
        "list_and_subscribers_read, data_extensions_read, data_extensions_write, automations_read, "
        "automations_write, automations_execute."
    )


class RequestRefused(MarketingCloudError):
    """The service understood the request and refused it."""


class ContinuationLost(RequestRefused):
    """The service no longer knows the page that was asked for; the window has to start over."""


class UnreadableAnswer(MarketingCloudError):
    """The answer isn't what the service documents: nothing of it is used."""

    advice = (
        "Nothing was stored. Run the partition again; if it stays, the tenant answers in a way "
        "this client doesn't know: report this message."
    )


class DataExtensionDiffers(MarketingCloudError):
    """A data extension has other columns than those it needs."""

    advice = (
        "Give it these columns, or delete it where it is one of ours (bounce_sync_…): it is then "
        "made again. `bounce-sync setup` makes those of the delivery by Journey."
    )


class WriteFailed(MarketingCloudError):
    """Rows couldn't be written into a data extension."""


class AutomationFailed(MarketingCloudError):
    """An automation ended badly, or not at all."""

    advice = (
        "Open the automation in Automation Studio and look at its last run. Flags that its Journey "
        "wrote all the same are found by the next run, which reads the CRM first."
    )


class QueryFailed(MarketingCloudError):
    """A query activity ran and its target doesn't hold what it should."""

    advice = (
        "Open the query in Automation Studio, validate it and run it there: SFMC tells the reason "
        "only there. Make sure that nothing else runs it or writes to its target."
    )


class UnreadableFile(UnreadableAnswer):
    """A file isn't what SFMC's extracts are, or not what SFMC_FILES_FORMAT says."""

    advice = (
        "Nothing was stored. Export it again, text-qualified (quoted) and with a header, or "
        "describe it in SFMC_FILES_FORMAT."
    )


class FileMissing(MarketingCloudError):
    """A file that is needed isn't there, isn't whole, or is too old."""

    advice = "Run SFMC's extract and file transfer activities again, then the partition."


class HeldFilterSilent(MarketingCloudError):
    """The tenant answers a filter by status with nothing, though subscribers are Held."""

    advice = (
        "This tenant can't filter subscribers by status: set SFMC_HELD=by_key, which asks only for "
        "the keys in the evidence window and the flagged ones."
    )


class NotTheParent(MarketingCloudError):
    """The account is a business unit, where data views show no subscribers of the enterprise."""

    advice = (
        "Set SFMC_ACCOUNT_ID to the parent's MID, enable the installed package for it, and name "
        "the units that send in SFMC_BUSINESS_UNITS."
    )


class NotByKey(MarketingCloudError):
    """The source can't be asked for the bounces of single subscribers."""

    advice = (
        "Bounces that were recorded late aren't found on this road. With `releases: soap` in "
        "SFMC_FILES_FORMAT they are asked for by SOAP."
    )


class TimedOut(MarketingCloudError):
    """The service took too long for this request."""


class WindowTimedOut(TimedOut):
    """Even the smallest window took too long."""

    advice = "Marketing Cloud is very slow at the moment: run the partition again later."


class Unavailable(MarketingCloudError):
    """The service was down, throttled or unreachable for longer than we wait."""

    advice = (
        "Check the network, SFMC_AUTH_URL (or SFMC_SUBDOMAIN) and https://status.salesforce.com, "
        "then try again."
    )
