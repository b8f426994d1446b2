"""The README: every command in it runs, and what it says of the language is true."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import REAL_DATA, REPOSITORY, Outcome
from forking import forked_workers

__all__ = ["forked_workers"]  # a fixture

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ zoo (.+)$", README, re.MULTILINE)
NEEDS_DATA = ("mnist_mlp.json", "fashion_mlp.json")
SHORTER = {**dict.fromkeys(NEEDS_DATA, 1), "train specs/linear3.json": 200}
"""How many epochs are trained of those of a spec, which its own test takes all."""
OF_REAL_DATA = ("mnist_mlp", "fashion_mlp")


@pytest.mark.long
@pytest.mark.usefixtures("forked_workers")
def test_the_commands_of_the_readme_run_one_after_the_other(
    zoo: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "specs").symlink_to(REPOSITORY / "specs")
    monkeypatch.chdir(tmp_path)
    possible = [line for line in COMMANDS if REAL_DATA.is_dir() or not any(name in line for name in OF_REAL_DATA)]
    assert possible
    for line in possible:
        # As it stands but for the download, and for most epochs.
        arguments = shlex.split(line)
        if any(name in line for name in NEEDS_DATA):
            arguments += ["--set", f"data.root={REAL_DATA}"]
        arguments += [f"--set=train.epochs={epochs}" for name, epochs in SHORTER.items() if name in line]
        done = zoo(*arguments)
        assert done.status == (2 if "lr=-1" in line else 0), f"{line}: {done.err}"
        if "lr=-1" in line:
            shown = README.split(f"$ zoo {line}\n")[1].split("```")[0]
            assert done.out + done.err == shown
    if possible != COMMANDS:
        request.getfixturevalue("real_data")  # skips: the others ran


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
