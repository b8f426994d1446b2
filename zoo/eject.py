"""Eject: a spec as one file of plain PyTorch, proven to build the same weights and to give the same outputs.

The file is put together from numbers, torch's own names and the spec's checked names; what a person wrote as prose
stands in its first string alone, escaped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim

from zoo import __version__
from zoo.build import bare_model, build_optimizer, fresh_model
from zoo.checked import CheckedSpec
from zoo.constructor import constructor, literal
from zoo.errors import ExportError
from zoo.files import write_text
from zoo.forward import model_source
from zoo.rows import data_source
from zoo.shapes import Shape
from zoo.strict import Strict

TRAIN = {"epochs", "batch_size", "drop_last", "shuffle", "seed"}
SPEC = {"schema_reference", "name", "summary", "extends", "blocks", "data", "model", "freeze", "loss", "metrics"}
SPEC |= {"optimizer", "scheduler", "train"}


def eject(checked: CheckedSpec, path: Path) -> None:
    """Write a spec as one Python file that needs torch, and torchvision where the data does, and no zoo.

    Raises:
        ExportError: the spec says something that the file cannot; nothing is written.
        OutputError: the file cannot be written.
    """
    write_text(path, source(checked))


def source(checked: CheckedSpec) -> str:
    """Return the text of the file, after comparing its module with zoo's.

    Raises:
        ExportError: the spec says something that the file cannot.
    """
    spec = checked.spec
    _require_known(spec, SPEC, "")
    _require_known(spec.train, TRAIN, "train.")
    if spec.loss.counts_classes:
        raise ExportError("loss.weight cannot be ejected yet where it is counted", "write the weights as numbers")
    model = model_source(checked, bare_model(checked))
    _prove(checked, model)
    parts = [model, data_source(checked), _training(checked), _MAIN.format(weights=f"{spec.name}.pt")]
    body = "\n\n".join(part.strip("\n") + "\n" for part in parts)
    imports = _imports(body)
    return f"{_header(checked, imports)}\n{imports}\n\n{_constants(checked)}\n\n\n{body}"


def _require_known(part: Strict, known: set[str], prefix: str) -> None:
    """Refuse options that the file would not follow."""
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name not in known and value != field.default:
            raise ExportError(f"{prefix}{name} cannot be ejected yet", f"eject a spec without {prefix}{name}")


def _header(checked: CheckedSpec, imports: str) -> str:
    """Return the module's docstring: the only place for prose, escaped."""
    spec = checked.spec
    command = (
        f"zoo eject (version {__version__}) wrote this file from the spec {spec.name}, sha256 {spec.sha256()[:16]}"
    )
    paragraphs = [f"{spec.name}: {spec.summary}" if spec.summary else spec.name]
    needs = "torch and torchvision" if "torchvision" in imports else "torch"
    paragraphs += [f"{command}. It needs {needs}; run, it trains the model and writes {spec.name}.pt."]
    paragraphs += ["It measures the loss alone, and none of the spec's metrics."] if spec.metrics else []
    wrapped = ["\n".join(textwrap.wrap(_escaped(text), 110, break_long_words=False)) for text in paragraphs]
    return '"""' + "\n\n".join(wrapped) + '\n"""\n'


def _escaped(text: str) -> str:
    """Return text that can stand in a docstring: no quote, backslash or unprintable letter acts."""
    quoted = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return "".join(
        letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in quoted if ord(letter) < 2**16
    )


def _imports(body: str) -> str:
    lines = ["from collections import OrderedDict\n"] if "OrderedDict(" in body else []
    lines += ["from pathlib import Path\n"] if "Path(" in body else []
    lines += ["import torch"]
    lines += ["import torchvision"] if "torchvision." in body else []
    lines += ["from torch import Tensor, nn", "from torch.utils.data import DataLoader, TensorDataset"]
    lines += ["from torchvision.transforms import v2"] if "v2." in body else []
    return "\n".join(lines)


def _constants(checked: CheckedSpec) -> str:
    train = checked.spec.train
    lines = [f"SEED = {train.seed}", f"EPOCHS = {train.epochs}", f"BATCH_SIZE = {train.batch_size}"]
    for option in ("root", "file"):
        path = getattr(checked.spec.data, option, None)
        lines += [] if path is None else [f"{option.upper()} = {path!r}"]
    return "\n".join(lines)


