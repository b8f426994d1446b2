"""The run directory: one training, complete and portable.

::

    runs/NAME/  spec.json  environment.json  metrics.jsonl  model.safetensors  checkpoints/last.pt  report.html
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from torch import nn

from zoo.build import fresh_model, load_rows
from zoo.check import CheckedSpec, check_file
from zoo.data import Rows
from zoo.device import find_device, fitting
from zoo.environment import describe_run
from zoo.errors import DataError, Diverged, Interrupted, OutputError, RunError, UsageError, reason
from zoo.files import replacing, write_text, writing
from zoo.nearest import suggestion
from zoo.report import render
from zoo.training import state as training_state
from zoo.training.evaluation import Recovered, evaluate, recovered
from zoo.training.loop import Row, Training, Watcher
from zoo.training.state import State

RUNS = Path("runs")
WHEREABOUTS = ("data.root", "data.download")
ENTRIES = {
    "spec.json",
    "environment.json",
    "metrics.jsonl",
    "model.safetensors",
    "checkpoints",
    "report.html",
    "export",
}
"""What a run directory holds; one that holds more is somebody's own and is never replaced."""
CLAIMS = 100  # tries; each one that fails was lost to another training
CHECKPOINT_EVERY = 10.0  # seconds between two checkpoints; each costs a write to the disk


