"""The README: every command in it runs, and what it says of the language is true."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import REPOSITORY, Outcome

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ zoo (.+)$", README, re.MULTILINE)
NEEDS_DATA = ("mnist_mlp.json", "fashion_mlp.json")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "specs").symlink_to(REPOSITORY / "specs")
    return folder


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_runs(
    line: str,
    workplace: Path,
    zoo: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(workplace)
    arguments = shlex.split(line)
    if any(name in line for name in NEEDS_DATA):
        # The rest is as it stands: only the download is spared, and all epochs but one.
        data = request.getfixturevalue("real_data")
        arguments += ["--set", f"data.root={data}", "--set", "train.epochs=1"]
    elif "mnist_mlp" in line:
        request.getfixturevalue("real_data")
    done = zoo(*arguments)
    assert done.status == (2 if "lr=-1" in line else 0), done.err
    if "lr=-1" in line:
        shown = README.split(f"$ zoo {line}\n")[1].split("```")[0]
        assert done.out + done.err == shown


def test_the_readme_has_the_commands_of_the_first_five_minutes() -> None:
    assert {"train specs/linear3.json", "export --onnx --torchscript", "predict 1,2,3", "doctor"} <= set(COMMANDS)


def test_the_two_commands_are_targets_of_make() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}: " in makefile


def test_the_spec_shown_is_the_spec_in_the_zoo() -> None:
    assert (REPOSITORY / "specs" / "linear3.json").read_text().strip() in README


def test_every_module_is_in_the_picture() -> None:
    picture = README.split("## Architecture")[1].split("## Limits")[0]
    files = [*(REPOSITORY / "zoo").glob("*.py"), *(REPOSITORY / "exporters").glob("*.py")]
    absent = [path.stem for path in files if path.stem not in picture and path.stem != "__init__"]
    assert absent == []
