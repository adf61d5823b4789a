"""`bounce-sync setup`, called in this process, and the org that it is called against."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from bounce_sync.commands.setup import setup
from bounce_sync_tests.installation import Installation
from bounce_sync_tests.tenant import Tenant, last_day

DAY = last_day()


def called(*arguments: str) -> Result:
    result = CliRunner().invoke(setup, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def line(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
    """The line of JSON of a call with --yes."""
    result = called("--yes", "--json", *arguments)
    assert result.exit_code == exit_code, result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


class Org:
    """One bare installation with somebody to flag."""

    def __init__(self) -> None:
        self.tenant = Tenant()
        self.ann, self.bob = self.tenant.contact("ann@gone.example"), self.tenant.lead()
        for key in (self.ann, self.bob):
            self.tenant.bounce(self.tenant.subscriber(key, "Held"), DAY)

    def flags(self, installation: Installation) -> dict[str, tuple[bool, str | None]]:
        return {key: installation.flags()[key] for key in (self.ann, self.bob)}


def fields(installation: Installation, object_name: str) -> dict[str, str]:
    with installation.store() as store:
        return {row["name"]: row["type"] for row in store.fields(object_name)}
