"""Streaming: what does not fit into memory trains to the same bits, and a process that is lost is told and survived."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from photographs import AUGMENTATION, pets, take
from test_killed import go_on, held, in_a_child, killed, measured

from conftest import Document, Outcome, linear
from forking import Started, start
from zoo.check import check_file
from zoo.run import Run
from zoo.training import clock, loop
from zoo.training.splits import open_splits
from zoo.training.streaming import Stream

CPU = torch.device("cpu")
Zoo = Callable[..., Outcome]
Write = Callable[..., str]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def results(run: str) -> tuple[bytes, list[dict[str, Any]]]:
    rows = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return Path(run, "model.safetensors").read_bytes(), [{**row, "seconds": 0} for row in rows]


def streamed(workers: int = 0) -> list[str]:
    return ["--set", "data.memory=0", "--set", f"data.workers={workers}"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data__augmentation": [*AUGMENTATION, {"type": "MixUp"}]},
        {"data__augmentation": [], "train__shuffle": False, "train__drop_last": True},
        {"train__sampler": "balanced", "loss": {"type": "CrossEntropyLoss", "weight": "balanced"}},
    ],
    ids=["augmented", "mixed", "in order", "balanced"],
)
def test_the_weights_are_those_of_a_split_in_memory(
    changes: Document, workers: int, zoo: Zoo, write: Write, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    take(here / "pets")
    write(pets(**changes))
    assert zoo("train", "spec.json", "--out", "held", "--device", "cpu").status == 0
    assert "streams" not in caplog.text
    assert zoo("train", "spec.json", "--out", "streamed", "--device", "cpu", *streamed(workers)).status == 0
    assert caplog.text.count("split streams, read by " + (f"{workers} worker(s)" if workers else "the training")) == 3
    assert results("streamed") == results("held")


TEXT = {"type": "TextFile", "file": "text.txt", "context": 8, "stride": 3}
ARRAYS = {"type": "ArrayFile", "file": "rows.npz"}
SOURCES = {"characters": TEXT | {"tokens": "character"}, "bytes": TEXT | {"tokens": "byte"}, "arrays": ARRAYS}


@pytest.mark.parametrize("kind", SOURCES)
def test_texts_and_arrays_stream_to_the_same_bits(kind: str, zoo: Zoo, write: Write, here: Path) -> None:
    Path("text.txt").write_text("".join(chr(97 + index * index % 23) for index in range(500)))
    numbers = np.random.default_rng(0)
    np.savez("rows.npz", inputs=numbers.normal(size=(60, 3)), targets=numbers.integers(0, 4, 60))
    layers: list[Document] = [{"type": "Linear", "out_features": "classes"}]
    if kind != "arrays":
        tokens = {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 4}
        layers = [tokens, {"type": "Dropout"}, {"type": "Linear", "out_features": "vocabulary"}]
    loss, train = {"type": "CrossEntropyLoss"}, {"epochs": 2, "batch_size": 7}
    write(linear(data=SOURCES[kind], model__layers=layers, loss=loss, metrics=[], train=train))
    assert zoo("train", "spec.json", "--out", "held", "--device", "cpu").status == 0
    assert zoo("train", "spec.json", "--out", "streamed", "--device", "cpu", "--set", "data.memory=0").status == 0
    assert results("streamed") == results("held")


def test_a_packed_file_beyond_the_budget_is_refused(zoo: Zoo, write: Write, here: Path) -> None:
    np.savez_compressed("rows.npz", inputs=np.zeros((9, 2)), targets=np.zeros((9, 1)))
    write(linear(data=ARRAYS | {"memory": 0}))
    outcome = zoo("train", "spec.json")
    assert outcome.status == 2
    assert "the train split takes 0.0 MiB, more than data.memory leaves, and can only be read whole" in outcome.err


def test_what_cannot_stream_is_refused_before_memory_is_short(zoo: Zoo, write: Write, here: Path) -> None:
    data = {"type": "FakeImages", "size": 10_000_000, "transforms": [{"type": "ToDtype", "dtype": "float32"}]}
    layers = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
    write(linear(data=data, model__layers=layers, loss={"type": "CrossEntropyLoss"}, metrics=[]))
    outcome = zoo("train", "spec.json")
    assert outcome.status == 2
    assert "the train split takes 5,742,187.5 MiB, and" in outcome.err
    assert "MiB are free; FakeImages cannot stream" in outcome.err


def test_the_test_split_streams_to_the_same_measurements(
    zoo: Zoo, write: Write, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    take(here / "pets")
    write(pets())
    zoo("train", "spec.json")
    held = zoo("evaluate", "--json")
    assert caplog.text == ""
    assert zoo("evaluate", "--json", *streamed()).out == held.out
    assert "the test split streams, read by the training itself: its rows take 0.0 MiB" in caplog.text


def stream(workers: int) -> Stream:
    checked = check_file("spec.json", ["data.memory=0", f"data.workers={workers}"])
    found = open_splits(checked, CPU, ["test"])["test"]
    assert isinstance(found, Stream)
    return found


@pytest.mark.parametrize("workers", [0, 1])
def test_reading_draws_nothing_from_the_global_generator(workers: int, write: Write, here: Path) -> None:
    take(here / "pets")
    write(pets())
    before = torch.random.get_rng_state()
    assert len(list(stream(workers).batches(range(0, 12, 5), 5))) == 3
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_image_ends_the_training_by_its_name(workers: int, zoo: Zoo, write: Write, here: Path) -> None:
    take(here / "pets")
    image = here / "pets" / "train" / "b" / "0011.png"
    image.write_bytes(image.read_bytes()[:100])
    write(pets(data__validation=None))
    outcome = zoo("train", "spec.json", "--device", "cpu", *streamed(workers))
    assert outcome.status == 2
    assert "cannot read pets/train/b/0011.png as an image" in outcome.err
    assert '"corrupt": "skip"' in outcome.err
    assert "Traceback" not in outcome.err


def workers_of(process: Started) -> list[int]:
    """Wait for the workers of a training that has begun its steps, and return them."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(600):
        assert process.runs, process.ended().err
        found = [int(number) for number in children.read_text().split()]
        if len(found) == 2 and Path("runs/pets/metrics.jsonl").is_file():
            return found
        time.sleep(0.05)
    raise AssertionError("no workers were started")


