"""What the tests share: small specs, the command line in this process, and the real data where it is."""

from __future__ import annotations

import gc
import json
import os
import resource
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cli

REPOSITORY = Path(__file__).parent.parent
REAL_DATA = REPOSITORY.parent / "shared" / "data"

Document = dict[str, Any]
"""A spec as JSON values."""


def pytest_configure(config: pytest.Config) -> None:
    """Use one thread: of several, none would live in the processes that tests fork, and those would wait for them.

    torch.manual_seed is spared the stack that it notes for each kind of device there is not: half of a layer's test.
    """
    if _hands_out(config):
        return
    import torch

    config.add_cleanup(gc.unfreeze)  # nanobind tells at the end of objects that no collector may free
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
    torch.set_num_threads(1)
    for device in (torch.cuda, torch.mtia, torch.xpu):
        if not device.is_available():
            vars(device)["traceback"] = SimpleNamespace(format_stack=list)


def _hands_out(config: pytest.Config) -> bool:
    """Return whether this process only hands the tests out to others, and needs no torch."""
    return bool(config.getoption("numprocesses", None))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Spare the garbage collector torch's modules and the collected tests: a sixth of the suite's time."""
    if _hands_out(session.config):
        return (yield)
    import torch

    gc.disable()
    collected = yield
    # torch.export makes torch believe in a GPU, for which a first gradient after it starts a thread; no process that a
    # test forks could take gradients then.
    torch.ones(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]  # torch gives it no types
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # young objects, young and middle collections before the next older one
    gc.enable()
    return collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that no worker waits in the end for another one's."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    status: int
    out: str
    err: str


@pytest.fixture
def real_data() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"needs the real data at {REAL_DATA.relative_to(REPOSITORY.parent)} beside the checkout")
    return REAL_DATA


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, made the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def zoo(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a command of zoo in this process."""

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr("sys.argv", ["zoo", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        written = capfd.readouterr()
        status = left.value.code
        assert isinstance(status, int)
        return Outcome(status, written.out, written.err)

    return run


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let the system refuse every byte of a file beyond `size`, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read_terminal(leader: int) -> bytes:
    """Return all that is written to a pseudo-terminal until its other end is closed."""
    shown = b""
    with suppress(OSError), open(leader, "rb", buffering=0) as terminal:  # EIO, where the other end is closed
        while piece := terminal.read(4096):
            shown += piece
    return shown


def flipped(content: bytes, place: int) -> bytes:
    """The content with one bit turned over."""
    turned = bytearray(content)
    turned[place // 8] ^= 1 << place % 8
    return bytes(turned)


def linear(**changes: object) -> Document:
    """A spec that trains in a moment; `train__epochs=3` changes an option below."""
    document: Document = {
        "name": "line",
        "data": {"type": "LinearFunction", "weights": [1.0, -2.0], "samples": 20, "low": -3, "high": 4},
        "model": {"layers": [{"type": "Linear", "out_features": 1}]},
        "loss": {"type": "MSELoss"},
        "metrics": [{"type": "MeanAbsoluteError"}],
        "optimizer": {"type": "SGD", "lr": 0.01},
        "train": {"epochs": 2, "batch_size": 4},
    }
    for dotted, value in changes.items():
        *owners, key = dotted.split("__")
        here = document
        for owner in owners:
            here = here[owner]
        here[key] = value
    return document


def noise(rows: int, size: list[int], classes: int = 3, **options: object) -> Document:
    """Data of random pixels as numbers between 0 and 1, in so many classes."""
    transforms = [{"type": "ToDtype", "dtype": "float32", "scale": True}]
    described = {"type": "FakeImages", "size": rows, "image_size": size, "num_classes": classes}
    return {**described, "transforms": transforms, **options}


@pytest.fixture
def write(here: Path) -> Callable[..., str]:
    """Write a document, or a text as it stands, into the current folder; its name comes back."""

    def written(document: Document | str, name: str = "spec.json") -> str:
        text = document if isinstance(document, str) else json.dumps(document, indent=2)
        (here / name).write_text(text, encoding="utf-8")
        return name

    return written
