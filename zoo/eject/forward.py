"""Forward: the Python text of a module's class, from its constructors and from its graph of calls."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from zoo.eject.constructor import constructor, literal
from zoo.eject.tables import table, tables_in
from zoo.errors import ExportError
from zoo.layers.layer import Layer
from zoo.origins import implied
from zoo.placed import PlacedLayer

PUT = '''
def put(root: nn.Module, name: str, part: nn.Module | Tensor) -> None:
    """Put a module, a parameter or a fixed table at its name, with the containers on the way."""
    *containers, last = name.split(".")
    for container in containers:
        if not hasattr(root, container):
            root.add_module(container, nn.Module())
        root = root.get_submodule(container)
    if isinstance(part, nn.Module):
        root.add_module(last, part)
    elif isinstance(part, nn.Parameter):
        root.register_parameter(last, part)
    else:
        root.register_buffer(last, part, persistent=False)
'''


def class_source(steps: Sequence[PlacedLayer], model: nn.Module, said: str) -> str:
    """Return a function or two and `class Model`, whose state dict has the names of `model`.

    Args:
        steps: the layers of the model.
        model: what they build.
        said: the docstring of the class.

    Raises:
        ExportError: a part of the model cannot be written.
    """
    if isinstance(model, fx.GraphModule):
        return _graph_source(steps, model, said)
    return _chain_source(steps, model, said)


def options_of(placed: PlacedLayer) -> dict[str, object]:
    """Return torch's options of a layer, with those that follow from its input."""
    own = {
        name: getattr(placed.layer, name) for name in type(placed.layer).model_fields if name not in Layer.model_fields
    }
    return {name: value for name, value in (own | implied(placed)).items() if name != "type" and value is not None}


def _chain_source(steps: Sequence[PlacedLayer], model: nn.Module, said: str) -> str:
    calls = [
        (placed.name, constructor(model.get_submodule(placed.name), options_of(placed), placed.name))
        for placed in steps
    ]
    numbered = [name for name, _ in calls] == [str(index) for index in range(len(calls))]
    head = "        super().__init__("
    if numbered:
        body = [head, *(f"            {call}," for _, call in calls), "        )"]
    else:
        parts = [f'                ("{name}", {call}),' for name, call in calls]
        body = [head, "            OrderedDict([", *parts, "            ])", "        )"]
    return _class(said, "nn.Sequential", [*body, *_tied(steps)])


def _graph_source(steps: Sequence[PlacedLayer], model: fx.GraphModule, said: str) -> str:
    named = {placed.name: placed for placed in steps}
    lines: list[str] = ["        super().__init__()"]
    targets = dict.fromkeys(str(node.target) for node in model.graph.nodes if node.op in ("call_module", "get_attr"))
    nested = False
    for target in targets:
        placed = _owner(named, target)
        part: Any = model
        for key in target.split("."):
            part = getattr(part, key)
        if isinstance(part, nn.Module):
            call = constructor(part, options_of(placed), target)
        elif isinstance(part, nn.Parameter):
            call = _fresh_parameter(part, placed, target)
        else:
            call = table(part, placed, target)
        plain = target.isidentifier() and not (isinstance(part, Tensor) and not isinstance(part, nn.Parameter))
        nested = nested or not plain
        lines.append(f"        self.{target} = {call}" if plain else f'        put(self, "{target}", {call})')
    source = _class(said, "nn.Module", [*lines, *_tied(steps), "", *_forward(model)])
    functions = [*([PUT.strip()] if nested else []), *tables_in(source)]
    return "\n\n\n".join([*functions, source])


def _owner(named: dict[str, PlacedLayer], target: str) -> PlacedLayer:
    """Return the layer that a tensor or a module belongs to: the one whose name is the longest above it."""
    keys = target.split(".")
    names = (".".join(keys[:length]) for length in range(len(keys), 0, -1))
    return next(named[name] for name in names if name in named)


def _fresh_parameter(value: nn.Parameter, placed: PlacedLayer, target: str) -> str:
    """Return the text that makes a fresh parameter; how it is drawn is the layer's `std`."""
    size = tuple(value.shape)
    numbers = value.detach()
    std = getattr(placed.layer, "std", None)
    if bool((numbers == numbers.flatten()[0]).all()):
        fill = float(numbers.flatten()[0])
        text = f"torch.zeros({size})" if fill == 0 else f"torch.full({size}, {_fill(placed, fill)})"
    elif std is not None:
        text = f"torch.empty({size}).normal_(std={literal(std)})"
    else:
        raise ExportError(f"{target}: nobody knows how this parameter is drawn", "eject a spec without it")
    return f"nn.Parameter({text})"


def _fill(placed: PlacedLayer, fill: float) -> str | None:
    """Return the number that the layer says, which has more digits than the float32 it becomes."""
    said = getattr(placed.layer, "value", fill)
    return literal(said if torch.tensor(said) == fill else fill)


