"""Eject: a spec as one file of plain PyTorch, proven to build the same weights and to give the same outputs.

The file is put together from numbers, torch's own names and the spec's checked names; what a person wrote as prose
stands in its first string alone, escaped.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from zoo import __version__
from zoo.checked import CheckedSpec
from zoo.costs import has_small_steps
from zoo.data.splitting import OneFile
from zoo.data.table_file import TableFile
from zoo.data.text_file import TextFile
from zoo.economy import spare_compiler
from zoo.eject.augmentation import augmentation_source
from zoo.eject.model import MATCHES, model_source
from zoo.eject.one_file import split_source, table_source
from zoo.eject.optimization import groups_source
from zoo.eject.proof import prove
from zoo.eject.rows import DECODES, KEEP_OUT, READ_IMAGE, data_source
from zoo.eject.training import training_source
from zoo.files import write_text

IMPORTS = {
    "copy.": "import copy",
    "csv.": "import csv",
    "hashlib.": "import hashlib",
    "math.": "import math",
    "os.environ": "import os",
    "os.path.": "import os",
    "re.sub(": "import re",
    "sys.argv": "import sys",
    "time.perf_counter(": "import time",
    "OrderedDict(": "from collections import OrderedDict",
    "Iterator[": "from collections.abc import Iterator",
    "@contextmanager": "from contextlib import contextmanager",
    "fnmatchcase(": "from fnmatch import fnmatchcase",
    "islice(": "from itertools import islice",
    "log(": "from math import log",
    "Path(": "from pathlib import Path",
}
"""What Python has, by what calls it; in the order of an import block."""
FOREIGN = {
    "np.": "import numpy as np",
    "pyarrow.": "import pyarrow.parquet",
    "torch.": "import torch",
    "torchvision.": "import torchvision",
    "Image.open(": "from PIL import Image",
    "load_file(": "from safetensors.torch import load_file",
    "Tensor": "from torch import Tensor, nn",
    "AveragedModel(": "from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn",
    "v2.": "from torchvision.transforms import v2",
}
HELPERS = {"matches": MATCHES, "keep_out": KEEP_OUT, "read_image": READ_IMAGE, "decodes": DECODES}
"""Functions that stand first in the file where something calls them."""
LOADING = ("DataLoader(", "Dataset)", "TensorDataset(", "WeightedRandomSampler(")
"""What torch.utils.data has."""


def eject(checked: CheckedSpec, path: Path) -> None:
    """Write a spec as one Python file that needs torch, and what else the spec does, and no zoo.

    Raises:
        ExportError: the spec says something that the file cannot; nothing is written.
        RunError: tensors that the spec loads are not there.
        OutputError: the file cannot be written.
    """
    write_text(path, source(checked))


def source(checked: CheckedSpec) -> str:
    """Return the text of the file, after comparing what it makes with what zoo makes.

    Raises:
        ExportError: the spec says something that the file cannot.
        RunError: tensors that the spec loads are not there.
    """
    spare_compiler()
    parts = [model_source(checked), *_reading(checked), augmentation_source(checked), data_source(checked)]
    parts += [groups_source(checked), training_source(checked), _main(checked)]
    body = "\n\n\n".join(part.strip("\n") for part in parts if part)
    called = [helper.strip() for name, helper in HELPERS.items() if re.search(rf"\b{name}\b", body)]
    body = "\n\n\n".join([*called, body])
    imports = _imports(body)
    text = f"{_header(checked, imports)}\n{imports}\n\n{_constants(checked)}\n\n\n{body}\n"
    prove(checked, text)
    return text


def _main(checked: CheckedSpec) -> str:
    threads = _ONE_THREAD if has_small_steps(checked) else ""
    return _MAIN.format(threads=threads, weights=f"{checked.spec.name}.pt")


def _reading(checked: CheckedSpec) -> list[str]:
    """Return what a source of one file needs before the function that reads a split."""
    data = checked.spec.data
    tables = [table_source(data)] if isinstance(data, TableFile) else []
    return [*tables, split_source(data)] if isinstance(data, OneFile) else []


def _header(checked: CheckedSpec, imports: str) -> str:
    """Return the module's docstring: the only place for prose, escaped."""
    spec = checked.spec
    command = (
        f"zoo eject (version {__version__}) wrote this file from the spec {spec.name}, sha256 {spec.sha256()[:16]}"
    )
    paragraphs = [f"{spec.name}: {spec.summary}" if spec.summary else spec.name]
    packages = ["torch", *(name for name in ("torchvision", "safetensors", "pyarrow") if name in imports)]
    packages += ["tensorboard"] if "tensorboard" in spec.train.log else []
    needs = " and ".join([", ".join(packages[:-1]), packages[-1]] if packages[1:] else packages)
    paragraphs += [
        f"{command}. It needs {needs}; run, it trains the model and writes {spec.name}.pt."
        " It takes no arguments: what can be changed stands below its imports."
    ]
    if spec.train.strategy == "fsdp":
        paragraphs += [
            "It trains in one process: train.strategy fsdp, which shares a model out to several, says nothing."
        ]
    if spec.export is not None:
        paragraphs += ["It exports nothing: what export says of the accuracy of smaller files is left out."]
    wrapped = ["\n".join(textwrap.wrap(_escaped(text), 110, break_long_words=False)) for text in paragraphs]
    return '"""' + "\n\n".join(wrapped) + '\n"""\n'


