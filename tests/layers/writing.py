"""What the layers owe that are written down with `emit`: rule, parameters, traced and exported copies agree."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch
from torch import nn

from agreement import LENGTH, batch_of, expected, sizes_of
from zoo.errors import ShapeError
from zoo.graph import graph_module
from zoo.layers import Layer
from zoo.layers.layer import Emitter, Function
from zoo.placed import THE_INPUT, PlacedLayer
from zoo.shapes import Shape, Value

PLACE = "layer"  # the layer's name in the state dict


class Cut(Function):
    """A memory: the first features of a sequence, and on request the sequence once more behind itself."""

    type: Literal["Cut"] = "Cut"
    size: int
    twice: bool = False

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape with `size` features, and of twice the length where it is known and asked for."""
        length = shape.dims[1] * 2 if self.twice and isinstance(shape.dims[1], int) else shape.dims[1]
        return shape.with_dims("N", length, self.size)

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the cut."""
        cut = inputs[0][..., : self.size]
        return torch.cat([cut, cut], 1) if self.twice else cut


def steps_of(layer: Layer, shape: Shape, memory: Cut | None = None) -> list[PlacedLayer]:
    """Return the layer in its place, behind the one that makes its memory of the same input.

    Raises:
        ShapeError: the layer refuses the shapes.
    """
    values: tuple[Value, ...] = (shape,)
    steps: list[PlacedLayer] = []
    if memory is not None:
        steps.append(PlacedLayer("memory", memory, (), (THE_INPUT,), values, memory.infer(values)))
        values = (shape, steps[0].result)
    inputs = (THE_INPUT, 0)[: len(values)]
    return [*steps, PlacedLayer(PLACE, layer, (), inputs, values, layer.infer(values))]


def written(layer: Layer, shape: Shape, memory: Cut | None = None) -> nn.Module:
    """Return the module; what torch draws as zeros or ones is drawn anew, so that nothing can be left out unseen."""
    torch.manual_seed(0)
    module = graph_module(steps_of(layer, shape, memory))
    with torch.no_grad():
        for parameter in module.parameters():
            if bool((parameter == parameter.flatten()[0]).all()):
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return module


def assert_written(layer: Layer, shape: Shape, memory: Cut | None = None) -> bool:
    """Hold a layer against its module where its rule accepts the shape; return whether it does."""
    try:
        value = steps_of(layer, shape, memory)[-1].result
    except ShapeError:
        return False
    module = written(layer, shape, memory)
    for rows, mode in ((2, True), (1, True), (1, False), (3, False)):
        for length in (LENGTH, LENGTH + 2) if "T" in shape.dims else (LENGTH,):
            with torch.set_grad_enabled(mode):
                given = module.train(mode)(batch_of(shape, rows, length))
            assert sizes_of(given) == expected(value, rows, length), (layer, shape)
    sizes = {f"{PLACE}.{name}": size for name, size in layer.parameter_shapes(shape).items()}
    learned = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    learned = {name: size for name, size in learned.items() if name.startswith(PLACE)}
    assert list(sizes.items()) == list(learned.items()), (layer, shape)
    assert [name for name in module.state_dict() if name.startswith(PLACE)] == list(sizes), (layer, shape)
    return True


def assert_exports(layer: Layer, shape: Shape, memory: Cut | None = None) -> None:
    """Hold traced and exported copies of the module, at other batches and lengths, against it."""
    module = written(layer, shape, memory).eval()  # with gradients: torch's fast path for attention is another kernel
    example = batch_of(shape, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit announces its end
        traced = torch.jit.trace(module, (example,), check_trace=False)  # type: ignore[no-untyped-call]  # torch has no types here
        exported = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO} | _free(shape),))
    for rows in (2, 5):
        for length in (LENGTH, LENGTH + 2, 2) if "T" in shape.dims else (LENGTH,):
            batch = batch_of(shape, rows, length)
            truth = module(batch)
            with torch.no_grad():  # with gradients TorchScript sums linear maps in another order
                assert_close(module(batch), truth)
                assert_equal(traced(batch), truth)
            assert_close(exported.module()(batch), truth)  # sums in another order


def _free(shape: Shape) -> dict[int, Any]:
    return {axis: torch.export.Dim.AUTO for axis, size in enumerate(shape.dims) if size == "T"}


# Any: a tensor, or a tuple of tensors.
def assert_equal(given: Any, truth: Any) -> None:
    """Compare bit for bit."""
    torch.testing.assert_close(given, truth, rtol=0, atol=0)


def assert_close(given: Any, truth: Any) -> None:
    """Compare two ways of computing the same."""
    torch.testing.assert_close(given, truth, rtol=1e-5, atol=1e-5)  # ~80 float32 ulps at 1.0
