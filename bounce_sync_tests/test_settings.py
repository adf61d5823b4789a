"""The environment: read once, complained about all at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bounce_sync.environment import VARIABLES, Reader, SettingsError, env_example
from bounce_sync.settings import ImportSettings, Settings

LIVE = {
    "BOUNCE_SYNC_TARGET": "live",
    "SFMC_AUTH_URL": "https://x.auth.marketingcloudapis.com",
    "SFMC_CLIENT_ID": "id",
    "SFMC_CLIENT_SECRET": "s3cret",
    "SFMC_ACCOUNT_ID": "100",
    "SALESFORCE_LOGIN_URL": "https://acme.my.salesforce.com/",
    "SALESFORCE_CLIENT_ID": "id",
    "SALESFORCE_CLIENT_SECRET": "s3cret",
}


def test_nothing_set_is_the_embedded_sandbox() -> None:
    settings = Settings.load({})
    assert settings.embedded
    assert settings.marketing_cloud is None


def test_everything_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load({"BOUNCE_SYNC_TARGET": "live", "SALESFORCE_BULK_FROM": "many"})
    for name in (*LIVE, "SALESFORCE_BULK_FROM"):
        assert name == "BOUNCE_SYNC_TARGET" or name in str(raised.value)


@pytest.mark.parametrize("missing", [name for name in LIVE if name != "BOUNCE_SYNC_TARGET"])
def test_a_half_set_environment_names_what_is_missing_and_nothing_else(missing: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load({name: value for name, value in LIVE.items() if name != missing})
    assert missing in str(raised.value)
    assert str(raised.value).count("  - ") == 1


def test_live_credentials_with_target_sandbox_are_an_error() -> None:
    with pytest.raises(SettingsError, match="BOUNCE_SYNC_TARGET is sandbox"):
        Settings.load({**LIVE, "BOUNCE_SYNC_TARGET": "sandbox"})


def test_a_sandbox_served_elsewhere_is_named_by_loopback_addresses() -> None:
    served = {
        **LIVE,
        "BOUNCE_SYNC_TARGET": "sandbox",
        "SFMC_AUTH_URL": "https://127.0.0.1:1/",
        "SALESFORCE_LOGIN_URL": "https://localhost:2",
    }
    settings = Settings.load(served)
    assert settings.marketing_cloud is not None
    assert settings.marketing_cloud.auth_url == "https://127.0.0.1:1/"
    assert not settings.embedded


def test_plain_http_is_for_loopback_only() -> None:
    with pytest.raises(SettingsError, match="SALESFORCE_LOGIN_URL: not an https"):
        Settings.load({**LIVE, "SALESFORCE_LOGIN_URL": "http://acme.my.salesforce.com"})


def test_a_jwt_key_stands_for_a_secret(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("PEM")
    environ = {name: value for name, value in LIVE.items() if name != "SALESFORCE_CLIENT_SECRET"}
    environ |= {"SALESFORCE_USERNAME": "bot@acme", "SALESFORCE_JWT_KEY_FILE": str(key)}
    settings = Settings.load(environ)
    assert settings.salesforce is not None
    assert settings.salesforce.jwt_key == "PEM"


@pytest.mark.parametrize("command", [["run"], ["run", "--partition", "2026-01-02"], ["drift"]])
def test_a_command_names_what_the_definitions_read_with_the_rest(
    command: list[str], tmp_path: Path
) -> None:
    """In a process of its own: the definitions read their part when they are imported."""
    wrong = {"BOUNCE_SYNC_TARGET": "live", "SFMC_UTC_OFFSET": "CST"}
    given = [sys.executable, "-m", "bounce_sync.cli", *command]
    ended = subprocess.run(
        given, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **wrong}
    )
    assert ended.returncode == 1
    for name in ("SFMC_UTC_OFFSET", "SFMC_CLIENT_ID", "SALESFORCE_LOGIN_URL"):
        assert f"  - {name}" in ended.stderr


@pytest.mark.parametrize("command", [["run"], ["drift"], ["explain", "key"], ["dev"]])
def test_a_home_that_cant_be_a_folder_is_a_message(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ended = subprocess.run(
        [sys.executable, "-m", "bounce_sync.cli", *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "BOUNCE_SYNC_HOME": str(file / "home")},
    )
    assert ended.returncode == 1
    assert f"{file / 'home'}" in ended.stderr
    assert "BOUNCE_SYNC_HOME" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_format_of_files_that_cant_be_is_named_with_the_rest() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load({"SFMC_FILES_FORMAT": '{"delimitre": ";"}', "SFMC_UTC_OFFSET": "CST"})
    assert "  - SFMC_FILES_FORMAT: 'delimitre' isn't known" in str(raised.value)
    assert "  - SFMC_UTC_OFFSET: 'CST' is no UTC offset; write it like -06:00.\n" in str(
        raised.value
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SFMC_AUTH_URL", "https://[x", "not an https:// address"),
        ("SALESFORCE_LOGIN_URL", "https://", "not an https:// address"),
        ("SFMC_SUBDOMAIN", "https://x.auth.marketingcloudapis.com", "not a subdomain"),
        ("BOUNCE_SYNC_UI_URL", "https://[x", "not an address that starts with https://"),
        ("BOUNCE_SYNC_LAKE", "xyz://bucket/lake", "not known: xyz"),
        ("SFMC_FILES", "xyz://bucket/lake", "not known: xyz"),
        ("BOUNCE_SYNC_LEDGER", "ledger.db", "isn't a database URL"),
        ("BOUNCE_SYNC_LEDGER", "postgresql://bot:s3cret@host:port/ledger", "isn't a database URL"),
        ("BOUNCE_SYNC_LEDGER", "mysql://bot:s3cret@host/ledger", "not in mysql"),
        ("BOUNCE_SYNC_START_DATE", "1.1.2026", "not a day like 2026-01-01"),
        ("BOUNCE_SYNC_JOURNEY_WAIT", "15 minutes", "not a number above 0"),
        ("BOUNCE_SYNC_JOURNEY_WAIT", "nan", "not a number above 0"),
        ("SALESFORCE_API_SHARE", "50%", "not a share above 0"),
        ("SALESFORCE_BULK_FROM", "2000.0", "not a whole number above 0"),
    ],
)
def test_an_impossible_value_is_named_in_plain_words(name: str, value: str, said: str) -> None:
    environ = LIVE if name != "SFMC_SUBDOMAIN" else {**LIVE, "SFMC_AUTH_URL": ""}
    with pytest.raises(SettingsError) as raised:
        Settings.load({**environ, name: value})
    assert [said in line for line in str(raised.value).splitlines() if f"- {name}: " in line] == [
        True
    ]
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"BOUNCE_SYNC_HOME": "a_file"}, "a_file"),
        ({"BOUNCE_SYNC_LAKE": "ftp://127.0.0.1:1/lake"}, "BOUNCE_SYNC_LAKE"),
        ({"BOUNCE_SYNC_START_DATE": "2999-01-01"}, "BOUNCE_SYNC_START_DATE"),
    ],
)
def test_what_a_run_cant_use_is_a_message_and_no_stack_trace(
    wrong: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "a_file").write_text("")
    ended = subprocess.run(
        [sys.executable, "-m", "bounce_sync.cli", "run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **wrong},
    )
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_env_file_that_isnt_text_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("BOUNCE_SYNC_TARGET=live\n".encode("utf-16"))
    with pytest.raises(SettingsError, match=r"\.env isn't text in UTF-8"):
        Settings.load()


def test_a_key_in_binary_form_is_told_at_once(tmp_path: Path) -> None:
    key = tmp_path / "key.der"
    key.write_bytes(b"0\x82\xff\xfe")
    with pytest.raises(SettingsError, match=r"SALESFORCE_JWT_KEY_FILE: .* isn't text"):
        Settings.load({**LIVE, "SALESFORCE_JWT_KEY_FILE": str(key)})


def test_secrets_are_in_no_representation() -> None:
    assert "s3cret" not in repr(Settings.load(LIVE))


def test_the_example_documents_every_variable_and_is_up_to_date() -> None:
    example = Path(__file__).parents[1] / ".env.example"
    assert example.read_text() == env_example()
    assert all(f"#{name}=" in env_example() for name in VARIABLES)


def test_a_file_that_holds_no_certificate_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    with pytest.raises(SettingsError, match=f"BOUNCE_SYNC_CA_BUNDLE: {path} can't be read"):
        Settings.load({"BOUNCE_SYNC_CA_BUNDLE": str(path)})
    path.write_text("no certificate")
    with pytest.raises(SettingsError, match=f"there is no certificate in {path}"):
        Settings.load({"BOUNCE_SYNC_CA_BUNDLE": str(path)})


def test_data_views_want_the_units_by_their_mids() -> None:
    given = {"SFMC_SOURCE": "data_views", "SFMC_BUSINESS_UNITS": "*"}
    with pytest.raises(SettingsError, match=r"SFMC_BUSINESS_UNITS: \*.* List the MIDs"):
        Settings.load(given)
    assert Settings.load(given | {"SFMC_BUSINESS_UNITS": "1, 2,1"}).business_units == ("1", "2")


def test_journeys_that_would_never_write_a_person_account_are_refused() -> None:
    given = {"BOUNCE_SYNC_DELIVERY": "journey", "SALESFORCE_PERSON_ACCOUNTS": "true"}
    with pytest.raises(SettingsError, match="Journeys write Contacts and Leads alone"):
        Settings.load(given)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("Hard Bounce", "SALESFORCE_FLAG_FIELD: not the API name of a custom field"),
        ("Contact.Hard_Bounce__c", "SALESFORCE_FLAG_FIELD: not the API name of a custom field"),
        ("HasOptedOutOfEmail", "SALESFORCE_FLAG_FIELD: not the API name of a custom field"),
        ("<Bounce__c", "SALESFORCE_FLAG_FIELD: not the API name of a custom field"),
        ("hard_bounce_date__c", "SALESFORCE_FLAG_FIELD and SALESFORCE_DATE_FIELD: the same field"),
    ],
)
def test_a_field_that_cant_be_is_told_at_once(flag: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.load({"SALESFORCE_FLAG_FIELD": flag})


def test_an_impossible_start_date_is_told_at_import() -> None:
    with pytest.raises(SettingsError, match="BOUNCE_SYNC_START_DATE"):
        ImportSettings.load({"BOUNCE_SYNC_START_DATE": "soon"})


@pytest.mark.parametrize("name", [name for name, each in VARIABLES.items() if each.secret])
def test_any_secret_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    mounted = tmp_path / "secret"
    mounted.write_text("from-the-file\n")
    assert Reader({f"{name}_FILE": str(mounted)}).text(name) == "from-the-file"

    for given, complaint in (
        ({f"{name}_FILE": str(tmp_path / "none")}, f"{name}_FILE: .*No such file"),
        ({f"{name}_FILE": str(mounted), name: "given"}, f"{name} and {name}_FILE: both are set"),
    ):
        reader = Reader(given)
        reader.text(name)
        with pytest.raises(SettingsError, match=complaint):
            reader.finish()
