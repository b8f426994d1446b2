"""Fuzzing: any mutation of a spec is taken, or refused with problems, soon, and with nothing read or run."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import Any

import pytest

from conftest import REPOSITORY, Document, linear
from mutating import garble, mutate
from wrong import blocks, conv, dense, pictures, rows
from zoo.check import check, check_file
from zoo.errors import SpecError, UsageError
from zoo.inheritance import read_spec
from zoo.schema import CHOICES
from zoo.source import MAX_BYTES, Source

SPECS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((REPOSITORY / "specs").glob("*.json"))
    if path.name != "zoo.schema.json"
}
MUTATIONS = 30  # of each spec, here; the campaign takes thousands
GARBLINGS = 25
LONGEST = 2.0  # seconds of the processor for a check
LONGEST_WAIT = 30.0  # seconds by the clock, where a check might wait for a file; others may use the machine
OWN = (str(REPOSITORY / "zoo"), str(REPOSITORY / "specs"), sys.prefix, sys.base_prefix)
"""What a check may read besides what a spec names: zoo itself and Python."""
RUNNING = re.compile(
    r"os\.(system|exec|fork|posix_spawn|spawn|startfile|remove|rename|rmdir)|subprocess|socket|pty|urllib"
)


class Watch:
    """What Python's audit events tell while a check runs."""

    def __init__(self) -> None:
        self.on = False
        self.read: list[str] = []
        self.run: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on:
            return
        if event == "open" and isinstance(arguments[0], str | bytes):
            self.read.append(os.fsdecode(arguments[0]))
        elif RUNNING.match(event):
            self.run.append(event)

    def during(self, work: Callable[[], object]) -> tuple[list[str], list[str]]:
        """What is read, and what is run, while a function runs."""
        self.read, self.run, self.on = [], [], True
        try:
            work()
        finally:
            self.on = False
        return [path for path in self.read if not os.path.abspath(path).startswith(OWN)], self.run


@pytest.fixture(scope="module")
def watch() -> Watch:
    for choice in CHOICES:
        list(choice.members())
    return Watch()


def judged(document: Document) -> None:
    """Check a document; every problem has words and a place."""
    text = json.dumps(document)
    try:
        check(Source("spec.json", text, json.loads(text)))
    except SpecError as refused:
        assert_told(refused)


def assert_told(refused: SpecError) -> None:
    assert refused.problems
    for problem in refused.problems:
        assert problem.message, problem
        assert problem.remedy, problem
        assert len(problem.message) + len(problem.remedy) < 3000, problem
    assert str(refused)


def judged_file(path: str) -> None:
    """Check a file; what is refused is told."""
    try:
        check_file(path)
    except SpecError as refused:
        assert_told(refused)
    except UsageError as refused:
        told = refused.message, refused.remedy
        assert all(told)


