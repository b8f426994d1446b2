"""Dispatch: a context that stands below autograd and sees each operator of torch before it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Dispatch(TorchDispatchMode, ABC):  # type: ignore[no-untyped-call]  # torch gives it no types
    """A context in which `run` runs each operator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return that torch's compiler needs no word that this is not to be compiled: its import takes a second."""
        return False

    # Any: whatever torch's operators take and give.
    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operator."""
        return self.run(func, args, dict(kwargs or {}))

    # Any: as above.
    @abstractmethod
    def run(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        """Run an operator with its arguments, and those given by name; return its result."""
