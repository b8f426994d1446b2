"""What the proof refuses of honest exports: the specs of the zoo over many seeds, fresh and trained a little.

Run: python tests/benchmarks/honest.py [--specs NAME …] [--seeds N] [--first SEED] [--formats onnx torchscript pt2]
     [--steps N] [--batch ROWS] [--context TOKENS] [--out FILE.jsonl]

Data is fake, of each spec's shapes. Large images, and those that are drawn again, are small ones of noise enlarged:
noise of many pixels has one mean everywhere, and a model that sees nothing else soon answers all of it alike. A text
has at most 128 tokens in a row. A trained model has taken some steps of its own optimizer; GPT-2 and ViT take twenty
seeds in less than an hour with --batch 2 and --context 32. FILE.jsonl gets a line for each export as it ends, and what
stands in it is not measured again, whatever the options. Files run in this process, by the code that the clean room
runs. torch writes the first two ONNX files of a spec; in the further ones the weights and the metadata are put in the
place of the first one's, which gives torch's own second file byte for byte, or nothing is measured.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "benchmarks")]

import torch  # noqa: E402  # the paths come first
from onnx.helper import set_model_props  # noqa: E402
from proof import ask  # noqa: E402
from torch.nn.modules.batchnorm import _BatchNorm  # noqa: E402

from exporters import golden, onnx, storage, structure  # noqa: E402
from exporters import proof as proving  # noqa: E402
from exporters.certificate import Format  # noqa: E402
from exporters.request import USUAL, OnnxForm  # noqa: E402
from exporters.subject import Subject, find_subject  # noqa: E402
from zoo.build import build_optimizer  # noqa: E402
from zoo.catalog import names, path_of  # noqa: E402
from zoo.errors import ZooError  # noqa: E402
from zoo.training.objective import objective_of  # noqa: E402
from zoo.training.splits import some_rows  # noqa: E402

SMALL = ("linear1", "linear3", "mnist_mlp", "fashion_mlp", "mnist_autoencoder", "lenet5", "mnist_lstm", "gpt_mini")
"""The specs whose export takes a few seconds; the others come after them."""
SPECS = (*SMALL, *(name for name in names() if name not in SMALL))
SEEDS, STEPS = (20, 3), (20, 4)  # of a small spec, and of another
MORE = {"mnist_autoencoder": 200}  # steps, before which it draws the mean of all images
FORMATS: tuple[Format, ...] = ("onnx", "torchscript", "pt2")
ROWS = 64
GRAIN = 4  # pixels of the noise that large images are enlarged from
LARGE = 64  # pixels from which an image is large
LETTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Found = dict[str, Any]  # JSON values


def main() -> None:
    """Measure what is asked for in turn, and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", nargs="+", default=list(SPECS), metavar="NAME")
    parser.add_argument("--seeds", type=int, help="how many, of each spec")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--formats", nargs="+", default=["onnx"], choices=FORMATS)
    parser.add_argument("--steps", type=int, help="how many, of each training")
    parser.add_argument("--batch", type=int, default=8, help="the rows of a step")
    parser.add_argument("--context", type=int, default=128, help="the tokens of a row, at most")
    parser.add_argument("--out", type=Path, default=Path("honest.jsonl"))
    options = parser.parse_args()
    share()
    known = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    done = {_key(row) for row in known}
    with options.out.open("a", encoding="utf-8") as out, TemporaryDirectory() as folder:
        write_once(Path(folder))
        for name in options.specs:
            seeds = options.seeds or SEEDS[name not in SMALL]
            for seed in range(options.first, options.first + seeds):
                for row in exports(name, seed, options, Path(folder), done):
                    known.append(row)
                    print(json.dumps(row), file=out, flush=True)
                    print(line(row), flush=True)
    print("\n".join(("", *table(known))))


def share() -> None:
    """Let this process stand for the clean room, and the formats of a model share what is asked of it."""
    # type: what proof imports is not for others; here it is replaced.
    proving.ask = ask  # type: ignore[attr-defined]
    proving.asking = lambda *asked: nullcontext(partial(ask, *asked))  # type: ignore[assignment, attr-defined]
    golden.make = lru_cache(2)(golden.make)  # of the model as it is, and with drawn weights
    structure.drawn = lru_cache(1)(structure.drawn)


def write_once(folder: Path) -> None:
    """Let torch's exporter write a spec's first two ONNX files, and the further ones be made of the first."""
    export, shown = onnx.export, set[str]()

    def written(subject: Subject, path: Path, form: OnnxForm = USUAL) -> None:
        name = subject.checked.spec.name
        first, second = folder / f"{name}.onnx", folder / "second.onnx"
        if not first.exists():
            export(subject, path, form)
            shutil.copy(path, first)
            return
        structure.put("onnx", subject.module.state_dict(), first, path)
        model = storage.read(path)
        model.metadata_props.clear()
        set_model_props(model, subject.metadata())
        storage.write(model, path)
        if name not in shown:
            export(subject, second, form)
            if not filecmp.cmp(path, second, shallow=False):
                raise SystemExit(f"{name}: with these weights torch writes another file than the first one with them")
            shown.add(name)

    onnx.export = written


def _key(row: Found) -> tuple[str, int, str, str]:
    return row["spec"], row["seed"], row["weights"], row["format"]


def _asked(options: argparse.Namespace) -> Found:
    """Return what a measurement was asked for, which stands beside what it found."""
    return {"steps": options.steps, "batch": options.batch, "context": options.context}


