"""What a script is given (JSON on standard input) and gives back; sandbox in place of a service."""

import json
import sys
from urllib.parse import urlsplit

given = json.load(sys.stdin)


def give(found):
    json.dump(found, sys.stdout)


def refusal(asked, *arguments, **named):
    """The error that a call ends with."""
    try:
        asked(*arguments, **named)
    except Exception as error:
        return shown(error)
    raise AssertionError("nothing was refused")


def shown(error):
    return {"kind": type(error).__name__, "text": str(error), "status": getattr(error, "status", 0)}


def sandbox_of(url):
    """Where the sandbox answers for an address of the services, which some clients insist on."""
    parts = urlsplit(str(url))
    host = parts.hostname or ""
    if host.endswith(".marketingcloudapis.com"):
        base = given["auth_url"].rstrip("/")
    elif host.endswith(".salesforce.com") or parts.port == urlsplit(given["salesforce_url"]).port:
        base = given["salesforce_url"]
    else:
        return str(url)
    return base + parts.path + (f"?{parts.query}" if parts.query else "")
