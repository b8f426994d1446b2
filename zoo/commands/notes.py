"""Notes: what a command says beside its numbers."""

from __future__ import annotations


def show_notes(shown: bool = True) -> None:
    """Let what a command says beside its numbers, through Python's logging, appear on stderr."""
    import logging

    logging.getLogger("zoo").setLevel(logging.INFO if shown else logging.CRITICAL)
    if logging.lastResort is not None:
        logging.lastResort.setLevel(logging.INFO)  # where the program around zoo has said nothing else
