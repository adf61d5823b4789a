"""What a message may repeat of somebody else's words."""

from __future__ import annotations

import pytest

from bounce_sync.alerts.privacy import LONGEST, masked, tellable


def test_addresses_secrets_and_long_texts_do_not_pass() -> None:
    text = masked("of jane.doe@acme.example,\n with s3cret-word " + "x" * 500, {"s3cret-word"})
    assert "jane" not in text
    assert "acme.example" not in text
    assert "s3cret" not in text
    assert text.startswith("of …@…, with … x")
    assert len(text) == LONGEST


def test_a_secret_that_holds_another_is_masked_whole() -> None:
    assert masked("key=abcdefgh", {"abcd", "abcdefgh"}) == "key=…"


@pytest.mark.parametrize(
    "error",
    [
        "bounce_sync.salesforce.errors.AuthenticationFailed: Salesforce, token: refused.\n",
        "dagster._core.definitions.events.Failure: Salesforce, token: refused.",
    ],
)
def test_our_own_errors_are_told_in_their_words(error: str) -> None:
    assert tellable(error) == "Salesforce, token: refused."


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("KeyError: 'jane doe, 12 High Street'\n", "KeyError"),
        ("pyarrow.lib.ArrowInvalid: Could not open 'mailbox full'", "pyarrow.lib.ArrowInvalid"),
        ("mailbox of jane is full", "An error"),
        ("", "An error"),
    ],
)
def test_of_other_errors_only_the_class_is_told(error: str, told: str) -> None:
    assert tellable(error) == f"{told} (its message is on the run's page)"