@dataclass(frozen=True)
class Run:
    """A training on disk."""

    path: Path
    overrides: tuple[str, ...] = ()
    """PATH=VALUE below `data`: where the rows are on this machine."""

    @property
    def spec_file(self) -> Path:
        """Return spec.json: the resolved spec."""
        return self.path / "spec.json"

    @property
    def weights_file(self) -> Path:
        """Return model.safetensors; it exists once the training has ended well."""
        return self.path / "model.safetensors"

    @property
    def checkpoint_file(self) -> Path:
        """Return checkpoints/last.pt."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def metrics_file(self) -> Path:
        """Return metrics.jsonl: one line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def environment_file(self) -> Path:
        """Return environment.json."""
        return self.path / "environment.json"

    @property
    def report_file(self) -> Path:
        """Return report.html."""
        return self.path / "report.html"

    @cached_property
    def checked(self) -> CheckedSpec:
        """Return the run's spec.

        Raises:
            SpecError: somebody changed spec.json into something else.
        """
        return check_file(str(self.spec_file), self.overrides)

    def environment(self) -> dict[str, str | int]:
        """Return environment.json.

        Raises:
            RunError: it is absent or damaged.
        """
        try:
            found: dict[str, str | int] = _object(self.environment_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.environment_file} cannot be read: {reason(error)}", "train again") from error
        return found

    def rows(self) -> list[Row]:
        """Return the lines of metrics.jsonl; none where the file is absent, and not one cut off by a crash.

        Raises:
            RunError: a line is not JSON.
        """
        try:
            text = self.metrics_file.read_text(encoding="utf-8") if self.metrics_file.is_file() else ""
            return [_measured(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        except (OSError, ValueError) as error:
            raise RunError(f"{self.metrics_file} cannot be read: {reason(error)}", "train again") from error

    def load_model(self) -> nn.Sequential:
        """Return the trained module in evaluation mode, on the CPU.

        Raises:
            RunError: the weights are absent, damaged, or of another architecture.
        """
        model = fresh_model(self.checked)
        if not self.weights_file.is_file():
            remedy = f"finish it: zoo train --resume {self.path}" if self.checkpoint_file.is_file() else "train again"
            raise RunError(f"{self.path} has no weights: its training did not end", remedy)
        try:
            model.load_state_dict(load_file(self.weights_file))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise RunError(
                f"{self.weights_file} is damaged or of another spec: {reason(error)}", "train again"
            ) from error
        return model


def find_run(reference: str | None, overrides: Sequence[str] = ()) -> Run:
    """Return the run a person means: a directory, a spec's name (its newest run), or None (the newest of all).

    Raises:
        UsageError: there is no such run, or an override is not of the data.
    """
    require_data_options(overrides)
    if reference is not None and (Path(reference) / "spec.json").is_file():
        return Run(Path(reference), tuple(overrides))
    found = newest_run(reference)
    if found is not None:
        return Run(found.path, tuple(overrides))
    if reference is None:
        raise UsageError("there is no run in runs/", "train first: zoo train SPEC")
    if Path(reference).is_dir():
        raise UsageError(f"{reference} is no run: it has no spec.json", "name a directory that zoo train wrote")
    known = [name for run in _runs_here() for name in (str(run.path), _spec_name(run))]
    remedy = suggestion(reference, known) if known else "train first: zoo train SPEC"
    raise UsageError(f"no such run: {reference}", remedy)


def newest_run(name: str | None) -> Run | None:
    """Return the run in runs/ that began last, of the spec of this name or of all; None where there is none."""
    runs = [run for run in _runs_here() if name is None or _spec_name(run) == name]
    return max(runs, key=_started, default=None)


def require_data_options(overrides: Sequence[str]) -> None:
    """Refuse to change of a run what is not below data.

    Raises:
        UsageError: an override is of something else.
    """
    for text in overrides:
        if text.partition("=")[0] not in WHEREABOUTS:
            remedy = f"only {' and '.join(WHEREABOUTS)} may differ on another machine; train again for the rest"
            raise UsageError(f"--set {text}: a run keeps its spec", remedy)


def _runs_here() -> list[Run]:
    return [Run(path.parent) for path in RUNS.glob("*/spec.json") if (path.parent / "environment.json").is_file()]


def _started(run: Run) -> str:
    try:
        return str(run.environment().get("started", ""))
    except RunError:
        return ""  # a spoiled run is the oldest; named by its path it gets its own error


def _spec_name(run: Run) -> str:
    try:
        return str(json.loads(run.spec_file.read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # a spoiled run has no name to be found by; named by its path it gets its own error


@dataclass(frozen=True)
class Destination:
    """Where a training writes."""

    out: Path | None = None
    """A directory; by default runs/NAME, or the next free runs/NAME-2."""
    overwrite: bool = False
    """Replace a run that is there."""

    def choose(self, name: str) -> Path:
        """Return the directory for a run of this spec.

        Raises:
            UsageError: it is there already, or is something else than a run.
        """
        path = self.out if self.out is not None else RUNS / name
        if self.out is None and not self.overwrite:
            number = 2
            while path.exists():
                path, number = RUNS / f"{name}-{number}", number + 1
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return path
        if not path.is_dir():
            raise UsageError(f"{path} is a file, not a directory", "give another --out")
        entries = {entry.name for entry in path.iterdir()}
        if not {"spec.json", "environment.json"} <= entries <= ENTRIES:
            raise UsageError(f"{path} holds something else than a run", "give a new or empty directory with --out")
        if not self.overwrite:
            raise UsageError(f"{path} holds a run", "give another --out, or --overwrite to replace it")
        return path

    def claim(self, name: str) -> Path:
        """Return the directory for a run of this spec, made, and no other training's.

        Raises:
            UsageError: as `choose`.
            OutputError: it cannot be made.
        """
        path = self.choose(name)
        for _ in range(CLAIMS):
            path = self.choose(name)
            with writing(path):
                if self.overwrite and path.exists():
                    shutil.rmtree(path)
                try:
                    path.mkdir(parents=True, exist_ok=self.out is not None)
                    (path / "checkpoints").mkdir()
                except FileExistsError:
                    continue  # another training took it in the meantime
            return path
        raise OutputError(f"cannot make {path}: something is in its way", "give another directory with --out")


def train_run(checked: CheckedSpec, device_name: str, destination: Destination, watcher: Watcher) -> Run:
    """Train a spec into a new run directory; nothing is written before the data and the device are found.

    Raises:
        ZooError: as `Training.run`, and where data, device or directory are wrong.
    """
    destination.choose(checked.spec.name)
    device = find_device(device_name)
    splits = _load_splits(checked, device)
    state = training_state.begin(checked, device)
    run = Run(destination.claim(checked.spec.name))
    write_text(run.spec_file, _json(checked.spec.document()))
    write_text(run.environment_file, _json(describe_run(device, checked.spec.sha256())))
    _train(run, checked, state, splits, watcher)
    return run


def resume_run(run: Run, device_name: str, watcher: Watcher) -> Run:
    """Go on with a training from its last checkpoint.

    Raises:
        RunError: it has ended already, or its checkpoint is absent or damaged.
        ZooError: as `train_run`.
    """
    if run.weights_file.is_file():
        raise RunError(f"{run.path} has ended its training", "evaluate or export it, or train the spec again")
    device = find_device(device_name)
    splits = _load_splits(run.checked, device)
    state = training_state.resume(run.checkpoint_file, run.checked, device)
    kept = [row for row in run.rows() if row["epoch"] <= state.epoch and "seconds" in row]
    write_text(run.metrics_file, "".join(_line(row) for row in kept))
    _train(run, run.checked, state, splits, watcher)
    return run


def evaluate_run(run: Run, device_name: str) -> dict[str, float]:
    """Return the loss and the metrics of a run's model on the test split.

    Raises:
        ZooError: the weights, the data or the device are not here.
    """
    device = find_device(device_name)
    model = run.load_model().to(device)
    rows = load_rows(run.checked, "test").to(device)
    measured = evaluate(model, run.checked.spec.loss.build(), run.checked.spec.metrics, rows)
    return {f"test_{name}": value for name, value in measured.items()}


def recovered_parameters(run: Run) -> list[Recovered]:
    """Return what was learned beside what made the data, where the data knows that."""
    return recovered(run.load_model(), run.checked.spec.data.truth().parameters)


def split_run(arguments: Sequence[str]) -> tuple[Run, tuple[str, ...]]:
    """Return the run and the inputs of `[RUN] INPUT…`: the first argument is a run where there is one of that name.

    Raises:
        UsageError: there is no run, or there is no input.
    """
    try:
        run, inputs = find_run(arguments[0]), tuple(arguments[1:])
    except UsageError:
        if len(arguments) > 1 and not _is_input(arguments[0]):
            raise
        run, inputs = find_run(None), tuple(arguments)
    if not inputs:
        raise UsageError("there is nothing to predict", 'give a row such as "1,2,3", or the path of a file')
    return run, inputs


def _is_input(text: str) -> bool:
    return text == "-" or "," in text or Path(text).is_file() or text.lstrip("+-.")[:1].isdigit()


def _load_splits(checked: CheckedSpec, device: torch.device) -> tuple[Rows, Rows]:
    train, test = load_rows(checked, "train"), load_rows(checked, "test")
    size, fewest = checked.spec.train.batch_size, checked.smallest_training_batch
    if (len(train) % size or min(size, len(train))) < fewest:
        remedy = "write a train.batch_size that leaves another remainder"
        raise DataError(f"{len(train):,} rows in steps of {size} leave a last step of fewer than {fewest} rows", remedy)
    return train.to(device), test.to(device)


def _train(run: Run, checked: CheckedSpec, state: State, splits: tuple[Rows, Rows], watcher: Watcher) -> None:
    """Train to the end; write metrics and checkpoints on the way, weights and report at the end."""

    def save(state: State) -> None:
        training_state.save(run.checkpoint_file, state)

    training = Training(state, checked.spec, splits[0], splits[1], watcher, save)
    saved = time.perf_counter()
    try:
        with fitting("a step of the training", "write a smaller train.batch_size, or smaller layers"):
            for row in training.run():
                _append(run.metrics_file, row)
                if time.perf_counter() - saved > CHECKPOINT_EVERY:
                    save(state)
                    saved = time.perf_counter()
    except Diverged as error:
        _append(run.metrics_file, {"epoch": state.epoch + 1, "error": error.message})
        raise Diverged(f"{error.message}. The metrics so far are in {run.metrics_file}", error.remedy) from error
    except Interrupted as error:
        remedy = f"{error.remedy} {run.path}"
        raise Interrupted(f"{error.message}; checkpoint {run.checkpoint_file}", remedy, error.signal_number) from error
    save(state)
    write_text(run.report_file, render(checked.spec.document(), run.environment(), run.rows()))
    tensors = {name: tensor.cpu().contiguous() for name, tensor in state.model.state_dict().items()}
    with replacing(run.weights_file) as temporary:
        # As bytes: safetensors' own file writer reports a full disk as something else than an OSError.
        temporary.write_bytes(save_tensors(tensors, {"spec_sha256": checked.spec.sha256()}))


def _append(path: Path, row: Mapping[str, float | int | str]) -> None:
    with writing(path), path.open("a", encoding="utf-8") as lines:
        lines.write(_line(row))


# Any: a JSON value.
def _object(text: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: the text is not JSON, or something else than an object.
    """
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text.strip()[:40]} is not an object")
    return value


# Any: a number, or the text of an error.
def _measured(line: str) -> dict[str, Any]:
    """Return a line of metrics.jsonl.

    Raises:
        ValueError: it is not an object with an epoch and numbers.
    """
    row = _object(line)
    words = [key for key, value in row.items() if not isinstance(value, int | float) and key != "error"]
    if words or not isinstance(row.get("epoch"), int):
        raise ValueError(f"{line.strip()[:40]} is no row of measurements")
    return row


def _line(row: Mapping[str, float | int | str]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
