"""Trainings from a spec to a run on disk: begun, gone on with, and recorded on the way."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from zoo.check import CheckedSpec
from zoo.contradictions import batch_fault, plan_faults, scheduler_fault
from zoo.data import Rows, Split
from zoo.destination import Destination
from zoo.device import find_device, fitting
from zoo.environment import changes, describe_machine, describe_run
from zoo.errors import DataError, Diverged, Interrupted, RunError, StepRefused, UsageError, WorkerLost, reason
from zoo.files import remove_abandoned, replacing, write_text
from zoo.journal import Journal, require_writers
from zoo.processes import require_rows
from zoo.report.writing import report_training
from zoo.run import Run
from zoo.seal import SealError, require_seal, sealed_tensors
from zoo.training import checkpoint
from zoo.training import state as training_state
from zoo.training.clock import Clock
from zoo.training.distributed import World, is_lost, lost
from zoo.training.frozen import FrozenProof, begin_proof, resume_proof
from zoo.training.generators import restore_generators, saving, seed_generators
from zoo.training.loop import Training
from zoo.training.near import require_alone
from zoo.training.splits import open_splits
from zoo.training.state import State
from zoo.training.streaming import Stream
from zoo.training.watching import Watcher

log = logging.getLogger(__name__)


def train_run(
    checked: CheckedSpec, device_name: str, destination: Destination, watcher: Watcher, world: World = World.alone
) -> Run:
    """Train a spec into a new run directory; nothing is written before the data and the device are found.

    Of several processes rank 0 alone writes; the run that the others return has no path.

    Raises:
        ZooError: as `Training.run`, and where data, device or directory are wrong.
    """
    require_rows(checked.spec.train.batch_size, world.size)
    require_writers(checked.spec.train.log)
    world = world.with_strategy(checked.spec.train.strategy)
    if checked.spec.train.strategy == "fsdp" and not world.several:
        message = "train.strategy fsdp shares the model out over several processes, but there is one"
        raise UsageError(message, "start several with --processes N, or write --set train.strategy=ddp")
    if world.leads:
        destination.choose(checked.spec.name)
    device = find_device(world.device_name(device_name))
    require_alone(checked.spec.train, device, world)
    spec = checked.spec
    checked = replace(checked, spec=spec.model_copy(update={"data": spec.data.fitted()}))
    splits = _open_splits(checked, device)
    world.require_agreement("a spec of sha256", checked.spec.sha256())
    state = training_state.begin(checked, device, len(splits["train"]))
    seed_generators(world, checked.spec.train.seed)
    if not world.leads:
        _follow(checked, state, splits, watcher, world)
        return Run(Path())
    with destination.claimed(checked.spec.name) as path:
        run = Run(path)
        write_text(run.spec_file, _json(checked.spec.document()))
        write_text(run.environment_file, _json(describe_run(device, checked)))
        proof = begin_proof(run.frozen_file, checked, state.model)
        _finish(run, _train(Journal(run), checked, state, splits, watcher, world), proof)
    return run


def resume_run(run: Run, device_name: str, watcher: Watcher, world: World = World.alone) -> Run:
    """Go on with a training from its last checkpoint, with any number of processes.

    Raises:
        RunError: it has ended already, or its checkpoint is absent or damaged.
        ZooError: as `train_run`.
    """
    if run.weights_file.is_file():
        raise RunError(f"{run.path} has ended its training", "evaluate or export it, or train the spec again")
    if not run.checkpoint_file.is_file():
        raise run.unfinished()
    require_rows(run.checked.spec.train.batch_size, world.size)
    require_writers(run.checked.spec.train.log)
    world = world.with_strategy(run.checked.spec.train.strategy)
    device = find_device(world.device_name(device_name))
    require_alone(run.checked.spec.train, device, world)
    splits = _open_splits(run.checked, device)
    state = checkpoint.resume(run.checkpoint_file, run.checked, device, len(splits["train"]))
    restore_generators(world, state, run.checked.spec.train.seed)
    world.require_agreement("a checkpoint of", (state.spec_sha256, state.epoch, state.step))
    if not world.leads:
        _follow(run.checked, state, splits, watcher, world)
        return run
    for folder in (run.path, run.checkpoint_file.parent):
        remove_abandoned(folder)
    kept = [row for row in run.rows() if "seconds" in row][: state.evaluations]
    journal = Journal(run, kept)
    _note_resume(run, device)
    proof = resume_proof(run.frozen_file, run.checked, state.model)
    _finish(run, _train(journal, run.checked, state, splits, watcher, world), proof)
    return run


def _note_resume(run: Run, device: torch.device) -> None:
    """Write into environment.json with what a training goes on, where that is not what it began with.

    Raises:
        OutputError: it cannot be written.
        RunError: it is damaged.
    """
    then = run.environment()
    found = changes(then, describe_machine(device))
    if found:
        resumed = "; ".join(map(str, found))
        log.warning("the training goes on with %s: its bits may be others", resumed)
        write_text(run.environment_file, _json({**then, "resumed": resumed}))


def _open_splits(checked: CheckedSpec, device: torch.device) -> dict[Split, Rows | Stream]:
    splits = open_splits(checked, device, checked.spec.data.splits)
    fault = batch_fault(checked, len(splits["train"]))
    if fault is not None:
        raise DataError(*fault)
    unscheduled = scheduler_fault(checked, len(splits["train"]))
    for misfit in (*plan_faults(checked, len(splits["train"])), *([unscheduled] if unscheduled else [])):
        raise DataError(misfit.message, misfit.remedy)
    return splits


def _train(
    journal: Journal,
    checked: CheckedSpec,
    state: State,
    splits: dict[Split, Rows | Stream],
    watcher: Watcher,
    world: World,
) -> Training:
    """Train to the end; write metrics and checkpoints on the way."""
    run = journal.run
    save = saving(world, partial(checkpoint.save, run.checkpoint_file))

    def keep_best(state: State) -> None:
        _write_weights(run.best_file, state.spec_sha256, state.measured.state_dict())

    state = _shared_out(checked, state, len(splits["train"]), world)
    training = Training(state, checked, splits, watcher, save, saving(world, keep_best), Clock(world=world), world)
    try:
        with fitting("a step of the training", "write a smaller train.batch_size, or smaller layers"):
            for row in training.run():
                journal.add(row)
                training.checkpoint()
    except Diverged as error:
        journal.fail(state.epoch + 1, error.message)
        raise Diverged(f"{error.message}. The metrics so far are in {run.metrics_file}", error.remedy) from error
    except WorkerLost as error:
        kept = run.checkpoint_file.is_file()
        message = f"{error.message}; checkpoint {run.checkpoint_file}" if kept else error.message
        remedy = f"{error.remedy}; to go on: zoo train --resume {run.path}" if kept else error.remedy
        raise WorkerLost(message, remedy) from error
    except (RuntimeError, IndexError, ValueError) as error:
        if world.several and is_lost(error):
            raise lost() from error
        refused = _refused_step(checked, error)
        journal.fail(state.epoch + 1, refused.message)
        raise refused from error
    except Interrupted as error:
        remedy = f"{error.remedy} {run.path}"
        raise Interrupted(f"{error.message}; checkpoint {run.checkpoint_file}", remedy, error.signal_number) from error
    finally:
        for rows in splits.values():
            rows.close()
    save(state)
    return training if state.whole is None else replace(training, state=state.whole)


def _finish(run: Run, training: Training, proof: FrozenProof | None) -> None:
    """Write report and weights, once what was to stay as it was is proven to have stayed.

    Raises:
        FrozenMoved: it has not.
        OutputError: a file cannot be written.
    """
    checked, state = training.checked, training.state
    stopping = checked.spec.train.early_stopping
    best = stopping is not None and stopping.restore_best
    weights = _best_of(run) if best else state.measured.state_dict()
    if proof is not None:
        proof.conclude(weights, state.model)
    report_training(run, weights, training.objective, training.splits["test"])
    _write_weights(run.weights_file, state.spec_sha256, weights)


def _shared_out(checked: CheckedSpec, state: State, rows: int, world: World) -> State:
    """Return the state as the strategy of several processes has it."""
    if not world.shards:
        return state
    from zoo.training.sharded import shard  # imports FSDP, which few trainings need

    return shard(checked, state, rows, world)


def _follow(
    checked: CheckedSpec, state: State, splits: dict[Split, Rows | Stream], watcher: Watcher, world: World
) -> None:
    """Take part in a training that rank 0 records: do all that the processes do together, and write nothing."""
    save = saving(world, lambda state: None)
    state = _shared_out(checked, state, len(splits["train"]), world)
    training = Training(state, checked, splits, watcher, save, save, Clock(world=world), world)
    try:
        for _ in training.run():
            training.checkpoint()
    except (RuntimeError, IndexError, ValueError) as error:
        raise (lost() if is_lost(error) else _refused_step(checked, error)) from error
    save(state)


def _refused_step(checked: CheckedSpec, error: Exception) -> StepRefused:
    """Return what to say of an error of torch that no check foresees, such as a target outside the loss's range."""
    said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    loss = type(checked.spec.loss).__name__
    remedy = f"see whether the targets of data are what {loss} takes, and write another loss if not"
    remedy += "; or remove train.deterministic" if checked.spec.train.deterministic else ""
    return StepRefused(f"torch refuses a step of the training: {reason(ValueError(said))}", remedy)


def _best_of(run: Run) -> dict[str, torch.Tensor]:
    """Return the weights of the best epoch.

    Raises:
        RunError: they are absent or damaged.
    """
    try:
        require_seal(run.best_file)
        return load_file(run.best_file)
    except (OSError, SealError, SafetensorError) as error:
        raise RunError(f"{run.best_file} is absent or damaged: {reason(error)}", "train again") from error


def _write_weights(path: Path, spec_sha256: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write named tensors, whole or not at all; tied ones under each of their names.

    Raises:
        OutputError: the file cannot be written.
    """
    alone = {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        # As bytes: safetensors' own file writer reports a full disk as something else than an OSError.
        temporary.write_bytes(sealed_tensors(save_tensors(alone), {"spec_sha256": spec_sha256}))


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
