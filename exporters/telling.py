"""Telling: what is found in and of exported files, as tables or as records for machines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from exporters.certificate import Certificate, Execution
from exporters.inspection import Inspection
from exporters.reduced import ReducedProof
from exporters.verification import Verification
from zoo import console
from zoo.visible import visible

if TYPE_CHECKING:
    from exporters.latency import Benchmark  # which imports torch

LONGEST_TOLD = 300  # letters of a text of a file; --json has all of them


def print_inspection(found: Inspection, as_json: bool) -> None:
    """Print what an ONNX file says of itself."""
    if as_json:
        console.print_json(found.document())
        return
    sets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    facts = [
        ("file", f"{found.file}, {found.bytes:,} bytes"),
        ("written by", found.producer),
        ("IR version", str(found.ir_version)),
        ("opset", sets),
        ("graph", found.graph),
        ("tensors", f"{found.tensors:,} with {found.parameters:,} numbers"),
        ("tensors in", ", ".join(found.external)),
        ("defines", ", ".join(found.functions)),
    ]
    console.print_table("", ("", ""), [(name, told(text)) for name, text in facts if text])
    ends = [("in", value) for value in found.inputs] + [("out", value) for value in found.outputs]
    rows = [(way, told(value.name), value.dtype, told(_axes(value.axes))) for way, value in ends]
    console.print_table("", ("", "name", "dtype", "axes"), rows)
    console.print_table(
        "", ("operator", "nodes"), [(told(name), f"{count:,}") for name, count in found.operators.items()]
    )
    if found.metadata:
        console.print_table("", ("metadata", ""), [(told(key), told(said)) for key, said in found.metadata.items()])


def print_verification(found: Verification, as_json: bool) -> None:
    """Print what repeating a proof found."""
    if as_json:
        console.print_json(found.document())
        return
    rows = [(check.name, check.state, told(check.detail)) for check in found.checks]
    console.print_table("", ("check", "state", ""), rows)
    runs = [(again.file, execution) for again in found.repeated for execution in again.executions]
    if runs:
        print_executions(runs)
    print(f"{told(found.bundle)}: {'verified' if found.passed else 'refused'}")


def print_benchmark(found: Benchmark, as_json: bool) -> None:
    """Print how long each program takes."""
    if as_json:
        console.print_json(found.document())
        return
    rows = [
        (
            str(one.batch),
            one.program,
            f"{one.p50_ms:.3f}",
            f"{one.p99_ms:.3f}",
            f"{one.rows_per_second:,.0f}",
            f"{one.rounds:,}",
        )
        for one in found.measured
    ]
    header = ("batch", "program", "p50 ms", "p99 ms", "rows/s", "calls")
    console.print_table(f"{found.threads} of {found.cores} cores", header, rows)
    for text in found.left_out:
        print(f"left out: {told(text)}", file=sys.stderr)


def print_executions(runs: Sequence[tuple[str, Execution]]) -> None:
    """Print how far each run of a file is from the model in float64."""
    rows = [
        (
            told(file),
            f"{told(execution.runtime)} {told(execution.version)}, {told(execution.mode)}",
            str(found.rows),
            f"{found.torch_max:.2e}",
            f"{found.file_max:.2e}",
            f"{found.max_limit:.2e}",
            "equal bit for bit" if execution.bit_equal else found.verdict,
        )
        for file, execution in runs
        for found in (execution.whole,)
    ]
    header = ("file", "run by", "rows", "torch's error", "its error", "allowed", "verdict")
    console.print_table("largest error from the float64 model", header, rows)


def print_drawn(made: Certificate) -> None:
    """Print why a trained model is proven with other weights than its own, where it is."""
    for proof in made.proofs if made.origin == "trained" else ():
        if proof.drawn is not None:
            said = f"{proof.file}: {proof.drawn.reason}; it is proven with drawn weights in the place of its own"
            print(visible(said), file=sys.stderr)


def _axes(axes: Sequence[int | str] | None) -> str:
    return "any" if axes is None else f"({', '.join(map(str, axes))})"


def told(text: str) -> str:
    """Return a text of a stranger's file as a terminal may show it: no control characters, and not too long."""
    return visible(text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…")


def print_losses(reduced: Sequence[ReducedProof]) -> None:
    """Print what files of lower precision lose, where there are any, and which of them are no smaller."""
    rows = [
        (
            proof.file,
            f"{100 * proof.share:.0f} %",
            loss.name,
            f"{loss.fp32:.6g}",
            f"{loss.file:.6g}",
            f"{proof.error:.2e}",
            f"{proof.allowed:.2e}",
        )
        for proof in reduced
        for loss in proof.losses
    ]
    if rows:
        header = ("file", "size", "metric", "float32", "this file", "rms error", "allowed")
        console.print_table("what lower precision loses", header, rows)
    for text in filter(None, (proof.larger for proof in reduced)):
        print(f"nothing is gained: {text}", file=sys.stderr)
