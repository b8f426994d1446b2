"""Features: what the numbers of a row stand for, of a table and of a text, and how they are scaled before the model."""

from __future__ import annotations

import json
from typing import Any

from zoo.checked import CheckedSpec
from zoo.data.table_file import TableFile
from zoo.data.text_file import TextFile

MOST_CHARACTERS = 16_384  # of a vocabulary that a file holds: 64 KiB; the card has a longer one too


def names(checked: CheckedSpec) -> tuple[str, ...]:
    """Return the name of each number that the model takes, "column = word" for one of a word; none but of a table."""
    data = checked.spec.data
    if not isinstance(data, TableFile):
        return ()
    known = data.plan.categories
    return tuple(
        name
        for column in data.plan.columns
        for name in ([f"{column} = {word}" for word in known[column]] if column in known else [column])
    )


# Any: a JSON value.
def scaling(checked: CheckedSpec) -> list[dict[str, Any]]:
    """Return what happens to the features of a table before the model; nothing where they stay as they are."""
    data = checked.spec.data
    if not isinstance(data, TableFile) or data.scaling is None:
        return []
    mean, deviation = (numbers.tolist() for numbers in data.scaling)
    return [{"type": "standardize", "mean": mean, "deviation": deviation}]


# Any: a JSON value.
def tokens(checked: CheckedSpec) -> dict[str, Any]:
    """Return what a token is, and the characters in the order of their numbers; nothing where the rows are no text."""
    data = checked.spec.data
    if not isinstance(data, TextFile):
        return {}
    return {"token": data.tokens} | ({"vocabulary": data.characters} if data.tokens == "character" else {})


def told_tokens(checked: CheckedSpec) -> str:
    """Return how text becomes tokens and tokens text, as Markdown; empty where the rows are no text."""
    found = tokens(checked)
    if not found:
        return ""
    if "vocabulary" not in found:
        return (
            "* A token is a byte of a text in UTF-8: `list(text.encode())` makes them, and "
            '`bytes(tokens).decode(errors="replace")` makes text of them again.'
        )
    written = "".join(json.dumps(letter, ensure_ascii=not letter.isprintable())[1:-1] for letter in found["vocabulary"])
    return (
        "* A token is a character, and its number is its place, from 0, in the JSON string `vocabulary` below: "
        "`[vocabulary.index(letter) for letter in text]` makes tokens, and "
        '`"".join(vocabulary[number] for number in tokens)` makes text of them again.\n\n'
        f'```json\n"{written}"\n```'
    )
