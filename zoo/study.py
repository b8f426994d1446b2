"""Study: the trials of a search in a database, and how Optuna draws and prunes them."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from zoo.errors import Path, RunError, UsageError, reason
from zoo.search import Choice, LogUniform, LogWhole, Space, Uniform, dotted
from zoo.searched import Goal, Pruner, Searched

HEARTBEAT = 30  # seconds; a trial of another machine that is silent for three of them is given up
BUSY = 60  # seconds that a process waits for another one's writing into a database file
PROBLEM = "problem"
"""The attribute of a trial that failed by itself: what was wrong. Others that failed were cut off, and do not count."""
CONTINUES = "continues"
"""The attribute of a trial that goes on with one that was cut off: its number."""


def pruner_of(name: Pruner, measurements: int | None) -> BasePruner:
    """Return what ends trials early, given how often each is measured where all are as often."""
    if name == "none":
        return NopPruner()
    return MedianPruner() if name == "median" else HyperbandPruner(max_resource=measurements or "auto")


class SeededSampler(BaseSampler):
    """TPE, seeded anew for each trial by its number: a search that goes on never draws again what it drew before."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._inner = TPESampler(seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is drawn together; it is the first call of a trial."""
        digest = hashlib.sha256(f"{self._seed} {trial.number}".encode()).digest()
        self._inner = TPESampler(seed=int.from_bytes(digest[:4]))
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:  # Any: as Optuna declares it
        """Return values drawn together."""
        return self._inner.sample_relative(study, trial, search_space)

    # Any: as Optuna declares it.
    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value drawn by itself."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """See how a trial ended."""
        self._inner.after_trial(study, trial, state, values)


def suggest(trial: optuna.Trial | FrozenTrial, path: Path, space: Space) -> float:
    """Return the trial's value for a search: a number, or the position of one of a choice's values."""
    name = dotted(path)
    if isinstance(space, Choice):
        texts = [json.dumps(value) for value in space.values]
        return texts.index(trial.suggest_categorical(name, texts))
    if isinstance(space, Uniform | LogUniform):
        return trial.suggest_float(name, space.low, space.high, log=isinstance(space, LogUniform))
    step = 1 if isinstance(space, LogWhole) else space.step
    return trial.suggest_int(name, space.low, space.high, step=step, log=isinstance(space, LogWhole))


def study_name(searched: Searched, goal: Goal) -> str:
    """Return a name that the same search has on every machine, and no other search."""
    value = {key: part for key, part in searched.source.value.items() if key not in ("$schema", "summary")}
    meaning = json.dumps([value, goal.metric], sort_keys=True)
    return f"{searched.name}-{hashlib.sha256(meaning.encode()).hexdigest()[:12]}"


@contextmanager
def reaching(url: str | None, file: FilePath) -> Iterator[None]:
    """Turn an error of the database inside the block into a RunError, which does not tell the password of an address.

    Raises:
        RunError: as said.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
            yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__ or error
        said = reason(ValueError(getattr(cause, "orig", None) or cause))
        what = "the database of --storage" if url is not None else str(file)
        raise RunError(
            f"{what} cannot be used: {said}", "see whether it is there, whole, and may be written"
        ) from error


def open_study(url: str | None, file: FilePath, name: str, goal: Goal) -> optuna.Study:
    """Return the study of this name, made where there is none.

    It is in the database at `url`; where that is None, in the file, which has no other study.

    Raises:
        UsageError: the address is wrong or its driver is not installed, or the file has another study.
        RunError: the database cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with reaching(url, file):
        storage = _storage(url, file)
        if url is None and set(optuna.get_all_study_names(storage)) - {name}:
            remedy = "write the spec, --set and --metric as they were, or give another directory with --out"
            raise UsageError(f"{file} has a search of another spec, or by another metric", remedy)
        return optuna.create_study(storage=storage, study_name=name, direction=goal.direction, load_if_exists=True)


def _storage(url: str | None, file: FilePath) -> RDBStorage:
    if url is None:
        return RDBStorage(f"sqlite:///{file.absolute()}", {"connect_args": {"timeout": BUSY}})
    remedy = "write for example postgresql://USER:PASSWORD@HOST/NAME, or sqlite:///FILE"
    try:
        return RDBStorage(url, heartbeat_interval=HEARTBEAT, grace_period=3 * HEARTBEAT)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise UsageError("--storage is not the address of a database", remedy) from error
    except ImportError as error:
        raise UsageError(
            f"--storage needs a driver that is not here: {reason(error)}", "install it with pip"
        ) from error


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that ended by themselves, or still run."""
    return [trial for trial in trials if running(trial) or (trial.state.is_finished() and not cut_off(trial))]


def running(trial: FrozenTrial) -> bool:
    """Return whether a process is at work on a trial, or was killed at it."""
    return trial.state == TrialState.RUNNING


def cut_off(trial: FrozenTrial) -> bool:
    """Return whether a trial failed by no fault of its own."""
    return trial.state == TrialState.FAIL and PROBLEM not in trial.user_attrs


def take_up(study: optuna.Study) -> None:
    """Put the trials of killed processes back into the row; nobody else may be at work on the study."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        try_again(study, trial.number, trial.params)


def try_again(study: optuna.Study, number: int, parameters: dict[str, Any]) -> None:  # Any: as Optuna declares it
    """Put a trial that was cut off back into the row."""
    study.enqueue_trial(parameters, user_attrs={CONTINUES: number})
