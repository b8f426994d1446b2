"""Bisection: which layer of the spec an ONNX graph computes wrongly.

The module runs in float64 and so does the graph. The first layer whose answer stands nowhere in the graph is the one.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from exporters import culprit, storage
from exporters.float64.replay import Replay
from exporters.golden import Golden
from exporters.subject import PREPROCESSING, Subject
from exporters.tolerance import GRAPH_LIMIT
from zoo.placed import PlacedLayer
from zoo.training.evaluation import evaluating


def told(subject: Subject, golden: Golden, path: Path, error: float) -> str:
    """Return the message on a graph that is wrong in float64, with the layer where that begins."""
    found = find(subject, golden.published.inputs, path)
    where = "" if found is None else f"{found if isinstance(found, str) else culprit.called(subject.checked, found)}: "
    return (
        f"{where}{path.name} is not the model: in float64 its answer is {error:.3g} of the largest output away, "
        f"and {GRAPH_LIMIT:g} is allowed"
    )


def find(subject: Subject, rows: Tensor, path: Path) -> PlacedLayer | str | None:
    """Return the first layer, or "the preprocessing", whose output in float64 is no value of the graph, or None."""
    model = storage.outline(path)
    names = [name for node in model.graph.node for name in node.output if name]
    values = Replay(model, path.parent).run({subject.input_name: rows}, names)
    standing: dict[int, list[Tensor]] = {}
    for value in values.values():
        if value.is_floating_point():
            standing.setdefault(value.numel(), []).append(value.flatten())
    for placed, output in _outputs(subject, rows):
        near_enough = GRAPH_LIMIT * float(output.abs().max())
        close = (bool(((near - output.flatten()).abs() <= near_enough).all()) for near in _near(standing, output))
        if not any(close):
            return placed
    return None


def _near(standing: dict[int, list[Tensor]], output: Tensor) -> list[Tensor]:
    return standing.get(output.numel(), [])


def _outputs(subject: Subject, rows: Tensor) -> list[tuple[PlacedLayer | str, Tensor]]:
    """Return each layer that is a module with its answer in float64, in the order in which they are computed."""
    double = copy.deepcopy(subject.module).double()
    modules = dict(double.named_modules())
    seen: list[tuple[PlacedLayer | str, Tensor]] = []

    def watch(module: nn.Module, placed: PlacedLayer | str) -> None:
        # Any: a module may give nested tuples; those are not looked at.
        def hook(module: nn.Module, given: Any, answer: Any) -> None:
            if isinstance(answer, Tensor) and answer.is_floating_point():
                seen.append((placed, answer.clone()))

        module.register_forward_hook(hook)

    if subject.raw is not None:
        watch(modules[PREPROCESSING], "the preprocessing")
    for placed in subject.checked.layers:
        if placed.name in modules:
            watch(modules[placed.name], placed)
    with evaluating(double), torch.no_grad():
        double(rows.double() if rows.is_floating_point() else rows.clone())
    return seen
