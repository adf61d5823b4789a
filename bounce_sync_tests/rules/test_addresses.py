"""When two e-mail addresses are the same."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounce_sync.rules.addresses import (
    domain_of,
    domains_of,
    fingerprint,
    masked,
    normalise,
    normalised,
    normalised_domains,
    same_address,
)
from bounce_sync_tests.rules.worlds import bounded


def texts(*values: str | None) -> pd.Series:
    return pd.Series(list(values), dtype="str")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann@Corp.com", "ann@corp.COM"),
        (" ann@corp.com\t", "ann@corp.com"),
        ("\u00a0ann@corp.com\u2003", "ann@corp.com"),
        ("ann@corp.com.", "ann@corp.com"),
        ("jose\u0301@corp.com", "JOSÉ@corp.com"),
        ("STRASSE@corp.com", "straße@corp.com"),
        ("ann@münchen.de", "ann@xn--mnchen-3ya.de"),
        ("ann@MÜNCHEN.de", "ann@XN--MNCHEN-3YA.de"),
        ("ann@under_score.com", "ann@UNDER_SCORE.com"),
        ("no address", "No Address"),
    ],
)
def test_same_address(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)
    assert same_address(texts(one), texts(other)).tolist() == [True]
    assert fingerprint(texts(one)).equals(fingerprint(texts(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann+news@corp.com", "ann@corp.com"),
        ("a.nn@corp.com", "ann@corp.com"),
        ("ann@corp.com", "ann@corp.com.invalid"),
        ("ann@faß.de", "ann@fass.de"),  # two domains, whatever folding says
        ("ann@corp.com", "ann@corp.co"),
    ],
)
def test_other_address(one: str, other: str) -> None:
    assert same_address(texts(one), texts(other)).tolist() == [False]
    assert not fingerprint(texts(one)).equals(fingerprint(texts(other)))


def test_missing_addresses_are_not_compared() -> None:
    compared = same_address(texts(None, "ann@corp.com", "  "), texts("ann@corp.com", None, ""))
    assert compared.dtype == "boolean"
    assert compared.isna().all()
    assert fingerprint(texts(None, " ")).isna().all()


def test_suffix_of_a_sandbox_org_is_ignored_on_its_side_alone() -> None:
    masked, plain = texts("ann@corp.com.invalid"), texts("ann@corp.com")
    assert same_address(masked, plain, sandbox_org=True).tolist() == [True]
    assert same_address(masked, masked, sandbox_org=True).tolist() == [True]
    assert same_address(plain, masked, sandbox_org=True).tolist() == [False]


def test_fingerprint_tells_nothing_else() -> None:
    digest = fingerprint(texts("ann@corp.com")).iloc[0]
    assert len(digest) == 16
    assert int(digest, 16)


def test_domains() -> None:
    addresses = texts("Ann@Corp.com", '"a@b"@Corp.com.', "ann@München.de", "nobody", "ann@", None)
    domains = ["corp.com", "corp.com", "xn--mnchen-3ya.de"]
    assert domains_of(addresses).tolist()[:3] == domains
    assert domains_of(addresses).isna().tolist() == [False, False, False, True, True, True]
    assert [domain_of(address) for address in addresses[:5]] == [*domains, None, None]
    assert normalised_domains(texts("Corp.com.", " MÜNCHEN.de")).tolist() == [
        "corp.com",
        "xn--mnchen-3ya.de",
    ]


@bounded
@given(st.lists(st.text("aB1.@+- \tß\u0301é。İ\u200b", max_size=8)))
def test_columns_are_spelled_as_single_addresses_are(addresses: list[str]) -> None:
    spelled = normalised(texts(*addresses))
    assert [None if pd.isna(each) else each for each in spelled] == [
        normalise(each) for each in addresses
    ]


@bounded
@given(st.text("aB1.@+- \tß\u0301é。İ", max_size=8))
def test_the_one_spelling_is_its_own_spelling(address: str) -> None:
    spelled = normalise(address)
    assert spelled is None or normalise(spelled) == spelled


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ann.other@corp.example", "a…@corp.example"),
        (" a@corp.example ", "a…@corp.example"),
        ('"x@y"@corp.example', '"…@corp.example'),
        ("not an address", "…"),
        ("@corp.example", "…@corp.example"),
    ],
)
def test_a_masked_address_keeps_its_domain_and_one_letter(address: str, shown: str) -> None:
    assert masked(address) == shown
