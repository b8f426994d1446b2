"""Optimization: a step of torch's optimizers without torch's compiler.

`optimizer.step()` imports the compiler only to tell it that nothing is to be compiled here, which takes as long as the
import of torch itself. The step is the innermost of the functions that wrap it, and that one is called.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import optim


# Any: torch gives the functions of its optimizers no types.
@cache
def _innermost(kind: type[optim.Optimizer]) -> Callable[..., Any] | None:
    """Return the step of a class of optimizers without what wraps it; None where that takes something else."""
    function = inspect.unwrap(kind.step)
    return function if list(inspect.signature(function).parameters) == ["self", "closure"] else None


def step(optimizer: optim.Optimizer) -> None:
    """Move the weights as `optimizer.step()` does."""
    inner: Any = optimizer  # Any: these attributes are torch's own
    hooked = inner._optimizer_step_pre_hooks or inner._optimizer_step_post_hooks
    function = _innermost(type(optimizer))  # type: ignore[arg-type]  # a class is hashable
    if "torch._dynamo" in sys.modules or hooked or function is None:
        optimizer.step()
        return
    inner._opt_called = True  # what a scheduler looks for
    with torch.no_grad():
        function(optimizer, None)
