"""The command line: a command parses, calls one function, prints."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from zoo import __version__
from zoo.errors import Interrupted, UsageError, ZooError
from zoo.processes import require_alone_or_own, seat

if TYPE_CHECKING:
    from exporters.certificate import Certificate
    from zoo.run import Run
    from zoo.training.distributed import World

_set = click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change an option of the spec.")
_set_data = click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change an option below data, such as data.root."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the record for machines.")
_device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="zoo")
def zoo() -> None:
    """Models from one JSON file: check, train, and export with proof.

    SPEC is a .json file, or the name of a spec that `zoo list` shows. RUN is a directory, or a spec's name for its
    newest run; without RUN, the newest run of all.
    """


@zoo.command("list")
@_json
def list_specs(as_json: bool) -> None:
    """List the specs that come with zoo."""
    from zoo import catalog, console
    from zoo.check import check_file

    specs = [check_file(name).spec for name in catalog.names()]
    if as_json:
        console.print_json([{"name": spec.name, "summary": spec.summary} for spec in specs])
    else:
        console.print_table("", ("name", "summary"), [(spec.name, spec.summary) for spec in specs])


@zoo.command()
@click.argument("spec")
@_set
@click.option("--resolved", is_flag=True, help="Show every value and where it came from.")
@click.option("--graph", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the layers into a file.")
@_json
def show(spec: str, overrides: tuple[str, ...], resolved: bool, graph: Path | None, as_json: bool) -> None:
    """Show a spec: its layers with their shapes and costs, and how it is trained."""
    if graph is not None and (resolved or as_json):
        raise UsageError("--graph draws, and prints nothing", "give --graph alone, or without it --resolved or --json")
    from zoo import console
    from zoo.check import check_file

    checked = check_file(spec, overrides)
    if graph is not None:
        from zoo.picture import draw

        draw(checked, graph)
        print(f"written: {graph}", file=sys.stderr)
    elif resolved:
        from zoo.origins import origins

        console.print_origins(origins(checked), as_json)
    else:
        from zoo.costs import costs

        console.print_spec(checked, costs(checked), as_json)


@zoo.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_set
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
def check(paths: tuple[str, ...], overrides: tuple[str, ...], form: str) -> None:
    """Check specs without reading data: every problem with its place and a remedy.

    PATH is a spec, a folder (every .json file below it), or a pattern such as 'specs/*.json'.
    """
    from zoo import console
    from zoo.survey import survey

    found = survey(paths, overrides)
    console.print_survey(found, form)
    if not found.passed:
        sys.exit(2)


@zoo.command()
@click.argument("first")
@click.argument("second")
@_json
def diff(first: str, second: str, as_json: bool) -> None:
    """Compare two specs by what they mean; exit 0 where they are the same model, 1 where not."""
    from zoo import console
    from zoo.difference import compare_files

    found = compare_files(first, second)
    console.print_difference(found, as_json)
    if not found.same:
        sys.exit(1)


@zoo.command()
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


@zoo.command()
@click.argument("spec", required=False)
@click.option("--resume", metavar="RUN", help="Go on with a training that was stopped.")
@_set
@_device
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Short for --set train.seed=N.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the run; by default runs/NAME.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there.")
@click.option("--processes", type=click.IntRange(1, 1024), metavar="N", help="Train with N processes of this machine.")
@_json
def train(
    spec: str | None,
    resume: str | None,
    overrides: tuple[str, ...],
    device: str,
    seed: int | None,
    out: Path | None,
    overwrite: bool,
    processes: int | None,
    as_json: bool,
) -> None:
    """Train a spec into a run directory."""
    from zoo.economy import settle

    settle()
    require_alone_or_own(processes)
    if (spec is None) == (resume is None):
        raise UsageError("zoo train takes a SPEC, or --resume RUN", "write for example: zoo train specs/linear3.json")
    if resume is not None and (seed is not None or out is not None or overwrite):
        raise UsageError("--seed, --out and --overwrite do not go with --resume", "a resumed run keeps its own")
    seeds = () if seed is None else (f"train.seed={seed}",)

    def work(world: World | None) -> None:
        _show_notes(world is None or world.leads)
        if resume is not None:
            _resume(resume, overrides, device, world, as_json)
        else:
            _train(str(spec), (*overrides, *seeds), device, (out, overwrite), world, as_json)

    if seat() is not None:
        from zoo.training.distributed import joined

        with joined() as world:
            work(world)
    elif processes is not None and processes > 1:
        _launch(str(spec), resume, (*overrides, *seeds), processes)
    else:
        work(None)


def _launch(spec: str, resume: str | None, overrides: tuple[str, ...], processes: int) -> NoReturn:
    """Start this command again in several processes, after what each of them would refuse is refused once."""
    from zoo.check import check_file
    from zoo.processes import require_rows

    if resume is None:
        checked = check_file(spec, overrides)
    else:
        from zoo.finding import find_run

        checked = find_run(resume, overrides).checked
    require_rows(checked.spec.train.batch_size, processes)

    from zoo.training.launcher import launch

    sys.exit(launch(Path(__file__), sys.argv[1:], processes))


def _train(
    spec: str,
    overrides: tuple[str, ...],
    device: str,
    where: tuple[Path | None, bool],
    world: World | None,
    as_json: bool,
) -> None:
    from zoo.check import check_file

    checked = check_file(spec, overrides)  # before torch is imported: a wrong spec is told at once

    from zoo.destination import Destination
    from zoo.progress import watching
    from zoo.trainer import train_run
    from zoo.training.distributed import World
    from zoo.training.threads import settle_threads

    settle_threads(checked)
    world = world or World.alone
    with watching(world.leads) as progress:
        run = train_run(checked, device, Destination(*where), progress, world)
    if world.leads:
        _print_run(run, as_json)


def _resume(reference: str, overrides: tuple[str, ...], device: str, world: World | None, as_json: bool) -> None:
    from zoo.finding import find_run
    from zoo.progress import watching
    from zoo.trainer import resume_run
    from zoo.training.distributed import World
    from zoo.training.threads import settle_threads

    run, world = find_run(reference, overrides), world or World.alone
    settle_threads(run.checked)
    with watching(world.leads) as progress:
        resume_run(run, device, progress, world)
    if world.leads:
        _print_run(run, as_json)


def _show_notes(shown: bool = True) -> None:
    """Let what a command says beside its numbers, through Python's logging, appear on stderr."""
    import logging

    logging.getLogger("zoo").setLevel(logging.INFO if shown else logging.CRITICAL)
    if logging.lastResort is not None:
        logging.lastResort.setLevel(logging.INFO)  # where the program around zoo has said nothing else


