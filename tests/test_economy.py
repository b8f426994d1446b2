"""The process of a training: what it imports, and how its threads and its memory are set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from conftest import REPOSITORY
from zoo import economy

NEEDLESS = ("torch._dynamo", "torch._inductor", "torchvision", "sympy", "triton", "onnx", "onnxruntime", "PIL")
TRAIN = """
import atexit, sys, cli
watch = lambda: print("\\n", *(set({needless}) & sys.modules.keys()))
atexit.register(lambda: (watch(), __import__("PIL"), watch()))
for number, scheduler in enumerate(([], ["--set", 'scheduler={{"type": "StepLR", "step_size": 2}}'])):
    sys.argv = ["zoo", "train", "linear3", "--set", "train.epochs=20", "--out", f"run{{number}}", *scheduler]
    try:
        cli.main()
    except SystemExit as left:
        assert left.code == 0
"""


def ended(program: str, here: Path, **environment: str) -> list[str]:
    """The lines of a fresh process."""
    path = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=here, env=path | environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_training_a_linear_model_plainly_or_scheduled_imports_nothing_needless(tmp_path: Path) -> None:
    *_, found, with_one = ended(TRAIN.format(needless=NEEDLESS), tmp_path)
    assert found.strip() == ""
    assert with_one.strip() == "PIL"  # the watch sees one
    assert len(list(tmp_path.glob("run*/model.safetensors"))) == 2


def test_waiting_threads_sleep_unless_the_environment_says_otherwise(tmp_path: Path) -> None:
    program = "import os; from zoo.economy import settle; settle(); print(os.environ['OMP_WAIT_POLICY'])"
    assert ended(program, tmp_path) == ["PASSIVE"]
    assert ended(program, tmp_path, OMP_WAIT_POLICY="ACTIVE") == ["ACTIVE"]


@pytest.mark.skipif(os.uname().machine not in economy.SCHED_SETATTR, reason="its system calls have other numbers")
@pytest.mark.skipif(sys.platform != "linux", reason="turns are Linux's")
def test_a_woken_thread_need_not_wait_for_a_neighbours_turn(tmp_path: Path) -> None:
    program = """
import ctypes, os, struct, threading
from zoo.economy import SCHED_ATTR, SCHED_SETATTR, settle
call, number = ctypes.CDLL(None).syscall, SCHED_SETATTR[os.uname().machine]
def show():
    found = ctypes.create_string_buffer(48)
    assert call(number + 1, 0, found, 48, 0) == 0
    size, policy, flags, nice, priority, turn, deadline, period = struct.unpack(SCHED_ATTR, found.raw)
    print(policy, nice, turn)
call(number, 0, struct.pack(SCHED_ATTR, 48, 0, 0, os.nice(3), 0, 5_000_000, 0, 0), 0)
show()
settle()
show()
thread = threading.Thread(target=show)
thread.start()
thread.join()
"""
    before, after, inherited = (list(map(int, line.split())) for line in ended(program, tmp_path))
    if before[2] != 5_000_000:
        pytest.skip("this Linux has no turns of one's own")

    assert after == inherited == [*before[:2], economy.TURN]


def test_where_the_system_knows_no_turns_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(number: int, *arguments: object) -> int:
        asked.append(number)
        return -1

    monkeypatch.setattr(economy, "SCHED_SETATTR", {os.uname().machine: 1000})
    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace(syscall=refuse))
    economy.wake_soon()

    assert asked == ([1001] if sys.platform == "linux" else [])


@pytest.mark.parametrize(
    ("folder", "limit", "used", "prefix"),
    [
        (".", "memory.max", "memory.current", ""),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ],
    ids=["cgroup v2", "cgroup v1"],
)
def test_files_that_were_read_do_not_count_against_a_container(
    folder: str, limit: str, used: str, prefix: str, tmp_path: Path
) -> None:
    group = tmp_path / folder
    group.mkdir(exist_ok=True)
    (group / limit).write_text("1000\n")
    (group / used).write_text("900\n")
    (group / "memory.stat").write_text(f"anon 300\n{prefix}inactive_file 400\n{prefix}active_file 200\nslab 9\n")

    assert min(economy._left_to_the_group(tmp_path)) == 700


def test_a_container_without_a_limit_leaves_all(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")

    assert list(economy._left_to_the_group(tmp_path)) == [sys.maxsize]


def test_where_the_system_does_not_say_what_is_free_all_that_the_machine_has_is(tmp_path: Path) -> None:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    assert economy._free_on_the_machine(tmp_path / "absent") == machine
    assert economy._free_on_the_machine() <= machine


@pytest.mark.parametrize("answer", [ValueError("unrecognized configuration name"), -1])
def test_nothing_is_refused_by_a_guess_where_nobody_says_what_the_machine_has(
    answer: ValueError | int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sysconf(name: str) -> int:
        if isinstance(answer, ValueError):
            raise answer
        return answer if name == "SC_PHYS_PAGES" else 4096

    monkeypatch.setattr(os, "sysconf", sysconf)

    assert economy._free_on_the_machine(tmp_path / "absent") == sys.maxsize
