"""Notes: what a command says beside its numbers, and of which run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import ZooError


@contextmanager
def answering(run: Path | None) -> Iterator[None]:
    """Let what is refused say of which run it is, which zoo may have picked; None where it is of none."""
    try:
        yield
    except ZooError as error:
        if run is not None and str(run) not in str(error):
            error.message = f"{run}: {error.message}"
        raise


def show_notes(shown: bool = True) -> None:
    """Let what a command says beside its numbers, through Python's logging, appear on stderr."""
    import logging

    logging.getLogger("zoo").setLevel(logging.INFO if shown else logging.CRITICAL)
    if logging.lastResort is not None:
        logging.lastResort.setLevel(logging.INFO)  # where the program around zoo has said nothing else
