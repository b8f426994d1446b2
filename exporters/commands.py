"""Commands on exported files: export, verify, benchmark, inspect, and the schemas."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from zoo.commands.notes import answering
from zoo.commands.options import json_option, set_data_option
from zoo.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from exporters.certificate import Certificate


@click.command()
@click.option("--search", is_flag=True, help="Of specs with searches, for zoo tune.")
@click.option("--certificate", "of_certificate", is_flag=True, help="Of an export's certificate.json.")
def schema(search: bool, of_certificate: bool) -> None:
    """Print the JSON Schema of specs, for editors."""
    from zoo import console

    if search and of_certificate:
        raise UsageError("--search and --certificate are two schemas", "give one of them")
    if of_certificate:
        from exporters.certificate import json_schema as certificate_schema

        console.print_json(certificate_schema())
        return
    from zoo.schema import json_schema, search_schema

    console.print_json(search_schema() if search else json_schema())


@click.command()
@click.argument("run", required=False)
@click.option("--onnx", is_flag=True, help="Write model.onnx (the default).")
@click.option("--torchscript", is_flag=True, help="Write model.torchscript.")
@click.option("--pt2", is_flag=True, help="Write model.pt2 (torch.export).")
@click.option("--opset", type=click.IntRange(17, 23), help="Operator set of the ONNX file; by default 20.")
@click.option(
    "--target",
    multiple=True,
    metavar="NAME",
    help="What the ONNX file is for: onnxruntime>=1.17, openvino, triton, web.",
)
@click.option("--raw", is_flag=True, help="With the preprocessing and the decision inside: uint8 images, table rows.")
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), help="fp16: also a file in half precision.")
@click.option("--quantize", type=click.Choice(["int8"]), help="Also a file in 8-bit integers.")
@click.option("--untrained", is_flag=True, help="Export a SPEC with fresh weights.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the bundle; by default RUN/export.")
@click.option("--overwrite", is_flag=True, help="Replace an export that is there.")
@set_data_option
@json_option
def export(
    run: str | None,
    raw: bool,
    untrained: bool,
    out: Path | None,
    overwrite: bool,
    overrides: tuple[str, ...],
    as_json: bool,
    **asked: Any,  # what exporters.request reads
) -> None:
    """Export a run, prove the files equal to the model, and only then publish them."""
    from zoo.economy import rest

    rest()
    from exporters import locating, request
    from exporters.destination import Destination

    wanted = request.read(asked)
    source = locating.find_source(run, overrides, untrained)  # before torch is imported: what is wrong is told at once
    destination = Destination(out if out is not None else locating.usual_place(source), overwrite)
    destination.require_free()

    from exporters.bundle import publish
    from exporters.subject import subject_of
    from zoo.run import Run

    with _ending(), answering(source.path if isinstance(source, Run) else None):
        subject = subject_of(source)
        if raw:
            from exporters.raw import with_raw_rows

            subject = with_raw_rows(subject)
        print(f"exporting {subject.checked.spec.name} as {' and '.join(wanted.formats)} …", file=sys.stderr)
        made = publish(subject, wanted.formats, destination, wanted.onnx)
    _print_certificate(made, destination.folder, as_json)


@contextmanager
def _ending() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C, with nothing left behind, also where torch takes it for an error of its own.

    Raises:
        Interrupted: a signal ended the block.
    """
    received: list[int] = []

    def hear(number: int, frame: FrameType | None) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM)
    heard = {number: signal.signal(number, hear) for number in signals if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    except BaseException as error:
        if not received:
            raise
        raise Interrupted("nothing was published", "give the same command again", received[-1]) from error
    finally:
        for number, before in heard.items():
            signal.signal(number, before)


def _print_certificate(made: Certificate, folder: Path, as_json: bool) -> None:
    from exporters import telling
    from zoo import console

    if as_json:
        console.print_json({"bundle": str(folder), "certificate": made.document()})
        return
    telling.print_executions([(proof.file, execution) for proof in made.proofs for execution in proof.telling])
    telling.print_losses(made.reduced)
    telling.print_drawn(made)
    written = [(str(folder / record.name), f"{record.bytes:,}") for record in made.files]
    console.print_table("written", ("file", "bytes"), [*written, (str(folder / "certificate.json"), "")])


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@json_option
def verify(bundle: Path, as_json: bool) -> None:
    """Repeat the proof of an exported bundle from the bundle alone; torch and zoo's specs are not needed."""
    from zoo.economy import rest

    rest()
    from exporters import telling
    from exporters.verification import verify as verify_bundle

    found = verify_bundle(bundle)
    telling.print_verification(found, as_json)
    if not found.passed:
        sys.exit(1)


@click.command()
@click.argument("bundle", required=False, metavar="[BUNDLE | RUN]")
@click.option(
    "--batch", "batches", type=click.IntRange(1, 65536), multiple=True, help="Rows at a time; again for more."
)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Of each program.")
@click.option("--seconds", type=click.FloatRange(0, 600), default=2.0, show_default=True, help="For each batch size.")
@json_option
def benchmark(bundle: str | None, batches: tuple[int, ...], threads: int, seconds: float, as_json: bool) -> None:
    """Measure latency and throughput of torch and of each exported file, side by side."""
    from exporters.locating import find_bundle

    if math.isnan(seconds):  # which is in every range
        raise UsageError("--seconds is not a number", "write for example: --seconds 2")
    find_bundle(bundle)  # before torch is imported: a wrong name is told at once

    from exporters import telling
    from exporters.latency import BATCHES, Haste
    from exporters.latency import benchmark as measure

    telling.print_benchmark(measure(bundle, Haste(batches or BATCHES, threads, seconds)), as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def inspect(file: Path, as_json: bool) -> None:
    """Look into an ONNX file: inputs, outputs, opset, operators, metadata. Nothing of it is run or loaded."""
    from exporters import telling
    from exporters.inspection import inspect as inspect_file

    telling.print_inspection(inspect_file(file), as_json)


COMMANDS = (schema, export, verify, benchmark, inspect)