def _training(checked: CheckedSpec) -> str:
    """Return the functions `train` and `evaluate`."""
    spec = checked.spec
    loss = spec.loss.build()
    scheduler, interval = _scheduler(checked), getattr(spec.scheduler, "interval", "")
    frozen, still = bool(spec.freeze), _still(checked)
    loader = ["BATCH_SIZE", f"shuffle={spec.train.shuffle}"]
    loader += ["drop_last=True"] if spec.train.drop_last else []
    loader += ["generator=generator"]
    parameters = "[p for p in model.parameters() if p.requires_grad]" if frozen else "model.parameters()"
    lines = [
        "def objective(loss_function: nn.Module, output: Tensor, targets: Tensor) -> Tensor:",
        '    """Return the loss of a batch."""',
        f"    return loss_function({_arrangement(checked)})",
        "",
        "",
        "def train(device: torch.device) -> Model:",
        '    """Return the trained model; the seed fixes the weights, the order of the rows and dropout."""',
        "    torch.manual_seed(SEED)",
        "    model = Model().to(device)",
        f"    optimizer = {_optimizer(checked, parameters)}",
        *([f"    scheduler = {scheduler}"] if scheduler else []),
        f"    loss_function = {constructor(loss, name='loss')}.to(device)",
        '    rows, test_rows = TensorDataset(*data("train")), data("test")',
        "    generator = torch.Generator().manual_seed(SEED)",
        f"    loader = DataLoader(rows, {', '.join(loader)})",
        "    for epoch in range(1, EPOCHS + 1):",
        "        model.train()",
        *(_FROZEN if frozen else []),
        *([line.format(names=still) for line in _STILL] if still else []),
        "        for inputs, targets in loader:",
        "            loss = objective(loss_function, model(inputs.to(device)), targets.to(device))",
        "            optimizer.zero_grad()",
        "            loss.backward()",
        "            optimizer.step()",
        *(["            scheduler.step()"] if interval == "step" else []),
        *(["        scheduler.step()"] if interval == "epoch" else []),
        '        print(f"epoch {epoch}/{EPOCHS}  test loss {evaluate(model, loss_function, test_rows, device):.4g}")',
        "    return model",
    ]
    measured = _EVALUATE if spec.loss.averaged else _EVALUATE.replace(".item() * len(inputs)", ".item()")
    return "\n".join(lines) + "\n\n\n" + measured.strip()


_FROZEN = [
    "        for module in model.modules():  # a module whose tensors are all frozen stays in evaluation mode",
    "            if list(module.parameters()) and not any(p.requires_grad for p in module.parameters()):",
    "                module.eval()",
]
_STILL = [
    "        for name in {names!r}:  # below these nothing is trained, so they stay in evaluation mode too",
    "            model.get_submodule(name).eval()",
]
_EVALUATE = '''
def evaluate(model: Model, loss_function: nn.Module, rows: tuple[Tensor, Tensor], device: torch.device) -> float:
    """Return the mean loss of the rows; no random number is drawn, so that training does not depend on it."""
    model.eval()
    total = 0.0
    with torch.inference_mode():
        for inputs, targets in zip(rows[0].split(1000), rows[1].split(1000), strict=True):
            total += objective(loss_function, model(inputs.to(device)), targets.to(device)).item() * len(inputs)
    return total / len(rows[0])
'''
_MAIN = """
if __name__ == "__main__":
    trained = train(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    torch.save(trained.cpu().state_dict(), "{weights}")
"""


_ARRANGEMENTS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, ...]]] = {
    "output, targets": lambda output, targets: (output, targets),
    "output.flatten(0, -2), targets.flatten()": lambda output, targets: (output.flatten(0, -2), targets.flatten()),
}


def _still(checked: CheckedSpec) -> list[str]:
    """Return the modules without tensors that stay in evaluation mode, as those with frozen tensors alone do."""
    modules = dict(bare_model(checked).named_modules())
    return [name for name in checked.frozen_layers if name in modules and not list(modules[name].parameters())]


