"""Commands on exports: what is refused or interrupted in the middle leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import REPOSITORY, Outcome, linear
from exporters import onnx
from zoo.errors import ExportError

Write = Callable[..., str]
Zoo = Callable[..., Outcome]
INTERRUPTED = ["interrupted: nothing was published", "   to go on: give the same command again"]
TAKEN = """
import json, os, sys
import cli
from zoo.errors import UsageError
sys.modules["torch"] = None
for command in json.loads(os.environ["COMMANDS"]):
    try:
        cli.zoo.main(command, standalone_mode=False)
    except UsageError as error:
        print(error.message)
"""
MISH = [{"type": "Mish", "id": "gate"}, {"type": "Linear", "out_features": 1}]


@pytest.mark.parametrize("asked", [("--opset", "17"), ("--target", "onnxruntime>=1.13")], ids=str)
def test_an_operator_that_needs_a_higher_opset_is_told_with_its_layer(
    asked: tuple[str, str], write: Write, zoo: Zoo, here: Path
) -> None:
    done = zoo("export", write(linear(model__layers=MISH)), "--untrained", *asked)
    assert done.status == 2
    assert 'layer "gate" is written with Mish, which needs opset 18; opset 17 was asked for' in done.err
    assert "or a newer --target if that chose 17" in done.err
    assert list((here / "export").iterdir()) == []


def test_an_option_that_is_given_twice_is_refused(zoo: Zoo) -> None:
    done = zoo("export", "linear3", "--untrained", "--opset", "17", "--opset", "20")
    assert done.status == 2
    assert done.err == "error: --opset is given 2 times\n   remedy: give it once\n"


@pytest.mark.parametrize("opset", ["9", "16", "24", "99"])
def test_an_opset_that_zoo_does_not_write_is_told_with_those_it_does(opset: str, zoo: Zoo) -> None:
    done = zoo("export", "linear3", "--untrained", "--opset", opset)
    assert done.status == 2
    assert f"{opset} is not in the range 17<=x<=23" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_nothing(
    number: signal.Signals, write: Write, zoo: Zoo, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(subject: object, path: Path, form: object) -> None:
        path.write_text("half")
        os.kill(os.getpid(), number)

    monkeypatch.setattr(onnx, "export", interrupted)
    done = zoo("export", write(linear()), "--untrained")
    assert (done.status, done.err.splitlines()[-2:]) == (128 + number, INTERRUPTED)
    assert "Traceback" not in done.err
    assert list((here / "export").iterdir()) == []


def test_a_signal_that_torch_takes_for_an_error_of_its_own_ends_the_export(
    write: Write, zoo: Zoo, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swallowed(subject: object, path: Path, form: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException:  # noqa: BLE001  # as torch's exporter does
            raise ExportError("an operator is registered twice", "replace it") from None

    monkeypatch.setattr(onnx, "export", swallowed)
    before = signal.getsignal(signal.SIGTERM)
    done = zoo("export", write(linear()), "--untrained")
    assert (done.status, done.err.splitlines()[-2:]) == (143, INTERRUPTED)
    assert "registered" not in done.err
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_place_that_is_taken_is_told_before_torch_is_imported(write: Write, here: Path) -> None:
    spec, taken = write(linear()), here / "taken"
    taken.mkdir()
    (taken / "certificate.json").touch()
    (here / "run").mkdir()
    (here / "run" / "spec.json").write_bytes(Path(spec).read_bytes())
    commands = [["export", *given, "--out", str(taken)] for given in ([spec, "--untrained"], [str(here / "run")])]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "COMMANDS": json.dumps(commands)}

    done = subprocess.run([sys.executable, "-c", TAKEN], capture_output=True, text=True, env=environment, check=False)

    assert (done.returncode, done.stdout.splitlines()) == (0, [f"{taken} holds an export"] * 2), done.stderr