def _escaped(text: str) -> str:
    """Return text that can stand in a docstring: no quote, backslash or unprintable letter acts."""
    quoted = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return "".join(
        letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in quoted if ord(letter) < 2**16
    )


def _imports(body: str) -> str:
    """Return the imports of what the body calls."""
    own = dict.fromkeys(line for call, line in IMPORTS.items() if _calls(body, call))
    plain = [line for line in own if line.startswith("import")]
    named = [line for line in own if line.startswith("from")]
    loading = ", ".join(name.rstrip("()") for name in LOADING if _calls(body, name))
    foreign = [line for call, line in FOREIGN.items() if _calls(body, call)]
    foreign.insert(
        -1 if foreign[-1].startswith("from torchvision") else len(foreign), f"from torch.utils.data import {loading}"
    )
    return "\n".join([*plain, *named, *([""] if own else []), *foreign])


def _calls(body: str, call: str) -> bool:
    """Return whether the text stands in the body as a whole word, and not as the end of a longer one."""
    return re.search(rf"(?<![\w.]){re.escape(call)}", body) is not None


def _constants(checked: CheckedSpec) -> str:
    train, data = checked.spec.train, checked.spec.data
    length = f"EPOCHS = {train.epochs}" if train.steps is None else f"STEPS = {train.steps}"
    lines = [f"SEED = {train.seed}", length, f"BATCH_SIZE = {train.batch_size}"]
    for option in ("root", "file", "validation_file", "test_file"):
        path = getattr(data, option, None)
        lines += [] if path is None else [f"{option.upper()} = {path!r}"]
    if isinstance(data, TextFile) and data.tokens == "character":
        lines += [f"VOCABULARY = {data.characters!r}"]
    return "\n".join(lines)


_ONE_THREAD = """    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # the quickest for steps as small as these
"""
_MAIN = """
if __name__ == "__main__":
    if sys.argv[1:] in (["-h"], ["--help"]):
        print((__doc__ or "").strip())
        sys.exit()
    if sys.argv[1:]:
        print(f"{{sys.argv[0]}}: error: it takes no arguments, but got {{sys.argv[1]!r}}", file=sys.stderr)
        print("   remedy: --help says what it does; what can be changed stands below its imports", file=sys.stderr)
        sys.exit(2)
{threads}    trained = train(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    torch.save(trained.cpu().state_dict(), "{weights}")
"""
