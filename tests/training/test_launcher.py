"""The launcher: processes of this machine by torch's elastic launcher, which end together and say why once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_killed import in_a_child
from together import imported
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from conftest import Outcome, linear
from forking import LIMIT, forked_workers, start
from zoo.processes import COMMAND_LINE
from zoo.training.launcher import first_to_fail

__all__ = ["forked_workers", "imported"]  # fixtures

pytestmark = pytest.mark.long


def workers(launcher: int) -> list[int]:
    """Return the processes that a launcher has started, by their parents in /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[1]) == launcher:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.usefixtures("forked_workers")
def test_a_process_that_is_killed_ends_all_with_one_message(write: Callable[..., str], here: Path) -> None:
    write(linear(train={"epochs": 100_000, "batch_size": 4}))
    launcher = start("train", "spec.json", "--processes", "2", "--out", "run")
    until = time.monotonic() + LIMIT
    while not (here / "run/metrics.jsonl").is_file() and time.monotonic() < until:
        time.sleep(0.05)
    started = workers(launcher.pid)
    assert len(started) == 2
    os.kill(started[1], signal.SIGKILL)
    done = launcher.ended()
    assert done.status == 1
    lines = [line for line in done.err.splitlines() if not line.startswith(("epoch", "every"))]
    assert len(lines) == 2
    assert lines[0].endswith("of 2 was killed by SIGKILL; the others have been ended")
    assert not [worker for worker in started if Path(f"/proc/{worker}").exists()]


def failure(exitcode: int, timestamp: int = 0) -> ProcessFailure:
    made = ProcessFailure(local_rank=0, pid=1, exitcode=exitcode, error_file="")
    made.timestamp = timestamp
    return made


@pytest.mark.parametrize(
    ("ended", "first"),
    [
        ((failure(1), failure(-signal.SIGKILL)), 1),
        ((failure(1), failure(-signal.SIGSEGV, 1)), 1),
        ((failure(1), failure(-signal.SIGTERM)), 0),
        ((failure(1), failure(-signal.SIGKILL, 30)), 0),
        ((failure(2), failure(-signal.SIGKILL)), 0),
        ((failure(-signal.SIGKILL, 1), failure(1)), 0),
    ],
    ids=["killed", "crashed", "ended by the launcher", "killed by the launcher", "an error", "seen later"],
)
def test_a_killed_process_is_the_cause_of_one_that_lost_it(ended: tuple[ProcessFailure, ...], first: int) -> None:
    assert first_to_fail(ChildFailedError("cli.py", dict(enumerate(ended))))[0] == first


@pytest.mark.usefixtures("forked_workers")
def test_a_signal_to_the_launcher_leaves_a_checkpoint(write: Callable[..., str], here: Path) -> None:
    write(linear(train={"epochs": 100_000, "batch_size": 4}))
    launcher = start("train", "spec.json", "--processes", "2", "--out", "run")
    until = time.monotonic() + LIMIT
    while not (here / "run/metrics.jsonl").is_file() and time.monotonic() < until:
        time.sleep(0.05)
    launcher.send(signal.SIGTERM)
    done = launcher.ended()
    assert done.status == 143
    lines = [line for line in done.err.splitlines() if not line.startswith(("epoch", "every"))]
    assert len(lines) == 2
    assert lines[0].startswith("interrupted: in epoch")
    assert (here / "run/checkpoints/last.pt").is_file()


@pytest.mark.usefixtures("forked_workers")
def test_torchrun_starts_the_processes_too(
    write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(linear())
    asked = ["--standalone", "--nproc-per-node", "2", str(COMMAND_LINE), "train", "spec.json", "--json"]
    assert in_a_child(lambda: torchrun.main(asked)) == 0
    json.loads(capfd.readouterr().out)  # of one process alone
    assert json.loads((here / "runs/line/environment.json").read_text())["processes"] == 2


def test_what_every_process_would_refuse_is_refused_before_they_start(
    write: Callable[..., str], zoo: Callable[..., Outcome]
) -> None:
    write(linear(train={"epochs": 2, "batch_size": 4}))
    done = zoo("train", "spec.json", "--processes", "5")
    assert done.status == 2
    assert done.err.count("error:") == 1
    assert "5 processes cannot share batches of 4 rows" in done.err
    assert zoo("train", "spec.json", "--processes", "2", "--set", "train.epochs=0").status == 2
    none = zoo("train", "spec.json", "--processes", "0")
    assert none.status == 2
    assert "1<=x<=1024" in none.err
