"""Rows: the Python text of the function that reads a spec's data, with torch and torchvision alone."""

from __future__ import annotations

from zoo.checked import CheckedSpec
from zoo.constructor import constructor, literal
from zoo.data.data import Data
from zoo.data.fake_images import FakeImages
from zoo.data.image_folder import ImageFolder
from zoo.data.image_source import ImageSource
from zoo.data.linear_function import LinearFunction
from zoo.data.splitting import Seeded, kept_out
from zoo.data.text_file import TextFile
from zoo.errors import ExportError

DOWNLOADED = ("FashionMNIST", "KMNIST", "MNIST")
"""Sources that are torchvision's data sets of the same name, with images (N, 28, 28) in `data`."""


def data_source(checked: CheckedSpec) -> str:
    """Return the function `data`, which gives the inputs and the targets of a split."""
    data = checked.spec.data
    body = _lines(data)
    if data.random():
        raise ExportError("data.augmentation cannot be ejected yet", "eject a spec without data.augmentation")
    body += _kept_out(data)
    done = len(ImageSource.early(data)) if isinstance(data, ImageFolder) else 0  # image by image
    for index, transform in enumerate(data.pipeline()[done:], done):
        body.append(f"    inputs = {constructor(transform.build(), name=f'data.transforms.{index}')}(inputs)")
    head = ["def data(split: str) -> tuple[Tensor, Tensor]:", '    """Return the inputs and the targets of a split."""']
    return "\n".join([*head, *body, "    return inputs, targets"])


def _lines(data: Data) -> list[str]:
    """Return the lines that make `inputs` and `targets` of a split.

    Raises:
        ExportError: nothing is known of this source.
    """
    if isinstance(data, LinearFunction):
        return _linear_function(data)
    if isinstance(data, FakeImages):
        return _fake_images(data)
    if isinstance(data, TextFile):
        return _text_file(data)
    if isinstance(data, ImageFolder):
        return _image_folder(data)
    kind = type(data).__name__
    if kind in DOWNLOADED:
        download = bool(getattr(data, "download", False))
        return [
            f'    rows = torchvision.datasets.{kind}(ROOT, train=split == "train", download={download})',
            "    inputs, targets = rows.data.unsqueeze(1), rows.targets.long()  # (N, 1, 28, 28), (N,)",
        ]
    known = ", ".join(sorted({*DOWNLOADED, "FakeImages", "ImageFolder", "LinearFunction", "TextFile"}))
    raise ExportError(f"the data {kind} cannot be ejected yet", f"these can: {known}")


def _fake_images(data: FakeImages) -> list[str]:
    return [
        f'    generator = torch.Generator().manual_seed({data.seed ^ 2**31} if split == "test" else {data.seed})',
        f"    size = {(data.size, *data.image_size)}",
        "    inputs = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)",
        f"    targets = torch.randint(0, {data.num_classes}, ({data.size},), generator=generator)",
    ]


def _image_folder(data: ImageFolder) -> list[str]:
    if data.classes is not None and list(data.classes) != sorted(data.classes):
        raise ExportError("data.classes in an order of its own cannot be ejected yet", "write the classes sorted")
    if data.validation == "val":
        raise ExportError('data.validation "val" cannot be ejected yet', "eject a spec with a fraction, or without it")
    early = [constructor(step.build(), name="data.transforms") for step in ImageSource.early(data)]
    image = "v2.functional.pil_to_tensor(image)"
    for step in early:
        image = f"{step}({image})"
    return [
        '    folder = Path(ROOT) / ("train" if split == "train" else "test")',
        '    folder = folder if folder.is_dir() else Path(ROOT) / "val"',
        "    rows = torchvision.datasets.ImageFolder(folder)",
        f"    inputs = torch.stack([{image} for image, _ in rows])",
        "    targets = torch.tensor(rows.targets)",
    ]


def _text_file(data: TextFile) -> list[str]:
    content = "Path(FILE).read_bytes()"
    if data.tokens == "byte":
        lines = [f"    tokens = torch.tensor(list({content}))"]
    else:
        said = "sorted(set(text))" if data.vocabulary is None else repr(data.vocabulary)
        lines = [
            f"    text = {content}.decode()",
            f"    number = {{character: index for index, character in enumerate({said})}}",
            "    tokens = torch.tensor([number[character] for character in text])",
        ]
    kept = "" if data.validation is None else f" - round(len(tokens) * {data.validation!r})"
    return [
        *lines,
        f"    test = len(tokens) - round(len(tokens) * {data.test!r})",
        f'    part = tokens[test:] if split == "test" else tokens[: test{kept}]',
        f"    windows = part.unfold(0, {data.context + 1}, {data.stride or data.context})",
        "    inputs, targets = windows[:, :-1], windows[:, 1:]  # the same, one token later",
    ]


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
