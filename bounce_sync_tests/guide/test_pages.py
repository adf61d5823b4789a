"""The pages say what the code says, and lead only to what is there."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from bounce_sync.assets.rule_book import RULES
from bounce_sync.cli import cli
from bounce_sync.environment import VARIABLES
from bounce_sync.guide.written import FOLDER
from bounce_sync.guide.written import PAGES as WRITTEN
from bounce_sync_tests.guide.pages import PAGES, ROOT


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_from_the_code_is_up_to_date(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == WRITTEN[name](), "run `python -m bounce_sync.guide`"


def test_what_to_do_about_a_failed_check_is_said_for_every_table() -> None:
    text = (FOLDER / "checks.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert any(
            f"`{rule.asset}`" in row and rule.recovery in row for row in text.splitlines()
        ), (rule.asset, rule.name)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGES[page].read_text(encoding="utf-8"))
    missing = [link for link in links if not (PAGES[page].parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_and_command_exists(page: str) -> None:
    text = PAGES[page].read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:BOUNCE_SYNC|SFMC|SALESFORCE)_[A-Z_]+\b", text))
    assert named <= set(VARIABLES)
    commands = {name for line in re.findall(r"`bounce-sync ([a-z]+)", text) for name in [line]}
    assert commands <= set(cli.commands)


def test_the_guide_is_reachable_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in FOLDER.glob("*.md"):
        assert page.name in readme, f"nobody finds {page.name}"


def test_every_command_is_in_the_readme_s_table_and_has_an_example() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in cli.commands:
        assert f"bounce-sync {name}" in readme
        said = CliRunner().invoke(cli, [name, "--help"])
        assert "Example" in said.output or name == "sandbox"
