"""Rows: the Python text of the function that reads a spec's data, with torch and torchvision alone."""

from __future__ import annotations

from zoo.checked import CheckedSpec
from zoo.data.cifar import CifarImages
from zoo.data.data import Data
from zoo.data.fake_images import FakeImages
from zoo.data.image_folder import ImageFolder
from zoo.data.linear_function import LinearFunction
from zoo.data.mnist import EMNIST, IdxImages
from zoo.data.splitting import OneFile, Seeded
from zoo.data.svhn import SVHN
from zoo.data.text_file import TextFile
from zoo.eject.augmentation import early_lines, late_lines, loaded
from zoo.eject.constructor import literal
from zoo.eject.one_file import file_lines
from zoo.errors import ExportError

KEEP_OUT = '''
def keep_out(rows: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the rows that stay and those that are kept out, drawn at random, each in their order."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    count = max(1, min(len(rows) - 1, round(len(rows) * fraction)))
    return rows[order[count:].sort().values], rows[order[:count].sort().values]
'''
READ_IMAGE = '''
def read_image(path: str) -> Tensor:
    """Return an image as uint8 of (3, height, width); 16 bits are scaled to 8, where Pillow would clip them."""
    with Image.open(path) as image:
        if image.mode.startswith("I;16"):
            levels = np.rint(np.asarray(image).astype(np.float64) / 257).astype(np.uint8)
            return torch.from_numpy(levels).repeat(3, 1, 1)
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")
        return v2.functional.pil_to_tensor(image.convert("RGB"))
'''


DECODES = '''
def decodes(path: str) -> bool:
    """Return whether a file is a whole image."""
    try:
        read_image(path)
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
'''


def data_source(checked: CheckedSpec) -> str:
    """Return the function `data`, which gives the inputs and the targets of a split.

    Raises:
        ExportError: nothing is known of this source.
    """
    data = checked.spec.data
    body = _lines(checked) + early_lines(data)
    if not isinstance(data, OneFile):
        body += _kept_out(data)
    body += late_lines(data)
    head = ["def data(split: str) -> tuple[Tensor, Tensor]:", f'    """Return {_said(data)}."""']
    given = "inputs, inputs  # to be given back" if data.mirrors else "inputs, targets"
    return "\n".join([*head, *body, f"    return {given}"])


def _said(data: Data) -> str:
    return "the inputs and the targets of a split" + (", before the augmentation of train" if data.random() else "")


def _lines(checked: CheckedSpec) -> list[str]:
    """Return the lines that make `inputs` and `targets` of a split, before the transforms.

    Raises:
        ExportError: nothing is known of this source.
    """
    data = checked.spec.data
    if isinstance(data, LinearFunction):
        return _linear_function(data)
    if isinstance(data, FakeImages):
        return _fake_images(data)
    if isinstance(data, TextFile):
        return _text_file(data)
    if isinstance(data, ImageFolder):
        return _image_folder(data)
    if isinstance(data, IdxImages | CifarImages | SVHN):
        return _downloaded(data)
    if isinstance(data, OneFile):
        return file_lines(data)
    kind = type(data).__name__
    raise ExportError(f"the data {kind} cannot be ejected", "eject a spec with another source")


def _downloaded(data: IdxImages | CifarImages | SVHN) -> list[str]:
    """Return the lines that read one of torchvision's data sets of the same name."""
    options = ["ROOT"]
    if isinstance(data, SVHN):
        options += ['split="test" if split == "test" else "train"']
    else:
        options += [f"split={literal(data.split)}"] if isinstance(data, EMNIST) else []
        options += ['train=split != "test"']
    options += ["download=True"] if data.download else []
    given = {
        IdxImages: "rows.data.unsqueeze(1), rows.targets.long()  # (N, 1, 28, 28), (N,)",
        CifarImages: "torch.from_numpy(rows.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(rows.targets)",
        SVHN: "torch.from_numpy(rows.data).contiguous(), torch.from_numpy(rows.labels)",
    }
    (said,) = (text for kind, text in given.items() if isinstance(data, kind))
    return [
        f"    rows = torchvision.datasets.{type(data).__name__}({', '.join(options)})",
        f"    inputs, targets = {said}",
    ]


