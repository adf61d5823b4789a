"""The options that release a guard, as the run tags that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--allow-changes", is_flag=True, help="Release the guard on the number of changes."
    ),
    click.option(
        "--allow-domain", multiple=True, metavar="DOMAIN", help="Release a quarantined domain."
    ),
    click.option(
        "--allow-mismatch", is_flag=True, help="Release the guard on differing addresses."
    ),
)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command; it gets them as `tags` makes them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def tags(
    *, allow_changes: bool, allow_domain: tuple[str, ...], allow_mismatch: bool
) -> dict[str, str]:
    """Run tags of what the options release."""
    from bounce_sync.assets.rule import ALLOW_CHANGES, ALLOW_DOMAINS, ALLOW_MISMATCH

    given = {
        ALLOW_CHANGES: "true" if allow_changes else "",
        ALLOW_MISMATCH: "true" if allow_mismatch else "",
        ALLOW_DOMAINS: " ".join(allow_domain),
    }
    return {name: value for name, value in given.items() if value}
