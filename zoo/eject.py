"""Eject: a spec as one file of plain PyTorch, proven to build the same weights and to give the same outputs.

The file is put together from numbers, torch's own names and the spec's checked names; what a person wrote as prose
stands in its first string alone, escaped.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import nn, optim

from zoo import __version__
from zoo.build import bare_model, build_optimizer, fresh_model
from zoo.checked import CheckedSpec
from zoo.constructor import constructor, literal
from zoo.data.data import Data
from zoo.data.linear_function import LinearFunction
from zoo.data.splitting import Seeded, kept_out
from zoo.errors import ExportError
from zoo.files import write_text
from zoo.forward import model_source
from zoo.shapes import Shape
from zoo.strict import Strict

DOWNLOADED = ("FashionMNIST", "KMNIST", "MNIST")
"""Sources that are torchvision's data sets of the same name, with images (N, 28, 28) in `data`."""
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
    model = model_source(checked, bare_model(checked))
    _prove(checked, model)
    parts = [model, _data(checked), _training(checked), _MAIN.format(weights=f"{spec.name}.pt")]
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
    lines += ["import torch"]
    lines += ["import torchvision"] if "torchvision." in body else []
    lines += ["from torch import Tensor, nn", "from torch.utils.data import DataLoader, TensorDataset"]
    lines += ["from torchvision.transforms import v2"] if "v2." in body else []
    return "\n".join(lines)


def _constants(checked: CheckedSpec) -> str:
    train = checked.spec.train
    lines = [f"SEED = {train.seed}", f"EPOCHS = {train.epochs}", f"BATCH_SIZE = {train.batch_size}"]
    root = getattr(checked.spec.data, "root", None)
    lines += [] if root is None else [f"ROOT = {root!r}"]
    return "\n".join(lines)


def _data(checked: CheckedSpec) -> str:
    """Return the function `data`, which gives the inputs and the targets of a split."""
    data = checked.spec.data
    kind = type(data).__name__
    if isinstance(data, LinearFunction):
        body = _linear_function(data)
    elif kind in DOWNLOADED:
        download = bool(getattr(data, "download", False))
        body = [
            f'    rows = torchvision.datasets.{kind}(ROOT, train=split == "train", download={download})',
            "    inputs, targets = rows.data.unsqueeze(1), rows.targets.long()  # (N, 1, 28, 28), (N,)",
        ]
    else:
        known = ", ".join(sorted({*DOWNLOADED, "LinearFunction"}))
        raise ExportError(f"the data {kind} cannot be ejected yet", f"these can: {known}")
    if data.random():
        raise ExportError("data.augmentation cannot be ejected yet", "eject a spec without data.augmentation")
    body += _kept_out(data)
    for index, transform in enumerate(data.pipeline()):
        body.append(f"    inputs = {constructor(transform.build(), name=f'data.transforms.{index}')}(inputs)")
    head = ["def data(split: str) -> tuple[Tensor, Tensor]:", '    """Return the inputs and the targets of a split."""']
    return "\n".join([*head, *body, "    return inputs, targets"])


def _linear_function(data: LinearFunction) -> list[str]:
    weights = literal(list(data.weights))
    noise = [] if data.noise == 0 else [f"    values[:{data.samples}] += noise * {data.noise!r}"]
    draw = (
        []
        if data.noise == 0
        else [f"    noise = torch.randn({data.samples}, 1, generator=generator, dtype=torch.float64)"]
    )
    return [
        f"    generator = torch.Generator().manual_seed({data.seed})",
        f"    size = ({2 * data.samples}, {len(data.weights)})",
        f"    points = torch.randint({data.low}, {data.high}, size, generator=generator, dtype=torch.int64).double()",
        *draw,
        f"    weights = torch.tensor({weights}, dtype=torch.float64).unsqueeze(1)",
        f"    values = points @ weights + {data.bias!r}",
        *noise,
        f'    part = slice({data.samples}, None) if split == "test" else slice(0, {data.samples})',
        "    inputs, targets = points[part].float(), values[part].float()",
    ]