def _fake_images(data: FakeImages) -> list[str]:
    target = (data.size, *(data.image_size[1:] if data.masks else ()))
    return [
        f'    generator = torch.Generator().manual_seed({data.seed ^ 2**31} if split == "test" else {data.seed})',
        f"    size = {(data.size, *data.image_size)}",
        "    inputs = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)",
        f"    targets = torch.randint(0, {data.num_classes}, {target}, generator=generator)",
    ]


def _image_folder(data: ImageFolder) -> list[str]:
    lines = ['    folder = Path(ROOT) / ("test" if split == "test" else "train")']
    if data.validation == "val":
        lines = ['    folder = Path(ROOT) / {"train": "train", "validation": "val", "test": "test"}[split]']
    else:
        lines += ['    folder = folder if folder.is_dir() else Path(ROOT) / "val"']
    lines += ["    rows = torchvision.datasets.ImageFolder(folder, loader=read_image)"]
    names = data.class_names()
    if list(names) != sorted(names):  # torchvision numbers them in the order of the alphabet
        wanted = [f'        "{name}",' if name.isidentifier() else f"        {name!r}," for name in names]
        lines += ["    classes = [", *wanted, "    ]"]
        lines += ["    number = [classes.index(name) for name in rows.classes]"]
        lines += [
            "    rows.samples = sorted(((path, number[at]) for path, at in rows.samples), key=lambda row: row[1])"
        ]
    lines += _skipped(data)
    steps = loaded(data)
    image = "prepare(image)" if steps else "image"
    lines += [*steps, f"    inputs = torch.stack([{image} for image, _ in rows])"]
    return [*lines, "    targets = torch.tensor([number for _, number in rows.samples])"]


def _skipped(data: ImageFolder) -> list[str]:
    """Return the lines that leave out what cannot be decoded, or the files that the spec names."""
    if data.corrupt == "stop":
        return []
    if data.skipped is not None:
        names = [*(f"        {literal(name)}," for name in data.skipped)]
        chosen = "os.path.relpath(row[0], ROOT) not in skipped"
        return ["    skipped = [", *names, "    ]", f"    rows.samples = [row for row in rows.samples if {chosen}]"]
    return [
        "    whole = [row for row in rows.samples if decodes(row[0])]",
        "    if len(whole) < len(rows.samples):",
        '        print(f"{folder}: {len(rows.samples) - len(whole)} file(s) cannot be decoded and are skipped")',
        "    rows.samples = whole",
    ]


def _text_file(data: TextFile) -> list[str]:
    content = "Path(FILE).read_bytes()"
    if data.tokens == "byte":
        lines = [f"    tokens = torch.tensor(list({content}))"]
    else:
        lines = [
            f"    text = {content}.decode()",
            "    number = {character: index for index, character in enumerate(VOCABULARY)}",
            "    tokens = torch.tensor([number[character] for character in text])",
        ]
    kept = "test" if data.validation is None else f"test - round(len(tokens) * {data.validation!r})"
    parts = {"train": f"tokens[:{kept}]", "test": "tokens[test:]"}
    lines += [f"    test = len(tokens) - round(len(tokens) * {data.test!r})"]
    if data.validation is not None:
        lines += [f"    validation = {kept}"]
        parts = {"train": "tokens[:validation]", "validation": "tokens[validation:test]", "test": "tokens[test:]"}
    said = ", ".join(f'"{split}": {part}' for split, part in parts.items())
    return [
        *lines,
        f"    part = {{{said}}}[split]",
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
    """Return the lines that divide the training rows from those kept out for validation."""
    if not isinstance(data, Seeded) or not isinstance(data.validation, float):
        return []
    return [
        '    if split != "test":',
        f"        stay, out = keep_out(torch.arange(len(inputs)), {data.validation!r}, seed={data.seed})",
        '        chosen = stay if split == "train" else out',
        "        inputs, targets = inputs[chosen], targets[chosen]",
    ]
