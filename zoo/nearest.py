"""The nearest name: what a person probably meant."""

from collections.abc import Iterable

LONGEST_LIST = 12  # names; more do not help a person who reads an error


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None when none is close."""
    from difflib import get_close_matches

    by_lower, said = {candidate.lower(): candidate for candidate in known}, name[:100].lower()
    found = get_close_matches(said, by_lower, n=LONGEST_LIST, cutoff=0.6)
    return by_lower[min(found, key=lambda candidate: _slips(said, candidate))] if found else None


def _slips(said: str, meant: str) -> int:
    """Return how many letters were left out, put in, mistaken, or swapped with their neighbour.

    Source: Damerau 1964; the distance of optimal string alignment.
    """
    above, row = [0] * (len(meant) + 1), list(range(len(meant) + 1))
    for i, letter in enumerate(said):
        before, above, row = above, row, [i + 1]
        for j, other in enumerate(meant):
            least = min(above[j] + (letter != other), above[j + 1] + 1, row[j] + 1)
            if i and j and letter == meant[j - 1] and said[i - 1] == other:
                least = min(least, before[j - 1] + 1)
            row.append(least)
    return row[-1]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return 'did you mean "ReLU"?', or the known names when none is close."""
    names = sorted(known)
    found = nearest(name, names)
    if found is not None:
        return f'did you mean "{found}"?'
    listed = ", ".join(names[:LONGEST_LIST]) + (", …" if len(names) > LONGEST_LIST else "")
    return f"write one of: {listed}" if names else "remove it"