def _arrangement(checked: CheckedSpec) -> str:
    """Return the arguments of the loss, which may want the steps of sequences as rows."""
    shapes = checked.output, checked.example.target
    arrange = checked.spec.loss.arrangement(*shapes)
    output, target = map(_sample, shapes)
    expected = arrange(output, target)
    for text, candidate in _ARRANGEMENTS.items():
        found = candidate(output, target)
        if len(found) == len(expected) and all(map(torch.equal, found, expected)):
            return text
    kind = type(checked.spec.loss).__name__
    raise ExportError(f"{kind} cannot be ejected yet: it wants its arguments in another form", "use another loss")


def _optimizer(checked: CheckedSpec, parameters: str) -> str:
    declared = checked.spec.optimizer
    if declared.parameter_groups:
        raise ExportError("optimizer.groups cannot be ejected yet", "eject a spec without optimizer.groups")
    kind = type(declared).__name__
    made: Any = getattr(optim, kind)
    default = made([nn.Parameter(torch.zeros(1))]).defaults if kind != "LBFGS" else {}
    options = {name: value for name, value in declared.options().items() if name == "lr" or default.get(name) != value}
    return f"torch.optim.{kind}({', '.join([parameters, *_keywords(options)])})"


def _keywords(options: dict[str, Any]) -> list[str]:
    return [f"{name}={literal(value)}" for name, value in options.items()]


def _scheduler(checked: CheckedSpec) -> str:
    """Return the call that makes the scheduler, after comparing what it makes with zoo's; empty where there is none."""
    declared, rows = checked.spec.scheduler, checked.example.training_rows
    if declared is None:
        return ""
    kind = type(declared).__name__
    options = {
        name: getattr(declared, name) for name in type(declared).model_fields if name not in ("type", "interval")
    }
    options = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    refused = ExportError(f"the scheduler {kind} cannot be ejected yet", "eject a spec with StepLR, or without one")
    weight = ("weight", nn.Parameter(torch.zeros(1)))
    if declared.watched is not None or rows is None or not all(literal(value) for value in options.values()):
        raise refused
    _, expected = build_optimizer(checked, [weight], rows)
    try:
        made = getattr(optim.lr_scheduler, kind)(checked.spec.optimizer.build([weight]), **options)
    except (TypeError, ValueError) as error:
        raise refused from error
    if expected is None or made.state_dict() != expected.state_dict():
        raise refused
    return f"torch.optim.lr_scheduler.{kind}({', '.join(['optimizer', *_keywords(options)])})"


def _prove(checked: CheckedSpec, text: str) -> None:
    """Run the class and hold it against zoo's module: weights and outputs bit for bit.

    Raises:
        ExportError: they differ.
    """
    from collections import OrderedDict

    import torchvision

    names: dict[str, Any] = {"torch": torch, "nn": nn, "Tensor": torch.Tensor, "OrderedDict": OrderedDict}
    names["torchvision"] = torchvision
    # The text holds literals, torch's own names and ids alone: letters, digits and _.
    exec(compile(text, "<ejected>", "exec"), names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(checked.spec.train.seed)
        made = names["Model"]().eval()
    own = fresh_model(checked)
    expected, found = own.state_dict(), made.state_dict()
    remedy = "eject a spec without the layer that holds it"
    for name in dict.fromkeys([*expected, *found]):
        if name not in expected or name not in found or not torch.equal(expected[name], found[name]):
            raise ExportError(f"the ejected file would draw other weights for {name}", remedy)
    for name in _still(checked):
        if name not in dict(made.named_modules()):
            raise ExportError(f"the ejected file has no module {name} to keep in evaluation mode", remedy)
    inputs = _sample(checked.input)
    with torch.inference_mode():
        if not _equal(own(inputs), made(inputs)):
            raise ExportError("the ejected module would give other outputs", "eject a simpler spec")


# Any: a tensor, or rows of them.
def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first.nan_to_num(), second.nan_to_num())
    return all(map(_equal, first, second))


def _sample(shape: Shape) -> torch.Tensor:
    sizes = shape.concrete(2, shape.longest or 3)
    generator = torch.Generator().manual_seed(0)
    if shape.dtype == "float32":
        return torch.randn(sizes, generator=generator)
    return torch.randint(0, 2, sizes, generator=generator).to(getattr(torch, shape.dtype))
