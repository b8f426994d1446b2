"""Colours: what a problem looks like on a terminal, and whether there is one."""

from __future__ import annotations

import os
from typing import TextIO

import click

from zoo.errors import Problem


def coloured(stream: TextIO) -> bool:
    """Return whether a person reads the stream on a terminal that shows colours, and has not said NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(problem: Problem) -> str:
    """Return the problem as a person reads it on a terminal: the same words, in colours."""
    excerpt = problem.place.excerpt()
    if excerpt:
        line, underline, _ = excerpt.split("\n")
        margin, _, marks = underline.rpartition("│ ")
        gutter, _, text = line.partition("│ ")
        dim = click.style(f"{gutter}│ ", dim=True), click.style(f"{margin}│ ", dim=True)
        excerpt = f"{dim[0]}{text}\n{dim[1]}{click.style(marks, fg='red', bold=True)}\n"
    place = click.style(f"{problem.place}:", bold=True)
    error, remedy = click.style("error:", fg="red", bold=True), click.style("remedy:", fg="green", bold=True)
    return f"{place} {error} {problem.message}\n{excerpt}   {remedy} {problem.remedy}"


def mute(stream: TextIO) -> None:
    """Send nowhere what is still written to a stream whose reader has left.

    Source: https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
