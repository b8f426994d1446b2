from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters import runtimes
from exporters.runtimes import ONNXRUNTIME, TORCHSCRIPT, Answers, ask
from zoo.errors import ProofFailed

if TYPE_CHECKING:
    from specimens import Published

WriteRuntime = Callable[..., Path]

pytest_plugins = ["specimens"]

REMEDY = "nothing was published; `zoo doctor` shows the installed versions"
ONE_ROW = [{"x": np.ones((1, 1), np.float32)}]


@pytest.fixture
def runtime(tmp_path: Path) -> WriteRuntime:
    """Write a runtime that gives back what it is given; what it does beside is the test's to say."""

    def write(imports: str = "", forbidden: tuple[str, ...] = (), run: str = "", version: str = "'1'") -> Path:
        file = tmp_path / "echo.py"
        file.write_text(
            f"{imports}\n"
            f"FORBIDDEN = {forbidden!r}\n"
            "def load(path, options): return path, options\n"
            f"def run(loaded, inputs):\n    {run or 'pass'}\n    return list(inputs.values())\n"
            f"def version(): return {version}\n",
            encoding="utf-8",
        )
        return file

    return write


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of /tmp."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def modules_beside(runtime: Path, folder: Path, published: Published, file: str, **options: int) -> set[str]:
    """The modules in the process that runs a file, told in place of the version by a runtime around the real one."""
    around = folder / "around.py"
    around.write_text(
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('real', {str(runtime)!r})\n"
        "real = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(real)\n"
        "FORBIDDEN, load, run = real.FORBIDDEN, real.load, real.run\n"
        "def version(): return ','.join(name for name in sys.modules if '.' not in name)\n",
        encoding="utf-8",
    )
    batch = {"features": published.subject.example.numpy()}
    return set(ask(around, published.folder / file, [batch], options).version.split(","))


def refusal(runtime: Path, model: Path = Path("model.onnx")) -> ProofFailed:
    with pytest.raises(ProofFailed) as refused:
        ask(runtime, model, ONE_ROW, {"threads": 1, "optimize": 1})
    return refused.value


def test_the_process_of_onnxruntime_has_neither_torch_nor_zoo_nor_onnx(tmp_path: Path, published: Published) -> None:
    found = modules_beside(ONNXRUNTIME, tmp_path, published, "model.onnx", optimize=1, threads=1)

    assert found >= {"onnxruntime", "numpy"}
    assert found & {"torch", "zoo", "exporters", "onnx", "pydantic"} == set()


def test_the_process_of_torchscript_has_neither_zoo_nor_onnx(tmp_path: Path, published: Published) -> None:
    found = modules_beside(TORCHSCRIPT, tmp_path, published, "model.torchscript", threads=1)

    assert found >= {"torch", "numpy"}
    assert found & {"zoo", "exporters", "onnx", "onnxruntime"} == set()


@pytest.mark.parametrize(
    ("imports", "forbidden", "found"),
    [
        ("import json", ("json", "torch"), "json"),
        ("import zoo.errors", (), "zoo"),
        ("import onnx.defs", ("torch", "onnx"), "onnx"),
        ("import sys; sys.modules['exporters'] = sys", (), "exporters"),
        ("import wave, csv", ("wave", "csv"), "csv, wave"),
    ],
)
def test_a_process_with_a_forbidden_module_proves_nothing(
    runtime: WriteRuntime, imports: str, forbidden: tuple[str, ...], found: str
) -> None:
    refused = refusal(runtime(imports, forbidden))

    assert refused.message == f"echo cannot run model.onnx: the clean room has {found} in it"


def test_a_module_imported_only_while_the_model_runs_is_found_too(runtime: WriteRuntime) -> None:
    refused = refusal(runtime(forbidden=("wave",), run="import wave"))

    assert refused.message == "echo cannot run model.onnx: the clean room has wave in it"


def test_torch_in_the_process_of_onnxruntime_is_found(tmp_path: Path, published: Published) -> None:
    contaminated = tmp_path / "onnxruntime.py"
    contamination = "import sys\nsys.modules['torch'] = sys\n"  # torch itself takes two seconds
    contaminated.write_text(contamination + ONNXRUNTIME.read_text(encoding="utf-8"), encoding="utf-8")

    with pytest.raises(ProofFailed, match=r"onnxruntime cannot run model\.onnx: the clean room has torch in it"):
        ask(
            contaminated,
            published.folder / "model.onnx",
            [{"features": published.subject.example.numpy()}],
            {"optimize": 1, "threads": 1},
        )


@pytest.mark.parametrize("file", [ONNXRUNTIME, TORCHSCRIPT], ids=["onnxruntime", "torchscript"])
def test_a_file_that_is_no_model_is_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.file"
    model.write_bytes(b"no model")

    refused = refusal(file, model)

    assert refused.message.startswith(f"{file.stem} cannot run model.file: ")
    assert "\n" not in refused.message
    assert (refused.remedy, refused.exit_status) == (REMEDY, 1)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ("raise ValueError('it does not fit')", "ValueError: it does not fit"),
        ("raise ValueError('first line\\n  second line')", "ValueError: first line"),
        ("import os; os._exit(3)", "exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "it is ended by SIGKILL (Killed)"),
        ("import sys; sys.exit('enough')", "enough"),
    ],
)
def test_an_error_of_the_process_becomes_one_line(runtime: WriteRuntime, run: str, reason: str) -> None:
    refused = refusal(runtime(run=run))

    assert (refused.message, refused.remedy) == (f"echo cannot run model.onnx: {reason}", REMEDY)


