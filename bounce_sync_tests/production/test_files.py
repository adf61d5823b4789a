"""The shipped files: what they start, set and copy is there, and the guide's lines fit them."""

from __future__ import annotations

import configparser
import importlib.util
import re
from pathlib import Path

import click
import dagster
import pytest
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli
from packaging.requirements import Requirement

from bounce_sync.cli import cli as bounce_sync_cli
from bounce_sync.environment import VARIABLES
from bounce_sync_tests.guide.pages import ROOT, lines
from bounce_sync_tests.production.shipped import (
    FOLDER,
    SYSTEMD,
    commands,
    environment_file,
    loaded,
    unit,
)

PROGRAMS: dict[str, click.Command] = {
    "bounce-sync": bounce_sync_cli,
    "dagster": create_dagster_cli(),
    "dagster-daemon": create_dagster_daemon_cli(),
    "dagster-webserver": create_dagster_webserver_cli(),
}
READ_BY_OTHERS = {
    "DAGSTER_HOME",
    "DAGSTER_DAEMON_HEARTBEAT_TOLERANCE",
    "PATH",
    "PYTHONUNBUFFERED",
    "POSTGRES_USER",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
}
EXTRAS = ("postgresql", "s3", "sftp", "kubernetes")


def parses(words: list[str]) -> None:
    """Raises click's `UsageError` for a command or an option that doesn't exist."""
    command: click.Command = PROGRAMS[Path(words[0]).name]
    rest = words[1:]
    while isinstance(command, click.Group):
        with click.Context(command) as context:
            _, found, rest = command.resolve_command(context, rest)
        assert found is not None, words
        command = found
    with click.Context(command) as context:
        command.make_parser(context).parse_args(rest)


@pytest.mark.parametrize(("where", "words"), list(commands()), ids=lambda value: str(value)[:60])
def test_every_command_exists(where: str, words: list[str]) -> None:
    if Path(words[0]).name == "python":
        if words[1] == "-m":
            assert importlib.util.find_spec(words[2]), where
    else:
        parses(words)


def test_a_command_that_does_not_exist_would_be_found() -> None:
    for wrong in (["dagster", "code-serve"], ["dagster-daemon", "run", "--workspaces", "x"]):
        with pytest.raises(click.UsageError):
            parses(wrong)


def _asked_for() -> set[str]:
    """Variables that the configuration and the units read."""
    asked = set(re.findall(r"env: (\w+)", (FOLDER / "dagster.yaml").read_text()))
    asked |= set(re.findall(r"env: (\w+)", (FOLDER / "workspace.yaml").read_text()))
    for file in SYSTEMD.glob("*.service"):
        asked |= set(re.findall(r"\$\{(\w+)\}", file.read_text()))
    return asked


