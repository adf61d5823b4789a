"""BOUNCE_SYNC_ALERTS and BOUNCE_SYNC_UI_URL: checked at the start, never repeated."""

from __future__ import annotations

import pytest

from bounce_sync.environment import SettingsError
from bounce_sync.settings import AlertSettings, Settings

PASSWORD = "correct-horse"


def test_receivers_are_named_by_place_and_scheme() -> None:
    settings = AlertSettings.load(
        {
            "BOUNCE_SYNC_ALERTS": f"json://me:{PASSWORD}@127.0.0.1/x  mailtos://m:n@acme.example",
            "BOUNCE_SYNC_UI_URL": "https://dagster.example/",
        }
    )
    assert [receiver.name for receiver in settings.receivers] == ["1:json", "2:mailtos"]
    assert settings.ui == "https://dagster.example"
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize("load", [Settings.load, AlertSettings.load])
def test_a_url_that_apprise_cannot_read_is_refused_without_its_secrets(load) -> None:
    alerts = f"json://127.0.0.1/x slak://{PASSWORD} {PASSWORD} json://127.0.0.1/y"
    with pytest.raises(SettingsError, match=r"BOUNCE_SYNC_ALERTS.*number 2, 3 of 4") as raised:
        load({"BOUNCE_SYNC_ALERTS": alerts})
    assert PASSWORD not in str(raised.value)


def test_an_address_of_the_ui_that_nobody_could_open_is_refused() -> None:
    with pytest.raises(SettingsError, match="BOUNCE_SYNC_UI_URL"):
        Settings.load({"BOUNCE_SYNC_UI_URL": "dagster.example"})


def test_every_secret_of_the_environment_is_kept_out_of_messages() -> None:
    ledger = "postgresql://ledger:pass%3Aword@db.example/ledger"
    settings = AlertSettings.load(
        {
            "SFMC_CLIENT_SECRET": "sfmc-secret",
            "BOUNCE_SYNC_LEDGER": ledger,
            "SFMC_FILES": "sftp://me:file-secret@sftp.example/Export",
        }
    )
    assert settings.secrets == {"sfmc-secret", ledger, "pass:word", "file-secret"}
