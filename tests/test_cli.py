"""The command line: what a person types, what comes back, and the exit status."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cli
from conftest import REPOSITORY, Outcome, linear, no_file_above, read_terminal
from forking import start
from test_files import small_disk

Write = Callable[..., str]
Zoo = Callable[..., Outcome]

__all__ = ["small_disk"]  # a fixture


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "cli.py"), *arguments]


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_whole_way_from_a_spec_to_a_proven_bundle(zoo: Zoo, write: Write, here: Path) -> None:
    assert zoo("train", write(linear())).status == 0
    done = zoo("export", "--onnx", "--torchscript")
    assert done.status == 0, done.err
    assert "equal bit for bit" in done.out
    bundle = contents(here / "runs" / "line" / "export")
    assert bundle == [
        "README.md",
        "certificate.json",
        "golden.npz",
        "model.onnx",
        "model.torchscript",
        "test_data_set_0",
        "test_data_set_0/input_0.pb",
        "test_data_set_0/output_0.pb",
    ]


def test_a_piped_training_prints_plain_lines_then_tables(zoo: Zoo, write: Write) -> None:
    done = zoo("train", write(linear(train__epochs=3)))
    lines = done.err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "\x1b" not in done.err + done.out
    for expected in ("metrics", "test loss", "learned beside true", "written", "runs/line/model.safetensors"):
        assert expected in done.out


def test_a_long_training_prints_a_few_lines_and_the_last(zoo: Zoo, write: Write) -> None:
    lines = zoo("train", write(linear(train__epochs=95))).err.splitlines()
    assert lines[0] == "every 5th of 95 epochs is shown; all are in metrics.jsonl"
    assert lines[-1].startswith("epoch 95/95 ")
    assert len(lines) < 25


def test_a_training_on_a_terminal_shows_a_bar(write: Write, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(linear(train__epochs=300))
    leader, follower = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    process = start("train", "spec.json", err=follower)
    os.close(follower)
    shown = read_terminal(leader)
    assert process.ended().status == 0
    assert "━".encode() in shown
    assert b"epoch 300/300" in shown


def test_a_record_for_machines_is_json_alone(zoo: Zoo, write: Write) -> None:
    trained = json.loads(zoo("train", write(linear()), "--json").out)
    assert trained["run"] == "runs/line"
    assert trained["metrics"]["epoch"] == 2
    evaluated = json.loads(zoo("evaluate", "--json").out)
    assert evaluated["metrics"]["test_loss"] == trained["metrics"]["test_loss"]
    assert json.loads(zoo("predict", "1,2", "--json").out)[0]["input"] == "1,2"
    assert json.loads(zoo("export", "--json").out)["certificate"]["name"] == "line"
    assert "linear3" in [spec["name"] for spec in json.loads(zoo("list", "--json").out)]
    assert json.loads(zoo("show", "linear3", "--json").out)["layers"][0]["parameters"] == 4
    assert json.loads(zoo("check", "linear3", "--format", "json").out) == []
    assert {finding["subject"] for finding in json.loads(zoo("doctor", "--json").out)} >= {"torch", "cuda"}


def test_evaluate_and_predict_read_a_run(zoo: Zoo, write: Write) -> None:
    zoo("train", write(linear(train__epochs=200, optimizer__lr=0.05)))
    measured = zoo("evaluate", "line")
    assert "test mean absolute error" in measured.out
    done = zoo("predict", "line", "1,2", "-1,-2", "--json")
    assert measured.err == done.err == "runs/line: the last weights, of epoch 200\n"
    values = [record["prediction"][0] for record in json.loads(done.out)]
    assert values == pytest.approx([-3, 3], abs=0.05)


def test_rows_come_from_csv_files_too(zoo: Zoo, write: Write, here: Path) -> None:
    zoo("train", write(linear()))
    (here / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    assert [record["input"] for record in json.loads(zoo("predict", "rows.csv", "--json").out)] == ["1,2", "3,4"]


def test_an_image_is_named_with_its_probability(zoo: Zoo, here: Path, real_data: Path) -> None:
    zoo("train", "mnist_mlp", "--set", f"data.root={real_data}", "--set", "train.epochs=1")
    images = (real_data / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16 : 16 + 784]
    Image.fromarray(np.frombuffer(images, np.uint8).reshape(28, 28)).save("seven.png")
    (record,) = json.loads(zoo("predict", "seven.png", "--json").out)
    assert record["class"] == "7 - seven"
    assert sum(record["probabilities"].values()) == pytest.approx(1)
    assert "7 - seven" in zoo("predict", "mnist_mlp", "seven.png").out


def test_schema_is_the_committed_one(zoo: Zoo) -> None:
    assert zoo("schema").out == (REPOSITORY / "specs" / "zoo.schema.json").read_text()


def test_doctor_names_every_part_and_a_remedy_for_what_is_missing(zoo: Zoo) -> None:
    out = zoo("doctor").out
    for part in ("python", "torch", "cuda", "onnxruntime providers", "CPU"):
        assert part in out


DIVERGING = linear(optimizer__lr=100.0, train__epochs=50)

WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no such spec": (("train", "linear4"), 'error: no such spec: linear4\n   remedy: did you mean "linear3"?\n'),
    "no such run": (("export", "nowhere"), "error: no such run: nowhere\n   remedy: train first: zoo train SPEC\n"),
    "no run at all": (("evaluate",), "error: there is no run in runs/\n   remedy: train first: zoo train SPEC\n"),
    "a spec where a run is meant": (
        ("export", "linear3"),
        "error: linear3 is a spec, and no run of it is here\n"
        "   remedy: train it first: zoo train linear3; or export fresh weights with --untrained\n",
    ),
    "no such device": (
        ("train", "linear3", "--device", "gpu"),
        "error: no such device: gpu\n   remedy: write auto, cpu, cuda or cuda:1\n",
    ),
    "data that is not there": (
        ("train", "mnist_mlp", "--set", "data.root=/nowhere", "--set", "data.download=false"),
        "error: data.root '/nowhere': /nowhere/MNIST/raw has no train-images-idx3-ubyte, train-labels-idx1-ubyte, "
        "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte\n"
        "   remedy: set data.root to the folder that holds MNIST/raw, or data.download to true\n",
    ),
    "an option out of its range": (
        ("train", "linear3", "--set", "train.epochs=0"),
        "--set train.epochs=0: error: train.epochs is 0\n   remedy: write a number 1 or more\n",
    ),
    "neither spec nor run": (
        ("train",),
        "error: zoo train takes a SPEC, or --resume RUN\n   remedy: write for example: zoo train specs/linear3.json\n",
    ),
    "an option that predict does not know": (
        ("predict", "--jsn", "1,2"),
        "error: zoo predict has no option --jsn\n   remedy: write --json, or ./ before a file's name\n",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_clear_error_and_leaves_nothing(name: str, zoo: Zoo, here: Path) -> None:
    arguments, expected = WRONG[name]
    done = zoo(*arguments)
    assert (done.status, done.err, done.out) == (2, expected, "")
    assert contents(here) == []


@pytest.mark.parametrize("verb", ["check", "train", "evaluate", "export", "predict"])
def test_a_name_that_no_file_can_have_is_one_clear_error(zoo: Zoo, here: Path, verb: str) -> None:
    done = zoo(verb, "x" * 400, *(["1,2"] if verb == "predict" else []))
    assert (done.status, done.out) == (2, "")
    assert done.err == f"error: File name too long: {'x' * 80}\n   remedy: give another path\n"


@pytest.mark.parametrize("line", ["garbage", "[1]", '"a"', "{}", '{"epoch": "x"}'])
def test_spoiled_measurements_are_one_clear_error(zoo: Zoo, write: Write, line: str) -> None:
    zoo("train", write(linear()))
    Path("runs/line/metrics.jsonl").write_text(line + "\n")
    done = zoo("export")
    assert done.status == 2
    assert done.err.startswith("error: runs/line/metrics.jsonl cannot be read: ")


def test_an_absent_spec_does_not_hide_the_problems_of_another(zoo: Zoo, write: Write) -> None:
    done = zoo("check", "absent.json", write(linear(train__epochs=0)), "linear3")
    assert done.status == 2
    assert "no such spec: absent.json" in done.err
    assert "linear3: ok" in done.err
    assert "train.epochs is 0" in done.out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.samples=10000000", "the train split takes 156,250.0 MiB, and "),
        ("model.layers.0.out_features=2000000000", "the model does not fit into memory\n"),
    ],
)
def test_what_does_not_fit_into_memory_is_one_clear_error(
    zoo: Zoo, write: Write, here: Path, change: str, message: str
) -> None:
    wide = {"type": "LinearFunction", "weights": [1.0] * 4096, "samples": 2}
    layers = [{"type": "Linear", "out_features": 1}, {"type": "Linear", "out_features": 1}]
    done = zoo("train", write(linear(data=wide, model__layers=layers)), "--set", change)
    assert done.status == 2
    assert done.err.startswith(f"error: {message}")
    assert [line[:11] for line in done.err.splitlines()[1:]] == ["   remedy: "]
    assert contents(here) == ["spec.json"]


def test_wrong_json_is_placed_by_line_and_column(zoo: Zoo, write: Write, here: Path) -> None:
    done = zoo("train", write('{\n  "name": "a"\n  "data": 1\n}'))
    assert done.status == 2
    assert done.err.startswith("spec.json:3:3: error: not JSON: Expecting ',' delimiter\n")
    assert done.err.endswith("   remedy: put a comma before this\n")
    assert contents(here) == ["spec.json"]


def test_every_command_says_the_same_of_a_wrong_spec(zoo: Zoo, write: Write) -> None:
    name = write(linear(train__epochs="3"))
    told = {zoo("check", name).out, *(zoo(verb, name).err for verb in ("train", "show"))}
    assert len(told) == 1


def test_an_unknown_command_or_option_is_refused(zoo: Zoo) -> None:
    for arguments in (("trian",), ("train", "linear3", "--frobnicate")):
        done = zoo(*arguments)
        assert done.status == 2
        assert "No such" in done.err
        assert "Traceback" not in done.err


def test_a_loss_that_diverges_is_told_and_the_metrics_stay(zoo: Zoo, write: Write) -> None:
    done = zoo("train", write(DIVERGING))
    assert done.status == 2
    assert "error: the loss is" in done.err
    assert "the last finite loss:" in done.err
    assert "remedy: lower optimizer.lr (it is 100)" in done.err
    rows = [json.loads(line) for line in Path("runs/line/metrics.jsonl").read_text().splitlines()]
    assert "the loss is" in str(rows[-1]["error"])
    assert not Path("runs/line/model.safetensors").exists()


def test_an_option_that_is_the_specs_to_say_is_sent_there(zoo: Zoo, here: Path) -> None:
    done = zoo("train", "linear3", "--learning-rate", "0.1")
    said = "error: no such option: --learning-rate\n   remedy: a spec says it; for one training: --set optimizer.lr=…\n"
    assert (done.status, done.err) == (2, said)
    remedies = zoo("train", "linear3", "--log", "csv").err
    assert "--set train.log=…; or did you mean --out?" in remedies


def test_an_option_is_not_sent_to_the_spec_of_a_run(zoo: Zoo, here: Path) -> None:
    done = zoo("evaluate", "line", "--batch-size", "3")
    assert done.status == 2
    assert "No such option" in done.err
    assert "--set" not in done.err


def test_a_text_that_a_command_leaves_with_is_an_error(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(**options: object) -> None:
        sys.exit("gone")

    monkeypatch.setattr(cli.zoo.commands["list"], "callback", leave)
    assert zoo("list") == Outcome(1, "", "gone\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [(["predict", "1,2,3"], "row '1,2,3': 3 numbers"), (["evaluate", "--device", "cuda:99"], "cuda:99: torch finds ")],
)
def test_a_run_that_was_picked_is_named_by_what_refuses(zoo: Zoo, write: Write, command: list[str], said: str) -> None:
    zoo("train", write(linear()))
    assert zoo(*command).err.startswith(f"error: runs/line: {said}")


@pytest.mark.parametrize("command", [["export"], ["evaluate"], ["predict", "1,2"], ["train", "--resume", "line"]])
def test_a_diverged_run_says_so_to_whoever_asks_for_its_weights(zoo: Zoo, write: Write, command: list[str]) -> None:
    zoo("train", write(DIVERGING))
    done = zoo(*command)
    assert done.status == 2
    assert re.search(r"^error: runs/line has no weights; its training failed: the loss is .* step \d+ of", done.err)
    assert "remedy: mend the spec, most often by a smaller optimizer.lr, and train again" in done.err


def test_a_full_disk_is_one_clear_error(zoo: Zoo, write: Write, small_disk: Path) -> None:
    done = zoo("train", write(linear(train__epochs=2000)), "--out", small_disk / "run")
    assert done.status == 2
    assert "No space left on device" in done.err
    assert "remedy: free some space there" in done.err
    assert "Traceback" not in done.err
    assert not [name for name in contents(small_disk) if "/." in name]


def test_an_export_that_does_not_fit_publishes_nothing(zoo: Zoo, write: Write, here: Path) -> None:
    zoo("train", write(linear()))
    before = contents(here)
    with no_file_above(600):
        done = zoo("export", "--torchscript")
    assert done.status == 2
    assert "cannot write runs/line/export: File too large" in done.err
    assert contents(here) == before


@pytest.mark.parametrize("verb", [("train", "linear3"), ("export", "linear3", "--untrained")], ids=lambda verb: verb[0])
def test_an_out_below_a_file_is_refused(zoo: Zoo, here: Path, verb: tuple[str, ...]) -> None:
    (here / "file").touch()
    done = zoo(*verb, "--out", "file/run")
    assert done.status == 2
    assert done.err.splitlines()[-2].startswith("error: cannot write file/run: ")
    assert contents(here) == ["file"]


def test_an_untrained_spec_is_exported_on_request(zoo: Zoo, here: Path) -> None:
    done = zoo("export", "linear3", "--untrained", "--onnx")
    assert done.status == 0, done.err
    assert (here / "export" / "linear3" / "model.onnx").is_file()
    assert "**Not trained**" in (here / "export" / "linear3" / "README.md").read_text()


def interrupt(number: signal.Signals, here: Path) -> tuple[int, str]:
    """Start a long training, signal it in the middle, and return its exit status and what it said."""
    process = start("train", "spec.json")
    deadline = time.monotonic() + 120  # seconds, on a busy machine
    metrics = here / "runs" / "line" / "metrics.jsonl"
    while not (metrics.is_file() and metrics.stat().st_size > 500):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send(number)
    done = process.ended()
    return done.status, done.err


@pytest.mark.long
def test_an_interrupted_training_keeps_a_checkpoint_that_resumes_to_the_same_bits(
    zoo: Zoo, write: Write, here: Path
) -> None:
    write(linear(train__epochs=2000))
    assert zoo("train", "spec.json", "--out", "undisturbed").status == 0
    undisturbed = (here / "undisturbed" / "model.safetensors").read_bytes()
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        left, said = interrupt(number, here)
        assert left == status
        assert "Traceback" not in said
        assert "interrupted: in epoch " in said
        assert "to go on: zoo train --resume runs/line" in said
        run = here / "runs" / "line"
        assert (run / "checkpoints" / "last.pt").is_file()
        assert zoo("train", "--resume", "line").status == 0
        assert (run / "model.safetensors").read_bytes() == undisturbed
        rows = [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert rows == list(range(1, 2001))
        shutil.rmtree(run)


def test_a_finished_run_is_not_resumed(zoo: Zoo, write: Write) -> None:
    zoo("train", write(linear()))
    done = zoo("train", "--resume", "line")
    assert done.status == 2
    assert "runs/line has ended its training" in done.err


def test_a_run_whose_spec_was_edited_is_not_resumed(zoo: Zoo, write: Write, here: Path) -> None:
    zoo("train", write(linear()))
    (here / "runs/line/model.safetensors").unlink()
    spec = here / "runs" / "line" / "spec.json"
    spec.write_text(spec.read_text().replace('"batch_size": 4', '"batch_size": 5'))
    done = zoo("train", "--resume", "line")
    assert done.status == 2
    assert "the checkpoint runs/line/checkpoints/last.pt is of another spec" in done.err


def narrow(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a terminal that has nothing but ASCII."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    return subprocess.run(command(*arguments), capture_output=True, text=True, env=environment)


def test_a_terminal_without_unicode_gets_escapes(zoo: Zoo, write: Write) -> None:
    name = write(linear(summary="größer — 大", train__epochs=0))
    checked = narrow("check", name)
    assert checked.returncode == 2
    assert "train.epochs is 0" in checked.stdout
    assert r" \u2502 " in checked.stdout  # the line beside the excerpt
    shown = narrow("show", name, "--set", "train.epochs=1")
    assert shown.returncode == 0, shown.stderr
    assert r"gr\xf6\xdfer \u2014 \u5927" in shown.stdout
    assert narrow("check", "größer.json").stderr.startswith(r"error: no such spec: gr\xf6\xdfer.json")
    record = json.loads(narrow("show", name, "--set", "train.epochs=1", "--json").stdout)
    assert record["spec"]["summary"] == "größer — 大"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"1,2\n\x80,3\n", bytes(range(256))])
def test_binary_standard_input_is_one_clear_error(
    zoo: Zoo, write: Write, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    zoo("train", write(linear()))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    done = zoo("predict", "line", "-")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: runs/line: cannot read standard input: 'utf-8' codec can't decode byte ")
    assert done.err.count("\n") == 2


def test_rows_come_from_standard_input_with_a_byte_order_mark_too(
    zoo: Zoo, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo("train", write(linear()))
    rows = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf1,2\n3,4\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", rows)
    assert [record["input"] for record in json.loads(zoo("predict", "line", "-", "--json").out)] == ["1,2", "3,4"]


def test_an_output_that_is_closed_or_full_is_no_traceback(here: Path) -> None:
    def ran(redirection: str) -> tuple[int, str]:
        script = f"{' '.join(command('schema'))} {redirection}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=here)
        return done.returncode, done.stderr

    assert ran(">&-") == (0, "")
    assert ran(">/dev/full") == (2, "error: No space left on device: the output\n   remedy: let it go elsewhere\n")


@pytest.mark.parametrize(
    ("number", "name", "told"),
    [
        (errno.EIO, None, "Input/output error: the output\n   remedy: let it go elsewhere"),
        (errno.ECONNRESET, None, "Connection reset by peer\n   remedy: see to it on this machine, and"),
        (errno.EMFILE, "a.csv", "Too many open files\n   remedy: see to it on this machine, and"),
        (errno.EACCES, "a.csv", "Permission denied: a.csv\n   remedy: give another path"),
    ],
)
def test_what_the_system_refuses_is_told_as_what_it_is(number: int, name: str | None, told: str) -> None:
    assert str(cli.refusal(OSError(number, os.strerror(number), name))).startswith(f"error: {told}")


def unread(*arguments: str) -> Outcome:
    """Run a command whose output and errors nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)  # before the fork, which would keep it
    process = start(*arguments, out=writer, err=writer)
    os.close(writer)
    return process.ended()