@pytest.fixture
def long(write: Write, here: Path) -> Document:
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    take(here / "pets", train=40, test=2)
    train = {"epochs": 1000, "batch_size": 1}  # most of the time there are workers with much to do
    document = pets(data__memory=0, data__workers=2, data__validation=None, train=train)
    write(document)
    return document


def test_a_worker_that_is_killed_is_told_and_the_training_goes_on_from_there(long: Document, write: Write) -> None:
    process = start("train", "spec.json", "--device", "cpu")
    workers_of(process)
    while process.runs:  # the first one may have done its work, so that nobody misses it
        for worker in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(worker), signal.SIGKILL)
        time.sleep(0.2)
    done = process.ended()
    err = done.err
    assert done.status == 2, err
    assert "a process that reads rows has died" in err
    assert "zoo train --resume runs/pets" in err
    assert "Traceback" not in err
    rows = len(Path("runs/pets/metrics.jsonl").read_text().splitlines())
    record = torch.load("runs/pets/checkpoints/last.pt", weights_only=True)
    assert record["epoch"] >= rows - 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_ends_them_quietly_with_a_checkpoint(number: signal.Signals, long: Document) -> None:
    process = start("train", "spec.json", "--device", "cpu")
    workers = workers_of(process)
    os.killpg(process.pid, number)
    done = process.ended()
    err = done.err
    assert done.status == 128 + number, err
    assert "Traceback" not in err
    assert "zoo train --resume runs/pets" in err
    assert Path("runs/pets/checkpoints/last.pt").is_file()
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_streaming_training_that_is_killed_goes_on_to_the_same_bits(
    write: Write, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    take(here / "pets")
    write(pets(data__memory=0, data__workers=1, train__ema=0.9))
    monkeypatch.setattr(clock, "EVERY", 0.0)
    monkeypatch.setattr(clock, "SHARE", 0)
    monkeypatch.setattr(loop, "READ_EVERY", 0.0)
    go_on(here / "whole")

    cut = here / "cut"
    for event, count in (("step", 3), ("evaluation", 1), ("checkpoint", 2), ("step", 2), ("evaluation", 2)):
        assert in_a_child(partial(killed, event, count, cut)) == signal.SIGKILL, (event, count)
        assert Run(cut).checkpoint_file.is_file(), (event, count)
        rows = measured(cut)
        assert rows == measured(here / "whole")[: len(rows)], (event, count)
    go_on(cut)
    assert held(cut) == held(here / "whole")


def peak() -> int:
    """Return the most memory that this process alone has had, in KiB; a forked one begins with what its parent has."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def note_peaks() -> None:
    """Read a split, streamed and then whole, and note how much more memory this process has had after each, in MiB."""
    streamed, whole = ("data.memory=20", "data.workers=0"), ("data.memory=1000",)
    next(iter(open_splits(check_file("spec.json", streamed), CPU, ["test"])["test"].batches([0], 1)))  # imports
    before = peak()
    for changes in (streamed, whole):
        rows = open_splits(check_file("spec.json", changes), CPU, ["train"])["train"]
        for first in range(0, len(rows), 8):
            next(iter(rows.batches([first], 8)))
        with Path("peaks").open("a") as noted:
            print((peak() - before) // 1024, file=noted)


def test_the_memory_of_a_stream_does_not_grow_with_the_folder(write: Write, here: Path) -> None:
    take(here / "pets", train=4, test=1)
    for index in range(4, 60):
        for name in ("a", "b"):
            (here / "pets" / "train" / name / f"{index:04}.png").symlink_to("0000.png")
    resized = [{"type": "Resize", "size": [400, 400]}, {"type": "ToDtype", "dtype": "float32"}]
    layers = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
    write(pets(data__transforms=resized, data__augmentation=[], data__validation=None, model__layers=layers))
    assert in_a_child(note_peaks) == 0
    streaming, whole = map(int, Path("peaks").read_text().split())
    held = 120 * 3 * 400 * 400 * 4 // 2**20  # MiB: 219
    assert held <= whole < held + 200  # MiB, whatever the folder: what is decoded at a time
    assert streaming < held // 3
