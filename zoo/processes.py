"""Processes: whether torch's launcher started this one as one of several, read from what it says to each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import UsageError

COMMAND_LINE = Path(__file__).parents[1] / "cli.py"
"""What each of several processes runs; it stands beside the package in a checkout and in a wheel."""
OWN = "zoo-"  # how the launcher's name for a training begins where `zoo train --processes` started it


@dataclass(frozen=True)
class Seat:
    """The place of this process among those of a training."""

    rank: int
    """Counted from 0 over all machines."""
    size: int
    """Processes on all machines."""
    local_rank: int
    """Counted from 0 on this machine."""
    local_size: int
    """Processes on this machine."""
    own: bool
    """Whether `zoo train --processes` started it, and not torchrun."""


def seat(environment: Mapping[str, str] = os.environ) -> Seat | None:
    """Return the place that the launcher gave this process; None where it was started alone.

    Raises:
        UsageError: the launcher's variables are incomplete, or not numbers.
    """
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return None
    try:
        rank, size = (int(environment[name]) for name in ("RANK", "WORLD_SIZE"))
        local_rank, local_size = (int(environment[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    except (KeyError, ValueError) as error:
        message = (
            f"one of several processes needs whole numbers in RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE: {error}"
        )
        raise UsageError(message, "start with torchrun, which sets them; or unset RANK and WORLD_SIZE") from error
    return Seat(rank, size, local_rank, local_size, environment.get("TORCHELASTIC_RUN_ID", "").startswith(OWN))


def one_of_several(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process is one of two or more of a training."""
    return environment.get("WORLD_SIZE", "1") != "1" and "RANK" in environment


def require_rows(batch_size: int, processes: int) -> None:
    """Refuse more processes than a batch has rows.

    Raises:
        UsageError: some of them would have nothing to do.
    """
    if processes > batch_size:
        message = f"{processes} processes cannot share batches of {batch_size} rows"
        remedy = f"start at most {batch_size}, or write a train.batch_size of {processes} or more: it is that of all"
        raise UsageError(message, remedy)


def require_alone_or_own(processes: int | None) -> None:
    """Refuse to start processes inside of one that a launcher has started.

    Raises:
        UsageError: torchrun has started the processes already.
    """
    here = seat()
    if processes is not None and here is not None and not here.own:
        message = f"--processes {processes}, but torchrun has started {here.size} processes already"
        raise UsageError(message, "remove --processes; torchrun's --nproc-per-node says how many")
