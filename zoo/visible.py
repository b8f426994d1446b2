"""Visible: a text as a table shows it, where some of its letters would show nothing."""

from __future__ import annotations

SPACE = "\N{OPEN BOX}"  # what stands for a space that nobody would see


def visible(text: str) -> str:
    """Return the text with spaces at its ends as "␣", and letters that cannot be printed as Python writes them."""
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    from_start = shown.lstrip(" ")
    inner = from_start.rstrip(" ")
    return SPACE * (len(shown) - len(from_start)) + inner + SPACE * (len(from_start) - len(inner))
