"""Tune: the trials of a search, one after the other or in several processes; each is a plain training."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial, TrialState

from zoo.check import check
from zoo.checked import CheckedSpec
from zoo.destination import Destination
from zoo.errors import DataError, Diverged, Interrupted, OutOfMemory, RunError, SpecError, StepRefused, ZooError
from zoo.files import writing
from zoo.run import Run
from zoo.strict import LARGEST_SIZE
from zoo.study import CONTINUES, PROBLEM, counted, reaching, try_again
from zoo.trainer import resume_run, train_run
from zoo.training.interruption import Interruption
from zoo.training.threads import settled_threads, share_cores
from zoo.training.watching import Moment, Row
from zoo.tuning import MEASURED, Ended, Found, Tuning, ended, found, measurements, shown

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

MOST_REPORTS = 100  # of a trial; each is written into the database
FAULTS = (SpecError, OutOfMemory, StepRefused, DataError)
"""Errors of one trial: the next may go well."""


class _Failed(Exception):
    """A trial failed by its own fault, which is noted, or is one too many."""


class _Reporter:
    """Tells the study of a trial's measurements, and ends the trial where it is among the worse.

    A long training reports every so many of them; so do all trials of that length, at the same ones.
    """

    def __init__(self, trial: optuna.Trial, metric: str, checked: CheckedSpec) -> None:
        self._trial, self._metric = trial, metric
        self._steps = checked.spec.train.evaluate_every
        """Steps from one measurement to the next, where epochs are not what is measured."""
        several = measurements(checked)
        self._last = several or LARGEST_SIZE  # not known before the data is read
        self._every = max(1, -(-(several or 0) // MOST_REPORTS))
        self._told: set[int] = set()
        self.measured = 0

    def on_step(self, moment: Moment) -> None:
        """Say nothing: a trial is told when it ends."""

    def report(self, row: Row) -> bool:
        """Note a measurement; return whether the trial may end after it."""
        self.measured = int(row["epoch"]) if self._steps is None else -(-int(row["step"]) // self._steps)
        due = self.measured % self._every == 0
        if due and self.measured not in self._told:
            self._told.add(self.measured)
            self._trial.report(float(row[self._metric]), self.measured)
        return due and self.measured < self._last

    def on_row(self, row: Row) -> None:
        """Report a measurement, and end a trial that is worse than others were then.

        Raises:
            TrialPruned: it is.
        """
        if self.report(row) and self._trial.should_prune():
            raise optuna.TrialPruned


def tune(tuning: Tuning, resume: bool, workers: int) -> Found:
    """Run trials until as many have ended as are wanted.

    Raises:
        Interrupted: a signal came; what was done is kept.
        ZooError: the directory or the database is wrong, no trial ends well, or something fails for all trials.
    """
    with reaching(tuning.storage, tuning.file), tuning.claimed(resume) as study, Interruption() as interruption:
        try:
            if workers == 1:
                work(tuning, study, interruption)
            else:
                _spread(tuning, min(workers, tuning.trials), interruption)
        except Interrupted as error:
            interruption.received = error.signal_number
        result = found(tuning, study)
    if interruption.received is not None and len(result.trials) < tuning.trials:
        remedy = "the same command" + (" with --resume" if tuning.storage is None else "")
        message = f"{len(result.trials)} of {tuning.trials} trials have ended; they are in {tuning.folder}"
        raise Interrupted(message, remedy, interruption.received)
    if not result.ranked():
        last = next((trial.problem for trial in reversed(result.trials) if trial.problem), "all were pruned")
        raise RunError(f"none of {result.counts()}; the last one: {last}", "search among other values")
    return result


def work(tuning: Tuning, study: optuna.Study, interruption: Interruption) -> None:
    """Run trials, one after the other, until as many have ended or run as are wanted.

    Raises:
        Interrupted: a signal came in a training.
        ZooError: something fails for all trials.
    """

    def say(study: optuna.Study, trial: FrozenTrial) -> None:
        done = [one for one in counted(study.get_trials(deepcopy=False)) if one.state.is_finished()]
        if trial.state != TrialState.FAIL or PROBLEM in trial.user_attrs:
            said = in_words(ended(tuning, trial), tuning.goal.metric)
            print(f"[{len(done)}/{tuning.trials}] {said}", file=sys.stderr, flush=True)

    while interruption.received is None and len(counted(study.get_trials(deepcopy=False))) < tuning.trials:
        study.optimize(partial(_run_trial, tuning, study), n_trials=1, catch=_Failed, callbacks=[say])


def in_words(trial: Ended, metric: str) -> str:
    """Return a trial in one line: "trial 0003: validation_loss 0.0123  optimizer.lr 0.001"."""
    outcome = (
        f"{trial.state} after {trial.measurements} measurements"
        if trial.value is None
        else f"{metric} {trial.value:.6g}"
    )
    problem = f" ({trial.problem})" if trial.problem else ""
    values = "".join(f"  {name} {shown(value)}" for name, value in trial.parameters.items())
    return f"trial {trial.number:04}: {outcome}{problem}{values}"


def _run_trial(tuning: Tuning, study: optuna.Study, trial: optuna.Trial) -> float:
    """Return the measurement of a trial's run.

    Raises:
        TrialPruned: the trial is among the worse, or diverged.
        _Failed: it failed by its own fault, or as many as are wanted run already.
        ZooError: a signal came, or something fails for all trials.
    """
    others = counted(study.get_trials(deepcopy=False))
    if sum(other.number < trial.number for other in others) >= tuning.trials:
        raise _Failed("another process was faster")
    try:
        checked = check(tuning.drawn(trial))
        with settled_threads(checked):
            return _train(tuning, trial, checked)
    except Interrupted:
        try_again(study, trial.number, trial.params)
        raise
    except FAULTS as error:
        # Data that is absent or wrong is so for all trials; once one has ended well it is the drawn values.
        if isinstance(error, DataError) and not any(other.state == TrialState.COMPLETE for other in others):
            raise
        told = error.problems[0].message if isinstance(error, SpecError) else error.message
        trial.set_user_attr(PROBLEM, told)
        raise _Failed from error


def _train(tuning: Tuning, trial: optuna.Trial, checked: CheckedSpec) -> float:
    """Train a trial, from its last checkpoint where it was cut off; return what it is compared by.

    Raises:
        TrialPruned: as `_run_trial`.
        ZooError: as `train_run`.
    """
    metric, path = tuning.goal.metric, tuning.folder_of(trial.number)
    reporter = _Reporter(trial, metric, checked)
    begun = _taken_over(tuning, trial)
    try:
        if begun is None:
            run = train_run(checked, tuning.device, Destination(path), reporter)
        else:
            for row in begun.rows():
                if metric in row:  # an error that ended a training has none
                    reporter.report(row)
            run = begun if begun.weights_file.is_file() else resume_run(begun, tuning.device, reporter)
    except Diverged as error:
        trial.report(math.nan, reporter.measured + 1)  # the worst there is
        trial.set_user_attr(PROBLEM, error.message.partition(". The metrics")[0])
        raise optuna.TrialPruned from error
    finally:
        trial.set_user_attr(MEASURED, reporter.measured)
    return float(run.measurements()[metric])


def _taken_over(tuning: Tuning, trial: optuna.Trial) -> Run | None:
    """Return the run that a trial which was cut off left here, with a checkpoint, moved to this trial's place."""
    before = trial.user_attrs.get(CONTINUES)
    if before is None or not Run(tuning.folder_of(before)).checkpoint_file.is_file():
        return None
    run = Run(tuning.folder_of(trial.number))
    with writing(run.path):
        tuning.folder_of(before).rename(run.path)
    return run


