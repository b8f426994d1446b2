"""Features: what the numbers of a table's row stand for, and how they are scaled before the model."""

from __future__ import annotations

from typing import Any

from zoo.checked import CheckedSpec
from zoo.data.table_file import TableFile


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
