"""The run directory: one training, complete and portable.

::

    runs/NAME/  spec.json  environment.json  metrics.jsonl  model.safetensors  checkpoints/last.pt  evaluation.json
                report.html  metrics.csv  tensorboard/

A run is found and looked at without torch, which is imported where its tensors are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.check import CheckedSpec, check_file
from zoo.errors import RunError, reason
from zoo.files import json_object
from zoo.seal import SealError, require_seal
from zoo.training.watching import Row

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoo.training.evaluation import Observer, Recovered

RUNS = Path("runs")


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
    def best_file(self) -> Path:
        """Return checkpoints/best.safetensors: the weights of the best epoch, where the spec stops early."""
        return self.path / "checkpoints" / "best.safetensors"

    @property
    def metrics_file(self) -> Path:
        """Return metrics.jsonl: one line a measurement."""
        return self.path / "metrics.jsonl"

    @property
    def csv_file(self) -> Path:
        """Return metrics.csv: the measurements as a table, where train.log asks for it."""
        return self.path / "metrics.csv"

    @property
    def events_file(self) -> Path:
        """Return the one file in tensorboard/, where train.log asks for it."""
        return self.path / "tensorboard" / "events.out.tfevents"

    @property
    def environment_file(self) -> Path:
        """Return environment.json."""
        return self.path / "environment.json"

    @property
    def frozen_file(self) -> Path:
        """Return frozen.json: what the frozen tensors were before and after, where the spec freezes some."""
        return self.path / "frozen.json"

    @property
    def evaluation_file(self) -> Path:
        """Return evaluation.json: what the kept weights answer on the test split, as far as the report shows it."""
        return self.path / "evaluation.json"

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
        return check_file(str(self.spec_file), self.overrides, trained=True)

    def environment(self) -> dict[str, str | int]:
        """Return environment.json.

        Raises:
            RunError: it is absent or damaged.
        """
        try:
            found: dict[str, str | int] = json_object(self.environment_file.read_text(encoding="utf-8"))
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

    def measurements(self) -> dict[str, Any]:
        """Return the line of metrics.jsonl of the weights that the run kept; empty where there is none.

        Raises:
            RunError: as `rows`.
        """
        return self.kept_of(self.rows())

    # Any: as measurements.
    def kept_of(self, lines: Sequence[Row]) -> dict[str, Any]:
        """Return that line of all of metrics.jsonl, which are read already."""
        rows = [row for row in lines if "error" not in row]
        stopping = self.checked.spec.train.early_stopping
        kept = rows[-1] if rows else {}
        if stopping is None or not stopping.restore_best or not rows:
            return kept
        best: float | None = None
        for row in rows:
            value = float(row[f"validation_{stopping.metric}"])
            if stopping.better(value, best):
                best, kept = value, row
        return kept

    def told(self) -> str:
        """Return which run this is and which of its weights it kept, as a person reads it."""
        try:
            row = self.measurements()
        except RunError:  # what they were measured at is not needed to use them
            row = {}
        if not row:
            return str(self.path)
        train = self.checked.spec.train
        best = train.early_stopping is not None and train.early_stopping.restore_best
        moment = f"step {row['step']:,}" if "step" in row else f"epoch {row['epoch']:,}"
        mean = ", their running mean" if train.ema is not None else ""
        return f"{self.path}: the {'best' if best else 'last'} weights, of {moment}{mean}"

    def unfinished(self) -> RunError:
        """Return why there are no weights: what ended the training, such as a loss that is no number.

        Raises:
            RunError: as `rows`.
        """
        last = self.rows()[-1:]
        if last and "error" in last[0]:
            remedy = "mend the spec, most often by a smaller optimizer.lr, and train again"
            return RunError(f"{self.path} has no weights; its training failed: {last[0]['error']}", remedy)
        remedy = f"finish it: zoo train --resume {self.path}" if self.checkpoint_file.is_file() else "train again"
        return RunError(f"{self.path} has no weights: its training did not end", remedy)

    def weights(self) -> dict[str, Tensor]:
        """Return the trained tensors by their names, on the CPU.

        Raises:
            RunError: they are absent or damaged.
        """
        if not self.weights_file.is_file():
            raise self.unfinished()
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            require_seal(self.weights_file)
            return load_file(self.weights_file)
        except (OSError, SealError, SafetensorError) as error:
            raise RunError(f"{self.weights_file} is damaged: {reason(error)}", "train again") from error

    def load_model(self) -> nn.Module:
        """Return the trained module in evaluation mode, on the CPU.

        Raises:
            RunError: the weights are absent, damaged, or of another architecture.
        """
        from zoo.build import bare_model

        model = bare_model(self.checked)
        try:
            model.load_state_dict(self.weights())
        except RuntimeError as error:
            raise RunError(f"{self.weights_file} is of another spec: {reason(error)}", "train again") from error
        return model


def evaluate_run(
    run: Run, device_name: str, observe: Observer = lambda inputs, output, targets: None
) -> dict[str, float]:
    """Return the loss and the metrics of a run's model on the test split; `observe` sees each batch.

    Raises:
        ZooError: the weights, the data or the device are not here.
    """
    from zoo.device import find_device
    from zoo.training.evaluation import evaluate
    from zoo.training.objective import objective_of
    from zoo.training.splits import open_splits, target_rows

    device = find_device(device_name)
    model = run.load_model().to(device)
    rows = open_splits(run.checked, device, ["test"])["test"]
    counted = target_rows(run.checked, "train") if run.checked.spec.loss.counts_classes else None
    measured = evaluate(model, objective_of(run.checked, device, counted), rows, observe=observe)
    return {f"test_{name}": value for name, value in measured.items()}


def recovered_parameters(run: Run) -> list[Recovered]:
    """Return what was learned beside what made the data, where the data knows that."""
    from zoo.training.evaluation import recovered

    return recovered(run.load_model(), run.checked.spec.data.truth().parameters)


# Any: a number, or the text of an error.
def _measured(line: str) -> dict[str, Any]:
    """Return a line of metrics.jsonl.

    Raises:
        ValueError: it is not an object with an epoch and numbers.
    """
    row = json_object(line)
    words = [key for key, value in row.items() if not isinstance(value, int | float) and key != "error"]
    if words or not isinstance(row.get("epoch"), int):
        raise ValueError(f"{line.strip()[:40]} is no row of measurements")
    return row
