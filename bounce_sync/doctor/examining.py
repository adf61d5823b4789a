"""Looking at every line, one after the other; a line that can't be looked at says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bounce_sync.doctor.findings import Finding, Judgement, Level, failed, warned
from bounce_sync.doctor.lines import LINES, SETTINGS, Line
from bounce_sync.doctor.patient import Patient
from bounce_sync.environment import SettingsError
from bounce_sync.ledger import LedgerError
from bounce_sync.marketing_cloud.errors import MarketingCloudError
from bounce_sync.salesforce.errors import RequestRejected, SalesforceError


def examine(patient: Patient, begins: Callable[[Line], None] = lambda _: None) -> Iterator[Finding]:
    """The findings, each as soon as it is made; `begins` is told of each line before.

    Nothing is written anywhere. Lines that don't concern the installation aren't among them.
    """
    causes: dict[str, list[Line]] = {}
    for line in LINES:
        if not line.concerns(patient):
            continue
        in_the_way = [cause for name in line.after for cause in causes.get(name, [])]
        if in_the_way:
            causes[line.name] = list(dict.fromkeys(in_the_way))
            judgement = _not_looked_at(line, causes[line.name])
        else:
            begins(line)
            judgement = _ask(line, patient)
            if judgement.level is Level.FAIL:
                causes[line.name] = [line]
        yield Finding(line.group, line.name, line.title, judgement)


def without_settings(error: SettingsError) -> Finding:
    """Where the environment can't be used, there is nobody to examine."""
    return Finding(
        SETTINGS.group,
        SETTINGS.name,
        SETTINGS.title,
        failed(str(error), "Set these, then look again: nothing else was looked at."),
    )


def _not_looked_at(line: Line, causes: list[Line]) -> Judgement:
    """`causes` are the failed lines that this one depends on, be it through others."""
    named = [
        each.title if each.group == line.group else f"{each.group}, {each.title}" for each in causes
    ]
    return warned(f"Not looked at, as this failed: {'; '.join(named)}.", "")


def _ask(line: Line, patient: Patient) -> Judgement:
    try:
        return line.ask(patient)
    except (MarketingCloudError, SalesforceError) as error:
        if isinstance(error, MarketingCloudError):
            said = f"{error.place.request}: {error.answer}"
        else:
            said = f"{error.request}: {error.answer}"
        if isinstance(error, line.beyond):
            refused = (
                f"{error.request}: {error.code}" if isinstance(error, RequestRejected) else said
            )
            return warned(f"Not looked at, for want of a permission ({refused}).", line.without)
        return failed(said, error.advice)
    except (LedgerError, OSError) as error:  # OSError: a file of this machine, by its name
        return failed(str(error), "Mend that, then look again.")