# Any: a JSON value.
def strings(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [text for part in (value.values() if isinstance(value, dict) else value) for text in strings(part)]
    return [value] if isinstance(value, str) else []


def is_named(path: str, document: Document) -> bool:
    """Return whether a spec names the file, or a folder above it; a data source's default root counts as named."""
    named = {os.path.abspath(text) for text in [*strings(document), "data"] if text and "\x00" not in text}
    return any(Path(os.path.abspath(path)).is_relative_to(name) for name in named)


def hold(document: Document, watch: Watch) -> None:
    """A document is taken, or refused with problems, soon; nothing is run, and nothing read that it does not name."""
    start = process_time()
    read, run = watch.during(lambda: judged(document))
    seconds = process_time() - start
    assert not run
    assert [path for path in read if not is_named(path, document)] == []
    assert seconds < LONGEST, f"{seconds:.1f} s for {json.dumps(document)[:2000]}"


@pytest.mark.parametrize("name", SPECS)
def test_a_mutation_is_taken_or_refused_with_problems(name: str, here: Path, watch: Watch) -> None:
    random, document = Random(name), json.loads(SPECS[name])
    for _ in range(MUTATIONS):
        mutated = mutate(document, random)
        if len(json.dumps(mutated)) > MAX_BYTES:
            continue
        try:
            hold(mutated, watch)
        except Exception as error:  # whatever it is, the input that brought it is told
            raise AssertionError(json.dumps(mutated)) from error


@pytest.mark.parametrize("name", SPECS)
def test_a_garbled_text_is_taken_or_refused_with_problems(name: str, here: Path, watch: Watch) -> None:
    random = Random(name)
    for _ in range(GARBLINGS):
        raw = garble(SPECS[name], random)
        (here / "spec.json").write_bytes(raw)
        start = process_time()
        try:
            _, run = watch.during(lambda: judged_file("spec.json"))
        except Exception as error:  # whatever it is, the input that brought it is told
            raise AssertionError(raw) from error
        assert not run
        assert process_time() - start < LONGEST


def doubling(levels: int) -> Document:
    """Templates of which each holds the next one twice."""
    templates = {f"b{level}": {"layers": [{"type": "Block", "name": f"b{level + 1}"}] * 2} for level in range(levels)}
    return blocks(templates | {f"b{levels}": {"layers": [dense(2)]}}, {"type": "Block", "name": "b0"}, dense(1))


def doubling_values(levels: int) -> Document:
    """Templates of which each gives the next one its parameter twice."""
    inner = {
        f"b{level}": {"layers": [{"type": "Block", "name": f"b{level + 1}", "p": ["$p", "$p"]}]}
        for level in range(levels)
    }
    return blocks(
        inner | {f"b{levels}": {"layers": [dense("$p")]}}, {"type": "Block", "name": "b0", "p": [1, 2]}, dense(1)
    )


def nested(layer: Document, wrap: Callable[[Document], Document], times: int) -> Document:
    for _ in range(times):
        layer = wrap(layer)
    return layer


def repeated(layer: Document, times: int = 10_000) -> Document:
    return {"type": "Repeat", "times": times, "layers": [layer]}


IN_PLACE = {"type": "Dropout", "inplace": True}
MANY: Document = {"type": "Repeat", "times": 4900, "layers": [dense(2), dense(2)]}
BOMBS = {
    "Repeats in Repeats": rows(repeated(repeated(repeated(dense(2)))), dense(1)),
    "Repeats of nothing": rows(repeated(repeated({"type": "Parallel", "branches": [[], []], "join": "add"})), dense(1)),
    "Repeats forty deep": rows(nested({"type": "Identity"}, lambda layer: repeated(layer, 2), 40), dense(1)),
    "templates that double": doubling(19),
    "parameters that double": doubling_values(18),
    "the most layers": rows(MANY, dense(1)),
    "as many LSTMs of LSTMs": pictures(
        {"type": "Squeeze", "dim": 1}, repeated({"type": "LSTM", "hidden_size": 8, "num_layers": 900})
    ),
    "patterns for each layer": rows(MANY, dense(1), freeze=[f"*{index}*{index}*" for index in range(1000)]),
    "patterns of stars": rows(
        *[dense(2, id="a" * 60 + str(index)) for index in range(900)], dense(1), freeze=["*a" * 120 + "b"] * 3
    ),
    "layers in place": rows(dense(2), *[IN_PLACE] * 9000, dense(1)),
    "layers that nothing reads": rows(*[dense(2, **{"from": "input"})] * 9000, dense(1)),
    "layers that read by name": rows(
        dense(2, id="x0"), *[dense(2, id=f"x{i}", **{"from": f"x{i - 1}"}) for i in range(1, 9000)], dense(1)
    ),
    "layers of one id": rows(*[dense(2, id="x")] * 9000, dense(1)),
    "layers of no type": rows(*[{"type": "Linea"}] * 9999),
    "options of no layer": rows({"type": "Linear", "out_features": 1, **{f"k{index}": 1 for index in range(9000)}}),
    "numbers that are words": linear(data__weights=["x"] * 100_000),
    "a long name": linear(name="a" * 900_000),
    "metrics": linear(metrics=[{"type": "MeanAbsoluteError"}] * 5000),
    "the largest image": pictures(conv(2**31 - 1, 1), conv(2**31 - 1, 1), {"type": "Flatten"}, dense("classes")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_spec_of_much_work_is_judged_soon(name: str, watch: Watch) -> None:
    hold(BOMBS[name], watch)


def test_a_large_file_is_refused_unread(here: Path, watch: Watch) -> None:
    (here / "spec.json").write_bytes(b'{"name": "' + b"a" * 10 * 2**20 + b'"}')
    with pytest.raises(UsageError, match="is larger than 1,048,576 bytes"):
        read_spec("spec.json")


@pytest.fixture
def strange(here: Path) -> Path:
    """A folder of what is no spec."""
    (here / "binary.json").write_bytes(bytes(range(256)) * 40)
    (here / "empty.json").write_bytes(b"")
    (here / "folder.json").mkdir()
    (here / "loop.json").symlink_to("loop.json")
    os.mkfifo(here / "pipe.json")
    with (here / "sparse.json").open("wb") as file:
        file.truncate(2**33)  # eight gigabytes of nothing
    return here


STRANGE = ["binary", "empty", "folder", "loop", "pipe", "sparse"]
ELSEWHERE = [
    "/dev/zero",
    "/dev/stdin",
    "/dev/tty",
    "/proc/kmsg",
    "/proc/self/mem",
    "",
    ".",
    "/",
    "\x00",
    "x" * 5000,
    "http://example.org/a.json",
]


@pytest.mark.parametrize("base", [*(f"{name}.json" for name in STRANGE), *ELSEWHERE])
def test_what_is_no_spec_cannot_be_extended(base: str, strange: Path, watch: Watch) -> None:
    (strange / "spec.json").write_text(json.dumps(linear() | {"extends": base}), encoding="utf-8")
    start = perf_counter()
    with pytest.raises((SpecError, UsageError)) as refused:
        watch.during(lambda: check_file("spec.json"))
    assert refused.value.remedy
    assert perf_counter() - start < LONGEST_WAIT
    assert {os.path.basename(path) for path in watch.read if not path.startswith(OWN)} <= {
        "spec.json",
        os.path.basename(base),
    }


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_spec_is_refused(name: str, strange: Path) -> None:
    start = perf_counter()
    with pytest.raises((SpecError, UsageError)):
        check_file(f"{name}.json")
    assert perf_counter() - start < LONGEST_WAIT


def test_the_watch_sees_what_is_read_and_run(here: Path, watch: Watch) -> None:
    (here / "secret").write_text("x")
    read, run = watch.during(lambda: ((here / "secret").read_text(), os.system("true")))
    assert (read, run) == ([str(here / "secret")], ["os.system"])
