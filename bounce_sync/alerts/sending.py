"""Delivering a message to receivers that are named by Apprise URLs.

A URL holds its receiver's secrets, so a receiver is named by its place and scheme, and Apprise's
own log, which quotes addresses, goes nowhere.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

import apprise

from bounce_sync.alerts.digest import Message
from bounce_sync.alerts.privacy import masked

_LOG = logging.getLogger("apprise")
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Receiver:
    """Somebody to tell."""

    name: str
    """Place in BOUNCE_SYNC_ALERTS and scheme: `2:slack`."""
    url: str = field(repr=False)


def receivers(text: str) -> tuple[Receiver, ...]:
    """The receivers that space-separated Apprise URLs name. Raises ValueError, naming none."""
    found, unreadable = [], []
    for place, url in enumerate(text.split(), start=1):
        if apprise.Apprise.instantiate(url) is None:
            unreadable.append(str(place))
        found.append(Receiver(f"{place}:{url.partition('://')[0]}", url))
    if unreadable:
        raise ValueError(
            f"Apprise can't read URL number {', '.join(unreadable)} of {len(found)}; each kind of "
            "receiver has its own form, see https://appriseit.com (a space divides URLs; inside "
            "one it is written %20)"
        )
    return tuple(found)


def send(message: Message, to: Sequence[Receiver]) -> dict[str, str]:
    """Sends to each receiver. Returns the name of each that didn't take it → why."""
    refused = {}
    for receiver in to:
        notifier = apprise.Apprise()
        notifier.add(receiver.url)
        with apprise.LogCapture(level=logging.WARNING) as log:
            taken = notifier.notify(
                message.body,
                title=message.title,
                notify_type=apprise.NotifyType(message.level.value),
                body_format=apprise.NotifyFormat.MARKDOWN,
            )
            said = log.getvalue()
        if not taken:
            refused[receiver.name] = masked(said, _parts(receiver.url)) or "no reason was given"
    return refused


def _parts(url: str) -> Collection[str]:
    """Everything in a URL that may be secret: all but its scheme."""
    rest = url.partition("://")[2]
    for divider in "/?&=@:#":
        rest = rest.replace(divider, " ")
    return {part for word in rest.split() for part in (word, unquote(word))}
