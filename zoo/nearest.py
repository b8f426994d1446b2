"""The nearest name: what a person probably meant."""

from collections.abc import Iterable

LONGEST_LIST = 12  # names; more do not help a person who reads an error


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None when none is close."""
    from difflib import get_close_matches

    by_lower = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(name[:100].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return 'did you mean "ReLU"?', or the known names when none is close."""
    names = sorted(known)
    found = nearest(name, names)
    if found is not None:
        return f'did you mean "{found}"?'
    listed = ", ".join(names[:LONGEST_LIST]) + (", …" if len(names) > LONGEST_LIST else "")
    return f"write one of: {listed}" if names else "remove it"
