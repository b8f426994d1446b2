"""Cut: a model in two, where everything above is frozen: what no step changes, and what is trained.

The model is traced with torch.fx; modules that are wholly frozen or wholly trained stay as they are. The cut lies
behind the last frozen step that all which follows depends on alone. Both parts share the model's own tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx, nn
from torch.fx.proxy import TraceError

UNTRACEABLE = (TraceError, TypeError, RuntimeError, ValueError, AttributeError, LookupError, AssertionError)
"""What torch.fx raises where a model decides by its numbers, or does what no graph can say."""
DRAWING = (
    nn.modules.dropout._DropoutNd,
    nn.modules.batchnorm._NormBase,
    nn.RReLU,
    nn.FractionalMaxPool2d,
    nn.FractionalMaxPool3d,
)
"""Modules that give something else in training, or move."""


@dataclass(frozen=True)
class Cut:
    """A model in two."""

    name: str
    """What the last step above the cut is called."""
    head: nn.Module
    """Gives the features; nothing in it is trained."""
    tail: nn.Module
    """Gives what the model gives, from the features."""


class _Tracer(fx.Tracer):
    """Looks into modules only that are partly frozen."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        trained = [parameter.requires_grad for parameter in m.parameters()]
        return all(trained) or not any(trained) or super().is_leaf_module(m, module_qualified_name)


def cut(model: nn.Module) -> Cut | None:
    """Return the model in two, in the modes that its modules are in; None where there is no such place.

    Raises:
        UNTRACEABLE: torch.fx cannot follow the model.
    """
    graph = _Tracer().trace(model)
    still: set[fx.Node] = set()
    frozen: set[fx.Node] = set()  # still, and with learned tensors above
    for node in graph.nodes:
        if node.op != "output" and still.issuperset(node.all_input_nodes) and _is_still(model, node):
            still.add(node)
            if _has_tensors(model, node) or not frozen.isdisjoint(node.all_input_nodes):
                frozen.add(node)
    (output,) = graph.find_nodes(op="output")
    for node in reversed(graph.nodes):
        if node in frozen and node.op != "get_attr":
            behind = set(_ancestors(output, node))
            if node in behind and not any(other.op == "placeholder" for other in behind):
                return Cut(_called(node), _head(model, graph, node), _tail(model, graph, node, behind))
    return None


def _is_still(model: nn.Module, node: fx.Node) -> bool:
    """Return whether a step whose inputs never change gives the same for each of them, whenever it runs."""
    if node.op == "get_attr":
        owner, _, name = str(node.target).rpartition(".")
        return not getattr(model.get_submodule(owner), name).requires_grad
    if node.op != "call_module":
        return True
    module = model.get_submodule(str(node.target))
    if any(parameter.requires_grad for parameter in module.parameters()):
        return False
    return not any(
        part.training and (isinstance(part, DRAWING) or type(part).__name__ == "StochasticDepth")
        for part in module.modules()
    )


def _has_tensors(model: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and any(True for _ in model.get_submodule(str(node.target)).parameters())


def _ancestors(node: fx.Node, stop: fx.Node) -> Iterator[fx.Node]:
    """Yield the steps that a step depends on, and of what lies above `stop` nothing but itself."""
    waiting, seen = [node], {node}
    while waiting:
        for giver in waiting.pop().all_input_nodes:
            if giver not in seen:
                seen.add(giver)
                yield giver
                if giver is not stop:
                    waiting.append(giver)


def _head(model: nn.Module, graph: fx.Graph, last: fx.Node) -> fx.GraphModule:
    above = {last, *_ancestors(last, last)}
    head = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node in above or node.op == "placeholder":
            copies[node] = head.node_copy(node, copies.__getitem__)
    head.output(copies[last])
    return fx.GraphModule(model, head, class_name="Head")


def _tail(model: nn.Module, graph: fx.Graph, last: fx.Node, behind: set[fx.Node]) -> fx.GraphModule:
    tail = fx.Graph()
    copies = {last: tail.placeholder("features")}
    for node in graph.nodes:
        if node.op == "output" or (node in behind and node is not last):
            copies[node] = tail.node_copy(node, copies.__getitem__)
    return fx.GraphModule(model, tail, class_name="Tail")


def _called(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name
