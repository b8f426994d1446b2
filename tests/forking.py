"""Commands in processes forked from this one, which spares them the seconds of imports; start-up has its own tests."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler

import cli
from conftest import Outcome
from zoo.processes import COMMAND_LINE
from zoo.training.launcher import HEARD

LIMIT = 120.0  # seconds that a command has to end, on a busy machine


@dataclass(frozen=True)
class Started:
    """A command that runs in a process, and a group, of its own."""

    process: BaseProcess
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        """The id of the process, and of its group."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def runs(self) -> bool:
        """Whether the command has not ended yet."""
        return self.process.is_alive()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        os.kill(self.pid, number)

    def ended(self) -> Outcome:
        """Wait for the end, and return what the command did; a signal that killed it is a negative status."""
        self.process.join(LIMIT)
        status = self.process.exitcode
        if status is None:
            os.killpg(self.pid, signal.SIGKILL)  # else pytest would wait for it in the end
        assert status is not None, "the command does not end"
        return Outcome(status, self.out.read_text(encoding="utf-8"), self.err.read_text(encoding="utf-8"))


def start(*arguments: str | Path, err: int | None = None, out: int | None = None) -> Started:
    """Start a command of zoo in the current folder.

    Args:
        arguments: behind `zoo`.
        err: the file descriptor of its standard error; a file otherwise.
        out: likewise of its standard output.
    """
    count = len(list(Path.cwd().glob(".said*")))
    said = Path.cwd() / f".said{count}"
    said.mkdir()
    files = (said / "out", said / "err")
    for file in files:
        file.touch()
    process = multiprocessing.get_context("fork").Process(target=_run, args=(arguments, files, (out, err)))
    process.start()
    return Started(process, *files)


class Worker:
    """A process that torch's launcher starts, forked from the launcher; it has what a Popen has that the launcher asks.

    Args:
        command: the interpreter, the command line, and what follows it.
        environment: all of it.
    """

    def __init__(self, command: tuple[str, ...], environment: dict[str, str]) -> None:
        arguments = command[command.index(str(COMMAND_LINE)) + 1 :]
        self._process = multiprocessing.get_context("fork").Process(target=_work, args=(arguments, environment))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return how the process has ended; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> None:
        """Wait so many seconds for its end."""
        self._process.join(timeout)


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let launchers fork the processes that they start."""
    monkeypatch.setattr(SubprocessHandler, "_popen", lambda handler, *started: Worker(*started))


def _work(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    os.setsid()
    for number in HEARD:
        signal.signal(number, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    _command(arguments)


def _run(arguments: tuple[str | Path, ...], files: tuple[Path, Path], given: tuple[int | None, int | None]) -> None:
    os.setsid()
    for number, (file, descriptor) in enumerate(zip(files, given, strict=True), start=1):
        os.dup2(os.open(file, os.O_WRONLY) if descriptor is None else descriptor, number)
    _command(arguments)


def _command(arguments: Sequence[str | Path]) -> None:
    """Be a process of zoo from here on."""
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115  # as long as the process
    logging.getLogger().handlers.clear()  # pytest's
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["zoo", *map(str, arguments)]
    cli.main()
