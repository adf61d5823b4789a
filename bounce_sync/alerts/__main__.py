"""Tells whoever is in BOUNCE_SYNC_ALERTS one thing: `python -m bounce_sync.alerts TITLE TEXT`.

For what Dagster can't tell itself, such as that its daemon stopped, and to try the receivers out.
"""

from __future__ import annotations

import sys

from bounce_sync.alerts import sending
from bounce_sync.alerts.digest import Level, Message
from bounce_sync.environment import SettingsError
from bounce_sync.settings import AlertSettings


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python -m bounce_sync.alerts TITLE TEXT")
    try:
        settings = AlertSettings.load()
    except SettingsError as error:
        sys.exit(str(error))
    message = Message(f"bounce_sync ({settings.target}): {sys.argv[1]}", sys.argv[2], Level.WARNING)
    refused = sending.send(message, settings.receivers)
    if not settings.receivers:
        sys.exit("BOUNCE_SYNC_ALERTS is empty: nobody is told.")
    if refused:
        sys.exit("\n".join(f"{name} didn't take it: {why}" for name, why in refused.items()))


if __name__ == "__main__":
    main()