def exports(
    name: str, seed: int, options: argparse.Namespace, folder: Path, done: set[tuple[str, int, str, str]]
) -> Iterator[Found]:
    """Yield what becomes of each export of a spec with one seed that was not yet measured."""
    for weights in ("fresh", "trained"):
        left = [kind for kind in options.formats if (name, seed, weights, kind) not in done]
        if not left:
            continue
        subject = fake_subject(name, seed, folder, options.context)
        if weights == "trained":
            steps = options.steps or MORE.get(name) or STEPS[name not in SMALL]
            subject = trained(subject, steps, options.batch)
        asked = proving.asked_of(subject, tuple(left))
        for kind in left:
            began = time.perf_counter()
            try:
                proof = proving.prove(kind, proving.Evidence(subject, asked, folder))
                verdict, reason = str(proof.verdict), proof.reason
                shown = "" if proof.drawn is None else proof.drawn.reason
            except ZooError as error:
                verdict, reason, shown = "refused", error.message, ""
            yield {"spec": name, "seed": seed, "weights": weights, "format": kind, **_asked(options)} | {
                "verdict": verdict,
                "reason": reason,
                "drawn": shown,
                "seconds": round(time.perf_counter() - began, 2),
            }


def fake_subject(name: str, seed: int, folder: Path, context: int) -> Subject:
    """Return a spec with fresh weights of a seed, on fake data of its shapes."""
    path = path_of(name)
    assert path is not None
    document = json.loads(path.read_text(encoding="utf-8"))
    changes: list[tuple[str, object]] = [("train.seed", seed)]
    data = document["data"]
    if data["type"] == "TextFile":
        text = folder / "text.txt"
        drawn = torch.randint(len(LETTERS), (20_000,), generator=torch.Generator().manual_seed(seed))
        text.write_text("".join(LETTERS[place] for place in drawn), encoding="utf-8")
        changes += [("data.file", str(text)), ("data.context", min(context, data["context"]))]
    elif data["type"] != "LinearFunction":
        changes.append(("data", _images(data, seed)))
    if document["model"].get("weights"):
        changes.append(("model.weights", None))  # fresh ones: no file of them is needed
    return find_subject(str(path), [f"{key}={json.dumps(value)}" for key, value in changes], untrained=True)


def _images(data: Found, seed: int) -> Found:
    """Return noise in the shapes of a source of images."""
    known = {"MNIST": [1, 28, 28], "FashionMNIST": [1, 28, 28], "ImageFolder": [3, 224, 224]}
    channels, height, width = known.get(data["type"]) or data["image_size"]
    steps = [step for step in data["transforms"] if step["type"] not in ("Resize", "CenterCrop")]
    fake: Found = {"type": "FakeImages", "size": ROWS, "seed": seed, "image_size": [channels, height, width]}
    if data.get("masks"):  # which are not enlarged with the images
        return fake | {"masks": True, "num_classes": data["num_classes"], "transforms": steps}
    if data.get("reconstruct") or height >= LARGE:
        fake["image_size"] = [channels, GRAIN, GRAIN]
        steps = [{"type": "Resize", "size": [height, width]}, *steps]
    if data.get("reconstruct"):
        return fake | {"reconstruct": True, "transforms": steps}
    fake["num_classes"] = len(data["classes"]) if "classes" in data else data.get("num_classes", 10)
    return fake | {"transforms": steps}


def trained(subject: Subject, steps: int, batch: int) -> Subject:
    """Return the subject after some steps of its spec's optimizer.

    Normalisations take the mean of what they meet: of what they begin with, a few steps of momentum leave too much.
    """
    checked, module = subject.checked, subject.module
    momenta = {part: part.momentum for part in module.modules() if isinstance(part, _BatchNorm)}
    for norm in momenta:
        norm.momentum = None
    rows = some_rows(checked, "train")
    optimizer, _ = build_optimizer(checked, module.named_parameters(), len(rows))
    objective = objective_of(checked, torch.device("cpu"), rows.targets)
    size = min(batch, checked.spec.train.batch_size)
    module.train()
    torch.manual_seed(checked.spec.train.seed)
    for step in range(steps):
        chosen = torch.arange(step * size, (step + 1) * size) % len(rows)
        optimizer.zero_grad()
        objective(module(rows.inputs[chosen]), rows.targets[chosen]).backward()  # type: ignore[no-untyped-call]  # torch
        optimizer.step()
    for norm, momentum in momenta.items():
        norm.momentum = momentum
    return replace(subject, module=module.eval(), origin="trained")


def line(row: Found) -> str:
    """Return what became of one export."""
    return (
        f"{row['spec']:18} seed {row['seed']:2} {row['weights']:8} {row['format']:12} {row['verdict']} {row['reason']}"
    )


def table(found: Sequence[Found]) -> list[str]:
    """Return the lines of the sums: of each spec and format, the honest exports that were not proven."""
    all_of = Counter((row["spec"], row["format"], row["weights"]) for row in found)
    bad = Counter((row["spec"], row["format"], row["weights"]) for row in found if row["verdict"] != "equal")
    lines = ["| spec | format | weights | refused | of |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(key)} | {bad[key]} | {count} |" for key, count in sorted(all_of.items())]
    return [*lines, "", f"refused: {sum(bad.values())} of {sum(all_of.values())} honest exports"]


if __name__ == "__main__":
    main()
