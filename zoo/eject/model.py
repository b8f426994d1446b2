"""Model: the Python text of what builds a spec's module, freezes some of it, and fills it before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from zoo.build import bare_model
from zoo.checked import CheckedSpec
from zoo.eject.constructor import literal
from zoo.eject.forward import class_source
from zoo.errors import ExportError
from zoo.initializers import Filling, Initializer
from zoo.initializers.warm_start import WarmStart
from zoo.models.known import Architecture
from zoo.warm_start import origins, read_tensors, weights_file

MATCHES = '''
def matches(name: str, *patterns: str) -> bool:
    """Return whether the last pattern that fits a name includes it; "!" in front excludes."""
    meant = patterns[0].startswith("!")
    for pattern in patterns:
        if fnmatchcase(name, pattern.removeprefix("!")):
            meant = not pattern.startswith("!")
    return meant
'''


def model_source(checked: CheckedSpec) -> str:
    """Return `class Model` where the spec writes layers; then `build_model`; and `initialize` where it fills tensors.

    Raises:
        ExportError: a part of the model cannot be written.
        RunError: the tensors of a warm start are not there.
    """
    model, first = bare_model(checked), checked.layers[0].layer
    parts = []
    if isinstance(first, Architecture):
        made = _known(first)
    else:
        parts.append(class_source(checked.layers, model, f"{checked.input} -> {checked.output}."))
        made = ["    model = Model()"] if checked.spec.freeze else ["    return Model()"]
    frozen = [
        "    for name, parameter in model.named_parameters():",
        f"        parameter.requires_grad_(not matches(name, {patterns(checked.spec.freeze)}))",
    ]
    head = ["def build_model() -> nn.Module:", '    """Return the model with freshly drawn weights."""']
    lines = [*made, *(frozen if checked.spec.freeze else [])]
    parts.append("\n".join([*head, *lines, *([] if lines == ["    return Model()"] else ["    return model"])]))
    filled = [*_pretrained(first), *(line for one in checked.spec.init for line in _filled(one, model))]
    if filled:
        says = [
            "def initialize(model: nn.Module) -> None:",
            '    """Fill the fresh model with what training begins with."""',
        ]
        parts.append("\n".join([*says, *filled]))
    return "\n\n\n".join(part.strip("\n") for part in parts)


def patterns(several: str | tuple[str, ...]) -> str:
    """Return patterns of names as arguments."""
    return ", ".join(str(literal(one)) for one in ((several,) if isinstance(several, str) else several))


def _known(architecture: Architecture) -> list[str]:
    """Return the lines that build a model of torchvision; of those that segment, the output "out" alone is given."""
    place = "torchvision.models.segmentation" if architecture.entry.segments else "torchvision.models"
    options = ", ".join(f"{name}={literal(value)}" for name, value in architecture.options().items())
    lines = [f"    model = {place}.{architecture.name}({options})"]
    if architecture.entry.segments:
        lines.append('    model.register_forward_hook(lambda module, inputs, output: output["out"])')
    return lines


def _pretrained(layer: object) -> list[str]:
    """Return the lines that load torchvision's own weights; a head for other classes stays as it was drawn."""
    if not isinstance(layer, Architecture) or layer.weights is None:
        return []
    from torchvision.models import get_model_weights

    named = get_model_weights(layer.name)[layer.weights]
    lines = [f'    named = torchvision.models.get_weight("{type(named).__name__}.{named.name}")']
    lines += ["    weights = named.get_state_dict(check_hash=True)"]
    if layer.name.startswith("densenet"):
        old, new = r'r"(denselayer\d+\.(?:norm|conv))\.(\d)\."', r'r"\1\2."'
        lines += [f"    weights = {{re.sub({old}, {new}, name): tensor for name, tensor in weights.items()}}"]
    if layer.classes is not None:
        heads = ", ".join(f'"{head}."' for head in layer.entry.heads)
        lines += [
            f"    heads = ({heads},)  # for other classes",
            "    weights = {name: tensor for name, tensor in weights.items() if not name.startswith(heads)}",
        ]
    return [*lines, "    model.load_state_dict(weights, strict=False)"]


def _filled(initializer: Initializer, model: nn.Module) -> Iterator[str]:
    """Yield the lines of one initializer."""
    if isinstance(initializer, WarmStart):
        yield from _warm_start(initializer, model)
        return
    if not isinstance(initializer, Filling):
        kind = type(initializer).__name__
        raise ExportError(f"the initializer {kind} cannot be ejected", "eject a spec without it")
    fields = type(initializer).model_fields
    said = {name: getattr(initializer, name) for name in fields if name not in ("type", "match")}
    written = [f"{name}={literal(value)}" for name, value in said.items() if value != fields[name].default]
    yield "    for name, parameter in model.named_parameters():"
    yield f"        if matches(name, {patterns(initializer.match)}):"
    yield f"            nn.init.{type(initializer).__name__}({', '.join(['parameter', *written])})"


def _warm_start(declared: WarmStart, model: nn.Module) -> Iterator[str]:
    """Yield the lines that load tensors of a file, under the names that they have there.

    Raises:
        RunError: the file is absent, or lacks a tensor.
    """
    file, tensors = weights_file(declared.source), model.state_dict()
    found = read_tensors(declared.source)
    pairs = origins(tensors, found, declared)
    safe = file.suffix == ".safetensors"
    yield f"    weights = {f'load_file({str(file)!r})' if safe else f'torch.load({str(file)!r}, weights_only=True)'}"
    if any(name != other for name, other in pairs.items()):
        yield "    names = {  # here, and in the file"
        yield from _names(pairs)
        yield "    }"
        yield "    tensors = model.state_dict()"
        yield "    weights = {name: weights[other].reshape(tensors[name].shape) for name, other in names.items()}"
    elif declared.match is not None:
        chosen = f"matches(name, {patterns(declared.match)})"
        yield f"    weights = {{name: tensor for name, tensor in weights.items() if {chosen}}}"
    yield "    model.load_state_dict(weights, strict=False)"


def _names(pairs: Mapping[str, str]) -> Iterator[str]:
    for name, other in pairs.items():
        yield f"        {literal(name)}: {literal(other)},"
