"""Several processes train one model: to the numbers of one process, to the same bits after a kill, and end together.

The processes are forked from this one, which spares them the imports; the launcher has tests of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from photographs import pets, take
from test_killed import halved

from conftest import Document, linear, noise
from zoo.check import check, check_file
from zoo.destination import Destination
from zoo.errors import UsageError
from zoo.processes import Seat, require_alone_or_own, require_rows, seat
from zoo.progress import Unseen
from zoo.run import Run
from zoo.source import Source
from zoo.trainer import resume_run, train_run
from zoo.training import clock, loop
from zoo.training.distributed import World, joined
from zoo.training.features import HeldOut
from zoo.training.parallel import SharedStrides

LIMIT = 120.0  # seconds that processes have to end, on a busy machine; they take about one
CLASSES = {"type": "CrossEntropyLoss", "weight": [1.0, 3.0, 0.5], "ignore_index": 1, "label_smoothing": 0.1}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what a training needs before processes are forked: each would do it anew, in ten times its own time."""
    import_module("zoo.training.sharded")
    spec = check(Source("spec.json", "", images()))
    train_run(spec, "cpu", Destination(tmp_path_factory.mktemp("imported") / "run"), Unseen())


def started(size: int, act: Callable[[World], object]) -> list[int]:
    """Start so many processes that do this together; return their ids."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            names = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
            os.environ.update({name: str(value) for name, value in names.items()})
            os.environ.update({"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)})
            status = 1
            try:
                with joined() as world:
                    act(world)
                status = 0
            except SystemExit as left:
                status = int(left.code or 0)
            except BaseException:  # noqa: BLE001  # nothing may leave the child
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    return children


def ended(children: list[int]) -> list[int]:
    """Return how the processes ended: with a status, or the negative number of the signal that killed them."""
    statuses: dict[int, int] = {}
    until = time.monotonic() + LIMIT
    while len(statuses) < len(children) and time.monotonic() < until:
        for child in children:
            done, status = (0, 0) if child in statuses else os.waitpid(child, os.WNOHANG)
            if done:
                statuses[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    for child in set(children) - set(statuses):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert len(statuses) == len(children), "a process does not end"
    return [statuses[child] for child in children]


def train(out: Path, world: World = World.alone) -> None:
    train_run(check_file("spec.json"), "cpu", Destination(out), Unseen(), world)


def resume(out: Path, world: World = World.alone) -> None:
    resume_run(Run(out), "cpu", Unseen(), world)


def together(size: int, act: Callable[..., None], out: Path) -> list[int]:
    """Train or resume with so many processes."""
    return ended(started(size, lambda world: act(out, world)))


def measured(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def near(run: Path, other: Path) -> None:
    rows, others = measured(run), measured(other)
    assert len(rows) == len(others) > 0
    for row, expected in zip(rows, others, strict=True):
        assert row == pytest.approx(expected, rel=1e-4, abs=1e-6)


def images(**changes: Any) -> Document:
    """A spec with all that draws at random or remembers."""
    document: Document = {
        "name": "small",
        "data": noise(22, [1, 6, 6], validation=0.2, augmentation=[{"type": "RandomCrop", "size": 6, "padding": 1}]),
        "model": {
            "layers": [
                {"type": "Conv2d", "out_channels": 4, "kernel_size": 3},
                {"type": "BatchNorm2d"},
                {"type": "ReLU"},
                {"type": "Dropout", "p": 0.3},
                {"type": "Flatten"},
                {"type": "Linear", "out_features": "classes"},
            ]
        },
        "loss": {"type": "CrossEntropyLoss"},
        "metrics": [{"type": "Accuracy"}],
        "optimizer": {"type": "Adam"},
        "scheduler": {"type": "StepLR", "step_size": 2, "interval": "step"},
        "train": {"epochs": 3, "batch_size": 4, "accumulation": 2, "ema": 0.9},
    }
    return {**document, **changes}


CURVES = {
    "ragged batches": linear(data__samples=23, train={"epochs": 3, "batch_size": 7, "seed": 3}),
    "fewer rows than processes": linear(data__samples=21, train={"epochs": 3, "batch_size": 5, "accumulation": 3}),
    "steps, measured every so many": linear(
        data__samples=23, train={"steps": 17, "evaluate_every": 3, "batch_size": 6, "accumulation": 3}
    ),
    "a sum": linear(loss={"type": "MSELoss", "reduction": "sum"}, optimizer={"type": "SGD", "lr": 1e-4}),
    "weights and classes that do not count": images(loss=CLASSES),
    "BatchNorm and no dropout": images(),
    "mixed batches": images(),
}
for name in ("BatchNorm and no dropout", "weights and classes that do not count", "mixed batches"):
    CURVES[name]["model"]["layers"][3]["p"] = 0.0
    CURVES[name]["train"] |= {"batch_size": 5, "clip_grad_norm": 0.5}
CURVES["mixed batches"]["data"]["augmentation"].append({"type": "MixUp"})


@pytest.mark.parametrize("name", CURVES)
def test_two_processes_give_the_curve_of_one(name: str, write: Callable[..., str], here: Path) -> None:
    write(CURVES[name])
    train(here / "one")
    assert together(2, train, here / "two") == [0, 0]
    near(here / "two", here / "one")


def test_three_processes_give_the_curve_of_one(write: Callable[..., str], here: Path) -> None:
    write(CURVES["fewer rows than processes"])
    train(here / "one")
    assert together(3, train, here / "three") == [0, 0, 0]
    near(here / "three", here / "one")


def test_dropout_differs_from_process_to_process(write: Callable[..., str], here: Path) -> None:
    write(images())
    assert together(2, train, here / "run") == [0, 0]
    record = torch.load(here / "run/checkpoints/last.pt", weights_only=True)
    (other,) = record["others"]
    assert not torch.equal(record["generator"], other["generator"])


def evaluated(out: Path, world: World) -> None:
    from zoo.run import evaluate_run
    from zoo.training.evaluation import evaluate

    spec = check_file("spec.json")
    from zoo.build import load_rows
    from zoo.training.objective import objective_of

    objective = objective_of(spec, torch.device("cpu"))
    found = evaluate(Run(out).load_model(), objective, load_rows(spec, "test"), world)
    alone = evaluate_run(Run(out), "cpu")
    if {f"test_{name}": value for name, value in found.items()} != alone:
        raise AssertionError(f"{found} is not {alone}")


def test_shared_evaluation_has_the_bits_of_one_process(write: Callable[..., str], here: Path) -> None:
    metrics = [{"type": "MeanAbsoluteError"}, {"type": "R2Score"}]
    write(linear(data__samples=4001, metrics=metrics, train={"epochs": 1, "batch_size": 1000}))
    train(here / "run")
    assert together(3, evaluated, here / "run") == [0, 0, 0]


MOMENTS = [("step", count, count % 2) for count in (1, 2, 3, 5, 6, 7, 9, 11, 12, 15)]
MOMENTS += [("evaluation", count, count % 2) for count in (1, 2, 3, 4, 6)]
MOMENTS += [("measured", 2, 0), ("measured", 3, 1)]
MOMENTS += [("checkpoint", count, 0) for count in (2, 4, 7)]


def killed_at(event: str, count: int, rank: int, out: Path) -> Callable[[World], None]:
    """Return a training in which one process is killed when it has done something so many times."""
    places: dict[str, tuple[Any, str]] = {"step": (SharedStrides, "step"), "evaluation": (HeldOut, "evaluate")}
    places["measured"] = (loop.Training, "_measured")

    def act(world: World) -> None:
        if event == "checkpoint":
            halved(count)  # rank 0 alone writes
            train(out, world)
            return
        owner, name = places[event]
        whole, calls = getattr(owner, name), [0]

        def called(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == count and world.rank == rank:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(*arguments, **options)

        setattr(owner, name, called)
        train(out, world)

    return act


def held(run: Path) -> tuple[bytes, list[dict[str, float]], list[bytes]]:
    """Return weights, measurements, and the tensors of optimizer, mean and generators."""
    record = torch.load(run / "checkpoints/last.pt", weights_only=True)
    optimizer = [value for state in record["optimizer"]["state"].values() for value in state.values()]
    tensors = [*optimizer, *record["average"].values(), record["generator"], record["others"][0]["generator"]]
    return (run / "model.safetensors").read_bytes(), measured(run), [tensor.numpy().tobytes() for tensor in tensors]


@pytest.fixture
def _saving_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "EVERY", 0.0)
    monkeypatch.setattr(clock, "SHARE", 0)
    monkeypatch.setattr(loop, "READ_EVERY", 0.0)


@pytest.mark.long
@pytest.mark.usefixtures("_saving_always")
def test_killed_trainings_go_on_to_the_same_bits(write: Callable[..., str], here: Path) -> None:
    write(images())
    assert together(2, train, here / "whole") == [0, 0]
    for event, count, rank in MOMENTS:
        out = here / f"{event}{count}"
        statuses = ended(started(2, killed_at(event, count, rank, out)))
        assert statuses[rank] == -signal.SIGKILL
        assert statuses[1 - rank] == 1
        if (out / "checkpoints/last.pt").is_file():
            assert together(2, resume, out) == [0, 0]
        else:
            assert (event, count) in {("step", 1), ("step", 2)}
            assert together(2, _again, out) == [0, 0]
        assert held(out) == held(here / "whole"), (event, count, rank)


def _again(out: Path, world: World) -> None:
    train_run(check_file("spec.json"), "cpu", Destination(out, True), Unseen(), world)


def told(out: Path, world: World) -> None:
    """Train, and write beside the run what weights this process has after each measurement."""
    whole = loop.Training._measured

    def noted(training: loop.Training, *arguments: Any) -> Any:
        bits = b"".join(tensor.numpy().tobytes() for tensor in training.state.model.state_dict().values())
        with out.with_name(f"{out.name}.{world.rank}").open("a") as lines:
            print(hashlib.sha256(bits).hexdigest(), file=lines)
        return whole(training, *arguments)

    loop.Training._measured = noted  # type: ignore[method-assign, assignment]  # in a process of its own
    train(out, world)


@pytest.mark.usefixtures("_saving_always")
def test_streams_are_shared_to_the_bits_of_rows_in_memory(write: Callable[..., str], here: Path) -> None:
    take(here / "pets", train=9, test=3)
    document = pets(data__workers=1)
    document["model"]["layers"][3]["p"] = 0.0
    write(document)
    train(here / "one")
    assert together(2, told, here / "held") == [0, 0]
    write(document | {"data": document["data"] | {"memory": 0}})
    assert together(2, told, here / "streamed") == [0, 0]
    assert (here / "streamed.0").read_text() == (here / "streamed.1").read_text() == (here / "held.0").read_text()
    assert measured(here / "streamed") == measured(here / "held")
    near(here / "streamed", here / "one")
    assert ended(started(2, killed_at("step", 3, 1, here / "cut"))) == [1, -signal.SIGKILL]
    assert together(2, resume, here / "cut") == [0, 0]
    assert Run(here / "cut").weights_file.read_bytes() == Run(here / "streamed").weights_file.read_bytes()


@pytest.mark.usefixtures("_saving_always")
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1), (2, 3)])
def test_another_number_of_processes_goes_on(first: int, then: int, write: Callable[..., str], here: Path) -> None:
    write(CURVES["ragged batches"])
    train(here / "whole")
    event = "_measured"

    def stopped(world: World) -> None:
        whole, calls = getattr(loop.Training, event), [0]

        def called(training: loop.Training, *arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(training, *arguments)

        setattr(loop.Training, event, called)
        train(here / "cut", world)

    assert -signal.SIGKILL in ended(started(first, stopped))
    assert together(then, resume, here / "cut") == [0] * then
    near(here / "cut", here / "whole")


@pytest.mark.usefixtures("_saving_always")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_one_process_ends_all_with_one_checkpoint_and_one_message(
    number: signal.Signals, write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(linear(train={"epochs": 10_000, "batch_size": 4}))
    children = started(2, lambda world: train(here / "run", world))
    checkpoint = here / "run/checkpoints/last.pt"
    until = time.monotonic() + LIMIT
    while not checkpoint.is_file() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(children[1], number)
    assert ended(children) == [128 + number, 128 + number]
    said = capfd.readouterr().err
    assert said.count("interrupted: in epoch") == 1
    assert f"to go on: zoo train --resume {here}/run" in said
    assert torch.load(checkpoint, weights_only=True)["epoch"] < 10_000


def test_an_error_of_all_is_told_once(write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(linear(optimizer={"type": "SGD", "lr": 1e30}))
    assert together(2, train, here / "run") == [2, 2]
    said = capfd.readouterr().err
    assert said.count("error:") == 1
    assert "the loss is" in said
    assert "error" in json.loads((here / "run/metrics.jsonl").read_text().splitlines()[-1])


def test_an_error_of_one_process_ends_the_others_and_is_told(
    write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(linear())

    def act(world: World) -> None:
        if world.rank == 1:
            raise UsageError("process 1 has no data", "give it some")
        train(here / "run", world)

    assert ended(started(2, act)) == [1, 2]
    assert "process 1 has no data" in capfd.readouterr().err


def test_processes_with_other_specs_are_refused(
    write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(linear())
    write(linear(train={"epochs": 2, "batch_size": 5}), "other.json")

    def act(world: World) -> None:
        spec = check_file("spec.json" if world.leads else "other.json")
        train_run(spec, "cpu", Destination(here / "run"), Unseen(), world)

    assert ended(started(2, act)) == [2, 2]
    assert capfd.readouterr().err.count("process 1 of 2 has a spec of sha256") == 1
    assert not (here / "run").exists()


def test_running_statistics_that_cannot_be_shared_are_refused(
    write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = images()
    document["model"]["layers"][1] = {"type": "InstanceNorm2d", "track_running_stats": True}
    write(document)
    assert together(2, train, here / "run") == [2, 2]
    assert "remove its track_running_stats" in capfd.readouterr().err


def test_more_processes_than_rows_of_a_batch_are_refused() -> None:
    require_rows(4, 4)
    with pytest.raises(UsageError, match="5 processes cannot share batches of 4 rows"):
        require_rows(4, 5)


def test_a_seat_is_read_from_what_the_launcher_says() -> None:
    said = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert seat({}) is None
    assert seat(said) == Seat(3, 4, 1, 2, own=False)
    assert seat({**said, "TORCHELASTIC_RUN_ID": "zoo-12"}) == Seat(3, 4, 1, 2, own=True)
    with pytest.raises(UsageError, match="LOCAL_RANK"):
        seat({"RANK": "0", "WORLD_SIZE": "2"})


def test_processes_are_not_started_under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    require_alone_or_own(None)
    with pytest.raises(UsageError, match="torchrun has started 2 processes already"):
        require_alone_or_own(2)


@pytest.mark.parametrize("rows", [1, 2, 5, 64, 65])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_are_all_rows_once(size: int, rows: int) -> None:
    shares = [World(rank, size).share(10, 10 + rows) for rank in range(size)]
    assert [row for first, last in shares for row in range(first, last)] == list(range(10, 10 + rows))
    assert max(last - first for first, last in shares) - min(last - first for first, last in shares) <= 1


def sharded(**changes: Any) -> Document:
    """A spec that trains by FSDP2, with optimizer state, a frozen layer, and more tensors than one layer's."""
    layers = [
        {"type": "Linear", "out_features": 5, "id": "first"},
        {"type": "ReLU"},
        {"type": "BatchNorm1d"},
        {"type": "Linear", "out_features": 3},
        {"type": "Linear", "out_features": 1},
    ]
    train = {"epochs": 3, "batch_size": 6, "accumulation": 2, "clip_grad_norm": 0.5, "strategy": "fsdp"}
    return linear(
        data__samples=40,
        data__validation=0.2,
        model__layers=layers,
        optimizer={"type": "AdamW", "lr": 0.01},
        scheduler={"type": "StepLR", "step_size": 1},
        train={**train, "early_stopping": {"patience": 9}},
        freeze=["first.weight"],
        **changes,
    )


