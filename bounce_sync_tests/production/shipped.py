"""The files of `bounce_sync.deploy`, as the tools that take them read them."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

import bounce_sync.deploy

FOLDER = Path(bounce_sync.deploy.__path__[0])
SYSTEMD = FOLDER / "systemd"


def loaded(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def unit(name: str) -> configparser.RawConfigParser:
    """A systemd unit. A key that stands several times has its values on lines of their own."""

    class Several(dict):  # what configparser fills, section by section
        def __setitem__(self, key: str, value: Any) -> None:
            if isinstance(value, list) and key in self:
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    read = configparser.RawConfigParser(dict_type=Several, strict=False)
    read.optionxform = str  # type: ignore[assignment]
    read.read_string((SYSTEMD / name).read_text())
    return read


def started(name: str, environ: Mapping[str, str]) -> list[list[str]]:
    """What a unit starts, one after the other, with its variables filled in as systemd does it."""
    lines = unit(name)["Service"]["ExecStart"].split("\n")
    filled = [re.sub(r"\$\{(\w+)\}", lambda found: environ[found[1]], line) for line in lines]
    return [shlex.split(line) for line in filled]


def environment_file(name: str) -> dict[str, str]:
    lines = (SYSTEMD / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command in the shipped files, with where it stands."""
    environ = environment_file("dagster.env")
    for file in sorted(SYSTEMD.glob("*.service")):
        yield from ((file.name, words) for words in started(file.name, environ))
    for name, service in loaded("compose.yaml")["services"].items():
        if name != "postgres":
            yield f"compose.yaml: {name}", service["command"]
            yield f"compose.yaml: {name}'s health", service["healthcheck"]["test"][1:]
    (deployment,) = loaded("helm-values.yaml")["dagster-user-deployments"]["deployments"]
    yield "helm-values.yaml", ["dagster", "code-server", "start", *deployment["codeServerArgs"]]
