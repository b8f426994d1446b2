"""Refusal: what is left of an export that was refused, beside the place where its bundle would have been.

`OUT.refused/` says in refusal.json why, and holds in probe.npz the rows that the file answered wrongly, with what the
module says in float64, what it says in float32, and what the file says. The file itself is not kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from exporters import storage
from exporters.arrays import Array
from exporters.certificate import Execution
from exporters.decided import Decisions
from exporters.doubling import as_double, doubled
from exporters.float64.replay import Replay
from exporters.golden import Golden, Question, difference, outputs_of
from exporters.runtimes import ONNXRUNTIME, Answers, ask
from exporters.subject import Subject
from exporters.tolerance import EVERYTHING
from zoo.environment import versions
from zoo.errors import ProofFailed
from zoo.files import replacing_directory
from zoo.strict import Strict
from zoo.training.evaluation import evaluating

FILE_NAME, PROBE = "refusal.json", "probe.npz"
ROWS = 3  # of a batch that is computed in float64


class Refusal(Strict):
    """Why an export was refused."""

    refusal_version: Literal[1] = 1
    """Version of this form."""
    name: str
    """The spec's name."""
    spec_sha256: str
    """Hash of the resolved spec."""
    origin: Literal["trained", "untrained"]
    """Whether the weights are fresh."""
    file: str
    """Which file was refused."""
    message: str
    """Why."""
    question: str | None
    """Which batch or probe it answered wrongly; null where it was refused without being asked."""
    run_by: str | None
    """What gave the file's answer."""
    arrays: dict[str, str]
    """What stands in probe.npz."""
    versions: dict[str, str]
    """Of what made and judged the file."""


@dataclass(frozen=True)
class Probe:
    """Rows that a file answered wrongly."""

    question: str
    run_by: str
    inputs: Array
    truths: Sequence[Array]
    owns: Sequence[Array]
    answers: Sequence[Array]
    """The file's, in the order of its outputs."""


class Witness:
    """Keeps the first probe that went wrong in the proof of one file."""

    def __init__(self) -> None:
        self.probe: Probe | None = None
        self._refused = False

    def hear(self, asked: Golden, found: Answers, judged: Execution) -> None:
        """Keep what was answered wrongly: the first question that was refused, or else the first with other bits."""
        wrong = next((one for one in judged.comparisons if one.verdict != "equal"), None)
        if self._refused or (wrong is None and (judged.bit_equal or self.probe is not None)):
            return
        self._refused = wrong is not None
        name = EVERYTHING if wrong is None else wrong.question
        pairs = list(zip(asked.questions, found.outputs, strict=True))
        chosen = [pair for pair in pairs if name in (pair[0].name, *pair[0].rows)] or pairs
        question, answers = max(chosen, key=lambda pair: _distance(*pair))
        rows = slice(question.rows.index(name), question.rows.index(name) + 1) if name in question.rows else slice(None)
        run_by = f"{judged.runtime} {judged.version}, {judged.mode}"
        self.probe = _probe(question, rows, [answer[rows] for answer in answers], run_by, name)

    def replay(self, subject: Subject, asked: Golden, path: Path) -> None:
        """Keep the question whose answer by the graph in float64 is furthest from the truth."""
        replay, found = Replay(storage.outline(path), path.parent), list[tuple[float, Probe]]()
        for question in asked.questions:
            rows = slice(len(question.rows) or ROWS)
            given = replay.run({subject.input_name: question.inputs[rows]})
            answers = [given[output.name].numpy() for output in subject.outputs]
            away = difference(given[subject.output_name], question.truth[rows])
            found.append((away, _probe(question, rows, answers, "the graph in float64", question.name)))
        self.probe = max(found, key=lambda pair: pair[0])[1]

    def decide(self, subject: Subject, judged: Decisions, path: Path) -> None:
        """Keep the first held-out row whose class an ONNX file changes, though it is no tie."""
        flip = next((flip for flip in judged.flips if flip.gap > judged.allowed), None)
        if flip is None:
            return  # a metric of all rows differs, and none of them is wrong by itself
        row = subject.rows[flip.row : flip.row + 1]
        found = ask(ONNXRUNTIME, path, [{subject.input_name: row.numpy()}], {"optimize": 1, "threads": 1})
        with evaluating(subject.module):
            owns = [output.numpy() for output in outputs_of(subject.module, row.clone())]
            with doubled(subject.module) as double:
                truths = [output.numpy() for output in outputs_of(double, as_double(row))]
        run_by = f"onnxruntime {found.version}, optimised"
        self.probe = Probe(f"held-out row {flip.row}", run_by, row.numpy(), truths, owns, found.outputs[0])


def _distance(question: Question, answers: Sequence[Array]) -> float:
    """Return by how much the first output is wrong; infinite for another shape."""
    return difference(torch.from_numpy(np.asarray(answers[0], np.float64)), question.truth)


def _probe(question: Question, rows: slice, answers: Sequence[Array], run_by: str, name: str) -> Probe:
    truths, owns = ([array[rows] for array in side] for side in (question.truths, question.owns))
    called = question.name if name == EVERYTHING else name
    return Probe(called, run_by, question.inputs[rows].numpy(), truths, owns, answers)


def place(bundle: Path) -> Path:
    """Return where the refusal of a bundle is kept."""
    return bundle.with_name(f"{bundle.name}.refused")


def keep(error: ProofFailed, subject: Subject, file: str, bundle: Path, probe: Probe | None) -> ProofFailed:
    """Write down why a file was refused, in the place of an earlier refusal; return the error that says where.

    Raises:
        OutputError: it cannot be written.
    """
    target = place(bundle)
    if target.exists() and not _is_ours(target):
        return ProofFailed(error.message, f"{error.remedy}; {target} holds something else, so no probe is kept")
    arrays, told = _arrays(subject, probe)
    record = Refusal(
        name=subject.checked.spec.name,
        spec_sha256=subject.checked.spec.sha256(),
        origin=subject.origin,
        file=file,
        message=error.message,
        question=None if probe is None else probe.question,
        run_by=None if probe is None else probe.run_by,
        arrays=told,
        versions=versions(),
    )
    with replacing_directory(target) as folder:
        (folder / FILE_NAME).write_text(
            json.dumps(record.document(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        if arrays:
            np.savez(folder / PROBE, allow_pickle=False, **arrays)
    return ProofFailed(
        error.message, f"{error.remedy}; {target} holds {'the failing probe' if arrays else 'the reason'}"
    )


def _arrays(subject: Subject, probe: Probe | None) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays of a probe by their names, and what each one is."""
    if probe is None:
        return {}, {}
    arrays, told = {"input": probe.inputs}, {"input": f"what {subject.input_name} was"}
    sides = (("truth", probe.truths, "the module in float64"), ("torch", probe.owns, "the module as it is"))
    for side, answers, who in (*sides, ("file", probe.answers, probe.run_by)):
        for number, answer in enumerate(answers):
            output = subject.outputs[number].name if number < len(subject.outputs) else str(number)
            arrays[f"{side}.{output}"], told[f"{side}.{output}"] = answer, f"{output} by {who}"
    return arrays, told


def forget(bundle: Path) -> None:
    """Remove what an earlier refusal left, now that the bundle is there."""
    target = place(bundle)
    if _is_ours(target):
        shutil.rmtree(target, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Return whether a folder holds a refusal and nothing else."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    return FILE_NAME in names and names <= {FILE_NAME, PROBE}
