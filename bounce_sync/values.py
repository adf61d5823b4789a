"""What stands in the environment variables, read: text in, a value out.

Each raises `ValueError` for what it can't be, in words that go after the variable's name; none
repeats a secret.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
import ssl
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bounce_sync.marketing_cloud.files_format import FilesFormat

if TYPE_CHECKING:
    from bounce_sync.alerts.sending import Receiver


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def is_loopback(address: str) -> bool:
    name = _host(address)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def is_secure(address: str) -> bool:
    scheme = address.partition("://")[0].lower()
    return bool(_host(address)) and (
        scheme == "https" or (scheme == "http" and is_loopback(address))
    )


def receivers(text: str) -> tuple[Receiver, ...]:
    if not text:
        return ()  # Apprise takes 0.2 s to import
    from bounce_sync.alerts import sending

    return sending.receivers(text)


def web_address(text: str) -> str:
    if text and not (re.match(r"https?://", text, re.IGNORECASE) and _host(text)):
        raise ValueError("not an address that starts with https:// or http://")
    return text.rstrip("/")


def folder(url: str) -> str:
    if "://" in url:
        import fsspec

        try:
            fsspec.get_filesystem_class(fsspec.utils.get_protocol(url))
        except ImportError as error:
            raise ValueError(str(error)) from None
    return url


def database(url: str) -> str:
    if url:
        from bounce_sync import ledger

        try:
            ledger.address(url)
        except ledger.LedgerError as error:
            raise ValueError(str(error).rstrip(".")) from None
    return url


def certificates(path: str) -> str | None:
    if not path:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(f"there is no certificate in {path}") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read ({error.strerror})") from None
    return path


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("not a day like 2026-01-01") from None


def custom_field(text: str) -> str:
    """Never a standard field: those mean something else already (HasOptedOutOfEmail, DoNotCall)."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*__[Cc]", text):
        raise ValueError("not the API name of a custom field, as Hard_Bounce__c is")
    return text


def files_format(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    FilesFormat.parse(value)
    return value


def account_ids(text: str) -> tuple[str, ...]:
    numbers = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if numbers != ("*",) and not all(number.isdecimal() for number in numbers):
        raise ValueError("not MIDs separated by commas, nor * for all of them")
    return numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def positive(text: str) -> float:
    if not 0 < (value := _number(text)) < math.inf:
        raise ValueError("not a number above 0")
    return value


def share(text: str) -> float:
    if not 0 < (value := _number(text)) <= 1:
        raise ValueError("not a share above 0 and up to 1, as 0.5 is")
    return value


def count(text: str) -> int:
    if not text.isdecimal() or (value := int(text)) < 1:
        raise ValueError("not a whole number above 0")
    return value


def api_version(text: str) -> str:
    major, _, minor = text.partition(".")
    if not (major.isdecimal() and minor == "0" and int(major) >= 52):
        raise ValueError("not a version like 62.0 (52.0 or newer)")
    return text
