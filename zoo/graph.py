"""The graph: steps that branch and join, written down with torch.fx as a plain module that needs no zoo to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from zoo.layers.layer import Layer
from zoo.placed import THE_INPUT, PlacedLayer
from zoo.shapes import Shape, Value


@dataclass(frozen=True)
class _Emitter:
    """Writes down one layer; its tensors stand below `name` in the state dict."""

    root: nn.Module
    graph: fx.Graph
    tracer: fx.proxy.GraphAppendingTracer
    name: str

    def module(self, module: nn.Module, name: str = "") -> Any:
        """Return a function of proxies that calls `module`."""
        target = self._target(name)
        owner, key = self._owner(target)
        owner.add_module(key, module)

        # Any: proxies, and what torch.fx lets stand beside them.
        def call(*inputs: Any, **options: Any) -> fx.Proxy:
            given = [_nodes(value) for value in inputs]
            node = self.graph.call_module(target, tuple(given), {k: _nodes(v) for k, v in options.items()})
            return fx.Proxy(node, self.tracer)

        return call

    def parameter(self, name: str, value: Tensor) -> fx.Proxy:
        """Return the proxy of a learned tensor."""
        target = self._target(name)
        owner, key = self._owner(target)
        owner.register_parameter(key, nn.Parameter(value))
        return fx.Proxy(self.graph.get_attr(target), self.tracer)

    def buffer(self, name: str, value: Tensor) -> fx.Proxy:
        """Return the proxy of a tensor that is not learned and not in the state dict."""
        target = self._target(name)
        owner, key = self._owner(target)
        owner.register_buffer(key, value, persistent=False)
        return fx.Proxy(self.graph.get_attr(target), self.tracer)

    def _target(self, name: str) -> str:
        return ".".join(part for part in (self.name, name) if part) or "layer"  # a layer alone has no name

    def _owner(self, target: str) -> tuple[nn.Module, str]:
        """Return the module that holds `target`, made where it is not there, and its last name."""
        *containers, key = target.split(".")
        owner = self.root
        for container in containers:
            if not hasattr(owner, container):
                owner.add_module(container, nn.Module())
            owner = owner.get_submodule(container)
        return owner, key


# Any: what torch.fx takes as an argument.
def _nodes(value: Any) -> Any:
    if isinstance(value, fx.Proxy):
        return value.node
    return type(value)(_nodes(part) for part in value) if isinstance(value, tuple | list) else value


def graph_module(steps: Sequence[PlacedLayer]) -> fx.GraphModule:
    """Return the module that computes the steps in order, and gives what the last one gives."""
    root, graph = nn.Module(), fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(graph)
    proxies: dict[int, Any] = {THE_INPUT: fx.Proxy(graph.placeholder("input"), tracer)}
    for number, placed in enumerate(steps):
        emitter = _Emitter(root, graph, tracer, placed.name)
        proxies[number] = placed.layer.emit(emitter, placed.values, tuple(proxies[step] for step in placed.inputs))
    graph.output(_nodes(proxies[len(steps) - 1]))
    graph.lint()
    return _module(root, graph, "Model")


def layer_module(layer: Layer, values: tuple[Value, ...]) -> nn.Module:
    """Return the module of one layer by itself; several inputs come as several arguments."""
    if not layer.functional and len(values) == 1 and isinstance(values[0], Shape):
        return layer.build(values[0])
    root, graph = nn.Module(), fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(graph)
    inputs = tuple(fx.Proxy(graph.placeholder(f"input_{index}"), tracer) for index in range(len(values)))
    graph.output(_nodes(layer.emit(_Emitter(root, graph, tracer, ""), values, inputs)))
    return _module(root, graph, type(layer).__name__)


def _module(root: nn.Module, graph: fx.Graph, name: str) -> fx.GraphModule:
    """Return the graph as a module; torch 2.11 takes each buffer for one of the state dict, which this corrects."""
    module = fx.GraphModule(root, graph, class_name=name)
    kept = root.state_dict().keys()
    for path, buffer in list(module.named_buffers(remove_duplicate=False)):
        if path not in kept:
            owner, _, key = path.rpartition(".")
            module.get_submodule(owner).register_buffer(key, buffer, persistent=False)
    return module


def is_chain(steps: Sequence[PlacedLayer]) -> bool:
    """Return whether each step is a module of its own, fed by the one before: a torch.nn.Sequential."""
    return all(
        placed.inputs == (number - 1,) and not placed.layer.functional and "." not in placed.name
        for number, placed in enumerate(steps)
    )
