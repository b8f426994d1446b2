"""Reports on disk: of a training that ends, of a run that is there, and of several."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from zoo.build import bare_model
from zoo.data import Rows
from zoo.errors import UsageError
from zoo.files import write_text
from zoo.report.collector import Collector
from zoo.report.evaluation import Evaluation
from zoo.report.record import read_record
from zoo.report.run_page import run_page
from zoo.run import Run, evaluate_run
from zoo.training.evaluation import evaluate, recovered
from zoo.training.objective import Objective
from zoo.training.streaming import Stream

COMPARISON_FILE = Path("report.html")


def report_training(run: Run, tensors: Mapping[str, Tensor], objective: Objective, rows: Rows | Stream) -> None:
    """Write evaluation.json and report.html of a training that has come to its end.

    Args:
        run: has its spec, environment and metrics.
        tensors: the weights that it keeps.
        objective: of its training.
        rows: the test split, on the device of the training.

    Raises:
        OutputError: a file cannot be written.
    """
    model = bare_model(run.checked)
    model.load_state_dict(tensors)
    collector = Collector(run.checked)
    evaluate(model.to(rows.device), objective, rows, observe=collector)
    found = collector.evaluation(recovered(model, run.checked.spec.data.truth().parameters))
    write_text(run.evaluation_file, json.dumps(found.document(), ensure_ascii=False, allow_nan=False) + "\n")
    write_text(run.report_file, run_page(read_record(run, True, found)))


def measure_run(run: Run, device_name: str) -> tuple[dict[str, float], Evaluation]:
    """Return the loss and the metrics of a run's model on the test split, and what a report shows of its answers.

    Raises:
        ZooError: as `evaluate_run`.
    """
    collector = Collector(run.checked)
    metrics = evaluate_run(run, device_name, collector)
    return metrics, collector.evaluation([])


def report_run(run: Run, out: Path | None, overwrite: bool) -> tuple[Path, dict[str, object]]:
    """Write the report of a run from its files, by default in the place of the one that is there; tell where and what.

    Raises:
        RunError: a file of the run is absent or damaged.
        UsageError: `out` is there already.
    """
    record = read_record(run)
    path = run.report_file if out is None else _free(out, overwrite)
    write_text(path, run_page(record))
    return path, record.document()


def report_runs(runs: Sequence[Run], out: Path | None, overwrite: bool) -> tuple[Path, dict[str, object]]:
    """Write the comparison of several runs from their files; tell where and what.

    Raises:
        RunError: a file of a run is absent or damaged.
        UsageError: a run is named twice, the runs have nothing in common, or the page is there already.
    """
    from zoo.report.comparison import comparison_of, comparison_page  # a training needs none of it

    paths = [run.path.resolve() for run in runs]
    twice = [run.path for run, path in zip(runs, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise UsageError(f"the run {twice[0]} is named twice", "name each run once")
    path = _free(COMPARISON_FILE if out is None else out, overwrite)
    found = comparison_of([read_record(run) for run in runs])
    write_text(path, comparison_page(found))
    return path, found.document()


def _free(path: Path, overwrite: bool) -> Path:
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "give the name of a file: -o report.html")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already", "give another file with -o, or --overwrite")
    return path