def _spread(tuning: Tuning, workers: int, interruption: Interruption) -> None:
    """Run trials in several processes.

    Raises:
        ZooError: as `work`, in one of them; or one was killed.
    """
    context = multiprocessing.get_context("spawn")
    errors: SimpleQueue[tuple[str, str]] = context.SimpleQueue()
    processes: list[BaseProcess] = [
        context.Process(target=_labour, args=(tuning, errors, workers, os.getpid())) for _ in range(workers)
    ]
    with _deaf():
        for process in processes:
            process.start()
    told = False
    while any(process.is_alive() for process in processes):
        failed = any(process.exitcode for process in processes)
        if not told and (failed or interruption.received is not None):
            told = True
            for process in processes:
                process.terminate()
        time.sleep(0.05)
    if not errors.empty():
        raise ZooError(*errors.get())
    killed = [-code for process in processes if (code := process.exitcode or 0) < 0]
    if killed and interruption.received is None:
        message = f"a worker was ended by signal {killed[0]}; the trials so far are in {tuning.folder}"
        raise RunError(message, "see whether memory is short, and write fewer --workers; the same command goes on")


@contextmanager
def _deaf() -> Iterator[None]:
    """Let processes begin without hearing Ctrl-C, which this one tells them of."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _labour(tuning: Tuning, errors: SimpleQueue[tuple[str, str]], workers: int, parent: int) -> None:
    """Run trials in a process of its own, one of so many, which ends with its parent."""
    share_cores(workers)
    os.setsid()  # the terminal's Ctrl-C is the parent's to hear
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    try:
        with reaching(tuning.storage, tuning.file), Interruption() as interruption, tuning.joined() as study:
            work(tuning, study, interruption)
    except Interrupted:
        pass  # the parent knows
    except ZooError as error:
        errors.put((error.message, error.remedy))
        sys.exit(error.exit_status)


def _follow(parent: int) -> None:
    """End this process, as SIGTERM does, when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
