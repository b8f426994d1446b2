"""Destination: a place that is free, or holds a run that may be replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import REPOSITORY
from zoo.destination import Destination
from zoo.errors import Diverged, Interrupted, OutputError, UsageError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("x"), "out is a file, not a directory"),
        (lambda path: (path.mkdir(), (path / "mine").touch()), "out holds something else than a run"),
        (
            lambda path: (path.mkdir(), (path / "spec.json").touch(), (path / "environment.json").touch()),
            "out holds a run",
        ),
        (lambda path: (path.mkdir(), (path / "spec.json").touch()), "out holds something else than a run"),
    ],
    ids=["file", "other", "run", "project"],
)
def test_a_taken_directory_is_refused(here: Path, make: Callable[[Path], object], message: str) -> None:
    make(here / "out")
    with pytest.raises(UsageError) as refused:
        Destination(Path("out")).choose("line")
    assert refused.value.message == message


def test_overwrite_never_touches_what_is_no_run(here: Path) -> None:
    with Destination().claimed("line") as run:
        pass
    for name in ("spec.json", "environment.json", "thesis.txt"):
        (run / name).touch()
    with (
        pytest.raises(UsageError, match=r"runs/line holds something else than a run"),
        Destination(run, overwrite=True).claimed("line"),
    ):
        pass
    assert (run / "thesis.txt").exists()


@pytest.mark.parametrize(
    "writing",
    [
        "with files.replacing(path / 'model.safetensors') as part: part.touch(); os.kill(os.getpid(), 9)",
        "with files.replacing_directory(path / 'export'): os.kill(os.getpid(), 9)",
    ],
    ids=["file", "directory"],
)
def test_a_run_whose_writing_was_killed_can_be_replaced(here: Path, old: Path, writing: str) -> None:
    program = f"import os, pathlib, zoo.files as files; path = pathlib.Path({str(old.resolve())!r})\n{writing}"
    killed = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert killed.returncode == -9
    assert any(name.startswith(".") for name in names(old))
    with Destination(overwrite=True).claimed("line") as run:
        assert names(run) == ["checkpoints"]


def test_an_editors_hidden_file_is_no_part_of_a_run(old: Path) -> None:
    (old / ".spec.json.swp").touch()
    with pytest.raises(UsageError, match="something else than a run"):
        Destination(overwrite=True).choose("line")


def test_a_link_to_nowhere_is_an_output_error(here: Path) -> None:
    (here / "out").symlink_to(here / "nowhere")
    out = Destination(Path("out"))
    with pytest.raises(OutputError, match=r"cannot make out: something is in its way"), out.claimed("line"):
        pass


def test_two_trainings_at_once_take_two_directories(here: Path) -> None:
    with Destination().claimed("line") as first, Destination().claimed("line") as second:
        assert [str(first), str(second)] == ["runs/line", "runs/line-2"]


@pytest.fixture
def old(here: Path) -> Path:
    """A run that was there before."""
    path = Path("runs/line")
    path.mkdir(parents=True)
    for name in ("spec.json", "environment.json", "model.safetensors"):
        (path / name).write_text("old")
    return path


def fail(name: str, error: BaseException) -> None:
    """Begin a run in the place of another, and raise."""
    with Destination(overwrite=True).claimed(name) as path:
        (path / "spec.json").write_text("new")
        raise error


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_run_that_is_replaced_is_there_until_the_end(old: Path) -> None:
    with Destination(overwrite=True).claimed("line") as path:
        assert names(path) == ["checkpoints"]
        (waiting,) = old.parent.glob(".line.replaced-*")
        assert names(waiting) == ["environment.json", "model.safetensors", "spec.json"]
    assert names(old.parent) == ["line", "line/checkpoints"]


@pytest.mark.parametrize("error", [OutputError("full", "free"), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_a_run_comes_back_where_the_new_one_fails(old: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail("line", error)
    assert names(old.parent) == ["line", *(f"line/{name}" for name in names(old))]
    assert (old / "spec.json").read_text() == "old"


@pytest.mark.parametrize("error", [Diverged("nan", "lower"), Interrupted("in epoch 1", "resume", 2)], ids=repr)
def test_a_run_to_go_on_with_or_to_look_into_replaces_the_old(old: Path, error: Exception) -> None:
    with pytest.raises(type(error)):
        fail("line", error)
    assert names(old.parent) == ["line", "line/checkpoints", "line/spec.json"]


def test_a_link_to_a_run_stays_a_link(old: Path, here: Path) -> None:
    link = here / "link"
    link.symlink_to(old.resolve())
    with Destination(link, overwrite=True).claimed("line") as path:
        (path / "spec.json").write_text("new")
    assert link.is_symlink()
    assert (old / "spec.json").read_text() == "new"


@pytest.mark.parametrize("out", [None, Path("runs/line")])
def test_overwrite_takes_an_empty_or_absent_directory(here: Path, out: Path | None) -> None:
    with Destination(out, overwrite=True).claimed("line") as path:
        assert str(path) == "runs/line"
    (path / "checkpoints").rmdir()
    with Destination(out, overwrite=True).claimed("line") as path:
        assert str(path) == "runs/line"
