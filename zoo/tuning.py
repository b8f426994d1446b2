"""Tuning: what a search is told, where it writes, and what it found.

::

    runs/tune-NAME/  best.json  tune.db  trials/0000/ (a run)  trials/0001/ …
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from zoo.check import CheckedSpec
from zoo.errors import UsageError
from zoo.files import write_text, writing
from zoo.run import RUNS
from zoo.search import Choice, dotted, drawn
from zoo.searched import Goal, Pruner, Searched
from zoo.source import Source
from zoo.study import PROBLEM, SeededSampler, counted, open_study, pruner_of, running, study_name, suggest, take_up

DATABASE, BEST, TRIALS, LOCK = "tune.db", "best.json", "trials", ".lock"
MEASURED = "measurements"
"""The attribute of a trial that says how many it trained."""


@dataclass(frozen=True)
class Tuning:
    """What a search is told."""

    searched: Searched
    goal: Goal
    trials: int
    """How many are to have ended, those of before and of other machines among them."""
    seed: int = 0
    pruner: Pruner = "median"
    device: str = "auto"
    out: Path | None = None
    storage: str | None = None
    """The address of a database that several machines share; by default a file in the directory."""

    @property
    def folder(self) -> Path:
        """Return where the search writes."""
        return self.out if self.out is not None else RUNS / f"tune-{self.searched.name}"

    @property
    def file(self) -> Path:
        """Return the file of the trials, where no other database has them."""
        return self.folder / DATABASE

    @property
    def best_file(self) -> Path:
        """Return the file of the best trial's spec."""
        return self.folder / BEST

    def folder_of(self, number: int) -> Path:
        """Return the run of a trial."""
        return self.folder / TRIALS / f"{number:04}"

    def study(self) -> optuna.Study:
        """Return the trials of this search.

        Raises:
            ZooError: the database has another search, or cannot be reached.
        """
        lengths = {measurements(point) for point in self.searched.points}
        study = open_study(self.storage, self.file, study_name(self.searched, self.goal), self.goal)
        study.sampler = SeededSampler(self.seed)
        study.pruner = pruner_of(self.pruner, lengths.pop() if len(lengths) == 1 else None)
        return study

    def drawn(self, trial: optuna.Trial | FrozenTrial) -> Source:
        """Return the spec of a trial."""
        return drawn(self.searched.source, self.searched.spaces, partial(suggest, trial))

    @contextmanager
    def claimed(self, resume: bool) -> Iterator[optuna.Study]:
        """Yield the trials of this search, in a directory where no other command's search writes.

        Raises:
            UsageError: the directory is another's, or at work, or there is nothing to resume.
            ZooError: it cannot be made, or as `study`.
        """
        self._require_place(resume)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked() as lock:
            if self.storage is None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    remedy = "wait for it; for several processes write --workers, for several machines --storage"
                    raise UsageError(f"another zoo tune is at work in {self.folder}", remedy) from error
            study = self.study()
            if self.storage is None:
                take_up(study)
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield study

    @contextmanager
    def joined(self) -> Iterator[optuna.Study]:
        """Yield the trials of a search that another process of the same command has claimed.

        Raises:
            ZooError: as `study`.
        """
        with self._locked() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield self.study()

    @contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        with writing(self.folder):
            lock = (self.folder / LOCK).open("w")
        with lock:
            yield lock

    def _require_place(self, resume: bool) -> None:
        folder = self.folder
        here = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        if here - {DATABASE, BEST, TRIALS, LOCK} or (folder.exists() and not folder.is_dir()):
            raise UsageError(f"{folder} holds something else than a search", "give another directory with --out")
        if resume and self.storage is not None:
            raise UsageError("--resume does not go with --storage", "a search in a database goes on by itself")
        if resume and DATABASE not in here:
            raise UsageError(f"{folder} has no search to go on with", "leave --resume out, or write its --out")
        if DATABASE in here and not resume:
            raise UsageError(f"{folder} holds a search", "go on with --resume, or give another directory with --out")


