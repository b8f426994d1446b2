from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from conftest import Outcome
from exporters import latency
from exporters.latency import FEWEST, WARM_UP, Haste, benchmark
from zoo.errors import ExportError, ProofFailed, UsageError

if TYPE_CHECKING:
    from specimens import Published
    from zoo.run import Run

pytest_plugins = ["specimens"]

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated

SOON = Haste(batches=(1, 3), seconds=0.05)


@pytest.fixture
def run(trained_run: Run, published: Published, tmp_path: Path) -> Path:
    """A copy of the run with its bundle in it."""
    folder = Path(shutil.copytree(trained_run.path, tmp_path / "run"))
    shutil.copytree(published.folder, folder / "export")
    return folder


def test_a_run_is_measured_beside_all_its_files_at_each_batch_size(run: Path) -> None:
    found = benchmark(str(run), SOON)

    programs = [(one.program.rpartition(", ")[2].split()[0], one.batch) for one in found.measured]
    kinds = ("eager", "onnxruntime", "TorchScript", "torch.export")
    assert programs == [(kind, batch) for batch in (1, 3) for kind in kinds]
    assert found.left_out == ()
    for one in found.measured:
        assert one.rounds >= FEWEST
        assert 0 < one.p50_ms <= one.p99_ms
        assert one.rows_per_second > 0


def test_a_bundle_in_its_run_finds_the_run(run: Path) -> None:
    found = benchmark(str(run / "export"), Haste((1,), 1, 0))

    assert "eager" in found.measured[0].program


def test_a_bundle_alone_says_that_eager_is_left_out(published: Published, tmp_path: Path) -> None:
    alone = shutil.copytree(published.folder, tmp_path / "alone")

    found = benchmark(str(alone), Haste((1,), 1, 0))

    assert len(found.measured) == 3
    assert [text.partition(": ")[2] for text in found.left_out] == ["the bundle stands in no run"]


def test_programs_are_warm_and_asked_in_turns() -> None:
    calls: list[str] = []

    def program(name: str) -> Callable[[np.ndarray], None]:
        return lambda rows: calls.append(name)

    latency._measure({"a": program("a"), "b": program("b")}, np.zeros((2, 1)), Haste((2,), 1, 0))

    assert calls[: 2 * WARM_UP] == ["a", "b"] * WARM_UP
    assert calls[2 * WARM_UP :] == ["a", "b", "b", "a", "a", "b", "b", "a", "a", "b"]


def test_what_is_told_follows_from_the_times() -> None:
    found = latency._summed("a", 4, [0.001] * 98 + [0.002, 0.010])

    assert (found.p50_ms, found.p99_ms, found.rounds) == (1.0, 10.0, 100)
    assert found.rows_per_second == round(4 * 100 / 0.11, 1)


def test_a_slow_program_ends_in_bounded_time() -> None:
    began = time.perf_counter()

    (found,) = latency._measure({"slow": lambda rows: time.sleep(0.01)}, np.zeros((1, 1)), Haste((1,), 1, 0.05))

    assert FEWEST <= found.rounds <= 6
    assert time.perf_counter() - began < 5


def test_a_batch_that_does_not_fit_is_told() -> None:
    def full(rows: object) -> None:
        raise RuntimeError("not enough memory")

    with pytest.raises(ExportError, match="full cannot answer a batch of 9: not enough memory"):
        latency._measure({"full": full}, np.zeros((9, 1)), SOON)


def test_a_changed_file_is_not_measured(run: Path) -> None:
    (run / "export" / "model.onnx").write_bytes(b"")

    with pytest.raises(ProofFailed, match=r"model\.onnx has been changed"):
        benchmark(str(run), SOON)


def test_a_run_without_a_bundle_says_how_to_make_one(run: Path) -> None:
    shutil.rmtree(run / "export")

    with pytest.raises(UsageError) as refused:
        benchmark(str(run), SOON)

    assert refused.value.remedy == f"export it first: zoo export {run} --onnx --torchscript"


def test_the_command_prints_a_table_or_the_record(zoo: Callable[..., Outcome], run: Path) -> None:
    told = zoo("benchmark", run, "--batch", "2", "--seconds", "0")
    record = json.loads(zoo("benchmark", run, "--batch", "2", "--seconds", "0", "--json").out)

    assert told.status == 0
    assert "p99 ms" in told.out
    assert [one["batch"] for one in record["measured"]] == [2] * 4
    assert zoo("benchmark", run, "--batch", "0").status == 2
