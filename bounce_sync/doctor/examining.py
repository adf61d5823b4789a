"""Looking at every line, one after the other; a line that can't be looked at says why."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

from bounce_sync.doctor.findings import Finding, Judgement, Level, failed, warned
from bounce_sync.doctor.lines import HERE, LINES, TITLES, Line
from bounce_sync.doctor.patient import Patient
from bounce_sync.environment import SettingsError
from bounce_sync.ledger import LedgerError
from bounce_sync.marketing_cloud.errors import MarketingCloudError
from bounce_sync.salesforce.errors import SalesforceError


def examine(patient: Patient, begins: Callable[[Line], None] = lambda _: None) -> Iterator[Finding]:
    """The findings, each as soon as it is made; `begins` is told of each line before.

    Nothing is written anywhere. Lines that don't concern the installation aren't among them.
    """
    blocked: set[str] = set()
    for line in LINES:
        if not line.concerns(patient):
            continue
        in_the_way = [name for name in line.after if name in blocked]
        if in_the_way:
            blocked.add(line.name)
            judgement = _not_looked_at(in_the_way)
        else:
            begins(line)
            judgement = _ask(line, patient)
            if judgement.level is Level.FAIL:
                blocked.add(line.name)
        yield Finding(line.group, line.name, line.title, judgement)


def without_settings(error: SettingsError) -> Finding:
    """Where the environment can't be used, there is nobody to examine."""
    return Finding(
        HERE,
        "settings",
        TITLES["settings"],
        failed(" ".join(str(error).split()), "Set these, then look again: nothing else was."),
    )


def _not_looked_at(in_the_way: list[str]) -> Judgement:
    titles = " and ".join(f"“{TITLES[name]}”" for name in in_the_way)
    return warned(f"Not looked at, because of {titles} above.", "Mend that first, then look again.")


def _ask(line: Line, patient: Patient) -> Judgement:
    try:
        return line.ask(patient)
    except (MarketingCloudError, SalesforceError) as error:
        if isinstance(error, MarketingCloudError):
            said = f"{error.place.request}: {error.answer}"
        else:
            said = f"{error.request}: {error.answer}"
        if isinstance(error, line.beyond):
            return warned(f"Not looked at, for want of a permission. {said}", line.without)
        return failed(said, error.advice)
    except LedgerError as error:
        return failed(str(error), "Mend that, then look again.")
    except ssl.SSLError as error:
        return failed(
            f"The certificates can't be used ({type(error).__name__}).",
            "Check the file that BOUNCE_SYNC_CA_BUNDLE names.",
        )