@pytest.mark.parametrize("arguments", [["schema"], ["--help"], ["check", "absent"]], ids=" ".join)
def test_who_is_not_read_to_the_end_says_so_as_git_and_ls_do(here: Path, arguments: list[str]) -> None:
    assert unread(*arguments).status == 128 + signal.SIGPIPE


def test_a_training_that_nobody_reads_goes_on_to_its_end(here: Path, write: Write) -> None:
    assert unread("train", write(linear(train__epochs=50))).status == 128 + signal.SIGPIPE
    assert len((here / "runs/line/metrics.jsonl").read_text().splitlines()) == 50
    assert (here / "runs/line/model.safetensors").is_file()


def test_help_names_the_command_as_a_person_types_it() -> None:
    done = subprocess.run(command("--help"), capture_output=True, text=True)
    assert done.stdout.startswith("Usage: zoo [OPTIONS] COMMAND")


@pytest.mark.long
def test_make_demo_ends_with_learned_weights_beside_true_ones_and_the_proof(here: Path) -> None:
    shutil.copytree(REPOSITORY / "specs", here / "specs")
    spec = here / "specs" / "linear3.json"
    spec.write_text(spec.read_text().replace('"epochs": 2000', '"epochs": 200'))  # tests/test_specs.py takes them all
    binaries = here / "bin"
    binaries.mkdir()
    (binaries / "zoo").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{REPOSITORY / "cli.py"}" "$@"\n')
    (binaries / "zoo").chmod(0o755)
    make = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", ".venv/runtime", f"BIN={binaries}", "demo"]
    done = subprocess.run(make, capture_output=True, text=True, cwd=here)
    assert done.returncode == 0, done.stderr
    end = done.stdout.splitlines()[-45:]
    assert any("weight[2]" in line and "3.7" in line for line in end)
    assert any("model.onnx" in line and "equal" in line for line in end)
    assert any("model.torchscript" in line and "equal bit for bit" in line for line in end)
