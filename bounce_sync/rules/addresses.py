"""When two e-mail addresses are the same, and how an address is remembered without keeping it.

The same after trimming, Unicode NFC, case folding, and IDNA of the domain. Plus-tags and dots
count: only the receiving server knows what they mean.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable

import idna
import pandas as pd

SANDBOX_SUFFIX = ".invalid"
"""What a refreshed CRM sandbox puts behind every address, so that nobody is mailed from there."""

_PLAIN = r"[!-~]*[!-\-/-~]"  # printable ASCII that doesn't end with a dot


def normalise(address: str) -> str | None:
    """The one spelling of an address; None for an empty one. Without an @ it is merely text."""
    text = unicodedata.normalize("NFC", address).strip()
    local, at, domain = text.rpartition("@")
    return (_folded(local) + at + _domain(domain) if at else _folded(text)) or None


def spellings(address: str) -> set[str]:
    """How an address may be written that is the same: its domain in letters or in ASCII; case
    aside. Without an @ it is merely text."""
    text = unicodedata.normalize("NFC", address).strip()
    local, at, domain = text.rpartition("@")
    if not at:
        return {text}
    in_ascii = _domain(domain)
    try:
        in_letters = idna.decode(in_ascii)
    except idna.IDNAError:
        in_letters = in_ascii
    domains = {domain, in_ascii, in_letters}
    return {name + at + each for name in {local, _folded(local)} for each in domains}


def domain_of(address: str) -> str | None:
    """The one spelling of an address's domain; None where it has none."""
    _, at, domain = (normalise(address) or "").rpartition("@")
    return domain if at and domain else None


def _folded(text: str) -> str:
    # Folding can take composed characters apart again.
    return unicodedata.normalize("NFC", text.casefold())


def _domain(text: str) -> str:
    name = text.rstrip(".")
    if name.isascii():
        return name.lower()
    try:
        return idna.encode(name, uts46=True).decode("ascii").rstrip(".")
    except idna.IDNAError:  # what isn't a domain name is compared as text
        return _folded(name)


def normalised(addresses: pd.Series) -> pd.Series:
    """`normalise` of each address, missing where there is none."""
    return _each(addresses, normalise)


def normalised_domains(domains: pd.Series) -> pd.Series:
    """The one spelling of each mail domain, missing where there is none."""
    return _each(domains, lambda text: _domain(text.strip()) or None)


def domains_of(addresses: pd.Series) -> pd.Series:
    """`domain_of` each address, missing where it has none."""
    return normalised(addresses).str.extract("@([^@]+)$", expand=False)


def _each(texts: pd.Series, spell: Callable[[str], str | None]) -> pd.Series:
    """`spell` of each text; nearly all are plain ASCII, where it only lowers the case."""
    plain = texts.str.fullmatch(_PLAIN) | texts.isna()
    spelled = texts.str.lower()
    if not plain.all():
        spelled = spelled.mask(~plain, texts[~plain].map(spell).astype("str"))
    return spelled


def same_address(crm: pd.Series, other: pd.Series, *, sandbox_org: bool = False) -> pd.Series:
    """Whether the CRM has the other address (``boolean``); missing where either is.

    In a sandbox org the suffix that the CRM put behind its addresses is ignored.
    """
    ours, theirs = normalised(crm), normalised(other)
    same = ours.eq(theirs)
    if sandbox_org:
        same |= ours.str.removesuffix(SANDBOX_SUFFIX).eq(theirs)
    return same.astype("boolean").mask(ours.isna() | theirs.isna())


def fingerprint(addresses: pd.Series) -> pd.Series:
    """16 hex digits that tell whether an address changed, and nothing else about it."""
    return (
        normalised(addresses)
        .map(lambda address: hashlib.sha256(address.encode()).hexdigest()[:16], na_action="ignore")
        .astype("str")
    )


def masked(address: str) -> str:
    """Enough to recognise an address by, and not enough to write to: ``a…@example.com``."""
    local, at, domain = address.strip().rpartition("@")
    return f"{local[:1]}…{at}{domain}" if at else "…"