def _set_by_containers() -> dict[str, set[str]]:
    image = set(
        re.findall(r"^(?:ENV|   ) (\w+)=", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    )
    services = loaded("compose.yaml")["services"].items()
    return {name: image | set(service["environment"]) for name, service in services}


def test_every_variable_is_read_by_somebody() -> None:
    (deployment,) = loaded("helm-values.yaml")["dagster-user-deployments"]["deployments"]
    given = set(environment_file("dagster.env")) | {each["name"] for each in deployment["env"]}
    for names in _set_by_containers().values():
        given |= names
    assert given - READ_BY_OTHERS - set(VARIABLES) - _asked_for() == set()


def test_every_variable_that_is_read_is_set() -> None:
    in_units = set(environment_file("dagster.env"))
    assert _asked_for() <= in_units
    in_yaml = _asked_for() - {"WEBSERVER_PORT"}  # of a unit's own command
    for name, given in _set_by_containers().items():
        assert name == "postgres" or in_yaml <= given, name


def test_the_image_is_built_from_files_that_are_there_and_not_as_root() -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text()
    copied = [
        word
        for line in re.findall(r"^COPY (.+)", dockerfile, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    let_in = (FOLDER / ".dockerignore").read_text()
    for name in copied:
        assert f"!{name}\n" in let_in
        assert name.startswith("dist/") or (FOLDER / name).exists()
    assert re.search(r"^FROM python:3\.11\.\d+-slim", dockerfile, re.MULTILINE)
    assert re.search(r"^USER [1-9]", dockerfile, re.MULTILINE)


def test_the_image_s_releases_are_what_the_package_asks_for() -> None:
    pinned = dict(
        line.split("==")
        for line in (FOLDER / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    package = configparser.ConfigParser()
    package.read(ROOT / "setup.cfg")
    wanted = [package["options"]["install_requires"]]
    wanted += [package["options.extras_require"][extra] for extra in EXTRAS]
    for text in "\n".join(wanted).splitlines():
        if text and not text.startswith("#"):
            requirement = Requirement(text)
            name = requirement.name.lower().replace("_", "-")
            assert pinned[name] in requirement.specifier, text


def test_containers_mount_and_wait_for_what_is_there() -> None:
    compose = loaded("compose.yaml")
    for name, service in compose["services"].items():
        assert "healthcheck" in service, name
        for mounted in service["volumes"]:
            source = mounted.partition(":")[0]
            made = source in compose["volumes"] or source == "./secrets"
            assert made or (FOLDER / source).exists(), mounted
        assert set(service.get("depends_on", ())) <= set(compose["services"])


def test_dagster_speaks_to_postgresql_through_its_own_driver() -> None:
    helm = loaded("helm-values.yaml")["postgresql"]["postgresqlScheme"]
    containers = [
        service["environment"]["DAGSTER_POSTGRES_URL"]
        for name, service in loaded("compose.yaml")["services"].items()
        if name != "postgres"
    ]
    given = [f"{helm}://", environment_file("dagster.env")["DAGSTER_POSTGRES_URL"], *containers]
    assert {address.partition("://")[0] for address in given} == {"postgresql+psycopg2"}


def test_units_name_units_that_are_there() -> None:
    shipped = {file.name for file in SYSTEMD.iterdir()}
    for name in shipped - {"dagster.env"}:
        values = [value for section in unit(name).values() for value in section.values()]
        named = {word for value in values for word in re.findall(r"bounce-sync-[\w.-]+", value)}
        assert {each for each in named if each.endswith((".service", ".timer"))} <= shipped


def _lines(program: str) -> list[list[str]]:
    found = [line.text.split() for line in lines("production.md") if line.program == program]
    assert found, f"the guide has no {program} lines any more"
    return found


@pytest.mark.parametrize("words", _lines("docker"), ids=" ".join)
def test_the_guide_s_docker_lines_fit_the_compose_file(words: list[str]) -> None:
    assert words[1:4] == ["compose", "--project-directory", "deployment"]
    verb, *rest = words[4:]
    assert verb in {"build", "up", "exec", "run"}
    if verb in {"exec", "run"}:
        rest = [word for word in rest if word != "--rm"]
        assert rest[0] in loaded("compose.yaml")["services"]
        parses(rest[1:])


def test_the_guide_s_helm_lines_fit_the_values_and_dagster() -> None:
    (upgrade,) = [words for words in _lines("helm") if "upgrade" in words]
    assert upgrade[upgrade.index("--version") + 1] == dagster.__version__
    values = upgrade[upgrade.index("--values") + 1]
    assert (FOLDER / Path(values).relative_to("deployment")).exists()
    chart = loaded("helm-values.yaml")
    (deployment,) = chart["dagster-user-deployments"]["deployments"]
    made = {line[line.index("generic") + 1]: line[-1] for line in _lines("kubectl")}
    password = made.pop(chart["global"]["postgresqlSecretName"])
    assert [{"name": name} for name in made] == deployment["envSecrets"]
    # What the chart's pods read; one that the chart makes itself would stand in the way of ours.
    assert password.startswith("--from-literal=postgresql-password=")
    assert chart["generatePostgresqlPasswordSecret"] is False


@pytest.mark.parametrize("words", _lines("systemctl"), ids=" ".join)
def test_the_guide_s_systemctl_lines_name_shipped_units(words: list[str]) -> None:
    for name in words:
        if name.startswith("bounce-sync"):
            assert "WantedBy" in unit(name)["Install"]