def _kept_out(data: Data) -> list[str]:
    """Return the lines that leave out the training rows kept for validation."""
    fraction = data.validation if isinstance(data, Seeded) else None
    if not isinstance(data, Seeded) or not isinstance(fraction, float):
        return []
    assert kept_out(10, fraction)  # the rule that is written out below
    return [
        '    if split != "test":  # a part of the training rows is kept out, to validate on',
        f"        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed({data.seed}))",
        f"        count = max(1, min(len(inputs) - 1, round(len(inputs) * {fraction!r})))",
        "        rest = order[count:].sort().values",
        "        inputs, targets = inputs[rest], targets[rest]",
    ]


def _training(checked: CheckedSpec) -> str:
    """Return the functions `train` and `evaluate`."""
    spec = checked.spec
    loss = spec.loss.build()
    _require_plain_loss(checked)
    scheduler, interval = _scheduler(checked), getattr(spec.scheduler, "interval", "")
    frozen = bool(spec.freeze)
    loader = ["BATCH_SIZE", f"shuffle={spec.train.shuffle}"]
    loader += ["drop_last=True"] if spec.train.drop_last else []
    loader += ["generator=generator"]
    parameters = "[p for p in model.parameters() if p.requires_grad]" if frozen else "model.parameters()"
    lines = [
        "def train(device: torch.device) -> Model:",
        '    """Return the trained model; the seed fixes the weights, the order of the rows and dropout."""',
        "    torch.manual_seed(SEED)",
        "    model = Model().to(device)",
        f"    optimizer = {_optimizer(checked, parameters)}",
        *([f"    scheduler = {scheduler}"] if scheduler else []),
        f"    loss_function = {constructor(loss, name='loss')}.to(device)",
        '    rows, test_rows = TensorDataset(*data("train")), TensorDataset(*data("test"))',
        "    generator = torch.Generator().manual_seed(SEED)",
        f"    loader = DataLoader(rows, {', '.join(loader)})",
        "    for epoch in range(1, EPOCHS + 1):",
        "        model.train()",
        *(_FROZEN if frozen else []),
        "        for inputs, targets in loader:",
        "            loss = loss_function(model(inputs.to(device)), targets.to(device))",
        "            optimizer.zero_grad()",
        "            loss.backward()",
        "            optimizer.step()",
        *(["            scheduler.step()"] if interval == "step" else []),
        *(["        scheduler.step()"] if interval == "epoch" else []),
        '        print(f"epoch {epoch}/{EPOCHS}  test loss {evaluate(model, loss_function, test_rows, device):.4g}")',
        "    return model",
    ]
    return "\n".join(lines) + "\n\n\n" + _EVALUATE.strip()


_FROZEN = [
    "        for module in model.modules():  # a module whose tensors are all frozen stays in evaluation mode",
    "            if list(module.parameters()) and not any(p.requires_grad for p in module.parameters()):",
    "                module.eval()",
]
_EVALUATE = '''
def evaluate(model: Model, loss_function: nn.Module, rows: TensorDataset, device: torch.device) -> float:
    """Return the mean loss of the rows."""
    model.eval()
    total = 0.0
    with torch.inference_mode():
        for inputs, targets in DataLoader(rows, 1000):
            total += loss_function(model(inputs.to(device)), targets.to(device)).item() * len(inputs)
    return total / len(rows)
'''
_MAIN = """
if __name__ == "__main__":
    trained = train(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    torch.save(trained.cpu().state_dict(), "{weights}")
"""


def _require_plain_loss(checked: CheckedSpec) -> None:
    """Refuse a loss that is given the output or the target in another form than they have."""
    loss = checked.spec.loss
    pair = torch.zeros(1), torch.zeros(1)
    try:
        arranged = loss.arrangement(checked.output, checked.example.target)(*pair)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        raise ExportError(_ARRANGED.format(type(loss).__name__), _OTHER_LOSS) from error
    if len(arranged) != 2 or arranged[0] is not pair[0] or arranged[1] is not pair[1]:
        raise ExportError(_ARRANGED.format(type(loss).__name__), _OTHER_LOSS)


_ARRANGED = "{} on these shapes cannot be ejected yet: its arguments are rearranged"
_OTHER_LOSS = "eject a spec whose loss takes the output and the target as they are"


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

    names: dict[str, Any] = {"torch": torch, "nn": nn, "Tensor": torch.Tensor, "OrderedDict": OrderedDict}
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
