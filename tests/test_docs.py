"""The papers say what is true: commands, make targets, links, roles, settings' flags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import typer.main

from exchange.cli import app
from exchange.settings import Settings, variable
from exchange.supervisor.records import Role

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
PAPERS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_links_lead_somewhere(paper: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", paper.read_text()):
        if "://" not in target:
            assert (paper.parent / target).exists(), target


def test_the_readme_opens_with_the_two_commands() -> None:
    first = (ROOT / "README.md").read_text().splitlines()[:4]
    assert [line.split("#")[0].strip() for line in first if line.startswith("    ")] == ["make run", "make test"]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_make_targets_exist(paper: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for name in re.findall(r"(?:`|^    )make ([a-z-]+)", paper.read_text(), re.M):
        assert name in targets, name


def test_every_command_is_documented_and_nothing_else() -> None:
    group = typer.main.get_command(app)
    commands: set[str] = set()
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        commands |= {f"{name} {inner}" for inner in command.commands} if hasattr(command, "commands") else {name}
    page = (ROOT / "docs" / "operators.md").read_text()
    rows = re.findall(r"^\| `switchroom (([a-z]+)(?: [a-z]+)?)", page, re.M)
    assert {both if both in commands else first for both, first in rows} == commands


def test_every_role_is_explained() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert set(re.findall(r"^\| `([a-z]+)` \|", page, re.M)) == set(get_args(Role))


def test_settings_table_names_the_flags_that_serve_has() -> None:
    serve = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    flags = {option for parameter in serve.params for option in parameter.opts}
    page = (ROOT / "docs" / "operators.md").read_text()
    for name in Settings.model_fields:
        row = next(row for row in page.splitlines() if row.startswith(f"| `{variable(name)}`"))
        said = "--" + name.replace("_", "-") in row.split("|")[2]
        assert said == ("--" + name.replace("_", "-") in flags), name


def test_no_paper_or_lock_file_names_a_registry() -> None:
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry." + "npmjs", "deb.debian" + ".org")
    files = [*PAPERS, ROOT / "Makefile", ROOT / "web" / "package-lock.json", *ROOT.glob("requirements*.lock")]
    files += [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    for path in files:
        text = path.read_text()
        assert not any(host in text for host in hosts), path
