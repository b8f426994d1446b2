"""What every model of torchvision costs to export and to prove, in each format, and how far the file is from float64.

Run: python tests/benchmarks/export.py [--models NAME …] [--side PIXELS] [--formats onnx torchscript pt2]
     [--limit SECONDS] [--out FILE.json]

Weights are drawn and normalisations measured on noise, because fresh ones prove little. Each model has a process of its
own, which has exported a linear layer before, and a limit of time; FILE.json is written after each one, and a model
that stands in it is not measured again. The peak of memory is of that process, from the questions on, above what it
had beside the weights and the held-out rows before, as a multiple of the weights. Where the machine is busy, compare
processor times.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo.models.table import Entry, find, names
from zoo.shapes import Shape

REPOSITORY = Path(__file__).parent.parent.parent
SIDE = 64  # pixels, where a model takes so few
FORMATS = ("onnx", "torchscript", "pt2")
Found = dict[str, Any]  # JSON values


def main() -> None:
    """Measure the models in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(names()), metavar="NAME")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for one model")
    parser.add_argument("--out", type=Path, default=Path("export.json"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.side, options.formats)))
        return
    found: list[Found] = json.loads(options.out.read_text()) if options.out.exists() else []
    for name in options.models:
        if name not in {row["model"] for row in found}:
            found.append(_apart(name, options))
            options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
            print(line(found[-1]), flush=True)
    print("\n".join(("", *table(found))))


def _apart(name: str, options: argparse.Namespace) -> Found:
    """Return what is measured of a model in a process of its own."""
    command = [sys.executable, __file__, "--one", name, "--side", str(options.side), "--formats", *options.formats]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=options.limit, check=False, cwd=REPOSITORY
        )
    except subprocess.TimeoutExpired:
        return {"model": name, "failed": f"not done in {options.limit:g} s"}
    if done.returncode != 0:
        return {"model": name, "failed": (done.stderr.strip().splitlines() or ["no word"])[-1]}
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(name: str, side: int, formats: Sequence[str]) -> Found:
    """Return the numbers of one model, measured in this process."""
    import torch

    from exporters import proof as proving
    from exporters import storage, structure
    from exporters.subject import find_subject
    from zoo.economy import give_back
    from zoo.errors import ZooError

    entry = find(name)
    assert entry is not None
    _warm(formats)
    with TemporaryDirectory() as place:
        folder = Path(place)
        spec = folder / "spec.json"
        spec.write_text(json.dumps(_document(entry, side)), encoding="utf-8")
        subject = find_subject(str(spec), (), untrained=True)
        subject = replace(subject, module=structure.drawn(subject.module, subject.rows, subject.values))
        weights = subject.weights
        give_back(weights)
        before = _memory("VmRSS") - weights - subject.rows.nbytes  # what imports have taken, and drawing has left
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        began, worked = time.perf_counter(), _processor()
        asked = proving.asked_of(subject, formats)  # type: ignore[arg-type]  # some of FORMATS
        row: Found = {"model": name, "torch": torch.__version__, "side": subject.rows.shape[-1], "weights": weights}
        row["rows"] = sum(len(question.inputs) for question in asked.held_out)
        row["truth_seconds"] = round(time.perf_counter() - began, 1)
        row["truth_processor"] = round(_processor() - worked, 2)
        for kind in formats:
            spent = [_processor()]
            proving._PROVE[kind] = _noting(proving._PROVE[kind], spent)  # type: ignore[index]  # one of FORMATS
            try:
                proof = proving.prove(kind, proving.Evidence(subject, asked, folder))  # type: ignore[arg-type]  # one of FORMATS
            except ZooError as error:
                row[kind] = {"verdict": error.message}
                continue
            whole, path = proof.executions[0].whole, folder / proof.file
            row[kind] = {
                "verdict": proof.verdict if proof.verdict == "equal" else f"{proof.verdict}: {proof.reason}",
                "bit_equal": proof.executions[0].bit_equal,
                "drawn": "" if proof.drawn is None else proof.drawn.reason,
                "export_seconds": proof.export_seconds,
                "proof_seconds": proof.proof_seconds,
                "export_processor": round(spent[1] - spent[0], 2),
                "proof_processor": round(_processor() - spent[1], 2),
                "bytes": storage.size(path),
                "ulps": whole.file_max_in_ulps,
                "float64": proof.float64_error,
                "nodes": _nodes(path) if kind == "onnx" else None,
            }
        row["memory"] = (_memory("VmHWM") - before) / weights
    return row


def _warm(formats: Sequence[str]) -> None:
    """Let the exporters import all that they work with."""
    import torch
    import torchvision.models  # noqa: F401  # what a model is built of

    from exporters import onnx, torch_export, torchscript  # noqa: F401

    layer, rows = torch.nn.Linear(1, 1), (torch.zeros(3, 1),)
    if "onnx" in formats:
        onnx._capture(layer, rows, (Shape("N", 1),))
    if {"onnx", "pt2"} & {*formats}:
        torch.export.export(layer, rows)


def _document(entry: Entry, side: int) -> Found:
    side = entry.side(None) or max(side, entry.least)
    data = {"type": "FakeImages", "size": 32, "image_size": [3, side, side], "num_classes": 10, "masks": entry.segments}
    return {
        "name": entry.name.replace(".", "_"),
        "data": data | {"transforms": [{"type": "ToDtype", "dtype": "float32", "scale": True}]},
        "model": {"type": "torchvision", "name": entry.name, "classes": "classes"},
        "loss": {"type": "CrossEntropyLoss"},
        "optimizer": {"type": "SGD", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": 8},
    }


def _memory(kind: str) -> int:
    """Return the bytes that this process has, "VmRSS", or the most that it had, "VmHWM"."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def _processor() -> float:
    """Return the seconds of processor that this process has taken, and those it started and waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in used)


# Any: as the proof of a format.
def _noting(prove: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return what notes the time when the export has ended, and goes on with the proof."""

    def noted(*given: Any) -> Any:
        if len(spent) == 1:
            spent.append(_processor())
        return prove(*given)

    return noted


def _nodes(path: Path) -> int:
    from exporters import storage

    return len(storage.outline(path).graph.node)


def line(row: Found) -> str:
    """Return a model's row of the table."""
    if "failed" in row:
        return f"| {row['model']} | {row['failed']} |"
    found = row.get("onnx", {})
    if "nodes" in found:
        times = f"{found['nodes']} | {found['export_seconds']:.1f} | {found['proof_seconds']:.1f}"
        numbers = f"{times} | {found['bytes'] / 1e6:.1f} | {found['ulps']:.2f}"
    else:
        numbers = " | ".join(["–"] * 5)
    verdicts = " | ".join(str(row.get(kind, {}).get("verdict", "–")) for kind in FORMATS)
    return f"| {row['model']} | {row['side']} | {numbers} | {verdicts} | {row['memory']:.1f} |"


def table(found: Sequence[Found]) -> list[str]:
    """Return the lines of the table, and their count."""
    head = ("model", "pixels", "nodes", "export, s", "proof, s", "MB", "error, eps·S", *FORMATS, "memory, weights")
    proven = {kind: sum(row.get(kind, {}).get("verdict") == "equal" for row in found) for kind in FORMATS}
    counts = ", ".join(f"{count} of {len(found)} in {kind}" for kind, count in proven.items())
    rows = [line(row) for row in sorted(found, key=lambda row: row["model"])]
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *rows, "", f"proven: {counts}"]


if __name__ == "__main__":
    main()
