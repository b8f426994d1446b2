"""Tables that torch's exporters make anew for every export, made once for a process of tests: half its exports' time.

What is in them does not change. torch parses the sources of 500 translations to ONNX, lists every operator there is,
says of 2,000 whether and how each is made of others, registers 20 kernels for each of the 500 that are, twice in each
export to ONNX, and reads the types of a .pt2 file's fields anew for each of its nodes.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch._C import DispatchKey
from torch._export import utils
from torch._export.serde import schema, serialize
from torch._subclasses import fake_impls
from torch.export import decomp_utils, exported_program
from torch.onnx._internal.exporter import _decomp
from torch.onnx._internal.exporter._registration import ONNXRegistry

# Any, in this file: torch's operators and what computes them.
Kernels = dict[Any, Any]
Override = Callable[[Kernels], AbstractContextManager[None]]
Make = Callable[[Any], Any]


def keep(patch: pytest.MonkeyPatch) -> None:
    """Let this process make each table once."""
    patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
    patch.setattr(utils, "_materialize_cpp_cia_ops", cache(utils._materialize_cpp_cia_ops))
    made = _one_for_each_operator(utils._get_decomp_for_cia)
    for module in (utils, decomp_utils, exported_program):
        patch.setattr(module, "_get_decomp_for_cia", made)
    for owner, name in (
        (_decomp, "create_onnx_friendly_decomposition_table"),
        (exported_program, "_split_decomp_table_to_cia_and_python_decomp"),
    ):
        patch.setattr(owner, name, _once_for_the_same(getattr(owner, name)))
    hints = cache(partial(typing.get_type_hints, globalns=vars(schema)))
    known = SimpleNamespace(**vars(typing) | {"get_type_hints": lambda kind, globalns: hints(kind)})
    patch.setattr(serialize, "typing", known)
    override = _remembering(exported_program._override_composite_implicit_decomp)
    patch.setattr(exported_program, "_override_composite_implicit_decomp", override)


def _once_for_the_same(make: Make) -> Make:
    """Return what gives for the operators it was given last what it made of them, unless torch knows more by now."""
    last: list[tuple[Any, Any]] = []

    def made(operators: Any) -> Any:
        known = copy(operators), len(torch.ops._dir), len(torch._decomp.decomposition_table)
        if not last or last[0][0] != known:
            last[:] = [(known, make(operators))]
        return last[0][1]

    return made


def _one_for_each_operator(make: Make) -> Make:
    """Return what makes an operator of others, the same object each time unless a kernel in Python stands for it."""
    made = cache(make)
    return lambda operator: (make if DispatchKey.CompositeImplicitAutograd in operator.py_kernels else made)(operator)


def _remembering(override: Override) -> Override:
    """Return torch's override, which sets what it has registered for the same operators before."""
    last: list[tuple[Kernels, Kernels]] = []  # the operators, and the kernels and the rule of each

    @contextmanager
    def overridden(operators: Kernels) -> Iterator[None]:
        if not last or last[0][0] != operators:
            with override(operators):
                rules = fake_impls.op_implementations_dict
                last[:] = [(dict(operators), {one: (dict(one.py_kernels), rules[one]) for one in operators})]
                yield
            return
        before = {one: dict(one.py_kernels) for one in operators}
        for one, (kernels, rule) in last[0][1].items():
            _replace(one, kernels)
            if not fake_impls._is_op_registered_to_fake_rule(one):
                fake_impls.register_op_impl(one)(rule)
        try:
            yield
        finally:
            for one, kernels in before.items():
                _replace(one, kernels)
                fake_impls._deregister_op_impl(one)

    return overridden


def _replace(operator: Any, kernels: Kernels) -> None:
    operator.py_kernels.clear()
    operator.py_kernels.update(kernels)
    operator._dispatch_cache.clear()