@dataclass(frozen=True)
class Ended:
    """A trial that has ended."""

    number: int
    state: str
    """complete, pruned, diverged or failed."""
    value: float | None
    """What the trials are compared by; None where it is not complete."""
    measurements: int
    """How often it was measured: after each epoch, or every train.evaluate_every steps."""
    parameters: Mapping[str, Any]
    """The drawn values, by the paths of their searches."""
    run: str | None
    """The directory, where it is on this machine."""
    problem: str | None


@dataclass(frozen=True)
class Found:
    """What a search found so far."""

    tuning: Tuning
    trials: tuple[Ended, ...]
    running: int
    """How many trials run on other machines, or were left by a killed process."""

    def ranked(self) -> list[Ended]:
        """Return the complete trials, the best first; of equal ones the first."""
        complete = [(trial.value, trial) for trial in self.trials if trial.value is not None]
        sign = 1 if self.tuning.goal.direction == "minimize" else -1
        return [trial for _, trial in sorted(complete, key=lambda pair: (sign * pair[0], pair[1].number))]

    def counts(self) -> str:
        """Return "20 trials: 14 complete, 5 pruned, 1 failed"."""
        states = [trial.state for trial in self.trials]
        several = ("complete", "pruned", "diverged", "failed")
        parts = [f"{states.count(state)} {state}" for state in several if state in states]
        parts += [f"{self.running} still running"] if self.running else []
        return f"{len(states)} trials: {', '.join(parts)}"

    def record(self) -> dict[str, Any]:
        """Return the search as JSON values."""
        tuning, ranked = self.tuning, self.ranked()
        best = {**vars(ranked[0]), "spec": str(tuning.best_file)} if ranked else None
        said = {"search": str(tuning.folder), "metric": tuning.goal.metric, "direction": tuning.goal.direction}
        return {**said, "best": best, "trials": [vars(trial) for trial in self.trials]}


def found(tuning: Tuning, study: optuna.Study) -> Found:
    """Return what a search found so far; best.json is written where a trial is complete.

    Raises:
        OutputError: it cannot be written.
    """
    trials = counted(study.get_trials(deepcopy=False))
    made = Found(
        tuning,
        tuple(ended(tuning, trial) for trial in trials if not running(trial)),
        sum(map(running, trials)),
    )
    ranked = made.ranked()
    if ranked:
        best = next(trial for trial in trials if trial.number == ranked[0].number)
        value = {key: part for key, part in tuning.drawn(best).value.items() if key != "$schema"}
        write_text(tuning.best_file, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    return made


def ended(tuning: Tuning, trial: FrozenTrial) -> Ended:
    """Return the record of a trial."""
    spaces = {dotted(path): space for path, space in tuning.searched.spaces.items()}
    parameters = {
        name: json.loads(value) if isinstance(spaces[name], Choice) else value for name, value in trial.params.items()
    }
    problem = trial.user_attrs.get(PROBLEM)
    pruned = "pruned" if problem is None else "diverged"
    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: pruned, TrialState.FAIL: "failed"}
    complete = trial.state == TrialState.COMPLETE
    folder = tuning.folder_of(trial.number)
    return Ended(
        trial.number,
        states[trial.state],
        trial.value if complete else None,
        trial.user_attrs.get(MEASURED, 0),
        parameters,
        str(folder) if folder.is_dir() else None,
        problem,
    )


def measurements(checked: CheckedSpec) -> int | None:
    """Return how often a training is measured; None where that is not known before its data is read."""
    train, rows = checked.spec.train, checked.example.training_rows
    if rows is not None:
        return train.plan(rows).evaluations
    return None if train.evaluate_every is not None else train.epochs


def shown(value: object) -> str:
    """Return a drawn value as a person reads it: of an object its type."""
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return str(value["type"])
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
