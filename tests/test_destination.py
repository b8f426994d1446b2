"""Destination: a place that is free, or holds a run that may be replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.destination import Destination
from zoo.errors import OutputError, UsageError


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
    run = Destination().claim("line")
    for name in ("spec.json", "environment.json", "thesis.txt"):
        (run / name).touch()
    with pytest.raises(UsageError, match=r"runs/line holds something else than a run"):
        Destination(run, overwrite=True).claim("line")
    assert (run / "thesis.txt").exists()


def test_a_link_to_nowhere_is_an_output_error(here: Path) -> None:
    (here / "out").symlink_to(here / "nowhere")
    with pytest.raises(OutputError, match=r"cannot make out: something is in its way"):
        Destination(Path("out")).claim("line")


def test_two_trainings_at_once_take_two_directories(here: Path) -> None:
    assert [str(Destination().claim("line")) for _ in range(3)] == ["runs/line", "runs/line-2", "runs/line-3"]
