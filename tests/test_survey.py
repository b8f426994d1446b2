"""Surveys: which specs are meant, and what is said of all of them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import REPOSITORY, Outcome, linear, noise, read_terminal
from zoo.survey import survey

Write = Callable[..., str]
Zoo = Callable[..., Outcome]


@pytest.fixture
def folder(here: Path, write: Write) -> Path:
    """Two good specs and a bad one, one of them deeper, beside a schema and a hidden folder."""
    for name in ("deep/er", ".hidden"):
        (here / name).mkdir(parents=True)
    write(linear(), "good.json")
    write(linear(), "deep/er/good.json")
    write(linear(train__epochs=0, optimizer__lr=-1), "bad.json")
    write("{", ".hidden/worse.json")
    (here / "zoo.schema.json").write_text("{}")
    (here / "notes.txt").write_text("no spec")
    return here


@pytest.mark.parametrize("named", [".", "*.json", "**/*.json", "[bg]*.json", "deep"])
def test_a_folder_and_a_pattern_stand_for_the_specs_below(folder: Path, named: str) -> None:
    found = survey([named])
    expected = {
        ".": {"bad.json", "good.json", "deep/er/good.json"},
        "*.json": {"bad.json", "good.json"},
        "**/*.json": {"bad.json", "good.json", "deep/er/good.json"},
        "[bg]*.json": {"bad.json", "good.json"},
        "deep": {"deep/er/good.json"},
    }
    assert {os.path.normpath(name) for name in (*found.clean, *found.faulty)} == expected[named]
    assert not found.absent


def test_a_pattern_means_the_same_quoted_or_not(folder: Path) -> None:
    quoted, unquoted = survey(["*.json"]), survey(["bad.json", "good.json", "zoo.schema.json"])
    assert quoted == unquoted
    assert quoted.passed_over == ("zoo.schema.json",)


def test_a_file_named_twice_is_checked_once(folder: Path) -> None:
    assert survey(["good.json", "./good.json", "."]).clean == ("good.json", "./deep/er/good.json")


def test_every_problem_of_every_spec_is_told(folder: Path, write: Write) -> None:
    write("[]", "worse.json")
    found = survey(["."])
    assert [Path(problem.place.origin).name for problem in found.problems] == ["bad.json", "bad.json", "worse.json"]
    assert found.summary() == "3 problems in 2 of 4 specs"


def test_a_name_of_the_zoo_still_means_its_spec(folder: Path) -> None:
    assert survey(["linear3"]).clean == ("linear3",)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("*.jsn", "*.jsn: no file is named so"),
        ("empty", "empty: the folder has no .json file"),
        ("absent.json", "no such spec: absent.json"),
        ("zoo.schema.json", "zoo.schema.json is the JSON Schema of specs, and no spec"),
    ],
)
def test_what_names_no_spec_is_told(folder: Path, named: str, said: str) -> None:
    (folder / "empty").mkdir()
    found = survey([named])
    assert [error.message for error in found.absent] == [said]
    assert not found.passed


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(here: Path, write: Write) -> None:
    write(linear(), "a[1].json")
    assert survey(["a[1].json"]).clean == ("a[1].json",)


def test_a_note_of_a_good_spec_is_told_and_does_not_count(here: Path, write: Write, zoo: Zoo) -> None:
    (here / "t.csv").write_text("id,x,y\n" + "".join(f"{i},{i % 3},{i}\n" for i in range(9)))
    name = write(linear(data={"type": "TableFile", "file": "t.csv", "target": "y"}, train__batch_size=1))
    done = zoo("check", name)
    assert (done.status, done.out) == (0, "")
    assert f"{name}:5:5: note: the column 'id' of t.csv numbers its rows, and is learned from\n   remedy: " in done.err


def test_a_batch_of_more_rows_than_there_are_and_a_single_class_are_told(write: Write, zoo: Zoo) -> None:
    small = write(linear(train__batch_size=21), "small.json")
    assert "batch_size is 21, and the training split has 20 rows: each epoch is one step" in zoo("check", small).err
    layers = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
    alike = linear(data=noise(9, [1, 2, 2], 1), model__layers=layers, loss={"type": "CrossEntropyLoss"}, metrics=[])
    assert "all rows are of one class, '0'" in zoo("check", write(alike)).err


def test_a_relative_path_that_leads_on_beside_the_spec_is_told(here: Path, write: Write, zoo: Zoo) -> None:
    (here / "deep").mkdir()
    (here / "deep/t.csv").write_text("x,y\n1,2\n")
    name = write(linear(data={"type": "TableFile", "file": "t.csv", "target": "y"}), "deep/spec.json")
    assert f"relative paths begin in {here}; beside the spec there is deep/t.csv" in zoo("check", name).out


def test_the_command_leaves_with_2_where_there_are_problems(folder: Path, zoo: Zoo) -> None:
    done = zoo("check", ".")
    assert done.status == 2
    assert done.out.count("remedy:") == 2
    assert done.err.splitlines()[-1] == "2 problems in 1 of 3 specs"
    assert zoo("check", "deep", "good.json").status == 0
    assert zoo("check", "good.json", "absent.json").status == 2


def shown(folder: Path, **environment: str) -> bytes:
    """What `zoo check bad.json` writes to a terminal."""
    leader, follower = pty.openpty()
    settings = {**os.environ, "TERM": "xterm", **environment}
    command = [sys.executable, str(REPOSITORY / "cli.py"), "check", "bad.json"]
    with subprocess.Popen(command, stdout=follower, stderr=follower, cwd=folder, env=settings):
        os.close(follower)
        return read_terminal(leader)


def test_colours_are_for_a_terminal_that_wants_them(folder: Path, zoo: Zoo) -> None:
    plain = zoo("check", "bad.json").out
    assert "\x1b" not in plain
    coloured = shown(folder, NO_COLOR="")
    assert b"\x1b[31m\x1b[1merror:" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.decode()).replace("\r\n", "\n").startswith(plain)
    assert b"\x1b" not in shown(folder, NO_COLOR="1")
    assert b"\x1b" not in shown(folder, TERM="dumb", NO_COLOR="")


def test_the_json_form_is_the_list_of_all_problems(folder: Path, zoo: Zoo) -> None:
    records = json.loads(zoo("check", ".", "--format", "json").out)
    assert [record["path"] for record in records] == ["optimizer.lr", "train.epochs"]
