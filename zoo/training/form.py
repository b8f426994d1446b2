"""The form of values read from a file: whether they are built as values made here are, whatever they hold."""

from __future__ import annotations

import torch

LARGEST = 2**63  # torch counts in 64 bits


def require_form(value: object, pattern: object, name: str) -> None:
    """Refuse a value that is not built like the pattern.

    The same form have: dictionaries of the same keys and rows of the same length, whose members have the same form;
    tensors of the same shape and dtype; numbers; equal values of any other type.

    Args:
        value: of any origin.
        pattern: a value that is as it should be.
        name: how the value is called in the message.

    Raises:
        ValueError: with the first place that differs, and how.
    """
    if isinstance(pattern, torch.Tensor):
        if not isinstance(value, torch.Tensor) or value.dtype != pattern.dtype or value.shape != pattern.shape:
            raise ValueError(f"{name} is {described(value)}, not {described(pattern)}")
    elif isinstance(pattern, dict):
        if not isinstance(value, dict) or value.keys() != pattern.keys():
            raise ValueError(f"{name} is {described(value)}, not {described(pattern)}")
        for key, member in pattern.items():
            require_form(value[key], member, f"{name}.{key}")
    elif isinstance(pattern, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(pattern):
            raise ValueError(f"{name} is {described(value)}, not {described(pattern)}")
        for index, member in enumerate(pattern):
            require_form(value[index], member, f"{name}.{index}")
    elif isinstance(pattern, int | float) and not isinstance(pattern, bool):
        if not is_number(value):
            raise ValueError(f"{name} is {described(value)}, not a number")
    elif type(value) is not type(pattern) or value != pattern:
        raise ValueError(f"{name} is {described(value)}, not {described(pattern)}")


def is_number(value: object) -> bool:
    """Return whether a value is a float, or a whole number of 64 bits; true and false are none."""
    return isinstance(value, float) or is_whole(value)


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number of 64 bits; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST


def described(value: object) -> str:
    """Return a few words on a value: what it is made of, and not all that it holds."""
    if isinstance(value, torch.Tensor):
        return f"a tensor {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, dict):
        return f"a dictionary of {', '.join(map(str, value)) or 'nothing'}"[:80]
    if isinstance(value, list | tuple):
        return f"a row of {len(value)}"
    return repr(value)[:40] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
