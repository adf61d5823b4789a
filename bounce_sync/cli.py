"""The command line, `bounce-sync`: its commands, and how errors end it.

Exit status: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import sys

import click

from bounce_sync.commands import output
from bounce_sync.commands.demo import demo
from bounce_sync.commands.dev import dev
from bounce_sync.commands.doctor import doctor
from bounce_sync.commands.drift import drift
from bounce_sync.commands.explain import explain
from bounce_sync.commands.report import report
from bounce_sync.commands.run import run
from bounce_sync.commands.setup import setup
from bounce_sync.commands.undo import undo
from bounce_sync.environment import SettingsError
from bounce_sync.rules.policy import PolicyError
from bounce_sync.sandbox.command import sandbox


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bounce-sync")
def cli() -> None:
    """Salesforce CRM tells the truth about who can still be reached by e-mail.

    Example, to start with: bounce-sync demo
    """


for command in (demo, dev, doctor, drift, run, setup, report, explain, undo, sandbox):
    cli.add_command(command)


def main() -> None:
    """The entry point: what a person can mend is a message, everything else a stack trace."""
    try:
        cli()
    except (SettingsError, PolicyError) as error:
        _fail(str(error))
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        _fail(
            f"{error.filename}: {error.strerror}. Check that the folder is there and yours to "
            "write: files go where BOUNCE_SYNC_HOME, BOUNCE_SYNC_LAKE and BOUNCE_SYNC_LEDGER say."
        )


def _fail(message: str) -> None:
    output.ERRORS.print(message, style="red", markup=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