def test_a_process_that_does_not_answer_in_time_is_stopped(
    runtime: WriteRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "TIMEOUT", 0.5)

    refused = refusal(runtime(run="import time; time.sleep(300)"))

    assert (refused.message, refused.remedy) == ("echo gave no answer in 0.5 s for model.onnx", REMEDY)


@pytest.mark.parametrize("run", ["pass", "raise ValueError"])
def test_nothing_stays_in_the_temporary_folder(runtime: WriteRuntime, temporary: Path, run: str) -> None:
    try:
        ask(runtime(run=run), Path("model.onnx"), ONE_ROW, {})
    except ProofFailed:
        assert run == "raise ValueError"

    assert list(temporary.iterdir()) == []


def test_every_bit_and_dtype_comes_back_in_the_order_of_the_batches_and_of_the_inputs(runtime: WriteRuntime) -> None:
    special = np.array([[-0.0, np.inf, 1e-45, -np.nan]], np.float32)
    batches = [
        {f"input:{position}": special.astype(dtype) * index for position, dtype in enumerate(("f4", "f8", "f2", "f8"))}
        | {f"number {position}": np.array([[index, position]]) for position in range(8)}
        for index in range(1, 12)
    ]

    answers = ask(runtime(), Path("model.onnx"), batches, {})

    assert [[(array.dtype, array.tobytes()) for array in outputs] for outputs in answers.outputs] == [
        [(array.dtype, array.tobytes()) for array in batch.values()] for batch in batches
    ]


def test_the_version_is_the_runtimes_own(runtime: WriteRuntime) -> None:
    assert ask(runtime(version="'2.7.1'"), Path("model.onnx"), ONE_ROW, {}).version == "2.7.1"


def test_the_options_reach_the_runtime(runtime: WriteRuntime) -> None:
    echo = runtime(run="assert loaded[1] == {'optimize': 0, 'mode': 'strict'}, loaded")

    assert isinstance(ask(echo, Path("model.onnx"), ONE_ROW, {"optimize": 0, "mode": "strict"}), Answers)


def test_a_model_is_found_from_the_current_folder(
    runtime: WriteRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").touch()
    monkeypatch.chdir(tmp_path)
    echo = runtime(run="import os; assert os.path.isfile(loaded[0])")

    assert isinstance(ask(echo, Path("model.onnx"), ONE_ROW, {}), Answers)


def test_nothing_of_the_current_folder_or_of_pythonpath_is_imported(
    runtime: WriteRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "csv.py").write_text("raise RuntimeError('not the library')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert isinstance(ask(runtime("import csv"), Path("model.onnx"), ONE_ROW, {}), Answers)


def hostile(folder: Path, *nodes: onnx.NodeProto, **constants: object) -> Path:
    """A small file that turns "x" into "y" by way of these nodes."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1]) for name in ("x", "y")]
    known = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "hostile", ends[:1], ends[1:], known)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save_model(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand"])
def test_a_file_that_asks_for_much_memory_is_refused_before_it_has_it(tmp_path: Path, operator: str) -> None:
    given = ["size"] if operator == "ConstantOfShape" else ["one", "size"]
    many, one = np.array([10**6, 10**6]), np.ones((1, 1), np.float32)
    nodes = [
        helper.make_node(operator, given, ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]

    refused = refusal(ONNXRUNTIME, hostile(tmp_path, *nodes, size=many, one=one))

    assert refused.message.startswith("onnxruntime cannot run model.onnx: it asks for more than the ")
    assert refused.message.endswith(" GiB of memory that it may have")


def test_a_file_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "TIMEOUT", 1.5)
    inner = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["a", "a"], ["b"])]
    info = helper.make_tensor_value_info
    given = [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("a", TensorProto.FLOAT, ["N", 1])]
    body = helper.make_graph(
        inner, "body", given, [info("on", TensorProto.BOOL, []), info("b", TensorProto.FLOAT, ["N", 1])]
    )
    loop = helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)

    refused = refusal(ONNXRUNTIME, hostile(tmp_path, loop, times=10**12))

    assert refused.message == "onnxruntime gave no answer in 1.5 s for model.onnx"


def test_the_process_may_have_a_share_of_the_free_memory_and_a_time_of_the_processor(
    runtime: WriteRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "free_memory", lambda: 2**33)
    told = "str([r.getrlimit(kind)[0] for kind in (r.RLIMIT_DATA, r.RLIMIT_CPU, r.RLIMIT_CORE)])"

    found = ask(runtime("import resource as r", version=told), Path("model.onnx"), ONE_ROW, {"threads": 2})

    assert found.version == str([6 * 2**30, 1200, 0])


def test_a_runtime_that_is_ended_by_a_signal_is_told_so(runtime: WriteRuntime) -> None:
    refused = refusal(runtime("import os, signal", run="os.kill(os.getpid(), signal.SIGSEGV)"))

    assert refused.message == "echo cannot run model.onnx: it is ended by SIGSEGV (Segmentation fault)"
