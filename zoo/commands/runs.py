"""Commands on runs, and on this machine: reproduce, evaluate, report, predict, doctor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.commands.notes import answering, show_notes
from zoo.commands.options import device_option, json_option, set_data_option
from zoo.errors import UsageError

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("run", required=False)
@set_data_option
@click.option("--device", help="As in zoo train; by default the one that the run was trained on.")
@json_option
def reproduce(run: str | None, overrides: tuple[str, ...], device: str | None, as_json: bool) -> None:
    """Train a run's spec once more, beside it; exit 0 where all is the same to the bit, 1 where not."""
    from zoo.economy import settle

    settle()
    show_notes()
    from zoo.finding import find_run

    found = find_run(run, overrides)  # before torch is imported: a wrong name is told at once

    from zoo import console, reproduction
    from zoo.progress import TrainingProgress

    with TrainingProgress() as progress, answering(found.path):
        made = reproduction.reproduce(found, device, progress)
    console.print_reproduction(made, as_json)
    if not made.passed:
        sys.exit(1)


@click.command()
@click.argument("run", required=False)
@set_data_option
@device_option
@json_option
def evaluate(run: str | None, overrides: tuple[str, ...], device: str, as_json: bool) -> None:
    """Measure a run's model on the test split."""
    from zoo.economy import settle

    settle()
    from zoo.finding import find_run

    found = find_run(run, overrides)

    from zoo import console
    from zoo.report.writing import measure_run
    from zoo.run import recovered_parameters

    show_notes()
    with answering(found.path):
        metrics, evaluation = measure_run(found, device)
    print(found.told(), file=sys.stderr)
    confusion = evaluation.confusion
    if as_json:
        record: dict[str, object] = {"run": str(found.path), "metrics": metrics}
        console.print_json(record if confusion is None else record | {"confusion": confusion.record()})
    else:
        console.print_metrics(metrics, recovered_parameters(found))
        if confusion is not None:
            console.print_confusion(confusion)


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE.html", help="The file.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@json_option
def report(runs: tuple[str, ...], out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Write a run's report anew from its files, or one page that compares several runs.

    One RUN is written to RUN/report.html, several to report.html in the current folder; -o says otherwise.
    """
    from zoo.finding import find_run

    found = [find_run(run) for run in runs] or [find_run(None)]

    from zoo import console
    from zoo.report.writing import report_run, report_runs

    if len(found) == 1:
        if overwrite and out is None:
            raise UsageError("RUN/report.html is always written anew", "leave out --overwrite, or name a file with -o")
        with answering(found[0].path):
            path, record = report_run(found[0], out, overwrite)
    else:
        path, record = report_runs(found, out, overwrite)
    if as_json:
        console.print_json({"report": str(path), **record})
    else:
        print(f"written: {path}", file=sys.stderr)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, required=True, metavar="[RUN] INPUT...")
@json_option
def predict(arguments: tuple[str, ...], as_json: bool) -> None:
    """Predict from rows ("1,2,3"), CSV files, image files, or texts; "-" reads rows or a text from standard input."""
    unknown = [argument for argument in arguments if argument.startswith("--")]
    if unknown:
        raise UsageError(f"zoo predict has no option {unknown[0]}", "write --json, or ./ before a file's name")
    from zoo.finding import split_run

    run, inputs = split_run(arguments)

    from zoo import console
    from zoo.prediction import predict_inputs

    with answering(run.path):
        predictions = predict_inputs(run, inputs)
    print(run.told(), file=sys.stderr)
    console.print_predictions(predictions, as_json)


@click.command()
@json_option
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


COMMANDS = (reproduce, evaluate, report, predict, doctor)
