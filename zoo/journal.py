"""Journal: the measurements of a training, in metrics.jsonl and in what else `train.log` asks for.

Event files are TensorBoard's: records of (length, crc, Event, crc), one Event a measurement. A run has a single one
whose name says no machine, and whose times follow from the rows, so that a resumed training writes it anew.
Source: https://github.com/tensorflow/tensorboard/blob/master/tensorboard/summary/writer/record_writer.py
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import BytesIO, StringIO

from zoo.errors import UsageError
from zoo.files import write_text, writing
from zoo.run import Run
from zoo.training.watching import Row

COUNTED = ("epoch", "step", "seconds")
"""What a row of metrics.jsonl holds that is no curve."""


def require_writers(kinds: Iterable[str]) -> None:
    """Refuse a log that nothing here can write.

    Raises:
        UsageError: TensorBoard is asked for, and not installed.
    """
    if "tensorboard" not in kinds:
        return
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        message = 'train.log says "tensorboard", which is not here'
        raise UsageError(message, "pip install 'zoo[tensorboard]', or remove it from train.log") from error


class Journal:
    """Writes the measurements of one run, as they come."""

    def __init__(self, run: Run, kept: Sequence[Row] | None = None) -> None:
        """Begin, or go on behind the rows that a resumed training keeps; what stands in the files beyond them goes.

        Raises:
            OutputError: a file cannot be written.
        """
        self.run = run
        self._kinds = run.checked.spec.train.log
        self._started = datetime.fromisoformat(str(run.environment()["started"])).timestamp()  # seconds
        self._seconds = 0.0
        if kept is not None:
            write_text(run.metrics_file, "".join(map(_line, kept)))
        if "csv" in self._kinds:
            write_text(run.csv_file, "")
        if "tensorboard" in self._kinds:
            with writing(run.events_file):
                run.events_file.parent.mkdir(exist_ok=True)
                run.events_file.write_bytes(_version(self._started))
        for row in kept or ():
            self._note(row)

    def add(self, row: Row) -> None:
        """Write a measurement.

        Raises:
            OutputError: a file cannot be written.
        """
        self._append(row)
        self._note(row)

    def fail(self, epoch: int, message: str) -> None:
        """Write into metrics.jsonl what ended the training in an epoch, counted from 1.

        Raises:
            OutputError: it cannot be written.
        """
        self._append({"epoch": epoch, "error": message})

    def _append(self, row: Mapping[str, float | int | str]) -> None:
        with writing(self.run.metrics_file), self.run.metrics_file.open("a", encoding="utf-8") as lines:
            lines.write(_line(row))

    def _note(self, row: Row) -> None:
        """Write a measurement into what train.log asks for."""
        if "csv" in self._kinds:
            with writing(self.run.csv_file), self.run.csv_file.open("a", encoding="utf-8") as lines:
                lines.write(_csv(row, first=lines.tell() == 0))
        self._seconds += row["seconds"]
        if "tensorboard" in self._kinds:
            with writing(self.run.events_file), self.run.events_file.open("ab") as records:
                records.write(_event(row, self._started + self._seconds))


def _line(row: Mapping[str, float | int | str]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _csv(row: Row, first: bool) -> str:
    """Return the line of a row, under the names of its columns where it is the first."""
    text = StringIO()
    writer = csv.DictWriter(text, list(row), lineterminator="\n")
    if first:
        writer.writeheader()
    writer.writerow(row)
    return text.getvalue()


def _version(time: float) -> bytes:
    """Return the record with which an event file begins."""
    from tensorboard.compat.proto.event_pb2 import Event

    return _record(Event(wall_time=time, file_version="brain.Event:2").SerializeToString())


def _event(row: Row, time: float) -> bytes:
    """Return the record of a row, at its step or its epoch: "test_loss" is the curve test/loss."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=_tag(name), simple_value=value) for name, value in row.items() if name not in COUNTED]
    event = Event(wall_time=time, step=int(row.get("step", row["epoch"])), summary=Summary(value=values))
    return _record(event.SerializeToString())


def _tag(name: str) -> str:
    split, _, measure = name.partition("_")
    return f"{split}/{measure}" if split in ("train", "validation", "test") else name


def _record(data: bytes) -> bytes:
    from tensorboard.summary.writer.record_writer import RecordWriter

    written = BytesIO()
    RecordWriter(written).write(data)
    return written.getvalue()
