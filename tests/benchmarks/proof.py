"""What the proof refuses: honest exports over many seeds, and faults planted in files, for models of six kinds.

Run: python tests/benchmarks/proof.py [--seeds N] [--spared]

Weights are drawn anew for each seed. Exported files run in this process, by the code that the clean room runs.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parent.parent.parent
sys.path[:0] = [str(REPOSITORY / "tests" / "exporters"), str(REPOSITORY / "tests"), str(REPOSITORY)]

import onnx  # noqa: E402  # the paths come first
import torch  # noqa: E402
from torch import nn  # noqa: E402

from exporters import golden, proof  # noqa: E402
from exporters import onnx as exporter  # noqa: E402
from exporters.runtimes import Answers  # noqa: E402
from mutations import MUTATIONS  # noqa: E402
from specimens import drawn  # noqa: E402
from test_mutations import MODELS, parts  # noqa: E402
from zoo.errors import ProofFailed  # noqa: E402


def draw(module: nn.Module, seed: int) -> None:
    """Draw every number of the state."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0, generator=generator)
        elif tensor.is_floating_point():
            tensor.normal_(0.1, 0.5, generator=generator)


# Any of the runtimes' types.
def ask(runtime: Path, model: Path, batches, options) -> Answers:  # type: ignore[no-untyped-def]  # as runtimes.ask
    """Run a file in this process."""
    here = import_module(f"exporters.runtimes.{runtime.stem}")
    try:
        loaded = here.load(str(model), dict(options))
        copies = [{name: array.copy() for name, array in batch.items()} for batch in batches]
        return Answers(tuple(tuple(here.run(loaded, batch)) for batch in copies), here.version())
    except Exception as error:  # a runtime may raise anything
        raise ProofFailed(f"{model.name}: {error}", "nothing was published") from error


def judged(evidence: proof.Evidence, content: bytes) -> bool:
    """Return whether the proof takes a file."""
    exporter_export = exporter.export
    exporter.export = lambda subject, path, *rest, **more: path.write_bytes(content)
    try:
        return proof.prove("onnx", evidence).verdict == "equal"
    except ProofFailed:
        return False
    finally:
        exporter.export = exporter_export


def measure(kind: str, seeds: int, spared: bool, folder: Path) -> tuple[int, int, int]:
    """Return how many honest files were refused, how many faults were planted, and how many of those were refused."""
    layers, changes = parts(kind, folder)
    refused = planted = seen = 0
    for seed in range(seeds):
        subject = drawn(folder, layers, **changes)
        draw(subject.module, seed)
        work = golden.WORK if spared else 0
        answers = golden.make(subject.module, subject.rows, subject.sequence, work, subject.values)
        path = folder / "model.onnx"
        exporter.export(subject, path)
        content, evidence = path.read_bytes(), proof.Evidence(subject, answers, folder)
        refused += not judged(evidence, content)
        for mutation in MUTATIONS if seed == 0 else ():
            model = onnx.load_from_string(content)
            if mutation(model, set(subject.module.state_dict())):
                planted += 1
                seen += not judged(evidence, model.SerializeToString())
    return refused, planted, seen


def main() -> None:
    """Print a line for each kind of model, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--spared", action="store_true", help="ask as little as of an expensive model")
    options = parser.parse_args()
    seeds = options.seeds
    # This process stands for the clean room; type: what proof imports is not for others.
    proof.asking = lambda *asked: nullcontext(partial(ask, *asked))  # type: ignore[assignment, attr-defined]
    sums = [0, 0, 0]
    for kind in MODELS:
        with TemporaryDirectory() as folder:
            found = measure(kind, seeds, options.spared, Path(folder))
        sums = [total + number for total, number in zip(sums, found, strict=True)]
        print(f"{kind:22} honest refused {found[0]} of {seeds}, planted refused {found[2]} of {found[1]}", flush=True)
    print(f"{'all':22} honest refused {sums[0]} of {seeds * len(MODELS)}, planted refused {sums[2]} of {sums[1]}")


if __name__ == "__main__":
    main()