def _tied(steps: Sequence[PlacedLayer]) -> list[str]:
    """Return the lines that let layers share their weights."""
    pairs = [(placed.name, steps[placed.tied].name) for placed in steps if placed.tied is not None]
    return [
        f'        self.get_submodule("{name}").weight = self.get_parameter("{owner}.weight")' for name, owner in pairs
    ]


def _class(said: str, base: str, body: Iterable[str]) -> str:
    return (
        "\n".join([f"class Model({base}):", f'    """{said}"""', "", "    def __init__(self) -> None:", *body]) + "\n"
    )


def _forward(model: fx.GraphModule) -> list[str]:
    """Return the lines of `forward`, as torch.fx has them, in a person's spelling.

    Raises:
        ExportError: the graph calls something that is not torch's.
    """
    written = model.graph.python_code("self")
    known = {name for name, value in written.globals.items() if value is torch}
    (function,) = (
        node
        for node in ast.walk(ast.parse(written.src))
        if isinstance(node, ast.FunctionDef) and node.name == "forward"
    )
    function.body = [statement for statement in function.body if not _forgets(statement)]
    function = _unrenamed(function)
    local = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    strange = used - local - known - {"inf", "nan", "self", "getattr", "input", "float", "slice", "Ellipsis"}
    if strange:
        raise ExportError(f"the graph calls {', '.join(sorted(strange))}, which is not torch's", "eject a simpler spec")
    # type: the one statement of this text is a function, which only running it tells.
    function.args = ast.parse("def forward(self, input: Tensor) -> Tensor: ...").body[0].args  # type: ignore[attr-defined]
    function.returns = ast.Name("Tensor")
    return ["    " + line for line in ast.unparse(_Speller(dict(model.named_buffers())).visit(function)).splitlines()]


def _unrenamed(function: ast.FunctionDef) -> ast.FunctionDef:
    """Return the function without its first line where that gives the input another name."""
    first = function.body[0]
    if isinstance(first, ast.Assign) and isinstance(first.value, ast.Name) and first.value.id == "input":
        (target,) = first.targets
        other = target.id if isinstance(target, ast.Name) else ""
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id == other:
                node.id = "input"
        function.body = [statement for statement in function.body if statement is not first]
    return function


def _forgets(statement: ast.stmt) -> bool:
    """Return whether a statement only lets go of a tensor: `x = None`."""
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is None
    )


class _Speller(ast.NodeTransformer):
    """Spells `getattr(getattr(self, "0"), "1").conv` as `self.get_submodule("0.1.conv")`."""

    def __init__(self, buffers: Collection[str]) -> None:
        self.buffers = buffers

    def visit_Call(self, node: ast.Call) -> ast.AST:
        keys = _keys(node.func)
        if keys is None:
            return self._generic(node)
        node.func = self._member(node.func, keys, "get_submodule")
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Spell `inf` as `float("inf")`, and `Ellipsis` as `...`."""
        if node.id == "Ellipsis":
            return ast.Constant(...)
        return ast.parse(f'float("{node.id}")', mode="eval").body if node.id in ("inf", "nan") else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Spell `x[slice(None, size, None)]` as `x[:size]`."""
        node = cast(ast.Subscript, self.generic_visit(node))
        call = node.slice
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "slice":
            bounds = [None if isinstance(b, ast.Constant) and b.value is None else b for b in call.args]
            node.slice = ast.Slice(*bounds)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if ast.unparse(node.value) == "torch._C._nn" and hasattr(nn.functional, node.attr):
            return ast.parse(f"nn.functional.{node.attr}", mode="eval").body
        keys = _keys(node)
        return self._generic(node) if keys is None else self._member(node, keys, "get_parameter")

    def _generic(self, node: ast.AST) -> ast.AST:
        keys = _keys(node) if isinstance(node, ast.expr) else None
        # type: keys are there only where the node is an expression.
        return self._member(node, keys, "get_parameter") if keys else self.generic_visit(node)  # type: ignore[arg-type]

    def _member(self, node: ast.expr, keys: Sequence[str], getter: str) -> ast.expr:
        if len(keys) == 1 and keys[0].isidentifier():
            return ast.Attribute(ast.Name("self"), keys[0])
        getter = "get_buffer" if ".".join(keys) in self.buffers else getter
        return ast.Call(ast.Attribute(ast.Name("self"), getter), [ast.Constant(".".join(keys))], [])


def _keys(node: ast.expr) -> list[str] | None:
    """Return the path from `self` to a member; None for anything else."""
    if isinstance(node, ast.Attribute):
        owner, key = node.value, node.attr
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        owner = node.args[0]
        if not (isinstance(node.args[1], ast.Constant) and isinstance(node.args[1].value, str)):
            return None
        key = node.args[1].value
    else:
        return None
    if isinstance(owner, ast.Name):
        return [key] if owner.id == "self" else None
    above = _keys(owner)
    return None if above is None else [*above, key]
