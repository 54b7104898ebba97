"""`switchroom config` without an exchange: what it can do alone, and what it says about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from exchange.cli import app
from exchange.demo import DEMO_CONFIGURATION

pytestmark = pytest.mark.unit


def run(*words: str, text: str | None = None) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["config", *words], input=text)
    return found.exit_code, found.output


def test_a_file_is_checked_with_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("skills: [german]\nqueues:\n  sales:\n    need: germn >= 5\n")
    sentence = "error: queues.sales.need.skills: Line 4: There is no skill 'germn'; did you mean 'german'? [unknown-skill]\n"
    assert run("check", str(file)) == (1, sentence)
    file.write_text("queues:\n  sales:\n    ageng: 5\n")
    assert run("check", str(file))[1].startswith("error: queues.sales.ageng: Line 3: There is no key 'ageng' here;")
    warned = run("check", "-", text="queues: [sales]\n")
    sentence = "Nobody serves this queue: name it with an agent or a team. [nobody-serves]"
    assert warned == (0, f"warning: queues.sales: Line 1: {sentence}\n- can be taken.\n")
    file.write_bytes(b"\xff")
    assert run("check", str(file)) == (1, f"switchroom: {file} is not text in UTF-8: invalid start byte at byte 0.\n")
    assert run("check", str(tmp_path / "none")) == (
        1,
        f"switchroom: {tmp_path / 'none'} cannot be read: No such file or directory.\n",
    )
    assert run("check", str(DEMO_CONFIGURATION)) == (0, f"{DEMO_CONFIGURATION} can be taken.\n")


@pytest.mark.parametrize("words", [("export",), ("plan", str(DEMO_CONFIGURATION)), ("apply", str(DEMO_CONFIGURATION))])
def test_without_an_exchange_it_says_so(words: tuple[str, ...], tmp_path: Path) -> None:
    data = tmp_path.resolve()
    sentence = f"switchroom: No exchange runs on {data}: start it with 'switchroom serve', then say this again.\n"
    assert run(*words, "--data", str(data)) == (1, sentence)
