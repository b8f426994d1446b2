"""Launcher: the processes of a training on this machine, started by torch's elastic launcher as torchrun does it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from zoo.economy import cores
from zoo.errors import ProcessLost
from zoo.processes import OWN

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""The signals that torch's launcher takes for itself."""


def launch(program: Path, arguments: Sequence[str], processes: int) -> int:
    """Return the exit status of a program after so many processes of it have ended.

    One that fails ends all: the others get SIGTERM, and SIGKILL after TORCH_ELASTIC_SHUTDOWN_TIMEOUT seconds (30). A
    signal to this process goes to each of them.

    Args:
        program: a file of Python.
        arguments: of each process.
        processes: how many.

    Raises:
        ProcessLost: a process was killed by a signal.
    """
    _silence()
    handlers = {number: signal.getsignal(number) for number in HEARD}
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=f"{OWN}{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        local_addr="localhost",
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )
    try:
        elastic_launch(config, sys.executable)(str(program), *arguments)
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    except ChildFailedError as failed:
        rank, failure = first_to_fail(failed)
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            message = f"process {rank} of {processes} was killed by {name}; the others have been ended"
            raise ProcessLost(message, "go on with zoo train --resume RUN, where it has a checkpoint") from failed
        return failure.exitcode
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


def first_to_fail(failed: ChildFailedError) -> tuple[int, ProcessFailure]:
    """Return the rank that made the others fail, and how.

    One that was killed comes before one that lost it, which says nothing: both may have ended when torch looks.
    """
    rank, first = failed.get_first_failure()
    if first.exitcode == ProcessLost.exit_status:
        for other, failure in failed.failures.items():
            at_once = failure.timestamp - first.timestamp <= 1  # second; later it was the launcher that killed it
            if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM and at_once:
                return other, failure
    return rank, first


def _silence() -> None:
    """Keep torch's launcher from writing pages about a process that failed: zoo says what happened, once."""
    for name in logging.root.manager.loggerDict:
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
