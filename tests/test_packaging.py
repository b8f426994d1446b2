"""The wheel: what is in it, and that it works where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_zoo_exporters_and_cli_alone(wheel: Path) -> None:
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"zoo", "exporters", "cli.py"}


def test_the_wheel_carries_every_spec_and_the_schema(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("zoo/specs/")}
    assert packed == {f"zoo/specs/{path.name}" for path in (REPOSITORY / "specs").iterdir()}


def test_the_wheel_has_the_console_script(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "zoo = cli:main" in archive.read(entry).decode()


def test_an_installed_wheel_trains_a_spec_by_name_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    zipfile.ZipFile(wheel).extractall(site)
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "cli", "train", "linear3", "--set", "train.epochs=2"],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (empty / "runs" / "linear3" / "model.safetensors").is_file()


@pytest.mark.parametrize("command", [["cli.py"], ["-m", "cli"]], ids=" ".join)
def test_the_command_line_runs_from_the_checkout(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "list"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "linear3" in done.stdout


def test_the_direct_dependencies_are_those_of_the_design() -> None:
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = {requirement.partition(">")[0] for requirement in project["dependencies"]}
    core = "torch torchvision numpy pydantic click jsonschema onnx onnxscript onnxruntime safetensors rich"
    assert names == set(core.split())
    assert "torch>=2.11" in project["dependencies"]
    assert project["requires-python"] == ">=3.11"


def test_the_constraints_pin_every_direct_dependency_and_name_no_address() -> None:
    import tomllib

    text = (REPOSITORY / "constraints.txt").read_text()
    pinned = {line.partition("==")[0].lower() for line in text.splitlines() if "==" in line}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {requirement.partition(">")[0] for requirement in wanted} <= pinned
    assert "://" not in text