@pytest.mark.usefixtures("_saving_always")
def test_sharded_trainings_give_the_curve_of_one_process_and_its_files(write: Callable[..., str], here: Path) -> None:
    document = sharded()
    write({**document, "train": {**document["train"], "strategy": "ddp"}})
    train(here / "one")
    write(document)
    assert together(2, train, here / "two") == [0, 0]
    near(here / "two", here / "one")
    assert together(2, evaluated, here / "two") == [0, 0]
    one, two = (torch.load(here / name / "checkpoints/last.pt", weights_only=True) for name in ("one", "two"))
    for name, tensor in one["model"].items():
        torch.testing.assert_close(two["model"][name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("_saving_always")
def test_a_killed_sharded_training_goes_on_in_any_number_of_processes(write: Callable[..., str], here: Path) -> None:
    write(sharded())
    assert together(2, train, here / "whole") == [0, 0]
    assert -signal.SIGKILL in ended(started(2, killed_at("step", 9, 1, here / "cut")))
    for then in (1, 2, 3):
        resumed = shutil.copytree(here / "cut", here / f"cut{then}")
        assert together(then, resume, resumed) == [0] * then
        near(resumed, here / "whole")
        if then == 2:
            assert (resumed / "model.safetensors").read_bytes() == (here / "whole/model.safetensors").read_bytes()


def parted(out: Path, world: World) -> None:
    from zoo.training import state as training_state
    from zoo.training.sharded import gathered, shard

    spec = check_file("spec.json")
    state = training_state.begin(spec, torch.device("cpu"))
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    shared = shard(spec, state, 32, world)
    parts: list[Any] = list(shared.model.parameters())  # Any: DTensors
    held, whole = sum(part.to_local().numel() for part in parts), sum(part.numel() for part in parts)
    after = gathered(shared).model.state_dict()
    if not 0 < held < 0.7 * whole or not all(torch.equal(after[name], tensor) for name, tensor in before.items()):
        raise AssertionError(f"{held} of {whole} numbers are here")


def test_each_process_has_a_part_of_the_weights(write: Callable[..., str], here: Path) -> None:
    write(sharded())
    assert together(2, parted, here) == [0, 0]


def test_one_process_has_nothing_to_share_out(write: Callable[..., str], here: Path) -> None:
    write(sharded())
    with pytest.raises(UsageError, match="fsdp shares the model out"):
        train(here / "run")