@zoo.command()
@click.argument("spec")
@_set
@click.option("--trials", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Trials in all.")
@click.option("--metric", default="validation_loss", show_default=True, help="What the best trial is best at.")
@click.option("--pruner", type=click.Choice(["median", "hyperband", "none"]), default="median", show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of what is drawn.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Trials at a time.")
@click.option("--resume", is_flag=True, help="Go on with the search in the directory.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the search; by default runs/tune-NAME.")
@click.option("--storage", metavar="URL", help="A database that several machines share.")
@_device
@_json
def tune(
    spec: str, overrides: tuple[str, ...], metric: str, resume: bool, workers: int, as_json: bool, **how: Any
) -> None:
    """Search for the best values: those written {"search": "log_uniform", "low": 1e-5, "high": 0.1} and the like."""
    from zoo.inheritance import read_spec
    from zoo.searched import check_searched, goal_of

    searched = check_searched(read_spec(spec, overrides))  # before torch is imported: a wrong spec is told at once
    goal = goal_of(searched, metric)
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise UsageError("zoo tune needs optuna, which is not here", "pip install 'zoo[tune]'") from error
    from zoo import console
    from zoo.tune import tune as search
    from zoo.tuning import Tuning

    console.print_found(search(Tuning(searched, goal, **how), resume, workers), as_json)


def _print_run(run: Run, as_json: bool) -> None:
    from zoo import console
    from zoo.run import recovered_parameters

    console.print_run(run, recovered_parameters(run), as_json)


@zoo.command()
@click.argument("run", required=False)
@_set_data
@click.option("--device", help="As in zoo train; by default the one that the run was trained on.")
@_json
def reproduce(run: str | None, overrides: tuple[str, ...], device: str | None, as_json: bool) -> None:
    """Train a run's spec once more, beside it; exit 0 where all is the same to the bit, 1 where not."""
    _show_notes()
    from zoo import console, reproduction
    from zoo.finding import find_run
    from zoo.progress import TrainingProgress

    found = find_run(run, overrides)
    with TrainingProgress() as progress:
        made = reproduction.reproduce(found, device, progress)
    console.print_reproduction(made, as_json)
    if not made.passed:
        sys.exit(1)


@zoo.command()
@click.argument("run", required=False)
@_set_data
@_device
@_json
def evaluate(run: str | None, overrides: tuple[str, ...], device: str, as_json: bool) -> None:
    """Measure a run's model on the test split."""
    from zoo import console
    from zoo.economy import settle

    settle()
    from zoo.finding import find_run
    from zoo.report.writing import measure_run
    from zoo.run import recovered_parameters

    found = find_run(run, overrides)
    _show_notes()
    metrics, evaluation = measure_run(found, device)
    confusion = evaluation.confusion
    if as_json:
        record: dict[str, object] = {"run": str(found.path), "metrics": metrics}
        console.print_json(record if confusion is None else record | {"confusion": confusion.record()})
    else:
        console.print_metrics(metrics, recovered_parameters(found))
        if confusion is not None:
            console.print_confusion(confusion)


@zoo.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE.html", help="The file.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@_json
def report(runs: tuple[str, ...], out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Write a run's report anew from its files, or one page that compares several runs.

    One RUN is written to RUN/report.html, several to report.html in the current folder; -o says otherwise.
    """
    from zoo import console
    from zoo.finding import find_run
    from zoo.report.writing import report_run, report_runs

    found = [find_run(run) for run in runs] or [find_run(None)]
    if len(found) == 1:
        if overwrite and out is None:
            raise UsageError("RUN/report.html is always written anew", "leave out --overwrite, or name a file with -o")
        path, record = report_run(found[0], out, overwrite)
    else:
        path, record = report_runs(found, out, overwrite)
    if as_json:
        console.print_json({"report": str(path), **record})
    else:
        print(f"written: {path}", file=sys.stderr)


@zoo.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, required=True, metavar="[RUN] INPUT...")
@_json
def predict(arguments: tuple[str, ...], as_json: bool) -> None:
    """Predict from rows ("1,2,3"), CSV files, image files, or standard input ("-")."""
    unknown = [argument for argument in arguments if argument.startswith("--")]
    if unknown:
        raise UsageError(f"zoo predict has no option {unknown[0]}", "write --json, or ./ before a file's name")
    from zoo import console
    from zoo.finding import split_run
    from zoo.prediction import predict_inputs

    run, inputs = split_run(arguments)
    console.print_predictions(predict_inputs(run, inputs), as_json)


@zoo.command()
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
@_set_data
@_json
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
    from exporters import request
    from exporters.bundle import Destination, publish
    from exporters.subject import find_subject

    wanted = request.read(asked)
    subject = find_subject(run, overrides, untrained)
    if raw:
        from exporters.raw import with_raw_rows

        subject = with_raw_rows(subject)
    destination = Destination(out if out is not None else subject.folder, overwrite)
    print(f"exporting {subject.checked.spec.name} as {' and '.join(wanted.formats)} …", file=sys.stderr)
    _print_certificate(publish(subject, wanted.formats, destination, wanted.onnx), destination.folder, as_json)


def _print_certificate(made: Certificate, folder: Path, as_json: bool) -> None:
    from exporters import telling
    from zoo import console

    if as_json:
        console.print_json({"bundle": str(folder), "certificate": made.document()})
        return
    telling.print_executions([(proof.file, execution) for proof in made.proofs for execution in proof.telling])
    telling.print_losses(made.reduced)
    written = [(str(folder / record.name), f"{record.bytes:,}") for record in made.files]
    console.print_table("written", ("file", "bytes"), [*written, (str(folder / "certificate.json"), "")])


@zoo.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@_json
def verify(bundle: Path, as_json: bool) -> None:
    """Repeat the proof of an exported bundle from the bundle alone; torch and zoo's specs are not needed."""
    from exporters import telling
    from exporters.verification import verify as verify_bundle

    found = verify_bundle(bundle)
    telling.print_verification(found, as_json)
    if not found.passed:
        sys.exit(1)


@zoo.command()
@click.argument("bundle", required=False, metavar="[BUNDLE | RUN]")
@click.option(
    "--batch", "batches", type=click.IntRange(1, 65536), multiple=True, help="Rows at a time; again for more."
)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Of each program.")
@click.option("--seconds", type=click.FloatRange(0, 600), default=2.0, show_default=True, help="For each batch size.")
@_json
def benchmark(bundle: str | None, batches: tuple[int, ...], threads: int, seconds: float, as_json: bool) -> None:
    """Measure latency and throughput of torch and of each exported file, side by side."""
    from exporters import telling
    from exporters.latency import BATCHES, Haste
    from exporters.latency import benchmark as measure

    telling.print_benchmark(measure(bundle, Haste(batches or BATCHES, threads, seconds)), as_json)


@zoo.command()
@click.argument("file", type=click.Path(path_type=Path))
@_json
def inspect(file: Path, as_json: bool) -> None:
    """Look into an ONNX file: inputs, outputs, opset, operators, metadata. Nothing of it is run or loaded."""
    from exporters import telling
    from exporters.inspection import inspect as inspect_file

    telling.print_inspection(inspect_file(file), as_json)


@zoo.command()
@click.argument("spec")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FILE.py", help="The file.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@_set
def eject(spec: str, out: Path, overwrite: bool, overrides: tuple[str, ...]) -> None:
    """Write a spec as one file of plain PyTorch that trains to the same bits without zoo."""
    if out.exists() and not overwrite:
        raise UsageError(f"{out} is there already", "give another file, or --overwrite")
    from zoo.check import check_file

    checked = check_file(spec, overrides)  # before torch is imported: a wrong spec is told at once

    from zoo.eject import eject as write_python

    write_python(checked, out)
    print(f"written: {out}", file=sys.stderr)


@zoo.command()
@_json
def doctor(as_json: bool) -> None:
    """Look at this machine: Python, torch, CUDA, onnxruntime; a remedy for what is missing."""
    from zoo import console
    from zoo.doctor import examine

    findings = examine()
    if as_json:
        console.print_json([vars(finding) for finding in findings])
    else:
        rows = [(finding.subject, finding.state, finding.detail, finding.remedy) for finding in findings]
        console.print_table("", ("what", "state", "found", "remedy"), rows)
    if any(finding.state == "missing" for finding in findings):
        sys.exit(1)


def _speak_unicode() -> None:
    """Read UTF-8 and nothing else; write what a narrow encoding has no letter for as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")  # as files are read


def main() -> NoReturn:
    """Run a command and leave with its exit status: 0 done, 1 a proof failed, 2 the input is wrong, 130 interrupted."""
    _speak_unicode()
    try:
        zoo.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Interrupted as error:
        print(error, file=sys.stderr)
        sys.exit(128 + error.signal_number)
    except ZooError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the pipe has what it wanted
        sys.exit(0)
    except OSError as error:  # a name that the system refuses, such as one of 400 characters
        print(f"error: {error.strerror or error}: {str(error.filename)[:80]}", file=sys.stderr)
        print("   remedy: give another path", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


if __name__ == "__main__":
    main()
